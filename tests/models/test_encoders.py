"""The encoders: prompts cut to what counts, pixels normalised, in the precision that was asked for."""

from __future__ import annotations

import json
from pathlib import Path
from shutil import copytree
from typing import Any

import numpy as np
import pytest

from clipcli.models._torchvision import import_open_clip
from clipcli.models.build import load_network
from clipcli.models.model import Model, open_model
from clipcli.models.resolve import resolve_model
from tests.conftest import TINY_CLIP, save_model_folder

PROMPTS = [
    "a photo of a cat",
    "cat",
    "a low resolution photo of the small orange rocket that stands beside the sea",
    "",
    "a photo of a cat " * 30,  # longer than the context
]
CUSTOM = {**TINY_CLIP, "custom_text": True}


def folder_of(tmp_path: Path, config: dict[str, Any]) -> Path:
    return save_model_folder(tmp_path / "model", config)


def opened(folder: Path, precision: str = "fp32") -> Model:
    return open_model(resolve_model(f"local-dir:{folder}", offline=True), "cpu", precision)


def whole_context(folder: Path) -> np.ndarray:
    """Encode the prompts as open_clip does: each padded to the whole context."""
    import torch

    open_clip = import_open_clip()
    network = open_clip.create_model(f"local-dir:{folder}").eval()
    with torch.no_grad():
        rows: np.ndarray = network.encode_text(open_clip.get_tokenizer(f"local-dir:{folder}")(PROMPTS), True).numpy()
    return rows


class Widths:
    """How many tokens wide each batch was that the text encoder was given."""

    def __init__(self, model: Model) -> None:
        self.seen: list[int] = []
        network = model.image_encoder.network
        tower = getattr(network, "text", network)
        tower.token_embedding.register_forward_hook(lambda _, inputs, __: self.seen.append(inputs[0].shape[1]))


@pytest.mark.parametrize("config", [TINY_CLIP, CUSTOM], ids=["CLIP", "CustomTextCLIP"])
def test_prompts_cut_after_their_last_word_give_what_whole_ones_give(config: dict[str, Any], tmp_path: Path) -> None:
    folder = folder_of(tmp_path, config)
    model = opened(folder)
    np.testing.assert_allclose(model.text_encoder.encode(PROMPTS), whole_context(folder), atol=1e-5)
    widths = Widths(model)
    model.text_encoder.encode(PROMPTS[:2])
    assert widths.seen == [7]  # start of text, five words, end of text
    model.text_encoder.encode(PROMPTS)
    assert widths.seen[-1] == TINY_CLIP["text_cfg"]["context_length"]


def test_a_text_encoder_that_reads_out_at_a_named_token_is_cut_there(tmp_path: Path) -> None:
    config = json.loads(json.dumps(CUSTOM))
    end_of_text = config["text_cfg"].get("vocab_size", 49408) - 1
    config["text_cfg"] |= {"pool_type": "eos", "eos_id": end_of_text}
    folder = folder_of(tmp_path, config)
    model = opened(folder)
    np.testing.assert_allclose(model.text_encoder.encode(PROMPTS), whole_context(folder), atol=1e-5)
    widths = Widths(model)
    model.text_encoder.encode(["cat"])
    assert widths.seen == [3]


@pytest.mark.parametrize("change", [{"pool_type": "last"}, {"no_causal_mask": True}, {"embed_cls": True}])
def test_prompts_of_other_text_encoders_are_left_whole(change: dict[str, Any], tmp_path: Path) -> None:
    config = json.loads(json.dumps(CUSTOM))
    config["text_cfg"] |= change
    folder = folder_of(tmp_path, config)
    model = opened(folder)
    np.testing.assert_allclose(model.text_encoder.encode(PROMPTS), whole_context(folder), atol=1e-5)
    widths = Widths(model)
    model.text_encoder.encode(["cat"])
    assert widths.seen == [TINY_CLIP["text_cfg"]["context_length"]]


def test_siglips_prompts_are_left_whole(tiny_siglip: Path) -> None:
    model = opened(tiny_siglip)
    widths = Widths(model)
    model.text_encoder.encode(["cat", "dog"])
    assert widths.seen == [model.text_encoder.tokenizer.context_length]


