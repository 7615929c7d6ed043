"""The public Python interface, with a small real model."""

from __future__ import annotations

import doctest
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from shutil import copyfile
from typing import Any, cast

import numpy as np
import pytest
from PIL import Image

import clipcli
from clipcli import Classifier, Failure, Label, Prediction, Thresholds
from clipcli.errors import ClipcliError, EmbeddingFileError, InputError, LabelError, ModelError
from clipcli.outputs.class_embeddings import save_class_embeddings
from tests.conftest import TINY_CLIP, predictions, save_model_folder

LABELS = ["cat", "rocket", "cup of coffee", "temple"]


@pytest.fixture
def classifier(tiny_clip: Path, tmp_path: Path) -> Classifier:
    return Classifier(str(tiny_clip), LABELS, device="cpu", batch_size=16, cache=tmp_path / "cache")


def scores(result: Prediction | Failure) -> dict[str, float]:
    assert isinstance(result, Prediction)
    return {score.label: score.similarity for score in result.top}


# --- what it takes -----------------------------------------------------------------------------------


def test_paths_strings_and_pillow_images_give_the_same(classifier: Classifier, photos: dict[str, Path]) -> None:
    cat = photos["cat"]
    by_path, by_text, by_image = classifier.classify([cat, str(cat), Image.open(cat)])
    assert scores(by_path) == pytest.approx(scores(by_text), abs=1e-6)
    assert scores(by_path) == pytest.approx(scores(by_image), abs=1e-6)
    assert by_path.path == by_text.path == str(cat)


@pytest.mark.parametrize("form", ["path", "text", "image"])
def test_one_image_needs_no_list(form: str, classifier: Classifier, photos: dict[str, Path]) -> None:
    image: Any = {"path": photos["cat"], "text": str(photos["cat"]), "image": Image.open(photos["cat"])}[form]
    assert len(list(classifier.classify(image))) == 1


def test_an_image_in_memory_has_no_path(classifier: Classifier) -> None:
    (result,) = classifier.classify(Image.new("RGB", (40, 30), "red"))
    assert result.path == ""


def test_a_transparent_image_in_memory_is_seen_on_white(classifier: Classifier) -> None:
    clear = Image.new("RGBA", (40, 40), (0, 0, 0, 0))
    clear.putpixel((0, 0), (255, 255, 255, 255))  # an alpha channel that is zero everywhere would be none
    white, seen = classifier.classify([Image.new("RGB", (40, 40), "white"), clear])
    assert scores(seen) == pytest.approx(scores(white), abs=1e-6)


def test_folders_are_walked_among_the_files(classifier: Classifier, tmp_path: Path, photos: dict[str, Path]) -> None:
    folder = tmp_path / "holiday"
    (folder / "deeper").mkdir(parents=True)
    copyfile(photos["cat"], folder / "b.png")
    copyfile(photos["flower"], folder / "deeper" / "c.jpg")
    (folder / "notes.txt").write_text("no image")
    found = [result.path for result in classifier.classify([photos["rocket"], folder])]
    assert found == [str(photos["rocket"]), str(folder / "b.png"), str(folder / "deeper" / "c.jpg")]


def test_a_folder_without_images_is_told(classifier: Classifier, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="empty: no images found"):
        list(classifier.classify(tmp_path / "empty"))


@pytest.mark.parametrize("images", [[3], [np.zeros((4, 4, 3))], 3, [None], [b"bytes"]])
def test_what_is_no_image_is_refused_by_its_type(classifier: Classifier, images: Any) -> None:
    with pytest.raises(InputError, match=r"cannot classify a .* \(give paths, Pillow images or ImageEmbeddings\)"):
        list(classifier.classify(images))


def test_images_are_taken_as_they_are_needed(classifier: Classifier, photos: dict[str, Path]) -> None:
    taken = 0

    def endless() -> Iterator[Path]:
        nonlocal taken
        while True:
            taken += 1
            yield photos["coffee"]

    next(classifier.classify(endless()))
    assert taken < 100


def test_no_images_give_no_results(classifier: Classifier) -> None:
    assert list(classifier.classify([])) == []


# --- failures among the others -----------------------------------------------------------------------


@pytest.mark.parametrize("batch_size", [1, 2, 16])
def test_a_bad_file_fails_alone_between_its_neighbours(
    batch_size: int, tiny_clip: Path, tmp_path: Path, photos: dict[str, Path]
) -> None:
    bad = tmp_path / "bad.jpg"
    bad.write_bytes(photos["rocket"].read_bytes()[:3000])
    images = [photos["cat"], bad, photos["rocket"], tmp_path / "missing.png", photos["temple"]]
    classifier = Classifier(str(tiny_clip), LABELS, device="cpu", cache=False, batch_size=batch_size)
    cat, first, rocket, second, temple = classifier.classify(images)
    assert isinstance(first, Failure)
    assert (first, second) == (
        Failure(str(bad), "truncated", first.message),
        Failure(str(tmp_path / "missing.png"), "not_found", "no such file"),
    )
    for result, name in ((cat, "cat"), (rocket, "rocket"), (temple, "temple")):
        (alone,) = classifier.classify(photos[name])
        assert result.path == str(photos[name])
        assert scores(result) == pytest.approx(scores(alone), abs=1e-6)


