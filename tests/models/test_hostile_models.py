"""Model folders and weights from others: nothing in them is run, fetched, written or believed unseen."""

from __future__ import annotations

import io
import json
import pickle
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from shutil import copytree
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clipcli.errors import CheckpointError, ClipcliError, ModelError
from clipcli.models import registry
from clipcli.models._torchvision import import_open_clip
from clipcli.models.config import check_model_config, is_repository
from clipcli.models.hub_tokenizer import check_text_model, copy_tokenizer
from clipcli.models.model import open_model
from clipcli.models.resolve import resolve_model, untrained_model
from clipcli.models.state_dicts import check_arrays, read_state_dict
from clipcli.models.weight_kinds import is_torchscript, tensor_names
from tests.conftest import TINY_CLIP, save_model_folder
from tests.models.test_weight_kinds import Trap, save_torchscript

CONFIG = "open_clip_config.json"


def with_setting(config: dict[str, Any], path: str, value: object) -> dict[str, Any]:
    """Return a copy of a config with one more setting, named with dots."""
    copied: dict[str, Any] = json.loads(json.dumps(config))
    *sections, name = path.split(".")
    section = copied
    for each in sections:
        section = section.setdefault(each, {})
    section[name] = value
    return copied


def whole_config() -> dict[str, Any]:
    return {"model_cfg": TINY_CLIP, "preprocess_cfg": {"mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5]}}


# --- settings ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("model_cfg.text_cfg.tokenizer_kwargs.trust_remote_code", True),
        ("model_cfg.text_cfg.tokenizer_kwargs.trust_remote_code", False),
        ("model_cfg.text_cfg.tokenizer_kwargs.bpe_path", "/etc/passwd"),
        ("model_cfg.text_cfg.tokenizer_kwargs.bpe_path", "../../merges.txt.gz"),
        ("model_cfg.text_cfg.tokenizer_kwargs.additional_special_tokens", ["(a+)+$"]),
        ("model_cfg.text_cfg.tokenizer_kwargs.cache_dir", "/elsewhere"),
        ("model_cfg.text_cfg.tokenizer_kwargs.gguf_file", "model.gguf"),
        ("model_cfg.text_cfg.tokenizer_kwargs.subfolder", "../.."),
        ("model_cfg.text_cfg.tokenizer_kwargs.proxies", {"https": "http://203.0.113.1"}),
        ("model_cfg.text_cfg.tokenizer_kwargs.context_length", 5),
        ("model_cfg.text_cfg.tokenizer_kwargs.clean", "ftfy"),
        ("model_cfg.text_cfg.tokenizer_kwargs.reduction_mask", "shuffle"),
        ("model_cfg.text_cfg.tokenizer_kwargs.language", "../x"),
        ("model_cfg.text_cfg.tokenizer_kwargs", [["trust_remote_code", True]]),
        ("model_cfg.text_cfg.tokenizer_mode", "bert_clips"),
        ("model_cfg.text_cfg.hf_tokenizer_name", "/etc"),
        ("model_cfg.text_cfg.hf_tokenizer_name", "../tokenizer"),
        ("model_cfg.text_cfg.hf_tokenizer_name", "org/../../x"),
        ("model_cfg.text_cfg.hf_tokenizer_name", "https://example.org/tokenizer"),
        ("model_cfg.text_cfg.hf_tokenizer_name", ["roberta-base"]),
        ("model_cfg.text_cfg.hf_model_name", "./text"),
        ("model_cfg.text_cfg.hf_model_name", "C:\\\\models"),
        ("model_cfg.text_cfg.hf_model_name", "a/b/c"),
        ("model_cfg.text_cfg.hf_model_config", {"auto_map": {}}),
        ("model_cfg.text_cfg.hf_pooler_type", "evil_pooler"),
        ("model_cfg.text_cfg.act_kwargs", {"inplace": True}),
        ("model_cfg.text_cfg.norm_kwargs", {"device": "cuda"}),
        ("model_cfg.text_cfg.vocab_size", 10**12),
        ("model_cfg.text_cfg.context_length", True),
        ("model_cfg.text_cfg.layers", 10**9),
        ("model_cfg.text_cfg.width", -1),
        ("model_cfg.vision_cfg.timm_model_name", "hf-hub:someone/model"),
        ("model_cfg.vision_cfg.timm_model_name", "hf_hub:someone/model"),
        ("model_cfg.vision_cfg.timm_model_name", "local-dir:/tmp/model"),
        ("model_cfg.vision_cfg.timm_model_name", "../vit_tiny_patch16_224"),
        ("model_cfg.vision_cfg.timm_model_name", {"name": "vit_tiny_patch16_224"}),
        ("model_cfg.vision_cfg.timm_model_pretrained", "yes"),
        ("model_cfg.vision_cfg.timm_kwargs", {"checkpoint_path": "/x.pth"}),
        ("model_cfg.vision_cfg.checkpoint_path", "/x.pth"),
        ("model_cfg.vision_cfg.image_size", 10**6),
        ("model_cfg.vision_cfg.image_size", [224, 224, 224]),
        ("model_cfg.vision_cfg.layers", [1, 1, 1]),
        ("model_cfg.vision_cfg.mlp_ratio", "4"),
        ("model_cfg.vision_cfg.norm_kwargs", {"eps": float("nan")}),
        ("model_cfg.embed_dim", 0),
        ("model_cfg.cast_dtype", "float16"),
        ("model_cfg.multimodal_cfg", {"hf_model_name": "roberta-base"}),
        ("model_cfg.init_logit_scale", float("inf")),
        ("preprocess_cfg.size", 10**9),
        ("preprocess_cfg.std", [0.5, 0.0, 0.5]),
        ("preprocess_cfg.mean", "0.5"),
        ("preprocess_cfg.interpolation", "lanczos; import os"),
        ("preprocess_cfg.transform", "os.system"),
        ("preprocess_cfg", [1]),
        ("train_cfg", {}),
    ],
)
def test_a_setting_that_is_not_known_to_be_harmless_is_refused_by_name(path: str, value: object) -> None:
    with pytest.raises(CheckpointError) as refused:
        check_model_config(with_setting(whole_config(), path, value), "model/open_clip_config.json")
    assert path.split(".")[-1] in str(refused.value)
    assert "model/open_clip_config.json" in str(refused.value)
    assert len(str(refused.value).splitlines()) == 1


