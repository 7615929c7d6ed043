"""Class embeddings come back from every format as they were, and a file that is none is refused."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from clipcli.cache.embeddings import ModelFacts
from clipcli.errors import EmbeddingFileError, OutputError
from clipcli.evaluation.taught_classes import labels_of
from clipcli.outputs.class_contents import arrays_of, metadata_of
from clipcli.outputs.class_embeddings import (
    SUFFIXES,
    TAUGHT_SUFFIXES,
    check_suffix,
    load_class_embeddings,
    save_class_embeddings,
)
from clipcli.pipeline.class_embeddings import ClassEmbeddings, Competitors
from clipcli.pipeline.taught import Taught
from clipcli.scoring.scores import LinearHead
from clipcli.scoring.zeroshot import normalise

FACTS = ModelFacts("ViT-B-32", "openai", 6, 100.00000762939453, None)
SIGMOID = ModelFacts("local-dir:/models/кошка", None, 6, 117.33, -12.93)
HARD = (
    'a "quoted" label, with commas', "two\nlines", "carriage\rreturn", "dos\r\nlines", "=cmd|' /C calc'!A0", "+1",
    "NULL", "кошка", "猫", "قطة", "🐈‍⬛", "tab\there", "back\\slash", "line\u2028separator", "null\0character",
    "\ufeffmark", "\u00e9", "e\u0301",
)  # fmt: skip
TEXTS = st.text(min_size=1) | st.sampled_from(HARD)
SUFFIX = pytest.mark.parametrize("suffix", SUFFIXES)


def classes_of(
    labels: tuple[str, ...] = ("cat", "owl", "fox"),
    groups: tuple[str | None, ...] | None = None,
    prompts: tuple[tuple[str, ...], ...] | None = None,
    facts: ModelFacts = FACTS,
) -> ClassEmbeddings:
    vectors = normalise(np.random.default_rng(0).normal(size=(len(labels), facts.dim)).astype(np.float32))
    return ClassEmbeddings(
        labels=labels,
        groups=groups or (None,) * len(labels),
        prompts=prompts or tuple((f"a photo of a {label}", f"a drawing of a {label}") for label in labels),
        vectors=vectors,
        fingerprint="0123456789abcdef",
        facts=facts,
    )


def assert_same(found: ClassEmbeddings, expected: ClassEmbeddings) -> None:
    assert replace(found, vectors=expected.vectors) == expected
    assert found.vectors.dtype == np.float32
    np.testing.assert_array_equal(found.vectors, expected.vectors)


def assert_round_trip(classes: ClassEmbeddings, path: Path) -> None:
    save_class_embeddings(classes, path)
    assert_same(load_class_embeddings(path), classes)


# --- round trips ------------------------------------------------------------------------------------


@SUFFIX
@pytest.mark.parametrize("facts", [FACTS, SIGMOID], ids=["softmax", "sigmoid"])
def test_class_embeddings_come_back_bit_for_bit(suffix: str, facts: ModelFacts, tmp_path: Path) -> None:
    assert_round_trip(classes_of(groups=("pets", None, "wild"), facts=facts), tmp_path / f"labels{suffix}")


@SUFFIX
def test_labels_prompts_and_groups_in_any_script_come_back(suffix: str, tmp_path: Path) -> None:
    prompts = tuple((text, f"a photo of {text}", text * 2) for text in reversed(HARD))
    assert_round_trip(classes_of(HARD, HARD[::-1], prompts), tmp_path / f"labels{suffix}")


@SUFFIX
@given(rows=st.lists(st.tuples(TEXTS, st.none() | TEXTS, st.lists(TEXTS, min_size=1)), min_size=1, max_size=4))
@example(rows=[("\r", None, ["\r"])])
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_labels_groups_and_prompts_come_back(
    suffix: str, rows: list[tuple[str, str | None, list[str]]], tmp_path: Path
) -> None:
    labels, groups, prompts = zip(*((label, group, tuple(texts)) for label, group, texts in rows), strict=True)
    assert_round_trip(classes_of(labels, groups, prompts), tmp_path / f"labels{suffix}")


@SUFFIX
@given(seed=st.integers(0, 2**32), power=st.integers(-30, 0))
@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_numbers_come_back_bit_for_bit(suffix: str, seed: int, power: int, tmp_path: Path) -> None:
    vectors = np.random.default_rng(seed).normal(size=(3, 6)).astype(np.float32)
    vectors[:, 0] *= np.float32(10.0**power)
    vectors[0, 1] = -0.0
    assert_round_trip(replace(classes_of(), vectors=normalise(vectors)), tmp_path / f"labels{suffix}")


@SUFFIX
def test_one_label_is_enough(suffix: str, tmp_path: Path) -> None:
    assert_round_trip(classes_of(("cat",)), tmp_path / f"labels{suffix}")


@SUFFIX
def test_an_ensemble_of_thousands_of_prompts_comes_back(suffix: str, tmp_path: Path) -> None:
    many = tuple(f"a photo of a cat, the {number}th of a great many of them" for number in range(4000))
    assert_round_trip(classes_of(("cat", "owl"), prompts=(many, ("an owl",))), tmp_path / f"labels{suffix}")


@SUFFIX
def test_a_suffix_may_be_in_capitals(suffix: str, tmp_path: Path) -> None:
    assert_round_trip(classes_of(), tmp_path / f"LABELS{suffix.upper()}")
    assert {file.name for file in tmp_path.iterdir()} <= {f"LABELS{suffix.upper()}", "LABELS.NPY.json"}


@SUFFIX
def test_a_folder_named_like_a_table_partition_does_no_harm(suffix: str, tmp_path: Path) -> None:
    folder = tmp_path / "label=cat" / "group=5"
    folder.mkdir(parents=True)
    assert_round_trip(classes_of(), folder / f"labels{suffix}")


@SUFFIX
def test_writing_again_replaces_the_file(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"labels{suffix}"
    save_class_embeddings(classes_of(), path)
    assert_round_trip(classes_of(("dog",)), path)


# --- taught classes ---------------------------------------------------------------------------------

TAUGHT = pytest.mark.parametrize("suffix", TAUGHT_SUFFIXES)


def taught_classes(*, with_head: bool = True, examples: int = 5) -> ClassEmbeddings:
    random = np.random.default_rng(3)
    plain = classes_of(groups=("pets", None, "wild"))
    vectors = normalise(random.normal(size=(examples, FACTS.dim)).astype(np.float32)).astype(np.float16)
    owners = np.sort(random.integers(0, 3, examples)).astype(np.int64)
    head = LinearHead(random.normal(size=(3, FACTS.dim)).astype(np.float32), random.normal(size=3))
    taught = Taught("logistic", 0.5, classes_of(("a", "b", "c")).vectors, vectors, owners, 0.875)
    return replace(plain, head=head if with_head else None, scale=123.456789012345, taught=taught)


@TAUGHT
@pytest.mark.parametrize("with_head", [True, False], ids=["head", "no head"])
@pytest.mark.parametrize("examples", [5, 0])
def test_taught_classes_come_back_bit_for_bit(suffix: str, with_head: bool, examples: int, tmp_path: Path) -> None:
    path, classes = tmp_path / f"classes{suffix}", taught_classes(with_head=with_head, examples=examples)
    save_class_embeddings(classes, path)
    found = load_class_embeddings(path)
    assert metadata_of(found) == metadata_of(classes)
    assert list(arrays_of(found)) == list(arrays_of(classes))
    for name, array in arrays_of(classes).items():
        assert arrays_of(found)[name].dtype == array.dtype
        np.testing.assert_array_equal(arrays_of(found)[name], array)


@pytest.mark.parametrize("suffix", sorted({*SUFFIXES} - {*TAUGHT_SUFFIXES}))
def test_a_format_that_cannot_hold_taught_classes_is_refused(suffix: str, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"cannot hold taught classes \(use \.safetensors or \.json\)"):
        save_class_embeddings(taught_classes(), tmp_path / f"classes{suffix}")
    assert not list(tmp_path.iterdir())


def test_json_has_one_line_per_class(tmp_path: Path) -> None:
    path, classes = tmp_path / "classes.json", taught_classes()
    save_class_embeddings(classes, path)
    first, *lines, last = path.read_text("utf-8").splitlines()
    assert (len(lines), last) == (3, "]}")
    row = json.loads(lines[0].rstrip(","))
    assert (row["label"], row["group"], row["prompts"]) == ("cat", "pets", list(classes.prompts[0]))
    np.testing.assert_array_equal(np.float32(row["embedding"]), classes.vectors[0])
    assert '"method": "logistic"' in first


MANGLED: dict[str, Callable[[dict[str, object]], object]] = {
    "an unknown key": lambda values: values.update(run="rm -rf /"),
    "a method that does not exist": lambda values: values["taught"].update(method="magic"),  # type: ignore[attr-defined]
    "a weight above one": lambda values: values["taught"].update(weight=7),  # type: ignore[attr-defined]
    "another key of taught": lambda values: values["taught"].update(more=1),  # type: ignore[attr-defined]
    "a scale of zero": lambda values: values.update(logit_scale=0),
    "a scale that is text": lambda values: values.update(logit_scale="1"),
    "a scale that is not a number": lambda values: values.update(logit_scale=float("nan")),
    "a scale of the model that is not finite": lambda values: values["model"].update(logit_scale=float("inf")),  # type: ignore[attr-defined]
    "a label that is a number": lambda values: values["classes"][0].update(label=3),  # type: ignore[index]
    "an unknown key of a class": lambda values: values["classes"][0].update(code="x"),  # type: ignore[index]
    "a head with too few numbers": lambda values: values["classes"][0].update(head_weights=[1.0]),  # type: ignore[index]
    "a head that is not finite": lambda values: values["classes"][0].update(head_bias=float("inf")),  # type: ignore[index]
    "an example that is not of length one": lambda values: values["classes"][0].update(examples=[[3.0] * 6]),  # type: ignore[index]
    "words that are missing": lambda values: values["classes"][1].pop("text"),  # type: ignore[index]
    "no classes": lambda values: values.update(classes=[]),
    "classes that are a number": lambda values: values.update(classes=3),
}


@pytest.mark.parametrize("change", MANGLED.values(), ids=list(MANGLED))
def test_a_classes_file_with_values_that_cannot_be_is_refused(
    change: Callable[[dict[str, object]], object], tmp_path: Path
) -> None:
    path = tmp_path / "classes.json"
    save_class_embeddings(taught_classes(), path)
    values = json.loads(path.read_text("utf-8"))
    change(values)
    path.write_text(json.dumps(values), "utf-8")
    with pytest.raises(EmbeddingFileError, match=r"classes\.json: not a file of class embeddings \(.+\)") as caught:
        load_class_embeddings(path)
    assert "\n" not in str(caught.value)


def test_arrays_that_do_not_belong_in_a_classes_file_are_refused(tmp_path: Path) -> None:
    from safetensors.numpy import save_file

    classes = taught_classes()
    for number, more in enumerate(({"payload": np.zeros(3)}, {"owners": np.array([0, 1, 2, 9, 0])})):
        path = tmp_path / f"{number}.safetensors"
        save_file(arrays_of(classes) | more, path, metadata={"clipcli": json.dumps(metadata_of(classes))})
        with pytest.raises(EmbeddingFileError, match="not a file of class embeddings"):
            load_class_embeddings(path)


# --- what other programs see ------------------------------------------------------------------------


def test_npy_is_a_plain_array_with_its_labels_beside_it(tmp_path: Path) -> None:
    path, classes = tmp_path / "labels.npy", classes_of(("кошка", "owl"))
    save_class_embeddings(classes, path)
    np.testing.assert_array_equal(np.load(path, allow_pickle=False), classes.vectors)
    beside = (tmp_path / "labels.npy.json").read_text("utf-8")
    assert json.loads(beside)["label"] == ["кошка", "owl"]
    assert "кошка" in beside
    assert sorted(file.name for file in tmp_path.iterdir()) == ["labels.npy", "labels.npy.json"]


def test_npz_and_safetensors_hold_an_array_named_embeddings(tmp_path: Path) -> None:
    from safetensors.numpy import load_file

    classes = classes_of()
    save_class_embeddings(classes, tmp_path / "labels.npz")
    save_class_embeddings(classes, tmp_path / "labels.safetensors")
    with np.load(tmp_path / "labels.npz", allow_pickle=False) as archive:
        np.testing.assert_array_equal(archive["embeddings"], classes.vectors)
    np.testing.assert_array_equal(load_file(tmp_path / "labels.safetensors")["embeddings"], classes.vectors)


def test_jsonl_has_one_self_contained_record_a_label(tmp_path: Path) -> None:
    path, classes = tmp_path / "labels.jsonl", classes_of()
    save_class_embeddings(classes, path)
    first = json.loads(path.read_text("utf-8").split("\n")[0])
    assert (first["label"], first["fingerprint"]) == ("cat", classes.fingerprint)
    assert first["model"]["logit_scale"] == FACTS.logit_scale
    np.testing.assert_array_equal(np.float32(first["embedding"]), classes.vectors[0])


def test_csv_has_a_column_for_each_dimension(tmp_path: Path) -> None:
    path, classes = tmp_path / "labels.csv", classes_of()
    save_class_embeddings(classes, path)
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["label"] for row in rows] == ["cat", "owl", "fox"]
    assert [np.float32(rows[0][f"e{index}"]) for index in range(6)] == list(classes.vectors[0])


def test_parquet_keeps_prompts_and_vectors_as_lists(tmp_path: Path) -> None:
    import pyarrow.parquet

    path, classes = tmp_path / "labels.parquet", classes_of()
    save_class_embeddings(classes, path)
    row = pyarrow.parquet.read_table(path).to_pylist()[0]
    assert (row["label"], row["prompts"]) == ("cat", list(classes.prompts[0]))
    np.testing.assert_array_equal(np.float32(row["embedding"]), classes.vectors[0])


def test_a_csv_that_a_spreadsheet_saved_with_a_bom_is_read(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    save_class_embeddings(classes_of(), path)
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    assert_same(load_class_embeddings(path), classes_of())


# --- what is refused --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["labels", "labels.pkl", "labels.npy.gz"])
def test_an_unknown_suffix_is_refused_with_those_that_are_known(name: str, tmp_path: Path) -> None:
    for refuse in (lambda path: save_class_embeddings(classes_of(), path), check_suffix):
        with pytest.raises(OutputError, match=r"unknown extension .*use \.npy, \.npz"):
            refuse(tmp_path / name)
    with pytest.raises(EmbeddingFileError, match=r"unknown extension .*use \.npy, \.npz"):
        load_class_embeddings(tmp_path / name)


@SUFFIX
def test_a_file_that_is_not_there_is_named(suffix: str, tmp_path: Path) -> None:
    with pytest.raises(EmbeddingFileError, match=f"missing{suffix}: no such file"):
        load_class_embeddings(tmp_path / f"missing{suffix}")


def test_an_array_without_its_labels_names_the_file_that_is_missing(tmp_path: Path) -> None:
    np.save(tmp_path / "labels.npy", np.eye(3, dtype=np.float32))
    with pytest.raises(EmbeddingFileError, match=r"labels\.npy\.json: no such file"):
        load_class_embeddings(tmp_path / "labels.npy")


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda _: b"",
    "garbage": lambda _: b"\x00\xffthis is no such file\n" * 20,
    "cut off": lambda content: content[: len(content) * 2 // 3],
}


@SUFFIX
@pytest.mark.parametrize("damage", DAMAGES.values(), ids=list(DAMAGES))
def test_a_damaged_file_is_refused_in_one_line(suffix: str, damage: Callable[[bytes], bytes], tmp_path: Path) -> None:
    path = tmp_path / f"labels{suffix}"
    save_class_embeddings(classes_of(("cat",)), path)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(EmbeddingFileError, match=r"labels\.\w+: not a file of class embeddings") as caught:
        load_class_embeddings(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("suffix", [".npy", ".npz"])
def test_a_pickle_is_never_opened(suffix: str, tmp_path: Path) -> None:
    path, marker = tmp_path / f"labels{suffix}", tmp_path / "ran"
    save_class_embeddings(classes_of(), path)
    objects = np.array([Touches(marker)], dtype=object)
    if suffix == ".npy":
        np.save(path, objects, allow_pickle=True)
    else:
        np.savez(path, embeddings=objects, metadata=objects)
    with pytest.raises(EmbeddingFileError, match="not a file of class embeddings"):
        load_class_embeddings(path)
    assert not marker.exists()


class Touches:
    """Unpickled, it makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[[Path], None], tuple[Path]]:
        return Path.touch, (self.path,)


