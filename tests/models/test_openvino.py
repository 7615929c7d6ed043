"""OpenVINO as the image encoder's engine: the same embeddings, kept graphs, no torch on a later run, no telemetry."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from contextlib import suppress
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from safetensors.numpy import load_file, save_file

from clipcli import Classifier, Embedder
from clipcli.cache.embeddings import EmbeddingStore
from clipcli.errors import ModelError
from clipcli.images.preprocess import Preprocessing
from clipcli.models.backend import Opening
from clipcli.models.mapped_weights import mapped_tensors
from clipcli.models.model import open_model
from clipcli.models.openvino import Backend
from clipcli.models.openvino_conversion import convert_image_encoder, convert_text_encoder
from clipcli.models.openvino_graphs import clear_graphs, save_graph_files
from clipcli.models.openvino_runtime import (
    OpenVinoImageEncoder,
    OpenVinoTextEncoder,
    TextSettings,
    keep_graph,
    read_graph,
)
from clipcli.models.resolve import POCKET_FOLDER, resolve_model
from clipcli.models.saved_tokenizer import SavedTokenizer, saved_form
from clipcli.storage.checksums import hash_file
from tests.conftest import TINY_CLIP, Run, clean_environment, predictions, save_model_folder

pytest.importorskip("openvino")

RESNET = {**TINY_CLIP, "vision_cfg": {"image_size": 32, "layers": [1, 1, 1, 1], "width": 16, "head_width": 16}}
TIMM = {**TINY_CLIP, "vision_cfg": {"timm_model_name": "vit_tiny_patch16_224", "timm_proj": "linear",
                                    "timm_pool": "", "image_size": 224}}  # fmt: skip
LABELS = ["cat", "cup of coffee", "rocket", "astronaut"]


def _safetensors(header: str, rest: bytes) -> bytes:
    """Return a file of weights with that header."""
    encoded = header.encode()
    return len(encoded).to_bytes(8, "little") + encoded + rest


def embeddings(model: str, pictures: list[Path], **options: Any) -> np.ndarray:
    embedder = Embedder(model, device="cpu", cache=False, **options)
    return np.stack([np.asarray(vector) for block in embedder.embed(pictures) for _, vector in block])


@pytest.mark.parametrize("kind", ["ViT", "ResNet", "timm", "SigLIP", "pocket"])
def test_embeddings_are_those_of_torch(
    kind: str, tiny_clip: Path, tiny_siglip: Path, tmp_path: Path, photos: dict[str, Path]
) -> None:
    folders = {"ViT": tiny_clip, "SigLIP": tiny_siglip}
    if kind in ("ResNet", "timm"):
        folders[kind] = save_model_folder(tmp_path / kind, RESNET if kind == "ResNet" else TIMM)
    model = f"local-dir:{folders[kind]}" if kind in folders else "pocket"
    pictures = list(photos.values())
    expected = embeddings(model, pictures, precision="fp32")
    found = embeddings(model, pictures, precision="fp32", engine="openvino")
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_bf16_is_close_and_ranks_the_same(photos: dict[str, Path]) -> None:
    pictures = [photos[name] for name in ("cat", "coffee", "rocket", "astronaut")]
    exact = Classifier("pocket", LABELS, precision="fp32", cache=False)
    single = [result.label for result in predictions(exact.classify(pictures))]
    half = Classifier("pocket", LABELS, precision="bf16", engine="openvino", cache=False)
    assert [result.label for result in predictions(half.classify(pictures))] == single
    assert half.precision == "openvino-bf16"
    rows = embeddings("pocket", pictures, precision="bf16", engine="openvino")
    assert (rows * embeddings("pocket", pictures, precision="fp32")).sum(axis=1).min() > 0.99


def test_the_two_engines_keep_embeddings_apart(tiny_clip: Path, tmp_path: Path, photos: dict[str, Path]) -> None:
    for engine in ("torch", "openvino", "torch", "openvino"):
        embedder = Embedder(str(tiny_clip), device="cpu", precision="fp32", engine=engine, cache=tmp_path / "cache")
        list(embedder.embed(list(photos.values())))
        first_of_it = not (tmp_path / engine).exists()
        (tmp_path / engine).touch()
        assert embedder.image_statistics.encoded == (len(photos) if first_of_it else 0)


def test_a_filled_batch_gives_an_image_the_same_bits_in_every_place(tiny_clip: Path) -> None:
    model = open_model(resolve_model(str(tiny_clip)), "cpu", "fp32")
    encoder = OpenVinoImageEncoder(convert_image_encoder(model), "fp32")
    images = list(np.random.default_rng(0).integers(0, 256, (8, 32, 32, 3), np.uint8))
    together = encoder.encode(images, 8)
    for place in range(8):
        np.testing.assert_array_equal(encoder.encode([images[place]], 8)[0], together[place])
    assert encoder.encode(images[:3], 8).shape == (3, 32)


@pytest.mark.parametrize("folder", ["tiny_clip", "tiny_siglip"])
def test_texts_are_embedded_as_torch_does(folder: str, request: pytest.FixtureRequest) -> None:
    model = open_model(resolve_model(str(request.getfixturevalue(folder))), "cpu", "fp32")
    encoder = OpenVinoTextEncoder(convert_text_encoder(model))
    prompts = [
        "a photo of a cat",
        "dog",
        "",
        "word " * 100,
        "caf\u00e9 \U0001f600",
        *(f"number {n}" * (n % 7) for n in range(150)),
    ]
    np.testing.assert_allclose(encoder.encode(prompts), model.text_encoder.encode(prompts), atol=2e-5)
    assert encoder.cut(prompts) == model.text_encoder.cut(prompts)
    assert encoder.encode(["dog"]).shape == (1, model.dim)


def test_the_bits_of_a_text_do_not_depend_on_the_others() -> None:
    opening = Opening(resolve_model("pocket"), "cpu", "fp32", None, lambda path: hash_file(path).hex())
    encoder = Backend(opening).text_encoder()
    texts = ["a photo of a cat", "a photo of a cup of coffee on a table", "a photo of a dog", "rocket"]
    together = encoder.encode(texts)
    for place, text in enumerate(texts):
        assert np.array_equal(encoder.encode([text])[0], together[place])


@settings(deadline=None)
@given(text=st.text(max_size=200))
def test_a_saved_tokenizer_makes_the_tokens_of_the_library_that_it_comes_from(text: str, tiny_siglip: Path) -> None:
    tokenizer, saved = _tokenizers(tiny_siglip)
    np.testing.assert_array_equal(saved([text]), np.asarray(tokenizer([text])))


@cache
def _tokenizers(folder: Path) -> tuple[Any, SavedTokenizer]:
    tokenizer = open_model(resolve_model(str(folder)), "cpu", "fp32").text_encoder.tokenizer
    return tokenizer, SavedTokenizer(saved_form(tokenizer, "canonicalize"), "canonicalize")


def test_a_tokenizer_that_does_more_is_left_to_torch(tiny_siglip: Path) -> None:
    tokenizer, _ = _tokenizers(tiny_siglip)
    with pytest.raises(ModelError, match="its tokenizer needs --engine torch"):
        saved_form(lambda texts: np.asarray(tokenizer(texts)) + 1, "canonicalize")
    with pytest.raises(ModelError, match="its tokenizer needs --engine torch"):
        saved_form(tokenizer, "whitespace")
    with pytest.raises(ModelError, match="cannot use the model's tokenizer"):
        SavedTokenizer("{}", "whitespace")


@pytest.mark.parametrize("folder", ["tiny_clip", "tiny_siglip"])
def test_a_kept_text_graph_is_the_same(folder: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    graph = convert_text_encoder(open_model(resolve_model(str(request.getfixturevalue(folder))), "cpu", "fp32"))
    keep_graph(graph, tmp_path / "one", {}, "a", save_graph_files)
    again = read_graph(tmp_path / "one", TextSettings, {}, "a")
    assert again is not None
    for name in ("settings", "logit_scale", "logit_bias", "tokenizer"):
        assert getattr(again, name) == getattr(graph, name)
    assert read_graph(tmp_path / "one", Preprocessing, {}, "a") is None
    assert read_graph(tmp_path / "one", TextSettings, {}, "b") is None
    rows = [OpenVinoTextEncoder(each).encode(["a cat", "a dog"]) for each in (graph, again)]
    np.testing.assert_array_equal(rows[0], rows[1])


# --- graphs on disk ----------------------------------------------------------------------------------


@pytest.mark.parametrize("without_weights", [False, True])
def test_a_graph_is_saved_and_read_again(without_weights: bool, tiny_clip: Path, tmp_path: Path) -> None:
    graph = convert_image_encoder(open_model(resolve_model(str(tiny_clip)), "cpu", "fp32"))
    tensors = mapped_tensors(tiny_clip / "open_clip_model.safetensors") if without_weights else {}
    keep_graph(graph, tmp_path / "engines" / "one", tensors, "a", save_graph_files)
    assert ((tmp_path / "engines" / "one" / "encoder.bin").stat().st_size < 20_000) == without_weights
    again = read_graph(tmp_path / "engines" / "one", Preprocessing, tensors, "a")
    assert again is not None
    assert again.settings == graph.settings
    images = list(np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), np.uint8))
    rows = [OpenVinoImageEncoder(each, "fp32").encode(images) for each in (graph, again)]
    np.testing.assert_array_equal(rows[0], rows[1])
    assert sorted(path.name for path in (tmp_path / "engines").iterdir()) == ["one"]
    assert clear_graphs(tmp_path) == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("file", ["encoder.xml", "encoder.bin", "manifest.json"])
@pytest.mark.parametrize("damage", ["missing", "cut off", "garbage", "one bit"])
def test_a_damaged_graph_is_made_again(file: str, damage: str, tiny_clip: Path, tmp_path: Path) -> None:
    picture = tmp_path / "picture.png"
    Image.frombytes("RGB", (32, 32), np.random.default_rng(0).bytes(3072)).save(picture)

    def run() -> tuple[np.ndarray, bool]:
        embedder = Embedder(str(tiny_clip), precision="fp32", engine="openvino", cache=tmp_path / "cache")
        embedder._store.clear("image")
        ((_, vector),) = next(embedder.embed(picture))
        return np.asarray(vector), embedder.is_loaded

    first, _ = run()
    (path,) = (tmp_path / "cache" / "engines").glob(f"*/{file}")
    content = path.read_bytes()
    if damage == "missing":
        path.unlink()
    elif damage == "cut off":
        path.write_bytes(content[: len(content) // 2])
    elif damage == "one bit":
        middle = len(content) // 2
        path.write_bytes(content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :])
        (problem,) = EmbeddingStore(tmp_path / "cache").check()
        assert problem == f"converted encoder {path.parent.name[:12]}: does not match its checksum"
    else:
        path.write_bytes(b"\0garbage")
    again, loaded = run()
    np.testing.assert_array_equal(again, first)
    assert loaded
    assert path.stat().st_size == len(content) or file == "encoder.xml"  # its names are numbered anew
    assert run()[1] is False


def fake_graph(cache: Path, name: str, size: int, used: int) -> Path:
    """Write files of the names and size of a graph, last used at a time."""
    folder = cache / "engines" / name
    folder.mkdir(parents=True)
    for part in ("encoder.xml", "encoder.bin", "manifest.json"):
        (folder / part).write_bytes(bytes(size // 3))
    os.utime(folder, (used, used))
    return folder


def test_graphs_count_in_the_limit_and_those_used_longest_ago_are_dropped(tmp_path: Path) -> None:
    folders = [fake_graph(tmp_path, name, 300_000, used) for name, used in (("old", 2), ("oldest", 1), ("new", 3))]
    store = EmbeddingStore(tmp_path, limit=1_300_000)
    info = store.info()
    assert info is not None
    assert (info.graphs, info.size > 900_000) == (3, True)
    store.trim()
    assert [folder.exists() for folder in folders] == [True, False, True]
    EmbeddingStore(tmp_path, limit=100_000).trim()
    assert not any(folder.exists() for folder in folders)


def test_clearing_leaves_what_is_not_a_graph(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "encoder.xml").touch()
    cache = tmp_path / "cache"
    fake_graph(cache, "one", 30, 1)
    (cache / "engines" / "link").symlink_to(tmp_path / "mine")
    (cache / "engines" / "notes").mkdir()
    (cache / "engines" / "notes" / "mine.txt").touch()
    assert clear_graphs(cache) == 1
    assert sorted(path.name for path in (cache / "engines").iterdir()) == ["link", "notes"]
    assert (tmp_path / "mine" / "encoder.xml").exists()
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "engines").symlink_to(cache / "engines")
    assert clear_graphs(tmp_path / "other") == 0


def test_a_kept_graph_is_closed_to_other_users(tiny_clip: Path, tmp_path: Path) -> None:
    graph = convert_image_encoder(open_model(resolve_model(str(tiny_clip)), "cpu", "fp32"))
    keep_graph(graph, tmp_path / "engines" / "one", {}, "a", save_graph_files)
    paths = [tmp_path / "engines", *(tmp_path / "engines").rglob("*")]
    assert len(paths) == 5
    assert all(path.stat().st_mode & 0o077 == 0 for path in paths)


def test_a_cache_that_cannot_be_written_to_is_no_error(tiny_clip: Path, tmp_path: Path) -> None:
    graph = convert_image_encoder(open_model(resolve_model(str(tiny_clip)), "cpu", "fp32"))
    (tmp_path / "engines").write_text("a file where the folder should be")
    keep_graph(graph, tmp_path / "engines" / "one", {}, "a", save_graph_files)
    assert [path.name for path in tmp_path.iterdir()] == ["engines"]


# --- the built-in model's own graphs -------------------------------------------------------------------


@pytest.fixture
def pocket_of_the_user(tmp_path: Path) -> Path:
    """A copy of the built-in model without its graphs, as any model folder."""
    folder = tmp_path / "copy"
    shutil.copytree(POCKET_FOLDER, folder, ignore=shutil.ignore_patterns("graphs"))
    return folder


@pytest.mark.parametrize("engine", ["auto", "openvino"])
@pytest.mark.parametrize("cache", [False, True])
def test_the_built_in_model_needs_no_torch_even_at_first(
    cache: bool, engine: str, tmp_path: Path, photos: dict[str, Path]
) -> None:
    classifier = Classifier("pocket", LABELS, device="cpu", engine=engine, cache=tmp_path if cache else False)
    assert classifier.classes.labels == tuple(LABELS)
    assert not classifier.is_loaded
    results = predictions(classifier.classify([photos[name] for name in ("cat", "rocket")]))
    labels = [result.label for result in results]
    assert labels == ["cat", "rocket"]
    assert not classifier.is_loaded
    assert classifier.ran_on == "cpu with OpenVINO"


def test_the_built_in_graphs_answer_as_the_weights_do_in_torch(photos: dict[str, Path]) -> None:
    pictures, labels = list(photos.values()), [name.replace("_", " ") for name in photos]
    found = {}
    for engine in ("openvino", "torch"):
        classifier = Classifier("pocket", labels, top_k=5, precision="fp32", engine=engine, device="cpu", cache=False)
        results = predictions(classifier.classify(pictures))
        found[engine] = (
            [[score.label for score in result.top] for result in results],
            [[score.similarity for score in result.top] for result in results],
        )
    assert found["openvino"][0] == found["torch"][0]
    np.testing.assert_allclose(found["openvino"][1], found["torch"][1], atol=1e-5)


def test_the_built_in_graphs_are_not_used_for_other_weights(tmp_path: Path, photos: dict[str, Path]) -> None:
    folder = tmp_path / "changed"
    shutil.copytree(POCKET_FOLDER, folder)
    weights = load_file(folder / "open_clip_model.safetensors")
    weights["visual.head.mlp.fc2.bias"] += 1.0
    save_file(weights, folder / "open_clip_model.safetensors")
    source = replace(resolve_model(str(folder)), graphs=folder / "graphs")
    backend = Backend(Opening(source, "cpu", "fp32", None, lambda path: hash_file(path).hex()))
    backend.image_encoder()
    assert backend.is_loaded


def test_a_model_folder_of_the_user_brings_no_graphs(tmp_path: Path) -> None:
    shutil.copytree(POCKET_FOLDER, tmp_path / "theirs")
    assert resolve_model(str(tmp_path / "theirs")).graphs is None


# --- weights in their own file -------------------------------------------------------------------------


def test_tensors_are_mapped_as_the_library_reads_them(tmp_path: Path) -> None:
    path, random = tmp_path / "weights.safetensors", np.random.default_rng(0)
    tensors: dict[str, np.ndarray] = {
        "half": random.normal(size=(3, 5)).astype(np.float16), "single": random.normal(size=(7, 2)).astype(np.float32),
        "double": random.normal(size=4), "empty": np.zeros((0, 4), np.float32), "one": np.array([[2.5]], np.float32),
    }  # fmt: skip
    save_file(tensors, path)
    found = mapped_tensors(path)
    assert sorted(found) == ["empty", "half", "one", "single"]
    for name, tensor in found.items():
        np.testing.assert_array_equal(tensor, tensors[name].reshape(-1))
        assert tensor.dtype == tensors[name].dtype
    found["one"][0] = 0.0
    np.testing.assert_array_equal(mapped_tensors(path)["one"], [2.5])


@given(st.binary(max_size=60) | st.builds(_safetensors, st.text(max_size=60), st.binary(max_size=20)))
def test_a_damaged_weights_file_is_an_error_of_few_kinds(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "weights.safetensors"
        path.write_bytes(content)
        with suppress(OSError, ValueError, TypeError, KeyError, AttributeError):
            mapped_tensors(path)


# --- the command -------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["pocket", "SigLIP"])
def test_a_second_picture_and_new_labels_need_neither_torch_nor_open_clip(
    kind: str, pocket_of_the_user: Path, tiny_siglip: Path, tmp_path: Path, photos: dict[str, Path]
) -> None:
    environment = clean_environment(tmp_path / "cache") | {"HOME": str(tmp_path)}
    program = (
        "import json, sys\n"
        "from clipcli.__main__ import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "heavy = {'torch', 'torchvision', 'open_clip', 'timm', 'transformers'} & set(sys.modules)\n"
        "assert 'openvino_telemetry' not in sys.modules\n"
        "print(json.dumps(sorted(heavy)), file=sys.stderr)\n"
    )
    model, heavy = pocket_of_the_user if kind == "pocket" else tiny_siglip, []
    for name, label in (("cat", "tea"), ("rocket", "a label that is new")):
        labels = ["-l", "cat", "-l", "rocket", "-l", label]
        arguments = ["classify", str(photos[name]), *labels, "-m", str(model), "--device", "cpu"]
        done = subprocess.run(
            [sys.executable, "-c", program, *arguments], env=environment, capture_output=True, text=True, check=True
        )
        assert kind == "SigLIP" or done.stdout.splitlines()[1].split("\t")[1] == name
        heavy.append(json.loads(done.stderr.splitlines()[-1]))
    assert "torch" in heavy[0]
    assert heavy[1] == []
    assert not (tmp_path / "intel").exists()  # where the telemetry would keep its number


def test_records_name_the_engine(run: Run, tmp_path: Path, photos: dict[str, Path]) -> None:
    done = run(
        "classify", str(photos["cat"]), "-l", "cat", "-l", "dog", "-m", "pocket", "--engine", "openvino",
        "--precision", "fp32", "--format", "jsonl", "-v", "--cache-dir", str(tmp_path),
    )  # fmt: skip
    assert json.loads(done.stdout)["precision"] == "openvino-fp32"
    assert "1 encoded on cpu with OpenVINO" in done.stderr
    cleared = run("cache", "clear", "--yes", "--cache-dir", str(tmp_path))
    assert cleared.stdout == "deleted 3 embeddings\n"


@pytest.mark.parametrize(
    ("options", "message"),
    [(("--engine", "tensorrt"),
      "cannot use --engine tensorrt: unknown engine (use auto, torch, openvino, ray, ray+openvino)"),
     (("--engine", "openvino", "--device", "cuda"), "--engine openvino runs on the CPU; leave --device cuda out"),
     (("--engine", "openvino", "--precision", "fp16"), "--precision fp16: --engine openvino computes in fp32 or bf16")],
)  # fmt: skip
def test_what_the_engine_cannot_do_is_told_in_one_line(
    options: tuple[str, ...], message: str, run: Run, photos: dict[str, Path]
) -> None:
    done = run("classify", str(photos["cat"]), "-l", "cat", "-l", "dog", "-m", "pocket", *options)
    assert done.returncode == 2
    assert done.stderr == f"error: {message}\n"
    assert done.stdout == ""


def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("clipcli.models.engines.find_spec", lambda _: None)
    with pytest.raises(ModelError, match=r"needs an extra: pip install 'clipcli\[openvino\]'"):
        Embedder("pocket", engine="openvino")


def test_openvino_s_telemetry_and_converter_are_usable_for_others_afterwards() -> None:
    program = (
        "from clipcli.models.openvino_runtime import openvino_precision\n"
        "openvino_precision('auto')\n"
        "import sys\nassert sys.modules.get('openvino_telemetry', 0) is not None\n"
        "import openvino\nassert 'openvino.tools.ovc' not in sys.modules\n"
        "try:\n    openvino.convert_model('missing.onnx')\nexcept Exception as problem:\n"
        "    assert 'missing.onnx' in str(problem), problem\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, env=os.environ | {"CI": "1"})
