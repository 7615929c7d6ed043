"""``--image-embeddings``: exported embeddings stand in for the images, in every command that takes images."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from clipcli import Classifier, Embedder, ImageEmbeddings, ImageSearch, Prediction
from clipcli.errors import EmbeddingFileError, InputError, OutputError
from clipcli.evaluation.compare import evaluate
from clipcli.models import engines
from clipcli.models.engines import precision_names
from tests.conftest import Run, RunHere

LABELS = ("-l", "cat", "-l", "rocket", "-l", "cup of coffee")
NAMES = ("cat", "coffee", "rocket")


@pytest.fixture
def folder(photos: dict[str, Path], tmp_path: Path) -> Path:
    """Three photographs and a broken file."""
    made = tmp_path / "photos"
    made.mkdir()
    for name in NAMES:
        shutil.copy(photos[name], made / f"{name}{photos[name].suffix}")
    (made / "broken.jpg").write_text("not an image")
    return made


def test_each_command_gives_the_same_answer_without_the_images(
    run_here: RunHere, tiny_clip: Path, folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "truth.csv").write_text("path,label\nphotos/cat.png,cat\nphotos/rocket.jpg,rocket\nphotos/no.jpg,cat\n")
    model = ("--model", f"local-dir:{tiny_clip}")
    exported, first, second, third, fourth = run_here(
        ("export", "images", "photos", "-o", "all.npz", *model),
        ("classify", "photos", *LABELS, *model),
        ("search", "a rocket", "photos", *model),
        ("matrix", "photos", "-x", "a cat", "-x", "a rocket", *model),
        ("evaluate", "truth.csv", *LABELS, *model),
    )
    assert exported.returncode == 1  # of the broken one
    shutil.rmtree(folder)
    given = ("--image-embeddings", "all.npz", *model)
    answers = run_here(
        ("classify", *LABELS, *given),
        ("search", "a rocket", *given),
        ("matrix", "-x", "a cat", "-x", "a rocket", *given),
        ("evaluate", "truth.csv", *LABELS, *given),
    )
    for now, before in zip(answers[:3], (first, second, third), strict=True):
        assert sorted(now.stdout.splitlines()) == sorted(before.stdout.splitlines())  # failures come last in .npz
        assert "photos/broken.jpg: not an image" in now.stderr
        assert now.returncode == 1
    assert answers[3].stdout == fourth.stdout and answers[3].returncode == 0
    assert "1 of 3 images have no embedding in all.npz, and are left out" in answers[3].stderr


def test_a_run_from_embeddings_is_resumed_and_written_in_parts(
    run_here: RunHere, tiny_clip: Path, folder: Path, tmp_path: Path
) -> None:
    model = ("--model", f"local-dir:{tiny_clip}")
    given = ("--image-embeddings", "parts", *LABELS, *model, "-q")
    run_here(("export", "images", "photos", "-o", "parts/", "--part-size", "2", *model))
    run_here(("classify", *given, "-o", "results/", "--part-size", "3", "-f", "jsonl"))
    assert len(list((tmp_path / "results").glob("part-*"))) == 2
    part = min((tmp_path / "results").glob("part-*"))
    content = part.read_bytes()
    part.unlink()
    (again,) = run_here(("classify", *given, "-o", "results/", "--part-size", "3", "-f", "jsonl", "--resume"))
    assert (again.returncode, part.read_bytes()) == (1, content)
    (other,) = run_here(
        ("classify", "photos", *LABELS, *model, "-o", "results/", "--part-size", "3", "-f", "jsonl", "--resume")
    )
    assert (other.returncode, "different image embeddings: parts, now None" in other.stderr) == (2, True)


def test_embeddings_are_written_in_another_format(
    run_here: RunHere, tiny_clip: Path, folder: Path, tmp_path: Path
) -> None:
    model = ("--model", f"local-dir:{tiny_clip}", "-q")
    run_here(("export", "images", "photos", "-o", "a.npz", *model))
    run_here(
        ("export", "images", "--image-embeddings", "a.npz", "-o", "b.jsonl", *model),
        ("export", "images", "--image-embeddings", "b.jsonl", "-o", "c.npz", *model),
    )
    assert (tmp_path / "c.npz").read_bytes() == (tmp_path / "a.npz").read_bytes()


def test_embeddings_of_another_model_are_refused(
    run_here: RunHere, tiny_clip: Path, tiny_siglip: Path, folder: Path
) -> None:
    run_here(("export", "images", "photos", "-o", "a.npz", "--model", f"local-dir:{tiny_clip}"))
    run_here(("export", "images", "photos", "-o", "a.csv", "--model", f"local-dir:{tiny_clip}"))
    for name, made in (("a.npz", f"local-dir:{tiny_clip}"), ("a.csv", "another model (32 dimensions")):
        (answer,) = run_here(
            ("classify", "--image-embeddings", name, *LABELS, "--model", f"local-dir:{tiny_siglip}", "-o", "r.csv")
        )
        assert (answer.returncode, answer.stdout) == (2, "")
        assert f"error: cannot use {name}: made by {made}" in answer.stderr
        assert answer.stderr.count("\n") == 1
        assert not Path("r.csv").exists()


def test_no_network_is_opened(run: Run, tiny_clip: Path, folder: Path, tmp_path: Path) -> None:
    """Torch is not imported either: it is hidden here."""
    model = ("--model", f"local-dir:{tiny_clip}")
    run("export", "images", "photos", "-o", "a.npz", *model)
    run("classify", "photos/cat.png", *LABELS, *model)
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    (hidden / "torch.py").write_text("raise ImportError('hidden')")
    answer = run("classify", "--image-embeddings", "a.npz", *LABELS, *model, PYTHONPATH=str(hidden))
    assert answer.stdout.count("\n") == 5, answer.stderr


def test_embeddings_are_given_in_python(
    tiny_clip: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    options: Any = {"model": f"local-dir:{tiny_clip}", "cache": tmp_path / "cache"}
    with Embedder(**options) as embedder:
        embedder.embed_to("a.parquet", "photos")
    shutil.rmtree(folder)
    given = ImageEmbeddings("a.parquet")
    with Classifier(labels=["cat", "rocket"], **options) as classifier:
        results = list(classifier.classify(given))
        assert [result.path for result in results] == [
            f"photos/{n}" for n in ("broken.jpg", "cat.png", "coffee.png", "rocket.jpg")
        ]
        assert [isinstance(result, Prediction) for result in results] == [False, True, True, True]
        assert classifier.classify_to("r.csv", given).failures == 1
        assert not classifier.is_loaded or "image_encoder" not in vars(classifier)
        with pytest.raises(InputError, match="images and image embeddings together"):
            list(classifier.classify([given, "x.png"]))
    assert len(ImageSearch("a cat", **options).search(given)) == 3
    (tmp_path / "truth.csv").write_text("path,label\nphotos/cat.png,cat\nphotos/rocket.jpg,rocket\n")
    assert (
        len(evaluate("truth.csv", [options["model"]], cache=False, image_embeddings="a.parquet").evaluations[0].paths)
        == 2
    )


def test_embeddings_given_as_an_image_are_recognised(run_here: RunHere, tiny_clip: Path, folder: Path) -> None:
    (folder / "broken.jpg").unlink()
    model = ("--model", f"local-dir:{tiny_clip}")
    for suffix in ("npz", "csv", "jsonl", "parquet"):
        run_here(("export", "images", "photos", "-o", f"a.{suffix}", *model))
        (answer,) = run_here(("classify", f"a.{suffix}", *LABELS, *model))
        assert (answer.returncode, "with --image-embeddings" in answer.stderr) == (2, True), answer.stderr
        (answer,) = run_here(("classify", "photos", "--classes", f"a.{suffix}", *model))
        assert (answer.returncode, "it holds image embeddings: use them" in answer.stderr) == (2, True), answer.stderr


def test_the_precisions_are_those_of_every_engine() -> None:
    for entry in engines._ENTRIES.values():
        assert entry.precision("fp32") in precision_names()
    assert {"fp32", "bf16", "fp16", "openvino-bf16"} <= set(precision_names())


def test_a_folder_of_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EmbeddingFileError, match="a folder without parts of image embeddings"):
        ImageEmbeddings(tmp_path)


@pytest.mark.parametrize("second", ["a.npy.jsonl", "t.npy.json"])
def test_the_second_file_of_an_array_is_not_replaced_either(
    second: str, run_here: RunHere, tiny_clip: Path, folder: Path, tmp_path: Path
) -> None:
    (tmp_path / second).write_text("mine")
    model = ("--model", f"local-dir:{tiny_clip}", "-q")
    images = ("export", "images", "photos", "-o", "a.npy", *model)
    texts = ("export", "text", "-l", "cat", "-o", "t.npy", *model)
    (done,) = run_here(images if second.startswith("a") else texts)
    assert (done.returncode, (tmp_path / second).read_text()) == (2, "mine")
    assert done.stderr.startswith(f"error: cannot write {second}: it exists (replace it with --overwrite")


def test_export_and_classify_say_the_same_of_what_cannot_be_resumed(run_here: RunHere, tmp_path: Path) -> None:
    exported, classified = run_here(
        ("export", "images", "photos", "-o", "a.npz", "--resume"),
        ("classify", "photos", *LABELS, "-o", "a.json", "--resume"),
    )
    for done, name in ((exported, "a.npz"), (classified, "a.json")):
        assert done.returncode == 2
        assert done.stderr.startswith(f"error: cannot resume {name}: its format cannot be resumed (use ")
    with pytest.raises(OutputError, match="use a folder"):
        Embedder("pocket", cache=False).embed_to(tmp_path / "a.npz", "photos", resume=True)
