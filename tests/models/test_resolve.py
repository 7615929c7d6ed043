"""From a model's name to its files: what is found, what is refused, and what identifies a model."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from shutil import copytree

import pytest

from clipcli.cache.embeddings import EmbeddingStore
from clipcli.errors import CheckpointError, HubUnreachableError, ModelError, ModelNotFoundError
from clipcli.models.hub import weight_candidates
from clipcli.models.registry import pretrained_tags
from clipcli.models.resolve import (
    AUTO_MODEL,
    AUTO_PRETRAINED,
    AUTO_WEIGHTS,
    POCKET_FOLDER,
    is_on_disk,
    resolve_model,
)
from clipcli.models.source import ModelSource
from tests.conftest import TINY_CLIP, Run, lines_of, save_model_folder, save_tokenizer


@pytest.fixture
def hub_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of the hub client's."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path / "hub"


def put_in_hub_cache(cache: Path, repository: str, filename: str, content: bytes = b"weights") -> Path:
    """Lay a file down where the hub client keeps it."""
    folder = cache / f"models--{repository.replace('/', '--')}"
    (folder / "refs").mkdir(parents=True, exist_ok=True)
    (folder / "refs" / "main").write_text("0123")
    path = folder / "snapshots" / "0123" / filename
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def put_recommended_in_hub_cache(cache: Path) -> Path:
    repository, filenames = weight_candidates(AUTO_WEIGHTS)
    return put_in_hub_cache(cache, repository, filenames[-1])


def fingerprint(source: ModelSource) -> str:
    return source.fingerprint(EmbeddingStore(None).file_sha256)


# --- auto --------------------------------------------------------------------------------------------


def test_auto_is_the_recommended_clip_where_it_is_on_disk(hub_cache: Path, logged: list[str]) -> None:
    path = put_recommended_in_hub_cache(hub_cache)
    source = resolve_model("auto", offline=True)
    assert (source.name, source.pretrained, source.checkpoint) == (AUTO_MODEL, AUTO_PRETRAINED, path)
    assert logged == []


def test_the_recommended_weights_are_where_the_table_of_open_clip_says() -> None:
    assert pretrained_tags(AUTO_MODEL)[AUTO_PRETRAINED]["hf_hub"] == AUTO_WEIGHTS


def test_auto_is_pocket_with_one_remark_where_it_is_not(hub_cache: Path, logged: list[str]) -> None:
    source = resolve_model("auto", offline=True)
    assert source == resolve_model("pocket")
    assert len(logged) == 1
    assert "pocket" in logged[0]
    assert "--offline is set" in logged[0]


def test_auto_says_on_stderr_that_the_hub_does_not_answer(run: Run, photos: dict[str, Path]) -> None:
    done = run("classify", photos["cat"], "-l", "cat", "-l", "rocket", "--format", "jsonl")
    assert done.returncode == 0
    assert json.loads(done.stdout)["model"] == "pocket"
    (line,) = lines_of(done.stderr)
    assert line.startswith("warning: using the small built-in model 'pocket'")
    assert "the hub does not answer" in line
    assert "is weak at feelings, written text" in line
    assert f"'clipcli models download {AUTO_MODEL}'" in line


def test_a_model_that_was_named_is_never_replaced(hub_cache: Path) -> None:
    with pytest.raises(HubUnreachableError):
        resolve_model(AUTO_MODEL, AUTO_PRETRAINED, offline=True)


def test_weights_are_on_disk_only_once_they_are(hub_cache: Path) -> None:
    assert not is_on_disk(AUTO_MODEL, AUTO_PRETRAINED)
    put_recommended_in_hub_cache(hub_cache)
    assert is_on_disk(AUTO_MODEL, AUTO_PRETRAINED)


# --- names that are refused --------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["pocket", "auto", "hf-hub:org/name", "local-dir:folder"])
def test_pretrained_goes_with_open_clip_names_only(name: str) -> None:
    with pytest.raises(ModelError, match=f"cannot use --pretrained with --model {name}"):
        resolve_model(name, "openai", offline=True)


def test_pretrained_does_not_go_with_a_folder(tiny_clip: Path) -> None:
    with pytest.raises(ModelError, match="cannot use --pretrained with --model"):
        resolve_model(str(tiny_clip), "openai", offline=True)


def test_a_mistyped_model_is_answered_with_near_ones() -> None:
    with pytest.raises(ModelNotFoundError, match="did you mean ViT-B-32"):
        resolve_model("ViT-B-33", offline=True)


def test_a_mistyped_tag_is_answered_with_near_ones() -> None:
    with pytest.raises(ModelNotFoundError, match="ViT-B-32 has no pretrained tag 'opnai'; did you mean openai"):
        resolve_model("ViT-B-32", "opnai", offline=True)


def test_a_tag_of_a_model_that_has_none_is_answered_with_what_to_give() -> None:
    with pytest.raises(ModelNotFoundError, match="no pretrained tag 'openai'; give a checkpoint file"):
        resolve_model("ViT-S-32-alt", "openai", offline=True)


def test_an_empty_name_is_no_folder() -> None:
    with pytest.raises(ModelNotFoundError, match="no model ''"):
        resolve_model("", offline=True)


@pytest.mark.parametrize("name", ["missing.pt", "folder/missing"])
def test_a_checkpoint_file_that_is_not_there_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(CheckpointError, match=rf"{name}: no such checkpoint file"):
        resolve_model("ViT-B-32", str(tmp_path / name), offline=True)


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFoundError, match="nowhere: no such folder"):
        resolve_model(f"local-dir:{tmp_path / 'nowhere'}")


@pytest.mark.parametrize("prefix", ["", "local-dir:"])
def test_a_folder_without_a_config_is_no_model(tmp_path: Path, prefix: str) -> None:
    with pytest.raises(CheckpointError, match=r"no open_clip_config\.json in it"):
        resolve_model(f"{prefix}{tmp_path}", offline=True)


def test_a_folder_without_weights_is_refused(tmp_path: Path) -> None:
    (tmp_path / "open_clip_config.json").write_text(json.dumps({"model_cfg": TINY_CLIP}))
    with pytest.raises(CheckpointError, match="no weights in it"):
        resolve_model(f"local-dir:{tmp_path}")


def test_a_folder_with_several_weights_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "open_clip_config.json").write_text(json.dumps({"model_cfg": TINY_CLIP}))
    for name in ("epoch_1.pt", "epoch_2.pt"):
        (tmp_path / name).touch()
    with pytest.raises(CheckpointError, match="several weights files; name the right one open_clip_model"):
        resolve_model(f"local-dir:{tmp_path}")


@pytest.mark.parametrize(
    ("names", "chosen"),
    [
        (["open_clip_pytorch_model.bin", "open_clip_model.safetensors"], "open_clip_model.safetensors"),
        (["epoch_1.pt", "open_clip_pytorch_model.bin"], "open_clip_pytorch_model.bin"),
        (["epoch_1.pt", "notes.txt"], "epoch_1.pt"),
    ],
)
def test_the_weights_of_a_folder_are_chosen_by_their_names(tmp_path: Path, names: list[str], chosen: str) -> None:
    (tmp_path / "open_clip_config.json").write_text(json.dumps({"model_cfg": TINY_CLIP}))
    for name in names:
        (tmp_path / name).touch()
    assert resolve_model(f"local-dir:{tmp_path}").checkpoint == tmp_path / chosen


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", "{}", '{"model_cfg": 3}', '{"model_cfg": {"embed_dim": 8}}', "\x00", '"text"',
     '{"model_cfg": {"embed_dim": 8, "vision_cfg": {}, "text_cfg": 5}}',
     '{"model_cfg": {"embed_dim": 8, "vision_cfg": {}, "text_cfg": {}}, "preprocess_cfg": 5}'],
)  # fmt: skip
def test_a_config_that_is_none_is_refused_by_name(tmp_path: Path, content: str) -> None:
    (tmp_path / "open_clip_config.json").write_text(content)
    (tmp_path / "open_clip_model.safetensors").touch()
    with pytest.raises(CheckpointError, match=r"open_clip_config\.json"):
        resolve_model(f"local-dir:{tmp_path}")


# --- what goes with a local file ---------------------------------------------------------------------


def test_a_siglip_file_brings_squashed_images_and_its_neighbouring_tokenizer(tmp_path: Path) -> None:
    weights = tmp_path / "weights.safetensors"
    weights.touch()
    save_tokenizer(tmp_path)
    source = resolve_model("ViT-B-16-SigLIP2", str(weights), offline=True)
    assert source.preprocess["resize_mode"] == "squash"
    assert source.preprocess["mean"] == source.preprocess["std"] == [0.5, 0.5, 0.5]
    assert source.tokenizer_folder == tmp_path
    assert source.config["text_cfg"]["tokenizer_kwargs"] == {"clean": "canonicalize"}


def test_a_siglip_file_without_its_tokenizer_says_what_is_missing(tmp_path: Path, hub_cache: Path) -> None:
    (tmp_path / "weights.safetensors").touch()
    with pytest.raises(HubUnreachableError, match=r"its tokenizer"):
        resolve_model("ViT-B-16-SigLIP2", str(tmp_path / "weights.safetensors"), offline=True)


def test_a_config_beside_a_file_settles_how_its_images_are_prepared(tmp_path: Path) -> None:
    (tmp_path / "weights.pt").touch()
    beside = {"model_cfg": {**TINY_CLIP, "quick_gelu": True}, "preprocess_cfg": {"mean": [0.1, 0.2, 0.3]}}
    (tmp_path / "open_clip_config.json").write_text(json.dumps(beside))
    source = resolve_model("ViT-B-32", str(tmp_path / "weights.pt"), offline=True)
    assert source.preprocess["mean"] == [0.1, 0.2, 0.3]
    assert source.preprocess["resize_mode"] == "shortest"
    assert source.quick_gelu


def test_quick_gelu_for_a_file_is_remarked_upon(tmp_path: Path) -> None:
    (tmp_path / "openai.safetensors").touch()
    source = resolve_model("ViT-B-32", str(tmp_path / "openai.safetensors"), offline=True)
    assert source.quick_gelu
    assert "QuickGELU" in source.notes[0]


def test_a_file_of_other_weights_gets_no_quick_gelu(tmp_path: Path) -> None:
    (tmp_path / "laion.safetensors").touch()
    source = resolve_model("ViT-B-32", str(tmp_path / "laion.safetensors"), offline=True)
    assert not source.quick_gelu
    assert source.notes == ()


def test_a_quickgelu_name_keeps_its_activation_for_any_file(tmp_path: Path) -> None:
    (tmp_path / "laion.safetensors").touch()
    assert resolve_model("ViT-B-32-quickgelu", str(tmp_path / "laion.safetensors"), offline=True).quick_gelu


def test_a_slash_in_a_name_is_read_as_openai_writes_it(tmp_path: Path) -> None:
    (tmp_path / "laion.safetensors").touch()
    assert resolve_model("ViT-B/32", str(tmp_path / "laion.safetensors"), offline=True).name == "ViT-B-32"


def test_a_relative_folder_needs_no_prefix(tiny_clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tiny_clip.parent)
    assert resolve_model(tiny_clip.name, offline=True).name == f"local-dir:{tiny_clip.name}"


# --- fingerprints ------------------------------------------------------------------------------------


def test_the_same_weights_elsewhere_have_the_same_fingerprint(tiny_siglip: Path, tmp_path: Path) -> None:
    elsewhere = copytree(tiny_siglip, tmp_path / "elsewhere")
    assert fingerprint(resolve_model(str(elsewhere))) == fingerprint(resolve_model(f"local-dir:{tiny_siglip}"))


def change_weights(folder: Path) -> None:
    path = folder / "open_clip_model.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def change_tokenizer(folder: Path) -> None:
    path = folder / "tokenizer.json"
    path.write_text(path.read_text("utf-8") + " ", "utf-8")


def change_tokenizer_settings(folder: Path) -> None:
    path = folder / "tokenizer_config.json"
    path.write_text(path.read_text("utf-8") + " ", "utf-8")


def change_config(folder: Path) -> None:
    path = folder / "open_clip_config.json"
    config = json.loads(path.read_text("utf-8"))
    config["model_cfg"]["text_cfg"]["context_length"] = 15
    path.write_text(json.dumps(config), "utf-8")


@pytest.mark.parametrize("change", [change_weights, change_tokenizer, change_tokenizer_settings, change_config])
def test_whatever_changes_the_embeddings_changes_the_fingerprint(
    tiny_siglip: Path, tmp_path: Path, change: Callable[[Path], None]
) -> None:
    changed = copytree(tiny_siglip, tmp_path / "changed")
    change(changed)
    assert fingerprint(resolve_model(str(changed))) != fingerprint(resolve_model(str(tiny_siglip)))


def test_quick_gelu_changes_the_fingerprint(tmp_path: Path) -> None:
    for name in ("openai.pt", "laion.pt"):
        (tmp_path / name).write_bytes(b"the same bytes")
    openai, laion = (
        resolve_model("ViT-B-32", str(tmp_path / name), offline=True) for name in ("openai.pt", "laion.pt")
    )
    assert fingerprint(openai) != fingerprint(laion)


def test_two_models_with_the_same_bytes_of_weights_have_two_fingerprints(tmp_path: Path) -> None:
    (tmp_path / "weights.pt").write_bytes(b"the same bytes")
    sources = [resolve_model(name, str(tmp_path / "weights.pt"), offline=True) for name in ("ViT-B-32", "ViT-B-16")]
    assert fingerprint(sources[0]) != fingerprint(sources[1])


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root can read everything")
def test_weights_that_may_not_be_read_are_told(tmp_path: Path) -> None:
    folder = save_model_folder(tmp_path / "model", TINY_CLIP)
    (folder / "open_clip_model.safetensors").chmod(0)
    with pytest.raises(CheckpointError, match="Permission denied"):
        fingerprint(resolve_model(str(folder)))


def test_weights_that_vanished_are_told(tmp_path: Path) -> None:
    (tmp_path / "weights.pt").touch()
    source = resolve_model("ViT-B-32", str(tmp_path / "weights.pt"), offline=True)
    (tmp_path / "weights.pt").unlink()
    with pytest.raises(CheckpointError, match=r"weights\.pt: No such file"):
        fingerprint(source)


def test_pocket_is_part_of_the_package() -> None:
    source = resolve_model("pocket")
    assert source.title == "pocket"
    assert source.checkpoint.parent == POCKET_FOLDER
