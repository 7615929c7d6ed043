"""Text files that people write: any encoding that names itself, else UTF-8, else one clear line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clipcli.errors import ClipcliError
from clipcli.labels.files import read_labels
from clipcli.labels.templates import load_templates
from clipcli.outputs.readers import read_results
from clipcli.reports.matrix import read_texts
from clipcli.text import decode_text, encoding_of
from clipcli.training.pairs import read_pairs

TEXTS: dict[str, tuple[str, str, Callable[[Path], list[str]]]] = {
    "labels": ("l.txt", "Katze 猫\nHund\n", lambda path: [label.name for label in read_labels(path)]),
    "a table of labels": ("l.csv", "label\nKatze 猫\nHund\n", lambda path: [label.name for label in read_labels(path)]),
    "labels in JSON": ("l.json", '["Katze 猫", "Hund"]', lambda path: [label.name for label in read_labels(path)]),
    "prompts": ("p.txt", "Katze 猫 {}\nHund {}\n", lambda path: [each.fill("") for each in load_templates(str(path))]),
    "texts": ("t.txt", "Katze 猫\nHund\n", lambda path: read_texts(path)),
    "results": (
        "r.csv",
        "path,label,probability\nKatze 猫,a,1\nHund,a,1\n",
        lambda path: [each.path for each in read_results(path)],
    ),
    "results in TSV": (
        "r.tsv",
        "path\tlabel\tprobability\nKatze 猫\ta\t1\nHund\ta\t1\n",
        lambda path: [each.path for each in read_results(path)],
    ),
    "captions": (
        "in/a.txt",
        "Katze 猫\nHund\n",
        lambda path: list(read_pairs([str(path.parent)]).examples[0].captions),
    ),
}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.png").write_bytes(b"\x89PNG")
    return tmp_path


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
@pytest.mark.parametrize(("name", "text", "read"), TEXTS.values(), ids=TEXTS.keys())
def test_a_text_is_read_in_every_encoding_that_names_itself(
    name: str, text: str, read: Callable[[Path], list[str]], encoding: str, file: Path
) -> None:
    (file / name).write_bytes(text.replace("\n", "\r\n").encode(encoding))
    assert [each.strip() for each in read(file / name)] == ["Katze 猫", "Hund"]


@pytest.mark.parametrize("data", ["Katze\nHund\n".encode("utf-16-le"), "Kätzchen".encode("latin-1")])
@pytest.mark.parametrize("kind", ["labels", "a table of labels", "prompts", "texts", "results"])
def test_any_other_encoding_is_refused_in_one_line_that_names_the_file(kind: str, data: bytes, file: Path) -> None:
    name, _, read = TEXTS[kind]
    (file / name).write_bytes(data)
    with pytest.raises(ClipcliError) as caught:
        read(file / name)
    assert str(caught.value).startswith(f"cannot read {file / name}: ")
    assert "\n" not in str(caught.value)


def test_a_caption_in_another_encoding_leaves_its_image_out(file: Path) -> None:
    (file / "in" / "a.txt").write_bytes("Kätzchen".encode("latin-1"))
    found = read_pairs([str(file / "in")])
    assert ([each.reason for each in found.left_out], found.examples) == (["cannot be read as UTF-8 text"], [])


@given(st.text(), st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-32"]))
def test_any_text_comes_through(text: str, encoding: str) -> None:
    data = text.encode(encoding)
    try:
        encoding_of(data[:4])
    except UnicodeError:  # two letters with NUL behind each: nobody's text
        assert "\0" in text
        return
    if not (encoding == "utf-8" and text.startswith("\ufeff")) and not (encoding == "utf-16" and text[:1] == "\0"):
        assert decode_text(data) == text
