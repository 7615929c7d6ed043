"""Opening models: the right network from each kind of file, refusals in one line, nothing run from a file."""

from __future__ import annotations

import dataclasses
import json
import logging
import pickle
import sys
from pathlib import Path
from shutil import copytree
from typing import Any

import numpy as np
import pytest
from PIL import Image

from clipcli.errors import CheckpointError, ModelError
from clipcli.models._torchvision import import_open_clip
from clipcli.models.devices import choose_device, choose_precision
from clipcli.models.model import Model, open_model
from clipcli.models.resolve import resolve_model
from tests.conftest import TINY_CLIP, save_model_folder
from tests.models.test_weight_kinds import Trap, save_torchscript

SMALL = "ViT-S-32-alt"  # the smallest architecture that open_clip knows by name
PROMPTS = ["a photo of a cat", "an orange rocket"]


def open_file(name: str, path: Path) -> Model:
    return open_model(resolve_model(name, str(path), offline=True), "cpu", "fp32")


def open_folder(folder: Path, precision: str = "fp32") -> Model:
    return open_model(resolve_model(f"local-dir:{folder}", offline=True), "cpu", precision)


# --- the QuickGELU trap ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def quick_network() -> Any:
    """A network as OpenAI trained them: with QuickGELU."""
    open_clip = import_open_clip()
    import torch

    torch.manual_seed(5)
    network = open_clip.create_model(SMALL, force_quick_gelu=True)
    return network.half().float().eval()  # OpenAI's weights are half precision


def openai_buffers() -> dict[str, Any]:
    import torch

    return {name: torch.tensor(value) for name, value in
            (("input_resolution", 224), ("context_length", 77), ("vocab_size", 49408))}  # fmt: skip


def assert_computes_what(network: Any, model: Model, image: Path) -> None:
    import torch

    open_clip = import_open_clip()
    with torch.no_grad():
        texts = network.encode_text(open_clip.get_tokenizer(SMALL)(PROMPTS), normalize=True)
        picture = Image.open(image).convert("RGB")
        transform = open_clip.image_transform(224, is_train=False)
        expected = network.encode_image(transform(picture)[None], normalize=True)
    pixels = model.image_encoder.preprocessing.pixels(picture)
    np.testing.assert_allclose(model.text_encoder.encode(PROMPTS), texts, atol=1e-5)
    np.testing.assert_allclose(model.image_encoder.encode([pixels]), expected, atol=1e-5)


def prepared_for(model: Model, image: Image.Image) -> Any:
    """What the network is given: (3, H, W)."""
    import torch

    encoder = model.image_encoder
    return encoder._normalised(torch.from_numpy(encoder.preprocessing.pixels(image)[None].copy()))[0].float()


def activations_of(model: Model) -> set[str]:
    network = model.image_encoder.network
    return {type(module).__name__ for module in network.modules() if "GELU" in type(module).__name__}


@pytest.mark.parametrize("form", ["torchscript", "buffers", "safetensors"])
def test_openais_weights_in_a_local_file_get_quick_gelu(
    form: str, quick_network: Any, tmp_path: Path, photos: dict[str, Path]
) -> None:
    import torch
    from safetensors.torch import save_file

    tensors = {name: tensor.half() for name, tensor in quick_network.state_dict().items()}
    if form == "torchscript":
        path = save_torchscript(tensors | openai_buffers(), tmp_path / "small.pt")
    elif form == "buffers":
        path = tmp_path / "small.pt"
        torch.save(tensors | openai_buffers(), path)
    else:
        path = tmp_path / "small-openai.safetensors"
        save_file(tensors, path)
    model = open_file(SMALL, path)
    assert activations_of(model) == {"QuickGELU"}
    assert_computes_what(quick_network, model, photos["cat"])


def test_other_weights_in_a_local_file_get_no_quick_gelu(tmp_path: Path, photos: dict[str, Path]) -> None:
    open_clip = import_open_clip()
    import torch

    torch.manual_seed(6)
    network = open_clip.create_model(SMALL).eval()
    torch.save({"epoch": 3, "state_dict": {f"module.{k}": v for k, v in network.state_dict().items()}},
               tmp_path / "epoch_3.pt")  # fmt: skip
    model = open_file(SMALL, tmp_path / "epoch_3.pt")
    assert activations_of(model) == {"GELU"}
    assert_computes_what(network, model, photos["cat"])


# --- preprocessing and tokenizers --------------------------------------------------------------------