def test_many_prompts_come_out_in_their_order(tiny_clip: Path) -> None:
    encoder = opened(tiny_clip).text_encoder
    prompts = [f"{'very ' * (number % 9)}{number}" for number in range(700)]
    rows = encoder.encode(prompts)
    for number in (0, 8, 255, 256, 511, 699):
        np.testing.assert_allclose(rows[number], encoder.encode([prompts[number]])[0], atol=1e-5)


def test_the_network_is_as_before_after_prompts_were_cut(tiny_clip: Path) -> None:
    model = opened(tiny_clip)
    network = model.image_encoder.network
    before = {name: value.clone() for name, value in [*network.named_parameters(), *network.named_buffers()]}
    model.text_encoder.encode(["cat"])
    after = dict([*network.named_parameters(), *network.named_buffers()])
    assert before.keys() == after.keys()
    assert all(before[name].equal(after[name]) for name in before)


# --- building a network ------------------------------------------------------------------------------


RESNET = {**TINY_CLIP, "vision_cfg": {"image_size": 32, "layers": [1, 1, 1, 1], "width": 16, "head_width": 16}}


@pytest.mark.parametrize("config", [TINY_CLIP, CUSTOM, RESNET], ids=["ViT", "CustomTextCLIP", "ResNet"])
@pytest.mark.parametrize("form", ["safetensors", "pt", "legacy pt"])
def test_every_weight_and_buffer_is_what_open_clip_loads(config: dict[str, Any], form: str, tmp_path: Path) -> None:
    import torch
    from safetensors.torch import load_file

    folder = folder_of(tmp_path, config)
    expected = import_open_clip().create_model(f"local-dir:{folder}").eval()
    weights = folder / "open_clip_model.safetensors"
    if form != "safetensors":
        tensors = load_file(weights)
        weights.unlink()
        torch.save(tensors, folder / "open_clip_pytorch_model.bin", _use_new_zipfile_serialization=form == "pt")
    network, _, _ = load_network(resolve_model(f"local-dir:{folder}", offline=True))
    for kind in ("named_parameters", "named_buffers"):
        theirs, ours = dict(getattr(expected, kind)()), dict(getattr(network, kind)())
        assert theirs.keys() == ours.keys()
        assert all(theirs[name].equal(ours[name]) for name in theirs)


def test_no_random_numbers_are_drawn_for_weights_that_will_be_loaded(tiny_clip: Path) -> None:
    import torch

    torch.manual_seed(3)
    before = torch.get_rng_state()
    load_network(resolve_model(f"local-dir:{tiny_clip}", offline=True))
    drawn = torch.get_rng_state()
    torch.set_rng_state(before)
    import_open_clip().create_model(f"local-dir:{tiny_clip}")
    assert not torch.get_rng_state().equal(drawn)  # open_clip by itself draws


def test_a_weight_that_a_checkpoint_lacks_is_never_left_undrawn(tiny_clip: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    from clipcli.errors import CheckpointError

    folder = copytree(tiny_clip, tmp_path / "lacking")
    weights = load_file(folder / "open_clip_model.safetensors")
    del weights["visual.proj"]
    save_file(weights, folder / "open_clip_model.safetensors")
    with pytest.raises(CheckpointError, match="tensors missing"):
        opened(folder)


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_batch_normalisation_stays_in_single_precision(precision: str, tmp_path: Path) -> None:
    import torch

    network, _, _ = load_network(resolve_model(f"local-dir:{folder_of(tmp_path, RESNET)}", offline=True), precision)
    kinds: dict[str, set[torch.dtype]] = {}
    for module in network.visual.modules():
        for parameter in module.parameters(recurse=False):
            kinds.setdefault(type(module).__name__, set()).add(parameter.dtype)
    assert kinds["BatchNorm2d"] == {torch.float32}
    assert kinds["Conv2d"] == {{"bf16": torch.bfloat16, "fp16": torch.float16}[precision]}
    assert {parameter.dtype for parameter in network.transformer.parameters()} == {torch.float32}