def test_the_batch_size_changes_nothing(tiny_clip: Path, photos: dict[str, Path]) -> None:
    rows = []
    for batch_size in (1, 3, 50):
        classifier = Classifier(str(tiny_clip), LABELS, device="cpu", cache=False, batch_size=batch_size)
        rows.append([list(scores(result).values()) for result in classifier.classify(list(photos.values()))])
    np.testing.assert_allclose(rows[1], rows[0], atol=1e-6)
    np.testing.assert_allclose(rows[2], rows[0], atol=1e-6)


# --- what it answers ---------------------------------------------------------------------------------


def test_below_a_threshold_the_label_is_unknown_and_the_scores_stay(
    classifier: Classifier, tiny_clip: Path, photos: dict[str, Path]
) -> None:
    strict = Classifier(str(tiny_clip), LABELS, device="cpu", cache=False, thresholds=Thresholds(probability=1.0))
    sure, unsure = predictions([*classifier.classify(photos["cat"]), *strict.classify(photos["cat"])])
    assert unsure.label == "unknown"
    assert scores(unsure) == pytest.approx(scores(sure))
    assert unsure.top[0].label == sure.label


def test_groups_get_the_sum_of_their_labels(tiny_clip: Path, photos: dict[str, Path]) -> None:
    labels: list[str | Label] = [
        Label("cat", group="animal"),
        Label("dog", group="animal"),
        Label("rocket", group="machine"),
        "temple",
    ]
    classifier = Classifier(str(tiny_clip), labels, device="cpu", cache=False)
    (result,) = classifier.classify(photos["cat"])
    assert isinstance(result, Prediction)
    by_label = {score.label: score.probability for score in result.top}
    assert result.groups == pytest.approx({"animal": by_label["cat"] + by_label["dog"], "machine": by_label["rocket"]})


def test_every_result_names_its_model(classifier: Classifier, tiny_clip: Path, photos: dict[str, Path]) -> None:
    (result,) = predictions(classifier.classify(photos["cat"]))
    assert (result.model, result.pretrained) == (f"local-dir:{tiny_clip}", None)


def test_bf16_ranks_as_fp32(tiny_clip: Path, photos: dict[str, Path]) -> None:
    images = list(photos.values())
    best = []
    for precision in ("fp32", "bf16"):
        options: dict[str, Any] = {"device": "cpu", "engine": "torch", "cache": False, "precision": precision}
        classifier = Classifier(str(tiny_clip), LABELS, **options)
        best.append([result.label for result in predictions(classifier.classify(images))])
        assert classifier.model.precision == precision
    assert best[0] == best[1]


def test_pocket_knows_what_the_photographs_show(photos: dict[str, Path]) -> None:
    labels = ["cat", "cup of coffee", "rocket", "temple", "flower", "motorcycle"]
    classifier = Classifier("pocket", labels, device="cpu", cache=False)
    images = [photos["cat"], photos["coffee"], photos["flower"]]
    found = [result.label for result in predictions(classifier.classify(images))]
    assert found == ["cat", "cup of coffee", "flower"]


# --- labels and embeddings ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("labels", "reason"),
    [
        ("cat", "must be a list of texts or a Path"),
        (["cat", " "], "label 2: the label is empty"),
        (["cat", "\ud800"], "not valid Unicode"),
        ([Label("cat", prompts=("",))], "one of its prompts is empty"),
        (["cat", 3], "expected a text or a Label, not int"),
        (["cat", "dog", " cat"], "duplicate label 'cat'"),
        ([], "no labels"),
        (None, "either labels or classes"),
    ],
)
def test_labels_that_cannot_be_used_are_refused(labels: Any, reason: str, tiny_clip: Path) -> None:
    with pytest.raises(LabelError, match=reason):
        Classifier(str(tiny_clip), labels, cache=False)


@pytest.mark.parametrize("name", ["batch_size", "workers", "top_k"])
def test_a_number_of_nothing_is_refused(name: str, tiny_clip: Path) -> None:
    with pytest.raises(InputError, match=f"{name} must be 1 or more, not 0"):
        Classifier(f"local-dir:{tiny_clip}", ["cat"], cache=False, **cast("Any", {name: 0}))


@pytest.mark.parametrize("given", ["labels", "classes"])
def test_a_single_label_is_warned_of_once(
    given: str, tiny_clip: Path, tmp_path: Path, photos: dict[str, Path], logged: list[str]
) -> None:
    labels: dict[str, Any] = {"labels": ["cat"]}
    if given == "classes":
        classes = Classifier(str(tiny_clip), ["cat"], device="cpu", cache=False).classes
        save_class_embeddings(classes, tmp_path / "classes.npz")
        labels = {"classes": tmp_path / "classes.npz"}
    classifier = Classifier(str(tiny_clip), **labels, device="cpu", cache=False)
    for _ in range(2):
        (result,) = predictions(classifier.classify(photos["cat"]))
        assert result.top[0].probability == 1.0
    assert [warning for warning in logged if "without a second label to compare with" in warning] == logged
    assert len(logged) == 1