@pytest.mark.parametrize("where", ["folder", "beside a checkpoint", "from scratch"])
def test_settings_are_checked_wherever_a_config_is_read(where: str, tiny_clip: Path, tmp_path: Path) -> None:
    folder = copytree(tiny_clip, tmp_path / "model")
    config = with_setting(json.loads((folder / CONFIG).read_text()), "model_cfg.text_cfg.bpe_path", "/etc/passwd")
    (folder / CONFIG).write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match=r"refused setting 'model_cfg\.text_cfg\.bpe_path'"):
        if where == "folder":
            resolve_model(f"local-dir:{folder}", offline=True)
        elif where == "from scratch":
            untrained_model(str(folder), offline=True)
        else:
            resolve_model("ViT-S-32-alt", str(folder / "open_clip_model.safetensors"), offline=True)


@pytest.mark.parametrize("name", registry.architecture_names())
def test_every_setting_that_open_clip_itself_uses_is_known(name: str) -> None:
    preprocess = json.loads(json.dumps(registry.usual_preprocess(name)))
    config = {"model_cfg": registry.architecture(name), "preprocess_cfg": preprocess}
    assert check_model_config(config, name) is config


LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
NAMES = st.sampled_from(["embed_dim", "vision_cfg", "text_cfg", "tokenizer_kwargs", "clean", "size"]) | st.text()
ANY_JSON = st.recursive(LEAVES, lambda inner: st.lists(inner) | st.dictionaries(NAMES, inner), max_leaves=8)