@SUFFIX
def test_vectors_that_are_not_of_length_one_are_refused(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"labels{suffix}"
    save_class_embeddings(replace(classes_of(), vectors=2 * classes_of().vectors), path)
    with pytest.raises(EmbeddingFileError, match="do not have length one"):
        load_class_embeddings(path)


def test_labels_that_do_not_fit_the_array_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "labels.npy"
    save_class_embeddings(classes_of(), path)
    np.save(path, classes_of(("cat", "owl")).vectors)
    with pytest.raises(EmbeddingFileError, match=r"3 labels with 6 dimensions, but embeddings of shape \(2, 6\)"):
        load_class_embeddings(path)


@pytest.mark.parametrize("suffix", [".jsonl", ".csv"])
def test_rows_of_two_models_in_one_file_are_refused(suffix: str, tmp_path: Path) -> None:
    one, two = tmp_path / f"one{suffix}", tmp_path / f"two{suffix}"
    save_class_embeddings(classes_of(), one)
    save_class_embeddings(replace(classes_of(), fingerprint="other"), two)
    rows = two.read_bytes().split(b"\n", 1)[1] if suffix == ".csv" else two.read_bytes()
    one.write_bytes(one.read_bytes() + rows)
    with pytest.raises(EmbeddingFileError, match="rows come from different models"):
        load_class_embeddings(one)


@SUFFIX
def test_a_folder_that_is_not_there_is_an_output_error(suffix: str, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"cannot write .*: the folder .* does not exist "):
        save_class_embeddings(classes_of(), tmp_path / "missing" / f"labels{suffix}")


def test_a_full_disk_is_an_output_error_in_every_format_and_leaves_the_old_file(tmp_path: Path) -> None:
    paths = [tmp_path / f"labels{suffix}" for suffix in SUFFIXES]
    for path in paths:
        save_class_embeddings(classes_of(), path)
    program = """
import resource, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from tests.outputs.test_class_embeddings import OutputError, classes_of, save_class_embeddings
classes = classes_of(tuple(f"label {number}" for number in range(2000)))
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
for path in sys.argv[2:]:
    try:
        save_class_embeddings(classes, Path(path))
    except OutputError as problem:
        print(problem)
"""
    command = [sys.executable, "-c", program, str(Path(__file__).parents[2]), *map(str, paths)]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    for path, line in zip(paths, result.stdout.splitlines(), strict=True):
        assert line.startswith(f"cannot write {path}")
        assert_same(load_class_embeddings(path), classes_of())
    assert len(list(tmp_path.iterdir())) == len(SUFFIXES) + 1  # the labels beside .npy


# --- thresholds and phrases that compete ------------------------------------------------------------


def competing() -> ClassEmbeddings:
    vectors = normalise(np.random.default_rng(1).normal(size=(2, FACTS.dim)).astype(np.float32))
    against = Competitors(("wolf", "лиса"), (("a wolf",), ("a fox", "лиса")), vectors, ((0, 1), (), (1,)))
    return replace(classes_of(), thresholds=(0.5, None, 0.25), competitors=against)


ROWS = (".parquet", ".csv", ".jsonl")


@pytest.mark.parametrize("suffix", sorted({*SUFFIXES} - {*ROWS}))
def test_thresholds_and_phrases_that_compete_come_back_bit_for_bit(suffix: str, tmp_path: Path) -> None:
    expected = competing()
    save_class_embeddings(expected, tmp_path / f"c{suffix}")
    found = load_class_embeddings(tmp_path / f"c{suffix}")
    assert found.competitors is not None
    assert expected.competitors is not None
    np.testing.assert_array_equal(found.competitors.vectors, expected.competitors.vectors)
    same = replace(found.competitors, vectors=expected.competitors.vectors)
    assert replace(found, vectors=expected.vectors, competitors=same) == expected


@pytest.mark.parametrize("suffix", ROWS)
def test_a_format_that_cannot_hold_them_is_refused(suffix: str, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="cannot hold thresholds, phrases that compete"):
        save_class_embeddings(competing(), tmp_path / f"c{suffix}")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "change",
    [
        {"rivals": [[0]]}, {"rivals": [[0], [2], []]}, {"rivals": [[-1], [], []]}, {"rivals": [[True], [], []]},
        {"phrases": []}, {"phrases": [1, 2]}, {"prompts": [["a"]]}, {"embeddings": [[1.0]]}, {"more": 1},
        {"embeddings": [[2.0] * 6] * 2}, {"embeddings": [["1"] * 6] * 2},
    ],
)  # fmt: skip
def test_phrases_that_cannot_be_are_refused(change: dict[str, object], tmp_path: Path) -> None:
    file = tmp_path / "c.json"
    save_class_embeddings(competing(), file)
    values = json.loads(file.read_text("utf-8"))
    values["competitors"] |= change
    file.write_text(json.dumps(values), "utf-8")
    with pytest.raises(EmbeddingFileError, match="not a file of class embeddings") as caught:
        load_class_embeddings(file)
    assert "\n" not in str(caught.value)


@TAUGHT
def test_the_names_of_classes_in_the_ground_truth_come_back(suffix: str, tmp_path: Path) -> None:
    classes = replace(classes_of(), folders=("n01", None, "n03"))
    save_class_embeddings(classes, tmp_path / f"c{suffix}")
    assert load_class_embeddings(tmp_path / f"c{suffix}").folders == ("n01", None, "n03")
    assert [label.folder for label in labels_of(classes)] == ["n01", None, "n03"]


@pytest.mark.parametrize("folders", [["a"], [1, 2, 3], "abc"])
def test_names_in_the_ground_truth_that_cannot_be_are_refused(folders: object, tmp_path: Path) -> None:
    save_class_embeddings(replace(classes_of(), folders=("a", "b", "c")), tmp_path / "c.json")
    values = json.loads((tmp_path / "c.json").read_text("utf-8"))
    (tmp_path / "c.json").write_text(json.dumps(values | {"folders": folders}), "utf-8")
    with pytest.raises(EmbeddingFileError, match="not a file of class embeddings"):
        load_class_embeddings(tmp_path / "c.json")