def test_a_single_label_of_a_sigmoid_model_has_a_probability_of_its_own(
    tiny_siglip: Path, photos: dict[str, Path], logged: list[str]
) -> None:
    classifier = Classifier(str(tiny_siglip), ["cat"], device="cpu", cache=False)
    (result,) = predictions(classifier.classify(photos["cat"]))
    assert result.top[0].probability < 0.5
    assert logged == []


def test_a_path_of_labels_is_read(tiny_clip: Path, tmp_path: Path) -> None:
    (tmp_path / "labels.txt").write_text("cat\n# a comment\nrocket\n", "utf-8")
    classifier = Classifier(str(tiny_clip), tmp_path / "labels.txt", cache=False)
    assert classifier.classes.labels == ("cat", "rocket")


def test_exported_embeddings_take_the_place_of_labels(
    classifier: Classifier, tiny_clip: Path, tmp_path: Path, photos: dict[str, Path]
) -> None:
    save_class_embeddings(classifier.classes, tmp_path / "classes.npz")
    again = Classifier(str(tiny_clip), classes=tmp_path / "classes.npz", device="cpu", cache=False)
    (expected,), (found,) = classifier.classify(photos["cat"]), again.classify(photos["cat"])
    assert found == expected


def test_exported_embeddings_of_another_model_are_refused(classifier: Classifier, tmp_path: Path) -> None:
    save_class_embeddings(classifier.classes, tmp_path / "classes.npz")
    other = save_model_folder(tmp_path / "other", TINY_CLIP, seed=1)
    with pytest.raises(EmbeddingFileError, match=r"not by the model in use, local-dir:.*other"):
        Classifier(str(other), classes=tmp_path / "classes.npz", cache=False).class_embeddings.sum()


# --- the cache ---------------------------------------------------------------------------------------


def test_the_cache_does_not_mix_models(classifier: Classifier, tmp_path: Path) -> None:
    mine = classifier.class_embeddings
    folder = save_model_folder(tmp_path / "other", TINY_CLIP, seed=1)
    other = Classifier(str(folder), LABELS, device="cpu", cache=tmp_path / "cache")
    assert not np.allclose(mine, other.class_embeddings)
    assert other.text_statistics is not None
    assert other.text_statistics.cached == 0
    np.testing.assert_array_equal(
        other.class_embeddings, Classifier(str(folder), LABELS, device="cpu", cache=False).class_embeddings
    )


def test_a_cache_folder_may_be_given_as_text(tiny_clip: Path, tmp_path: Path) -> None:
    Classifier(str(tiny_clip), LABELS, cache=str(tmp_path / "kept")).class_embeddings.sum()
    assert list((tmp_path / "kept").iterdir())


def test_known_labels_need_no_model(classifier: Classifier, tiny_clip: Path, tmp_path: Path) -> None:
    classifier.class_embeddings.sum()
    again = Classifier(str(tiny_clip), LABELS, cache=tmp_path / "cache")
    again.class_embeddings.sum()
    assert not again.is_loaded


def test_prompts_that_are_cut_are_remarked_upon(tiny_clip: Path, logged: list[str]) -> None:
    Classifier(str(tiny_clip), ["cat", "cat " * 40 + "dog"], cache=False).class_embeddings.sum()
    assert len(logged) == 1
    assert logged[0].startswith("1 prompt is longer")


# --- devices -----------------------------------------------------------------------------------------


def test_a_device_that_is_not_there_is_told_when_the_model_is_opened(tiny_clip: Path) -> None:
    with pytest.raises(ModelError, match="--device cuda:7: not on this machine"):
        Classifier(str(tiny_clip), LABELS, device="cuda:7", cache=False).class_embeddings.sum()


# --- the package -------------------------------------------------------------------------------------


def test_importing_clipcli_imports_nothing_heavy() -> None:
    script = (
        "import sys, clipcli; from clipcli import Classifier, Failure;"
        "print(sorted({'torch', 'torchvision', 'open_clip', 'transformers', 'timm', 'huggingface_hub', 'rich',"
        " 'pandas', 'pyarrow'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr


def test_every_public_name_is_there() -> None:
    assert all(getattr(clipcli, name) is not None for name in clipcli.__all__)
    assert issubclass(ClipcliError, Exception)


def test_a_name_that_is_not_public_is_no_attribute() -> None:
    with pytest.raises(AttributeError, match="no attribute 'classify'"):
        clipcli.classify  # noqa: B018


def test_the_example_in_the_documentation_is_true(
    photos: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Image.open(photos["cat"]).save("photo.jpg")
    text = (sys.modules["clipcli.classifier"].__doc__ or "").replace("# doctest: +SKIP", "")
    example = doctest.DocTestParser().get_doctest(text, {}, "clipcli.classifier", None, None)
    assert doctest.DocTestRunner().run(example) == doctest.TestResults(failed=0, attempted=3)