@given(ANY_JSON, st.sampled_from(["model_cfg", "model_cfg.text_cfg", "model_cfg.vision_cfg", "preprocess_cfg"]))
def test_any_json_is_a_config_or_is_refused_in_one_line(value: object, section: str) -> None:
    try:
        check_model_config(with_setting(whole_config(), section, value), "x.json")
    except CheckpointError as refused:
        assert len(str(refused)) < 500


@pytest.mark.parametrize("text", ["[" * 100_000, '{"model_cfg": ' * 50_000, "9" * 10_000, '"' + "x" * 2_000_000 + '"'])
def test_a_config_that_json_chokes_on_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / CONFIG).write_text(text)
    with pytest.raises(CheckpointError, match=CONFIG):
        resolve_model(f"local-dir:{tmp_path}", offline=True)


@pytest.mark.parametrize("name", ["roberta-base", "timm/ViT-B-16-SigLIP2", "facebook/nllb-200-distilled-1.3B"])
def test_repositories_of_the_hub_are_known(name: str) -> None:
    assert is_repository(name)


# --- tokenizers --------------------------------------------------------------------------------------


def plant_code(folder: Path, marker: Path) -> None:
    """Put a tokenizer of its own beside a model's, that leaves a marker when it is imported."""
    (folder / "evil.py").write_text(f"from pathlib import Path\nPath({str(marker)!r}).touch()\nclass Evil: ...\n")


AUTO_MAP = {"AutoTokenizer": ["evil.Evil", "evil.Evil"], "AutoConfig": "evil.Evil"}


@pytest.mark.parametrize("trust", [True, None])
@pytest.mark.parametrize("file", ["tokenizer_config.json", "special_tokens_map.json", "config.json"])
def test_code_beside_a_tokenizer_is_never_run(
    file: str, trust: bool | None, tiny_siglip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = copytree(tiny_siglip, tmp_path / "model")
    plant_code(folder, tmp_path / "ran")
    settings = json.loads((folder / file).read_text()) if (folder / file).exists() else {}
    (folder / file).write_text(json.dumps(settings | {"auto_map": AUTO_MAP}))
    if trust is not None:
        config = json.loads((folder / CONFIG).read_text())
        path = "model_cfg.text_cfg.tokenizer_kwargs.trust_remote_code"
        (folder / CONFIG).write_text(json.dumps(with_setting(config, path, trust)))
    asked = io.StringIO("y\n" * 9)  # transformers asks at the terminal
    monkeypatch.setattr("sys.stdin", asked)
    if trust is not None or file != "config.json":
        with pytest.raises(CheckpointError, match=r"auto_map|trust_remote_code"):
            open_model(resolve_model(f"local-dir:{folder}", offline=True), "cpu", "fp32")
    else:  # nothing but the kind of tokenizer is read there
        open_model(resolve_model(f"local-dir:{folder}", offline=True), "cpu", "fp32")
    assert not (tmp_path / "ran").exists()
    assert asked.tell() == 0


@pytest.mark.parametrize(
    ("file", "setting", "value"),
    [
        ("tokenizer_config.json", "vocab_file", "/etc/passwd"),
        ("tokenizer_config.json", "tokenizer_class", "EvilTokenizer"),
        ("tokenizer_config.json", "tokenizer_class", ["BertTokenizer"]),
        ("tokenizer_config.json", "mecab_kwargs", {"mecab_option": "-r /tmp/x"}),
        ("tokenizer_config.json", "sp_model_kwargs", {"model_file": "/etc/passwd"}),
        ("tokenizer_config.json", "init_inputs", ["/etc/passwd"]),
        ("tokenizer_config.json", "pad_token", {"content": "<pad>", "__class__": "x"}),
        ("tokenizer_config.json", "added_tokens_decoder", {"0": {"content": "<pad>", "evil": True}}),
        ("special_tokens_map.json", "vocab_file", "/etc/passwd"),
        ("special_tokens_map.json", "pad_token", 3),
        ("added_tokens.json", "<extra>", "1"),
    ],
)
def test_a_tokenizers_setting_that_is_not_known_is_refused_by_name(
    file: str, setting: str, value: object, tiny_siglip: Path, tmp_path: Path
) -> None:
    folder = copytree(tiny_siglip, tmp_path / "model")
    settings = json.loads((folder / file).read_text()) if (folder / file).exists() else {}
    (folder / file).write_text(json.dumps(settings | {setting: value}))
    (tmp_path / "copy").mkdir()
    with pytest.raises(CheckpointError, match=rf"{file}: .*{setting}"):
        copy_tokenizer(folder, tmp_path / "copy")


def test_only_the_files_of_a_tokenizer_are_given_to_transformers(tiny_siglip: Path, tmp_path: Path) -> None:
    folder = copytree(tiny_siglip, tmp_path / "model")
    for name in ("evil.py", "chat_template.jinja", "tokenizer.pkl", "config.json"):
        (folder / name).write_text("{}")
    (tmp_path / "copy").mkdir()
    copy_tokenizer(folder, tmp_path / "copy")
    assert {path.name for path in (tmp_path / "copy").iterdir()} <= {"tokenizer.json", "tokenizer_config.json",
                                                                      "special_tokens_map.json"}  # fmt: skip


@pytest.mark.parametrize(
    "settings",
    [
        {"model_type": "roberta", "auto_map": {"AutoConfig": "evil.Evil"}},
        {"model_type": "roberta", "attn_implementation": "someone/kernel"},
        {"model_type": "roberta", "quantization_config": {}},
        {"model_type": "evil"},
        {},
    ],
)
def test_a_text_encoder_whose_config_names_code_is_refused(settings: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(settings))
    with pytest.raises(CheckpointError, match=r"config\.json: "):
        check_text_model("someone/text", tmp_path / "config.json", "the model")


def test_a_folder_is_not_taken_for_a_text_encoder_of_the_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "roberta-base").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelError, match="is also a file or folder here"):
        check_text_model("roberta-base", None, "the model")