def test_siglips_preprocessing_squashes_and_centres(tiny_siglip: Path) -> None:
    from clipcli.models.registry import usual_preprocess

    source = resolve_model(f"local-dir:{tiny_siglip}")
    source = dataclasses.replace(source, preprocess=usual_preprocess("ViT-B-16-SigLIP2"))
    wide = Image.new("RGB", (400, 100), "black")
    wide.paste("white", (0, 0, 100, 100))  # a crop from the centre would lose this
    prepared = prepared_for(open_model(source, "cpu"), wide)
    assert prepared.shape == (3, 224, 224)
    assert prepared[:, :, :40].min() == pytest.approx(1.0)
    assert prepared[:, :, 80:].max() == pytest.approx(-1.0)


def test_clips_preprocessing_crops_the_centre(tiny_clip: Path) -> None:
    wide = Image.new("RGB", (400, 100), "black")
    wide.paste("white", (0, 0, 100, 100))
    prepared = prepared_for(open_folder(tiny_clip), wide)
    assert prepared.shape == (3, 32, 32)
    assert float(prepared[0].max()) == pytest.approx((0 - 0.48145466) / 0.26862954, abs=1e-5)


def test_siglip_names_are_read_in_lower_case_without_punctuation(tiny_siglip: Path, tmp_path: Path) -> None:
    folder = copytree(tiny_siglip, tmp_path / "plain")
    config = json.loads((folder / "open_clip_config.json").read_text("utf-8"))
    del config["model_cfg"]["text_cfg"]["tokenizer_kwargs"]  # so that only the name tells
    (folder / "open_clip_config.json").write_text(json.dumps(config), "utf-8")
    for model in (open_folder(folder), open_folder(tiny_siglip)):
        shouted, plain, other = model.text_encoder.encode(["A Photo of a CAT!", "a photo of a cat", "a photo of a dog"])
        np.testing.assert_array_equal(shouted, plain)
        assert not np.allclose(plain, other)


@pytest.mark.parametrize("folder", ["tiny_clip", "tiny_siglip"])
def test_prompts_that_do_not_fit_are_counted(folder: str, request: pytest.FixtureRequest) -> None:
    encoder = open_folder(request.getfixturevalue(folder)).text_encoder
    assert encoder.cut(["a cat", "a photo of a cat " * 20, "a dog"]) == [False, True, False]


def test_counting_long_prompts_is_silent(
    tiny_siglip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    folder = copytree(tiny_siglip, tmp_path / "limited")
    settings = json.loads((folder / "tokenizer_config.json").read_text("utf-8"))
    (folder / "tokenizer_config.json").write_text(json.dumps(settings | {"model_max_length": 16}), "utf-8")
    encoder = open_folder(folder).text_encoder
    monkeypatch.setattr(logging.getLogger("transformers"), "propagate", True)
    assert encoder.cut(["a photo of a cat " * 20]) == [True]
    assert caplog.messages == []


def test_a_damaged_tokenizer_is_told(tiny_siglip: Path, tmp_path: Path) -> None:
    folder = copytree(tiny_siglip, tmp_path / "damaged")
    (folder / "tokenizer.json").write_text("{", "utf-8")
    with pytest.raises(ModelError, match="its tokenizer cannot be loaded"):
        open_folder(folder)


def test_embeddings_have_length_one(tiny_clip: Path, photos: dict[str, Path]) -> None:
    model = open_folder(tiny_clip)
    pixels = [
        model.image_encoder.preprocessing.pixels(Image.open(photos[name]).convert("RGB")) for name in ("cat", "rocket")
    ]
    for rows in (model.text_encoder.encode(PROMPTS), model.image_encoder.encode(pixels)):
        assert rows.shape == (2, model.dim)
        assert rows.dtype == np.float32
        np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1.0, atol=1e-6)


