"""``clipcli matrix``: the numbers, the files, the pairs and the picture."""

from __future__ import annotations

import csv
import json
import subprocess
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from clipcli import Classifier
from clipcli.cli.colours import style_between
from clipcli.errors import LabelError
from clipcli.labels.files import prompts_for
from clipcli.labels.templates import resolve_templates
from clipcli.reports.matrix import Matrix, read_texts, save_matrix, texts_as_labels
from clipcli.reports.matrix_plot import draw_matrix, open_pictures

Done = subprocess.CompletedProcess[str]
TEXTS = ("a photo of a cat", "a cup of coffee", "a rocket, at night")
HARD = Matrix(("=a.png", "tab\there.png"), ('say "hi"', "=1+1"), np.array([[0.25, -0.5], [0.125, 1.0]]), "cosine")


# --- texts ------------------------------------------------------------------------------------------


def test_texts_are_used_as_they_stand_and_may_stand_twice(tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_text("# captions\ncat\n\n\\#1 dog\ncat\n", "utf-8")
    texts = read_texts(tmp_path / "t.txt")
    assert texts == ["cat", "#1 dog", "cat"]
    assert [prompts_for(label, resolve_templates(["{label}"], [])) for label in texts_as_labels(texts)] == [
        ["cat"],
        ["#1 dog"],
        ["cat"],
    ]


def test_texts_can_be_filled_into_templates() -> None:
    templates = resolve_templates(["a {label}.", "the {label}."], [])
    (label,) = texts_as_labels(["cat"])
    assert prompts_for(label, templates) == ["a cat.", "the cat."]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("t.csv", "\ufefflabel;group\ncat;animal\n\ndog;animal\ncat;\n"),
        ("t.csv", "Text,label\ncat,x\ndog,y\ncat,z\n"),
        ("t.tsv", "path\tcaption\na\tcat\nb\tdog\nc\tcat\n"),
    ],
)
def test_texts_are_read_from_the_column_of_a_table(name: str, content: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(content, "utf-8")
    assert read_texts(tmp_path / name) == ["cat", "dog", "cat"]


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("t.csv", "name\ncat\n", "no column 'text' or 'caption' or 'title' or 'label'"),
        ("t.csv", "text\n\n", "it has no texts"),
        ("t.csv", 'text\n"cat\n', "not a table"),
        ("t.json", "[]", "write one per line into a .txt file"),
        ("t.xlsx", "", "save the spreadsheet as .csv"),
    ],
)
def test_other_files_of_texts_are_refused_with_the_remedy(name: str, content: str, says: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(LabelError, match=says):
        read_texts(tmp_path / name)


def test_a_file_without_texts_is_refused(tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_text("# nothing\n")
    with pytest.raises(LabelError, match="it has no texts"):
        read_texts(tmp_path / "t.txt")


# --- files ------------------------------------------------------------------------------------------


def test_csv_keeps_names_and_is_safe_in_a_spreadsheet(tmp_path: Path) -> None:
    save_matrix(HARD, tmp_path / "m.csv")
    with (tmp_path / "m.csv").open(newline="") as file:
        assert list(csv.reader(file)) == [
            ["path", 'say "hi"', "'=1+1"],
            ["'=a.png", "0.25", "-0.5"],
            ["tab\there.png", "0.125", "1.0"],
        ]


def test_tsv_escapes_what_would_break_it(tmp_path: Path) -> None:
    save_matrix(HARD, tmp_path / "m.tsv")
    assert (tmp_path / "m.tsv").read_text().splitlines()[2] == "tab\\there.png\t0.125\t1.0"


def test_npz_and_json_hold_names_and_numbers(tmp_path: Path) -> None:
    save_matrix(HARD, tmp_path / "m.npz")
    save_matrix(HARD, tmp_path / "m.json")
    arrays = np.load(tmp_path / "m.npz", allow_pickle=False)
    assert arrays["matrix"].dtype == np.float32
    assert arrays["matrix"].tolist() == HARD.values.tolist()
    assert (tuple(arrays["paths"]), tuple(arrays["texts"])) == (HARD.paths, HARD.texts)
    found = json.loads((tmp_path / "m.json").read_text("utf-8"))
    assert found == {
        "unit": "cosine", "texts": list(HARD.texts), "paths": list(HARD.paths), "matrix": HARD.values.tolist(),
    }  # fmt: skip


# --- pictures ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(1, 1), (3, 3), (10, 10), (40, 200), (200, 40)])
def test_a_matrix_of_any_size_is_drawn(shape: tuple[int, int], photos: dict[str, Path], tmp_path: Path) -> None:
    rows, columns = shape
    values = np.random.default_rng(0).random(shape)
    texts = tuple(f"a $text$ number {n}" for n in range(columns))
    made = Matrix(tuple(f"{n}.png" for n in range(rows)), texts, values, "cosine")
    pictures = open_pictures([photos["cat"] if n % 2 else None for n in range(rows)])
    drawn = draw_matrix(made, pictures, "pocket")
    drawn.savefig(tmp_path / "m.png", dpi=40)
    axes, bar = drawn.axes
    assert bar.get_ylabel() == "cosine"
    assert len(axes.texts) == (rows * columns if columns <= 40 and rows <= 100 else 0)  # numbers in cells
    assert len(axes.artists) == (rows // 2 if rows <= 100 else 0)


def names_of(axis: Any) -> list[str]:
    return [text.get_text() for text in axis.get_ticklabels() if text.get_text()]


def test_a_matrix_of_75_images_and_50_texts_has_all_names_and_numbers() -> None:
    paths, texts = tuple(f"photos/{n:03}.png" for n in range(75)), tuple(f"text {n}" for n in range(50))
    made = Matrix(paths, texts, np.random.default_rng(0).normal(0.1, 0.1, (75, 50)), "cosine")
    axes = draw_matrix(made, open_pictures([None] * 75)).axes[0]
    assert len(axes.texts) == 75 * 50
    assert min(text.get_fontsize() for text in axes.texts) >= 6
    assert names_of(axes.yaxis) == [path.removeprefix("photos/") for path in paths]
    assert names_of(axes.xaxis) == list(texts)


def test_numbers_in_cells_do_not_touch_each_other() -> None:
    made = Matrix(tuple("abc"), tuple(map(str, range(50))), np.full((3, 50), -12.34), "logit")
    drawn = draw_matrix(made, [None] * 3)
    written = drawn.axes[0].texts[:50]
    if written:
        drawn.draw_without_rendering()
        boxes = [text.get_window_extent() for text in written]
        assert all(left.x1 < right.x0 for left, right in pairwise(boxes))


def test_rows_and_columns_without_names_are_numbered_from_one() -> None:
    made = Matrix(("a",) * 250, ("b",) * 200, np.zeros((250, 200)), "cosine")
    drawn = draw_matrix(made, [None] * 250)
    drawn.draw_without_rendering()
    axes = drawn.axes[0]
    assert axes.get_ylabel().startswith("image (number")
    assert axes.yaxis.get_major_formatter()(0) == "1"


def test_a_long_file_name_loses_its_middle(tmp_path: Path) -> None:
    name = "a photograph with a name that is far too long 0001.jpg"
    axes = draw_matrix(Matrix((f"x/{name}",), ("b",), np.zeros((1, 1)), "cosine"), [None]).axes[0]
    (shown,) = names_of(axes.yaxis)
    assert (len(shown), shown[:6], shown[-8:]) == (28, "a phot", "0001.jpg")


def test_the_colours_of_a_terminal_run_from_dark_to_bright() -> None:
    assert style_between(0.0, 0.0, 1.0) == "white on rgb(0,34,78)"
    assert style_between(1.0, 0.0, 1.0) == "black on rgb(254,232,56)"
    assert style_between(3.0, 3.0, 3.0).startswith("white on")


# --- the command ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def ran(
    run_together: Callable[..., list[Done]], tmp_path_factory: pytest.TempPathFactory, photos: dict[str, Path]
) -> dict[str, Done]:
    folder = tmp_path_factory.mktemp("matrix")
    files = [photos["cat"], photos["coffee"], photos["rocket"]]
    (folder / "broken.jpg").write_bytes(b"no image")
    texts = [part for text in TEXTS for part in ("-x", text)]
    commands: dict[str, list[object]] = {
        "pairs": [*files, *texts, "--plot", folder / "m.png"],
        "again": [*files, *texts, "--plot", folder / "m.png", "-q", "--overwrite"],
        "logits": [*files, *texts, "--logits", "--not-paired"],
        "broken": [folder / "broken.jpg", *files, *texts],
        "unpaired": [*files[:2], *texts, "--paired"],
        "photo": [*files, *texts, "--plot", photos["cat"]],
        "suffix": [*files, *texts, "-o", folder / "m.txt"],
        "nothing": [*files],
    }
    done = run_together(*(["matrix", *line] for line in commands.values()), CLIPCLI_MODEL="pocket")
    return {**dict(zip(commands, done, strict=True)), "folder": folder}  # type: ignore[dict-item]


def numbers(done: Done) -> np.ndarray:
    return np.array([[float(cell) for cell in line.split("\t")[1:]] for line in done.stdout.splitlines()[1:]])


def test_each_cell_is_the_cosine_of_an_image_and_a_text(ran: dict[str, Done], photos: dict[str, Path]) -> None:
    assert ran["pairs"].stdout.splitlines()[0] == "\t".join(["path", *TEXTS])
    classifier = Classifier("pocket", texts_as_labels(TEXTS), templates=["{label}"], cache=False)
    files = [photos["cat"], photos["coffee"], photos["rocket"]]
    vectors = np.stack([np.asarray(vector) for block in classifier.embed(files) for _, vector in block])
    assert numbers(ran["pairs"]) == pytest.approx(vectors @ classifier.class_embeddings.T, abs=2e-4)


def test_pairs_are_told_how_they_find_each_other(ran: dict[str, Done]) -> None:
    assert ran["pairs"].returncode == 0
    said = ran["pairs"].stderr
    assert said.startswith(
        "pairs: 3 of 3 images match their text best, 3 of 3 texts match their image best; contrastive loss 0."
    )
    assert said.splitlines()[1].startswith("they are taken as pairs in their order because there are as many texts as")
    assert "(use --not-paired if that is wrong)" in said.splitlines()[1]


def test_logits_are_the_cosines_times_the_models_scale(ran: dict[str, Done]) -> None:
    ratio = numbers(ran["logits"]) / numbers(ran["pairs"])
    assert ratio == pytest.approx(np.full((3, 3), ratio[0, 0]), rel=1e-3)
    assert ratio[0, 0] > 10
    assert ran["logits"].stderr == ""


def test_a_chart_is_drawn_and_drawn_anew_but_never_over_a_photograph(
    ran: dict[str, Done], photos: dict[str, Path]
) -> None:
    with Image.open(ran["folder"] / "m.png") as drawn:  # type: ignore[operator]
        assert min(drawn.size) > 500
    assert (ran["again"].returncode, ran["again"].stderr) == (0, "")
    assert ran["photo"].returncode == 2
    assert "is one of the inputs" in ran["photo"].stderr


def test_a_broken_image_has_no_row_and_is_named(ran: dict[str, Done]) -> None:
    assert ran["broken"].returncode == 1
    assert len(ran["broken"].stdout.splitlines()) == 4
    assert "broken.jpg: not an image" in ran["broken"].stderr
    assert "pairs:" not in ran["broken"].stderr


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("unpaired", "cannot use --paired: 2 readable images but 3 texts (give as many images as texts)"),
        ("suffix", "unknown extension '.txt' (use .csv, .tsv, .npz, .json)"),
        ("nothing", "no texts, or an empty one (give texts with --texts FILE or -x TEXT)"),
    ],
)
def test_what_makes_no_matrix_is_told_in_one_line(name: str, says: str, ran: dict[str, Done]) -> None:
    assert (ran[name].returncode, ran[name].stderr.count("\n"), ran[name].stdout) == (2, 1, "")
    assert says in ran[name].stderr