# --- TorchScript -------------------------------------------------------------------------------------


def scripted_trap(target: Path, path: Path) -> Path:
    """Save a TorchScript archive that writes a file when ``torch.jit.load`` reads it."""
    import torch

    class Writer(torch.nn.Module):
        def __init__(self, target: str) -> None:
            super().__init__()
            self.target, self.numbers = target, torch.zeros(1)

        @torch.jit.export
        def __getstate__(self) -> tuple[str, bool]:
            return self.target, self.training

        @torch.jit.export
        def __setstate__(self, state: tuple[str, bool]) -> None:
            self.target, self.training = state[0], state[1]
            self.numbers = torch.from_file(self.target, True, 16)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x

    torch.jit.script(Writer(str(target))).save(path)
    return path


def test_a_torchscript_archive_that_writes_a_file_is_refused_and_writes_none(tiny_clip: Path, tmp_path: Path) -> None:
    import torch

    folder = copytree(tiny_clip, tmp_path / "model")
    (folder / "open_clip_model.safetensors").unlink()
    path = scripted_trap(tmp_path / "written", folder / "weights.pt")
    with pytest.raises(CheckpointError, match="refused, it would run code when loaded"):
        open_model(resolve_model(f"local-dir:{folder}", offline=True), "cpu", "fp32")
    assert not (tmp_path / "written").exists()
    torch.jit.load(path)
    assert (tmp_path / "written").exists()  # the trap is a real one