def test_the_scale_is_the_models_own(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    folder = save_model_folder(tmp_path / "model", TINY_CLIP)
    weights = load_file(folder / "open_clip_model.safetensors")
    weights["logit_scale"].fill_(np.log(37.5))
    save_file(weights, folder / "open_clip_model.safetensors")
    model = open_folder(folder)
    assert model.logit_scale == pytest.approx(37.5, rel=1e-6)
    assert model.logit_bias is None


# --- files that are refused --------------------------------------------------------------------------


def weights_of(folder: Path) -> dict[str, Any]:
    from safetensors.torch import load_file

    return load_file(folder / "open_clip_model.safetensors")


def folder_with(weights: str, tmp_path: Path, config: dict[str, Any] = TINY_CLIP) -> Path:
    """Make a model folder whose weights file, of the name given, is still to be written."""
    (tmp_path / "open_clip_config.json").write_text(json.dumps({"model_cfg": config}))
    return tmp_path / weights


def test_weights_of_another_width_are_of_another_architecture(tiny_clip: Path, tmp_path: Path) -> None:
    wider = {**TINY_CLIP, "vision_cfg": {**TINY_CLIP["vision_cfg"], "width": 96}}
    folder_with("open_clip_model.safetensors", tmp_path, wider).write_bytes(
        (tiny_clip / "open_clip_model.safetensors").read_bytes()
    )
    with pytest.raises(CheckpointError, match=r"of another architecture than .*tensors of another shape"):
        open_folder(tmp_path)


@pytest.mark.parametrize("form", ["safetensors", "pt", "torchscript"])
def test_a_resnets_weights_are_no_vits(form: str, tiny_clip: Path, tmp_path: Path) -> None:
    import torch
    from safetensors.torch import save_file

    resnet = {**TINY_CLIP, "vision_cfg": {"image_size": 32, "layers": [1, 1, 1, 1], "width": 16, "head_width": 16}}
    weights = weights_of(save_model_folder(tmp_path / "resnet", resnet))
    path = folder_with("weights.safetensors" if form == "safetensors" else "weights.pt", tmp_path)
    if form == "safetensors":
        save_file(weights, path)
    elif form == "pt":
        torch.save(weights, path)
    else:
        save_torchscript(weights, path)
    with pytest.raises(CheckpointError, match=r"of another architecture .*tensors missing.*it does not know"):
        open_folder(tmp_path)


def test_a_vits_weights_are_no_resnets(tiny_clip: Path, tmp_path: Path) -> None:
    resnet = {**TINY_CLIP, "vision_cfg": {"image_size": 32, "layers": [1, 1, 1, 1], "width": 16, "head_width": 16}}
    path = folder_with("open_clip_model.safetensors", tmp_path, resnet)
    path.write_bytes((tiny_clip / "open_clip_model.safetensors").read_bytes())
    with pytest.raises(CheckpointError, match="of another architecture"):
        open_folder(tmp_path)


@pytest.mark.parametrize("share", [0.0, 0.001, 0.5, 0.999])
@pytest.mark.parametrize("form", ["safetensors", "pt", "legacy.pt", "torchscript.pt"])
def test_a_file_that_was_cut_off_is_refused_by_name(form: str, share: float, tiny_clip: Path, tmp_path: Path) -> None:
    import torch

    path = folder_with(f"weights.{form}", tmp_path)
    if form == "safetensors":
        path.write_bytes((tiny_clip / "open_clip_model.safetensors").read_bytes())
    elif form == "torchscript.pt":
        save_torchscript(weights_of(tiny_clip), path)
    else:
        torch.save(weights_of(tiny_clip), path, _use_new_zipfile_serialization=form == "pt")
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(CheckpointError, match=rf"weights\.{form}: ") as refused:
        open_folder(tmp_path)
    assert len(str(refused.value).splitlines()) == 1
    assert "would run code" not in str(refused.value)


@pytest.mark.parametrize("name", ["weights.pt", "weights.safetensors", "weights.bin"])
@pytest.mark.parametrize("content", [b"<html>Not Found</html>", b"version https://git-lfs.github.com/spec/v1\n", b"x"])
def test_a_file_that_is_no_checkpoint_is_refused_by_name(tmp_path: Path, name: str, content: bytes) -> None:
    folder_with(name, tmp_path).write_bytes(content)
    with pytest.raises(CheckpointError, match=name) as refused:
        open_folder(tmp_path)
    assert "would run code" not in str(refused.value)


@pytest.mark.parametrize("form", ["archive", "legacy", "bare pickle", "within a state dict"])
def test_a_pickle_that_would_run_code_is_refused_and_not_run(form: str, tmp_path: Path) -> None:
    import torch

    created = tmp_path / "created"
    path = folder_with("weights.pt", tmp_path)
    if form == "bare pickle":
        path.write_bytes(pickle.dumps(Trap(created), protocol=2))
    else:
        content = (
            {"logit_scale": torch.zeros(()), "trap": Trap(created)} if form.startswith("within") else Trap(created)
        )
        torch.save(content, path, _use_new_zipfile_serialization=form != "legacy")
    with pytest.raises(CheckpointError, match="refused, it would run code when loaded"):
        open_folder(tmp_path)
    assert not created.exists()
    torch.load(path, weights_only=False) if form != "bare pickle" else pickle.loads(path.read_bytes())
    assert created.exists()  # the trap is a real one


@pytest.mark.parametrize("content", [[1, 2], {}, {"state_dict": {}}, {"epoch": 3}, {"state_dict": 5}, 3.0])
def test_a_checkpoint_of_something_else_is_refused(tmp_path: Path, content: object) -> None:
    import torch

    torch.save(content, folder_with("weights.pt", tmp_path))
    with pytest.raises(CheckpointError, match=r"weights\.pt: "):
        open_folder(tmp_path)


def test_a_config_that_open_clip_cannot_build_is_told(tiny_clip: Path, tmp_path: Path) -> None:
    vision = {**TINY_CLIP["vision_cfg"], "timm_model_name": "no_such_network"}
    path = folder_with("open_clip_model.safetensors", tmp_path, {**TINY_CLIP, "vision_cfg": vision})
    path.write_bytes((tiny_clip / "open_clip_model.safetensors").read_bytes())
    with pytest.raises(ModelError, match=r"open_clip cannot build it \(.*no_such_network"):
        open_folder(tmp_path)


def test_preprocessing_that_cannot_be_is_told(tmp_path: Path) -> None:
    folder = save_model_folder(tmp_path, TINY_CLIP, resize_mode="stretch")
    with pytest.raises(ModelError, match=r"preprocess_cfg\.resize_mode may not be 'stretch'"):
        open_folder(folder)


# --- devices and precisions --------------------------------------------------------------------------


@pytest.mark.parametrize("wish", ["cuda:7", "cuda:²", "cuda:x", "gpu", "cpu:3", "mps:1", "", "meta", "cuda:-1"])
def test_a_device_that_is_not_there_is_refused_with_those_that_are(wish: str) -> None:
    with pytest.raises(ModelError, match=rf"--device {wish}: not on this machine; there is: auto, cpu"):
        choose_device(wish)


def test_the_cpu_is_always_there() -> None:
    assert choose_device("cpu") == "cpu"


@pytest.mark.parametrize("wish", ["fp8", "", "FP32", "float16"])
def test_an_unknown_precision_is_refused_with_the_known(wish: str) -> None:
    with pytest.raises(
        ModelError, match=rf"cannot use --precision {wish}: unknown precision \(use auto, fp32, bf16, fp16\)"
    ):
        choose_precision(wish, "cpu")


@pytest.mark.parametrize(("device", "expected"), [("mps", "fp32"), ("cuda", "fp16"), ("cuda:1", "fp16")])
def test_auto_precision_goes_by_the_device(device: str, expected: str) -> None:
    assert choose_precision("auto", device) == expected


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="asks Linux what the processor can do")
def test_auto_precision_on_the_cpu_is_bf16_where_the_processor_multiplies_it() -> None:
    instructions = set(Path("/proc/cpuinfo").read_text("utf-8").split())
    expected = "bf16" if {"avx512_bf16", "amx_bf16"} & instructions else "fp32"
    assert choose_precision("auto", "cpu") == expected


