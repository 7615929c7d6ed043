"""``clipcli search`` from end to end: the images most similar to a text or to an example."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from clipcli import ImageSearch
from clipcli.scoring.zeroshot import normalise
from tests.conftest import Run, lines_of
from tests.outputs.test_class_embeddings import taught_classes

POCKET = ("--model", "pocket")


@pytest.fixture(scope="module")
def album(photos: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of real photos with a file among them that is not an image."""
    folder = tmp_path_factory.mktemp("album")
    for name in ("astronaut", "cat", "coffee", "rocket"):
        shutil.copy(photos[name], folder / f"{name}{photos[name].suffix}")
    (folder / "broken.jpg").write_bytes(b"not an image")
    return folder


@pytest.fixture(scope="module")
def searched(run_once: Run, album: Path) -> Run:
    """A way to search with a cache that several tests share."""
    assert run_once("search", "a rocket", album, *POCKET).returncode == 1
    return run_once


@pytest.mark.parametrize(("query", "best"), [("a cat", "cat"), ("a cup of coffee", "coffee"), ("a rocket", "rocket")])
def test_the_image_that_the_text_describes_comes_first(query: str, best: str, searched: Run, album: Path) -> None:
    done = searched("search", query, album, *POCKET)
    header, *rows = (line.split("\t") for line in lines_of(done.stdout))
    assert (header, len(rows)) == (["rank", "similarity", "path"], 4)
    assert Path(rows[0][2]).stem == best
    similarities = [float(row[1]) for row in rows]
    assert similarities == sorted(similarities, reverse=True)


def test_an_image_that_cannot_be_read_is_reported_and_the_rest_is_searched(searched: Run, album: Path) -> None:
    done = searched("search", "a cat", album, *POCKET, "-k", "1")
    assert (done.returncode, len(lines_of(done.stdout))) == (1, 2)
    assert "broken.jpg" in done.stderr
    assert lines_of(done.stderr)[-1] == "warning: 1 of 5 images failed"


def test_an_example_image_finds_itself_first(searched: Run, album: Path) -> None:
    example = next(album.glob("cat.*"))
    first = json.loads(lines_of(searched("search", example, album, *POCKET, "-f", "jsonl").stdout)[0])
    assert (first["path"], first["rank"]) == (str(example), 1)
    assert first["similarity"] == pytest.approx(1.0, abs=1e-5)


def test_a_second_search_encodes_no_image(searched: Run, album: Path) -> None:
    done = searched("search", "a person", album, *POCKET, "-v")
    assert any("4 from the cache, 0 encoded" in line for line in lines_of(done.stderr))


def test_results_are_written_in_the_format_of_the_extension(searched: Run, album: Path, tmp_path: Path) -> None:
    file = tmp_path / "hits.csv"
    assert searched("search", "a cat", album, *POCKET, "-o", file).returncode == 1
    with file.open(encoding="utf-8", newline="") as opened:
        rows = list(csv.DictReader(opened))
    assert [row["rank"] for row in rows] == ["1", "2", "3", "4"]
    assert Path(rows[0]["path"]).stem == "cat"


def test_hits_are_written_as_a_page_with_thumbnails(searched: Run, album: Path, tmp_path: Path) -> None:
    file = tmp_path / "hits.html"
    assert searched("search", "a <b>cat</b>", album, *POCKET, "-k", "2", "-o", file).returncode == 1
    page = file.read_text("utf-8")
    assert "<h1>a &lt;b&gt;cat&lt;/b&gt;</h1>" in page
    assert '"hits":true' in page
    thumbnails = page.split('id="thumbnails-0">')[1].split("</script>")[0].split("\n")
    assert [bool(each) for each in thumbnails] == [True, True]


def test_an_existing_file_is_replaced_only_if_asked(searched: Run, album: Path, tmp_path: Path) -> None:
    file = tmp_path / "hits.json"
    file.write_text('[{"rank": 1, "similarity": 0.25, "path": "a.jpg"}]', "utf-8")
    before = file.read_text("utf-8")
    refused = searched("search", "a cat", album, *POCKET, "-o", file)
    assert (refused.returncode, file.read_text("utf-8")) == (2, before)
    assert "--overwrite" in refused.stderr
    assert searched("search", "a cat", album, *POCKET, "-o", file, "--overwrite").returncode == 1
    assert file.read_text("utf-8") != before


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("", "."), "it is empty"),
        (("missing.jpg", "."), "there is no such file"),
        (("a cat", ".", "-o", "hits.png"), "unknown format '.png'"),
        (("a cat", ".", "-t", "a photo"), "{label}"),
        (("a cat", ".", "--overwrite"), "only works with -o"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(arguments: tuple[str, ...], reason: str, run: Run) -> None:
    done = run("search", *arguments, *POCKET)
    assert (done.returncode, done.stdout, len(lines_of(done.stderr))) == (2, "", 1)
    assert reason in done.stderr


def test_a_taught_class_is_searched_by_what_was_learned_of_it(
    searched: Run, album: Path, photos: dict[str, Path], tmp_path: Path
) -> None:
    table = f"{photos['cat']},Chelsea\n{photos['rocket']},thing\n{photos['coffee']},thing\n"
    (tmp_path / "t.csv").write_text(f"path,label\n{table}", "utf-8")
    for method in ("prototypes", "mixed"):
        file = f"{method}.safetensors"
        taught = searched("teach", tmp_path / "t.csv", "-o", tmp_path / file, "--method", method, *POCKET)
        assert taught.returncode == 0, taught.stderr
        done = searched("search", "chelsea", album, "--classes", tmp_path / file, *POCKET)
        rows = [line.split("\t")[2] for line in lines_of(done.stdout)[1:]]
        assert Path(rows[0]).stem == "cat", done.stderr
        assert len(rows) == 4
    words = searched("search", "a text", album, "--classes", tmp_path / file, *POCKET)
    assert (words.returncode, words.stdout) == (2, "")
    assert words.stderr == "error: cannot search for 'a text': it is not one of the classes (known: Chelsea, thing)\n"


def test_the_query_is_the_class_embedding_or_for_a_head_the_mean_of_words_and_examples(tiny_clip: Path) -> None:
    classes = taught_classes()
    taught = classes.taught
    assert taught is not None
    mean = taught.examples[taught.owners == 1].astype(np.float32).mean(axis=0)
    half = normalise(taught.text[1] + mean / np.linalg.norm(mean))
    assert taught.mixed(1) == pytest.approx(half, abs=1e-6)
    for given, expected in ((classes, half), (classes.words, taught.text[1])):
        found = ImageSearch("OWL", classes=given, model=f"local-dir:{tiny_clip}")
        assert found.described(given) == pytest.approx(expected, abs=1e-6)