@pytest.mark.parametrize("made", ["scripted", "traced", "buffers"])
@pytest.mark.parametrize("precision", ["half", "single"])
def test_torchscript_weights_are_those_that_were_saved(made: str, precision: str, tmp_path: Path) -> None:
    """OpenAI's layout: half precision, buffers beside the weights, tensors that are no weights at all."""
    import torch

    open_clip = import_open_clip()
    torch.manual_seed(3)
    network = open_clip.CLIP(**TINY_CLIP, quick_gelu=True).eval()
    for name, value in (("input_resolution", 32), ("context_length", 24), ("vocab_size", 49408)):
        if hasattr(network, name):
            delattr(network, name)
        network.register_buffer(name, torch.tensor(value))
    if precision == "half" and made != "traced":  # a processor cannot trace all of it in half precision
        network = network.half()
    expected = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    path = tmp_path / "openai.pt"
    if made == "buffers":
        save_torchscript(expected, path)
    elif made == "scripted":
        torch.jit.script(network).save(path)
    else:
        images, texts = torch.zeros(1, 3, 32, 32), torch.zeros(1, 24, dtype=torch.long)
        traced = torch.jit.trace(network, (images, texts), check_trace=False)
        (traced.half() if precision == "half" else traced).save(path)
        expected = {name: tensor.half() if precision == "half" and tensor.is_floating_point() else tensor
                    for name, tensor in expected.items()}  # fmt: skip
    read = read_state_dict(path)
    assert set(read) - set(expected) <= {"attn_mask"}
    for name, tensor in expected.items():
        assert read[name].dtype == tensor.dtype
        assert torch.equal(read[name], tensor)
    (tmp_path / CONFIG).write_text(json.dumps({"model_cfg": TINY_CLIP | {"quick_gelu": True}}))
    model = open_model(resolve_model(f"local-dir:{tmp_path}", offline=True), "cpu", "fp32")
    loaded = model.image_encoder.network.state_dict()
    assert all(torch.equal(loaded[name], expected[name].float()) for name in loaded if name in expected)