@pytest.mark.parametrize(
    ("capabilities", "expected"),
    [({"avx512_bf16": True}, "bf16"), ({"amx_bf16": True}, "bf16"), ({"avx512_f": True, "avx512_bf16": False}, "fp32"),
     ({}, "fp32")],
)  # fmt: skip
def test_bf16_is_chosen_by_what_torch_says_of_the_processor(
    capabilities: dict[str, bool], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities, raising=False)
    assert choose_precision("auto", "cpu") == expected


@pytest.mark.parametrize("capable", [True, False])
def test_an_older_torch_is_asked_in_its_own_way(capable: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: capable, raising=False)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: False, raising=False)
    assert choose_precision("auto", "cpu") == ("bf16" if capable else "fp32")


@pytest.mark.parametrize(("folder", "precision"), [("tiny_clip", "bf16"), ("tiny_clip", "fp16"), ("pocket", "bf16")])
def test_half_precision_on_the_cpu_is_close_to_single(
    folder: str, precision: str, photos: dict[str, Path], request: pytest.FixtureRequest
) -> None:
    source = resolve_model("pocket" if folder == "pocket" else str(request.getfixturevalue(folder)))
    rows = []
    for model in (open_model(source, "cpu", "fp32"), open_model(source, "cpu", precision)):
        pixels = [
            model.image_encoder.preprocessing.pixels(Image.open(path).convert("RGB"))
            for path in list(photos.values())[:2]
        ]
        rows.append(model.image_encoder.encode(pixels))
    assert (rows[0] * rows[1]).sum(axis=1).min() > 0.99


def test_text_is_encoded_in_single_precision_whatever_the_images_are(tiny_clip: Path) -> None:
    np.testing.assert_array_equal(
        open_folder(tiny_clip, "bf16").text_encoder.encode(PROMPTS), open_folder(tiny_clip).text_encoder.encode(PROMPTS)
    )


# --- torchvision -------------------------------------------------------------------------------------


def test_open_clip_is_imported_once() -> None:
    assert import_open_clip() is sys.modules["open_clip"]
