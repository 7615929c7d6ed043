"""The page of ``clipcli report``: what is in it, and what can never get out of its place."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import subprocess
import tarfile
import zipfile
from collections.abc import Callable
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from clipcli.images.thumbnails import make_thumbnail
from clipcli.outputs.readers import ReadRecord
from clipcli.reports.page import CHUNK, PageContent, page_data, write_page
from clipcli.reports.thumbnails_of_results import thumbnails_of
from clipcli.scoring.zeroshot import Score

Run = Callable[..., "subprocess.CompletedProcess[str]"]


def record(path: str, *labels: str, group: str | None = None) -> ReadRecord:
    top = tuple(Score(label, 0.5 / place, 0.3) for place, label in enumerate(labels, start=1))
    return ReadRecord(path, labels[0], 0.5, None, top, group, "pocket bf16")


FAILED = ReadRecord("broken.jpg", None, None, "no bytes in it")


def page_of(tmp_path: Path, records: list[ReadRecord], thumbnails: list[str] | None = None, title: str = "t") -> str:
    write_page(records, thumbnails or [""] * len(records), tmp_path / "page.html", title)
    return (tmp_path / "page.html").read_text("utf-8")


def data_in(page: str) -> dict[str, object]:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    assert found
    loaded: dict[str, object] = json.loads(found[1])
    return loaded


# --- what is in it ----------------------------------------------------------------------------------


def test_the_labels_of_an_image_follow_its_record_if_it_can_have_several() -> None:
    tagged, none = (
        replace(record("a.jpg", "cat", "dog"), labels=("cat", "sun")),
        replace(record("b.jpg", "dog"), labels=()),
    )
    data = page_data([tagged, none, FAILED])
    assert (data["labels"], data["tags"]) == (["cat", "dog", "sun"], True)
    assert [row[7:] for row in data["records"]] == [[[0, 2]], [[]], []]
    assert page_data([record("a.jpg", "cat")])["tags"] is False


def test_the_truth_of_an_image_with_several_labels_is_a_list() -> None:
    tagged = [replace(record(f"{name}.jpg", "cat"), labels=("cat",)) for name in "abc"]
    data = page_data(tagged, PageContent(truths=("sun|cat", "unknown", None)))
    assert (data["labels"], data["truth"]) == (["cat", "sun", "unknown"], True)
    assert [row[5] for row in data["records"]] == [[1, 0], [2], -1]


def test_a_label_is_named_once_and_records_refer_to_it() -> None:
    data = page_data([record("a.jpg", "cat", "dog", group="pets"), record("b.jpg", "dog"), FAILED])
    assert (data["labels"], data["groups"], data["models"]) == (["cat", "dog"], ["pets"], ["pocket bf16"])
    assert data["records"] == [
        ["a.jpg", 0, 0.5, [0, 0.5, 0.3, 1, 0.25, 0.3], 0, -1, 0],
        ["b.jpg", 1, 0.5, [1, 0.5, 0.3], -1, -1, 0],
        ["broken.jpg", "no bytes in it"],
    ]


def test_a_page_knows_true_classes_and_links_to_nothing_but_images(tmp_path: Path) -> None:
    records = [record("a.jpg", "cat"), record("evil.html", "dog"), record("c.png", "cat"), FAILED]
    (tmp_path / "photos").mkdir()
    content = PageContent(tmp_path / "photos", ["fox", "dog", None, "cat"])
    write_page(records, [""] * 4, tmp_path / "new.html", "t", content, target=tmp_path / "pages" / "page.html")
    data = data_in((tmp_path / "new.html").read_text("utf-8"))
    labels, rows = data["labels"], data["records"]
    assert labels == ["cat", "fox", "dog"]
    assert [row[5:] for row in rows] == [[1, 1], [2, 0], [-1, 1], []]  # type: ignore[attr-defined]
    assert (data["root"], data["truth"]) == ("../photos", True)


def test_thumbnails_stand_in_blocks_in_the_order_of_the_records(tmp_path: Path) -> None:
    count = 2 * CHUNK + 1
    pictures = [f"picture{number}" for number in range(count)]
    page = page_of(tmp_path, [record(f"{number}.jpg", "cat") for number in range(count)], pictures)
    blocks = re.findall(r'<script type="text/plain" id="thumbnails-(\d+)">(.*?)</script>', page, re.DOTALL)
    assert [number for number, _ in blocks] == ["0", "1", "2"]
    assert [line for _, block in blocks for line in block.split("\n")] == pictures


@given(st.text(st.characters(codec="utf-8")), st.text(st.characters(codec="utf-8"), min_size=1))
def test_any_text_stays_data(path: str, label: str) -> None:
    hostile = "</script><script>alert(1)</script><!--"
    page = "".join(_pieces([record(path + hostile, label + hostile)], title=label + hostile))
    assert page.count("<script") == 3 + page.count('<script type="text/plain"') - 1
    assert "<!--" not in page
    assert "alert(1)" not in re.sub(
        r'id="data">.*?</script>|<title>.*?</title>|<h1>.*?</h1>', "", page, flags=re.DOTALL
    )
    records: Any = data_in(page)["records"]
    (row,) = records
    assert row[0] == path + hostile


def test_no_name_becomes_a_link_or_an_attribute(tmp_path: Path) -> None:
    page = page_of(tmp_path, [record("javascript:alert(1)", 'x" onclick="alert(2)')], title='"><a href="javascript:x">')
    without_data = re.sub(r'id="data">.*?</script>', "", page, flags=re.DOTALL)
    assert "javascript:alert" not in without_data
    assert "onclick=" not in without_data
    assert re.findall("<a [^>]*", without_data) == ['<a id="original" target="_blank" rel="noopener noreferrer"']


def _pieces(records: list[ReadRecord], title: str) -> str:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        return page_of(Path(folder), records, title=title)


def test_only_its_own_style_and_script_are_let_in(tmp_path: Path) -> None:
    page = page_of(tmp_path, [record("a.jpg", "cat")])
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', page)
    assert policy
    rules = policy[1].replace("&#39;", "'")
    assert rules.startswith("default-src 'none'; img-src data:; ")
    assert "unsafe" not in rules
    for kind in ("style", "script"):
        (text,) = re.findall(rf"<{kind}>(.*?)</{kind}>", page, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in rules
    assert not re.search(r'\son\w+=|\sstyle="|https?://', page)


# --- thumbnails -------------------------------------------------------------------------------------


def test_a_thumbnails_longer_side_is_as_asked_for(photos: dict[str, Path]) -> None:
    made = make_thumbnail(photos["cat"], 96)
    assert made
    with Image.open(BytesIO(made)) as picture, Image.open(photos["cat"]) as whole:
        assert (picture.format, max(picture.size)) == ("WEBP", 96)
        assert picture.width / picture.height == pytest.approx(whole.width / whole.height, rel=0.02)
    assert len(made) < 5000


def test_thumbnails_come_in_order_and_empty_where_there_is_none(photos: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "broken.jpg").write_bytes(b"no image")
    names = [str(photos["cat"]), "none.jpg", "broken.jpg", "", str(photos["rocket"]), "nul\0.jpg"] * 20
    made = list(thumbnails_of(names, tmp_path, 32))
    assert [bool(each) for each in made] == [True, False, False, False, True, False] * 20
    alone = {name: make_thumbnail(Path(name), 32) for name in names[:5:4]}
    assert {name: base64.b64decode(each) for name, each in zip(names, made, strict=True) if each} == alone


@pytest.mark.parametrize("kind", ["zip", "tar", "tar.gz"])
def test_thumbnails_are_read_from_archives_in_any_order(kind: str, photos: dict[str, Path], tmp_path: Path) -> None:
    inside = {"Böse/cat.png": photos["cat"], "rocket.jpg": photos["rocket"]}
    archive = tmp_path / f"b.{kind}"
    if kind == "zip":
        with zipfile.ZipFile(archive, "w") as opened:
            for name, file in inside.items():
                opened.write(file, name)
    else:
        with tarfile.open(archive, "w:gz" if kind == "tar.gz" else "w") as members:
            for name, file in inside.items():
                members.add(file, name)
    expected = {f"b.{kind}/{name}": make_thumbnail(file, 32) for name, file in inside.items()}
    names = [f"b.{kind}/rocket.jpg", str(photos["cat"]), f"b.{kind}/Böse/cat.png", f"b.{kind}/gone.png"]
    made = [base64.b64decode(each) for each in thumbnails_of(names, tmp_path, 32)]
    assert made == [expected[names[0]], make_thumbnail(photos["cat"], 32), expected[names[2]], b""]


# --- the command ------------------------------------------------------------------------------------


@pytest.fixture
def results(tmp_path: Path, photos: dict[str, Path]) -> Path:
    rows = [
        {
            "path": str(photos["cat"]),
            "label": "cat",
            "probability": 0.9,
            "similarity": 0.3,
            "top": [],
            "model": "pocket",
        },
        {"path": "gone.jpg", "label": "dog", "probability": 0.8, "similarity": 0.2, "top": [], "model": "pocket"},
        {"path": "broken.jpg", "error": {"type": "empty", "message": "no bytes in it"}},
    ]
    file = tmp_path / "results.jsonl"
    file.write_text("".join(f"{json.dumps(row)}\n" for row in rows), "utf-8")
    return file


def test_a_page_is_made_of_a_results_file(run: Run, results: Path, tmp_path: Path) -> None:
    done = run("report", results, "-o", "page.html", "--title", "Mine & <yours>")
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr.startswith("warning: 1 of 3 images have no thumbnail")
    page = (tmp_path / "page.html").read_text("utf-8")
    assert "<h1>Mine &amp; &lt;yours&gt;</h1>" in page
    assert len(data_in(page)["records"]) == 3  # type: ignore[arg-type]


def test_a_page_shows_the_accuracy_and_opens_in_the_browser(
    run: Run, results: Path, photos: dict[str, Path], tmp_path: Path
) -> None:
    (tmp_path / "truth.csv").write_text(f"path,label\n{photos['cat']},cat\ngone.jpg,cat\n")
    browser = tmp_path / "browser"
    browser.write_text('#!/bin/sh\necho "$1" > opened\n')
    browser.chmod(0o755)
    done = run("report", results, "-o", "page.html", "--truth", "truth.csv", "--open", "-q", BROWSER=browser)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    page = (tmp_path / "page.html").read_text("utf-8")
    assert "50.0% of 2 images have the right label" in page
    assert page.count('<img src="data:image/') == 3
    assert [row[5] for row in data_in(page)["records"][:2]] == [0, 0]  # type: ignore[index]
    assert (tmp_path / "opened").read_text().strip() == (tmp_path / "page.html").as_uri()


def test_a_page_can_do_without_pictures(run: Run, results: Path, tmp_path: Path) -> None:
    done = run("report", results, "-o", "page.html", "--thumbnail", "0")
    assert (done.returncode, done.stderr) == (0, "")
    assert re.search(r'id="thumbnails-0">\n\n</script>', (tmp_path / "page.html").read_text("utf-8"))


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("results.jsonl", "-o", "page.txt"), "cannot write page.txt: the page is HTML (use the extension .html)"),
        (("empty.jsonl", "-o", "page.html"), "cannot make a report of empty.jsonl: it holds no results"),
        (("none.jsonl", "-o", "page.html"), "none.jsonl: no such file"),
        (("results.jsonl", "-o", "no/page.html"), "cannot write no/page.html: "),
        (("odd.jsonl", "-o", "page.html"), "cannot read odd.jsonl: record 1 is not a result of clipcli classify"),
    ],
)
def test_what_makes_no_page_is_told_in_one_line(
    arguments: tuple[str, ...], says: str, run: Run, results: Path, tmp_path: Path
) -> None:
    (tmp_path / "empty.jsonl").touch()
    (tmp_path / "odd.jsonl").write_text('{"path": 1}\n')
    done = run("report", *arguments)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert says in done.stderr
    assert not (tmp_path / "page.html").exists()


def test_labels_that_were_checked_and_labels_of_the_run_are_in_the_page() -> None:
    content = PageContent(checked=[None, "fox"], labels=["cat", "dog", "wolf"])
    data = page_data([record("a.jpg", "cat"), record("b.jpg", "dog")], content)
    assert (data["labels"], data["checked"]) == (["cat", "dog", "fox", "wolf"], [[1, 2]])


def test_a_page_of_the_same_results_has_the_same_identity_whatever_else_it_shows() -> None:
    records = [record("a.jpg", "cat"), FAILED]
    known = page_data(records)["id"]
    assert page_data(records, PageContent(labels=["wolf"]))["id"] == known
    assert page_data(records[:1])["id"] != known
    assert page_data(records, PageContent(checked=["dog", None]))["id"] != known