def test_tensors_that_are_neither_parameters_nor_buffers_are_left_out(tmp_path: Path) -> None:
    import torch

    class Block(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = torch.nn.Parameter(torch.ones(2))
            self.attn_mask = torch.zeros(3, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x * self.weight

    torch.jit.script(torch.nn.Sequential(Block(), Block())).save(tmp_path / "blocks.pt")
    assert sorted(read_state_dict(tmp_path / "blocks.pt")) == ["0.weight", "1.weight"]


# --- archives that lie -------------------------------------------------------------------------------


def saved(value: object, path: Path) -> Path:
    import torch

    torch.save(value, path)
    return path


def rewritten(path: Path, change: Callable[[str, bytes], bytes], compression: int = zipfile.ZIP_STORED) -> Path:
    """Write an archive again, with its entries changed."""
    with zipfile.ZipFile(path) as archive:
        entries = [(name, archive.read(name)) for name in archive.namelist()]
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in entries:
            archive.writestr(name, change(name, data))
    return path


def test_every_kind_of_tensor_is_read_as_it_was_saved(tmp_path: Path) -> None:
    import torch

    base = torch.arange(24, dtype=torch.float32).reshape(4, 6)
    kinds = ("float16", "bfloat16", "float64", "int8", "uint8", "int16", "int32", "int64", "bool")
    tensors = {
        "whole": base, "turned": base.t(), "part": base[1:3, 2:5], "number": torch.tensor(3.5), "empty": torch.zeros(0),
        **{kind: base.to(getattr(torch, kind)) for kind in kinds},
        "parameter": torch.nn.Parameter(base.clone()),
    }  # fmt: skip
    read = read_state_dict(saved({"epoch": 3, "name": "x", "state_dict": tensors}, tmp_path / "a.pt"))
    assert list(read) == list(tensors)
    for name, tensor in tensors.items():
        assert read[name].dtype == tensor.dtype
        assert torch.equal(read[name], tensor)


def test_the_prefix_of_distributed_training_is_taken_off(tmp_path: Path) -> None:
    import torch

    path = saved({"state_dict": {"module.a": torch.ones(1), "module.b": torch.ones(1)}}, tmp_path / "a.pt")
    assert list(read_state_dict(path)) == ["a", "b"]


def test_an_archive_that_unpacks_to_more_than_it_is_is_refused(tmp_path: Path) -> None:
    import torch

    path = saved({"a": torch.zeros(10_000_000)}, tmp_path / "bomb.pt")
    rewritten(path, lambda _, data: data, zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < 100_000
    with pytest.raises(CheckpointError, match="refused, it is compressed"):
        read_state_dict(path)


def test_numpy_arrays_that_unpack_to_more_than_weights_do_are_refused(tmp_path: Path) -> None:
    import numpy as np

    np.savez_compressed(tmp_path / "bomb.npz", a=np.zeros(10_000_000, np.float32))
    with pytest.raises(CheckpointError, match="refused, it unpacks to"):
        open_model(resolve_model("ViT-S-32-alt", str(tmp_path / "bomb.npz"), offline=True), "cpu", "fp32")


@pytest.mark.parametrize(
    "change",
    [
        lambda name, data: data[:-4] if name.endswith("data/0") else data,
        lambda name, data: data.replace(b"K\x08", b"K\x10") if name.endswith("data.pkl") else data,  # numbers, sizes
        lambda name, data: data.replace(b"\x01\x86", b"\x02\x86") if name.endswith("data.pkl") else data,
        lambda name, data: data[:-1] if name.endswith("data.pkl") else data,
        lambda name, data: b"" if name.endswith("data.pkl") else data,
        lambda name, data: b"\x80\x02r\xff\xff\xff\x7f." if name.endswith("data.pkl") else data,
        lambda name, data: b"\x80\x02)" + b"\x85" * 1_000_000 + b"." if name.endswith("data.pkl") else data,
        lambda name, data: b"\x80\x02})" + b"\x85" * 100_000 + b"Ns." if name.endswith("data.pkl") else data,
        lambda name, data: b"\x80\x02" + b"}" * 3_000_000 + b"." if name.endswith("data.pkl") else data,
        lambda name, data: b"\x80\x02X\xff\xff\xff\x7fa." if name.endswith("data.pkl") else data,
        lambda name, data: b"big" if name.endswith("byteorder") else data,
    ],
)
def test_an_archive_that_lies_about_its_sizes_is_refused(change: Callable[[str, bytes], bytes], tmp_path: Path) -> None:
    import torch

    path = saved({"a": torch.arange(8.0).reshape(2, 4)}, tmp_path / "lie.pt")
    rewritten(path, change)
    with pytest.raises(CheckpointError, match=r"cannot load .*lie\.pt: ") as refused:
        read_state_dict(path)
    assert len(str(refused.value).splitlines()) == 1


END_OF_DIRECTORY = 22  # bytes of a zip archive's last record


@pytest.mark.parametrize(
    ("at", "bytes_there"),
    [
        (-END_OF_DIRECTORY - 20 + 4, b"\1"),  # the first of several disks
        (-END_OF_DIRECTORY + 4, b"\xff\xff\xff\xff"),
        (-END_OF_DIRECTORY + 12, b"\xff\xff\xff\x7f"),  # a directory larger than the file
        (-END_OF_DIRECTORY + 16, b"\xff\xff\xff\x7f"),
        (-END_OF_DIRECTORY - 20 + 8, b"\xff" * 8),  # where the directory's 64-bit record is
        ("directory", {6: b"\xff"}),  # the version needed to read an entry
        ("directory", {8: b"\1"}),  # an entry that claims to be encrypted
        ("directory", {10: b"\x63"}),  # a compression of an unknown kind
        ("directory", {42: b"\xff\xff\xff\x7f"}),  # where an entry begins
        ("directory", {46: b"\xff\xfe"}),  # a name that is not text
    ],
)
def test_every_damage_to_the_directory_of_an_archive_is_one_refusal(
    at: int | str, bytes_there: bytes | dict[int, bytes], tmp_path: Path
) -> None:
    import torch

    path = saved({"a": torch.arange(8.0).reshape(2, 4)}, tmp_path / "weights.pt")
    content = bytearray(path.read_bytes())
    changes = bytes_there if isinstance(bytes_there, dict) else {0: bytes_there}
    start = content.index(b"PK\1\2") if isinstance(at, str) else len(content) + at
    for offset, new in changes.items():
        content[start + offset : start + offset + len(new)] = new
    path.write_bytes(content)
    for read in (read_state_dict, check_arrays):
        try:
            read(path)
        except CheckpointError as refused:
            assert len(str(refused).splitlines()) == 1
    assert is_torchscript(path) is False
    assert isinstance(tensor_names(path), frozenset)


def test_names_in_a_damaged_archive_are_escaped_in_the_refusal(tmp_path: Path) -> None:
    import torch

    path = saved({"a": torch.ones(2)}, tmp_path / "weights.pt")
    rewritten(path, lambda _, data: data.replace(b"FloatStorage", b"Float\x1b[2J\x0b+"))
    with pytest.raises(CheckpointError, match="numbers of a kind that is not known") as refused:
        read_state_dict(path)
    assert str(refused.value).isprintable()


@given(st.data())
def test_any_damage_to_an_archive_is_tensors_or_a_refusal(data: st.DataObject) -> None:
    import tempfile

    import torch

    buffer = io.BytesIO()
    torch.save({"a": torch.arange(8.0).reshape(2, 4), "b": torch.ones(3).half()}, buffer)
    content = bytearray(buffer.getvalue())
    for _ in range(data.draw(st.integers(1, 6))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "weights.pt"
        path.write_bytes(content)
        try:
            tensors = read_state_dict(path)
        except CheckpointError as refused:
            assert len(str(refused).splitlines()) == 1
        else:
            assert all(tensor.numel() <= len(content) for tensor in tensors.values())


@pytest.mark.parametrize("protocol", [2, 4])
@pytest.mark.parametrize("inside", ["__reduce__", "key", "optimizer", "metadata"])
def test_code_anywhere_in_a_checkpoint_is_refused_with_its_name(inside: str, protocol: int, tmp_path: Path) -> None:
    import torch

    trap = Trap(tmp_path / "created")
    content: Any = {
        "__reduce__": trap, "key": {"state_dict": {"a": torch.ones(1)}, "x": {1: [trap]}},
        "optimizer": {"state_dict": {"a": torch.ones(1)}, "optimizer": {"state": {0: (trap,)}}},
        "metadata": {"state_dict": {"a": torch.ones(1)}, "epoch": trap},
    }[inside]  # fmt: skip
    torch.save(content, tmp_path / "weights.pt", pickle_protocol=protocol)
    with pytest.raises(CheckpointError, match="refused, it would run code when loaded"):
        read_state_dict(tmp_path / "weights.pt")
    assert not (tmp_path / "created").exists()


def module_archive(path: Path, state: bytes) -> Path:
    """Write a TorchScript archive whose only object has a state of one's own making."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a/data.pkl", b"\x80\x02c__torch__ M\nq\x00)\x81q\x01".replace(b" M", b"\nM") + state)
        archive.writestr("a/code/__torch__.py", "class M(Module):\n  __parameters__ = []\n")
    return path


@pytest.mark.parametrize(
    "state",
    [
        b"}X\x01\x00\x00\x00mh\x01sb.",  # a module within itself
        b"X\x01\x00\x00\x00xb.",  # a state that is no attributes
        b"}K\x01h\x01sb.",
        b"".join(
            b"h\x00)\x81}(X\x01\x00\x00\x00a" + b"h" + bytes([at]) + b"X\x01\x00\x00\x00bh" + bytes([at]) + b"ubq"
            + bytes([at + 1]) for at in range(1, 60)
        ) + b".",  # each holds the one before twice
    ],
)  # fmt: skip
def test_torchscript_objects_that_cannot_be_networks_are_refused(state: bytes, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"cannot load .*m\.pt"):
        read_state_dict(module_archive(tmp_path / "m.pt", state))


@pytest.mark.parametrize(
    "header",
    [
        struct.pack("<Q", 2**60),
        struct.pack("<Q", 90_000_000) + b"{}",
        struct.pack("<Q", 100_000) + b"[" * 100_000,
        struct.pack("<Q", 62) + b'{"a":{"dtype":"F32","shape":[1000000000],"data_offsets":[0,4]}}'[:62],
        struct.pack("<Q", 69) + b'{"a":{"dtype":"F32","shape":[1000000000],"data_offsets":[0,4000000000]}}'[:69],
    ],
)
def test_a_safetensors_header_that_lies_is_refused(header: bytes, tmp_path: Path) -> None:
    path = tmp_path / "openai.safetensors"
    path.write_bytes(header + b"\0" * 16)
    with pytest.raises(CheckpointError, match=r"cannot load .*openai\.safetensors: refused, damaged"):
        open_model(resolve_model("ViT-S-32-alt", str(path), offline=True), "cpu", "fp32")


def test_a_network_that_its_weights_cannot_fill_is_refused_before_it_takes_memory(tmp_path: Path) -> None:
    wide = {**TINY_CLIP, "text_cfg": {**TINY_CLIP["text_cfg"], "vocab_size": 4_000_000, "width": 16_384}}
    folder = save_model_folder(tmp_path / "model", TINY_CLIP)
    (folder / CONFIG).write_text(json.dumps({"model_cfg": wide}))
    with pytest.raises(ClipcliError, match=r"another architecture|cannot build it"):
        open_model(resolve_model(f"local-dir:{folder}", offline=True), "cpu", "bf16")


def test_a_plain_pickle_that_names_code_is_refused_wherever_it_lies(tmp_path: Path) -> None:
    path = tmp_path / "weights.bin"
    path.write_bytes(pickle.dumps({"state_dict": Trap(tmp_path / "created")}, protocol=2))
    with pytest.raises(CheckpointError, match="would run code"):
        read_state_dict(path)
    assert not (tmp_path / "created").exists()


# --- networks that do not fit their settings ---------------------------------------------------------


def opened(folder: Path) -> Any:
    return open_model(resolve_model(f"local-dir:{folder}", offline=True), "cpu", "fp32")


def test_images_of_a_size_that_the_network_does_not_take_are_one_line(tmp_path: Path) -> None:
    import numpy as np

    model = opened(save_model_folder(tmp_path, TINY_CLIP, size=64))
    with pytest.raises(ModelError, match="the model's settings do not fit its images"):
        model.image_encoder.encode([np.zeros((64, 64, 3), np.uint8)])


def test_tokens_that_the_network_does_not_know_are_one_line(tmp_path: Path) -> None:
    small = {**TINY_CLIP, "text_cfg": {**TINY_CLIP["text_cfg"], "vocab_size": 600}}
    model = opened(save_model_folder(tmp_path, small))
    with pytest.raises(ModelError, match="the model's settings do not fit its tokens"):
        model.text_encoder.encode(["a photo of a cat"])


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 3e38])
@pytest.mark.parametrize("name", ["logit_scale", "visual.proj", "text_projection"])
def test_weights_that_are_no_numbers_are_never_answers(name: str, value: float, tmp_path: Path) -> None:
    import numpy as np
    from safetensors.torch import load_file, save_file

    folder = save_model_folder(tmp_path, TINY_CLIP)
    weights = load_file(folder / "open_clip_model.safetensors")
    weights[name].fill_(value)
    save_file(weights, folder / "open_clip_model.safetensors")
    with pytest.raises(ModelError, match=r"not a finite number|is not a number"):
        model = opened(folder)
        model.text_encoder.encode(["a cat"])
        model.image_encoder.encode([np.full((32, 32, 3), 200, np.uint8)])
