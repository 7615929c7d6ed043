"""What a weights file is, told without running anything in it."""

from __future__ import annotations

import pickle
import zipfile
from pathlib import Path
from typing import Any

import pytest

from clipcli.models.weight_kinds import is_torchscript, looks_like_openai, tensor_names


class Trap:
    """Creates a file when it is unpickled."""

    def __init__(self, created: Path) -> None:
        self.created = created

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.created,)


def state_dict(*extra: str) -> dict[str, Any]:
    import torch

    return {name: torch.zeros(1) for name in ("visual.proj", "logit_scale", *extra)}


def save_torchscript(tensors: dict[str, Any], path: Path) -> Path:
    """Save named tensors the way OpenAI did: as the parameters of a TorchScript archive."""
    import torch

    root = torch.nn.Module()
    for name, tensor in tensors.items():
        *parents, leaf = name.split(".")
        module = root
        for parent in parents:
            if parent not in dict(module.named_children()):
                module.add_module(parent, torch.nn.Module())
            module = module.get_submodule(parent)
        module.register_buffer(leaf, tensor)
    torch.jit.script(root).save(path)
    return path


def test_a_torchscript_archive_is_known_whatever_its_name(tmp_path: Path) -> None:
    archive = save_torchscript(state_dict(), tmp_path / "RN50.bin")
    assert is_torchscript(archive)
    assert looks_like_openai(archive)


def test_a_saved_state_dict_is_no_torchscript_archive(tmp_path: Path) -> None:
    import torch

    torch.save(state_dict(), tmp_path / "weights.pt")
    assert not is_torchscript(tmp_path / "weights.pt")


@pytest.mark.parametrize("content", [b"", b"no zip", b"PK\x03\x04 cut off"])
@pytest.mark.parametrize("suffix", [".pt", ".safetensors", ".bin"])
def test_damaged_files_are_nothing_in_particular(tmp_path: Path, content: bytes, suffix: str) -> None:
    path = tmp_path / f"weights{suffix}"
    path.write_bytes(content)
    assert not is_torchscript(path)
    assert tensor_names(path) == frozenset()
    assert not looks_like_openai(path)


def test_a_missing_file_has_no_tensors(tmp_path: Path) -> None:
    assert tensor_names(tmp_path / "nothing.pt") == frozenset()


def test_a_pickle_cut_off_within_a_whole_archive_has_no_tensors(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "weights.pt", "w") as archive:
        archive.writestr("weights/data.pkl", pickle.dumps({"name": "x" * 100})[:20])
    assert tensor_names(tmp_path / "weights.pt") == frozenset()


def test_the_tensors_of_a_safetensors_file_are_named(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    save_file(state_dict(), tmp_path / "weights.safetensors", metadata={"format": "pt"})
    assert tensor_names(tmp_path / "weights.safetensors") == {"visual.proj", "logit_scale"}


def test_the_tensors_of_a_pickle_are_named_without_running_it(tmp_path: Path) -> None:
    import torch

    torch.save(state_dict() | {"trap": Trap(tmp_path / "created")}, tmp_path / "weights.pt")
    assert tensor_names(tmp_path / "weights.pt") >= {"visual.proj", "logit_scale"}
    assert not (tmp_path / "created").exists()


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_the_buffers_that_openai_stored_give_its_weights_away(tmp_path: Path, suffix: str) -> None:
    import torch
    from safetensors.torch import save_file

    tensors = state_dict("input_resolution", "context_length", "vocab_size")
    path = tmp_path / f"weights{suffix}"
    save_file(tensors, path) if suffix == ".safetensors" else torch.save(tensors, path)
    assert looks_like_openai(path)


@pytest.mark.parametrize(
    "name",
    [
        "ViT-B-32-openai.safetensors",
        "OpenAI/model.safetensors",
        "models--timm--vit_base_patch32_clip_224.openai/snapshots/0123/open_clip_model.safetensors",
    ],
)
def test_a_name_that_says_openai_is_believed(tmp_path: Path, name: str) -> None:
    from safetensors.torch import save_file

    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    save_file(state_dict(), tmp_path / name)
    assert looks_like_openai(tmp_path / name)


@pytest.mark.parametrize("name", ["laion2b.safetensors", "openai-users/someone/runs/epoch_32.safetensors"])
def test_other_weights_are_not_taken_for_openais(tmp_path: Path, name: str) -> None:
    from safetensors.torch import save_file

    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    save_file(state_dict(), tmp_path / name)
    assert not looks_like_openai(tmp_path / name)
