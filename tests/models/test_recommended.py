"""Models to choose from, names of the hub, deletion of downloads, and labels that a model cannot read."""

from __future__ import annotations

import logging
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from clipcli.errors import ModelError, ModelNotFoundError
from clipcli.models import registry
from clipcli.models.hub import delete_repository
from clipcli.models.recommended import MODELS, hub_hint, recommendation
from clipcli.models.resolve import repository_of, resolve_model
from clipcli.pipeline.label_warnings import warn_of_language


def test_open_clip_knows_every_model_that_is_recommended() -> None:
    for each in MODELS:
        if each.name.startswith("hf-hub:") or each.name == "pocket":
            assert not each.tag
        elif not each.tag.endswith(".pt"):
            assert each.tag in registry.pretrained_tags(each.name)
        else:
            assert each.note
    assert recommendation("ViT-L-14") is not None
    assert recommendation("ViT-L-14", "openai") is None


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("openai/clip-vit-base-patch32", "--model ViT-B-32 --pretrained openai"),
        ("google/siglip2-base-patch16-256", "--model ViT-B-16-SigLIP2-256"),
        ("imageomics/bioclip", "--model hf-hub:imageomics/bioclip"),
    ],
)
def test_a_name_of_the_hub_gets_the_right_options_as_a_hint(name: str, options: str) -> None:
    with pytest.raises(ModelNotFoundError) as caught:
        resolve_model(name, offline=True)
    assert f"use {options}" in str(caught.value)


@pytest.mark.parametrize("name", ["ViT-B-32", "/model", "model/", "a/b/c", "pocket"])
def test_other_names_are_not_taken_for_names_of_the_hub(name: str) -> None:
    assert hub_hint(name) is None


# --- deletion ---------------------------------------------------------------------------------------


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder of the hub client with two models."""
    from huggingface_hub import constants

    root = tmp_path / "hub"
    for name in ("models--org--one", "models--org--two"):
        snapshot = root / name / "snapshots" / ("a" * 40)
        snapshot.mkdir(parents=True)
        (root / name / "refs").mkdir()
        (root / name / "refs" / "main").write_text("a" * 40)
        (root / name / "blobs").mkdir()
        (root / name / "blobs" / "b").write_bytes(b"weights")
        (snapshot / "open_clip_model.safetensors").symlink_to(root / name / "blobs" / "b")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(root))
    return root


def test_a_model_is_deleted_and_the_others_stay(cache: Path) -> None:
    asked: list[tuple[Path, int]] = []

    def confirm(folder: Path, size: int) -> bool:
        asked.append((folder, size))
        return True

    assert delete_repository("org/one", confirm=confirm)
    assert [(folder.name, size) for folder, size in asked] == [("models--org--one", 7)]
    assert [each.name for each in cache.glob("models--*")] == ["models--org--two"]


def test_nothing_is_deleted_without_consent_or_by_another_name(cache: Path) -> None:
    assert not delete_repository("org/one", confirm=lambda _folder, _size: False)
    for name in ("org/three", "../org", "org/one/..", ""):
        with pytest.raises(ModelNotFoundError, match="not on this machine"):
            delete_repository(name, confirm=lambda _folder, _size: True)
    assert len(list(cache.glob("models--*/blobs/b"))) == 2


def test_a_link_in_the_cache_folder_is_not_followed(cache: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    (cache / "models--org--one").rename(outside)
    (cache / "models--org--one").symlink_to(outside)
    with pytest.raises(ModelError):
        delete_repository("org/one", confirm=lambda _folder, _size: True)
    assert (outside / "blobs" / "b").exists()


@pytest.mark.parametrize("name", ["pocket", "auto", "local-dir:/tmp"])
def test_only_downloads_can_be_deleted(name: str) -> None:
    with pytest.raises(ModelError, match="cannot delete"):
        repository_of(name)


# --- languages --------------------------------------------------------------------------------------

ENGLISH = SimpleNamespace(name="ViT-B-32", title="ViT-B-32 openai", config={"text_cfg": {"width": 512}})
MANY = SimpleNamespace(name="ViT-B-16-SigLIP2", title="SigLIP 2", config={"text_cfg": {}})


@pytest.mark.parametrize(
    ("labels", "source", "warned"),
    [
        (["кошка", "dog"], ENGLISH, True),
        (["猫", "犬"], ENGLISH, True),
        (["chêne", "érable", "hêtre"], ENGLISH, True),
        (["crème brûlée", "pizza", "soup", "café", "cake", "tea", "bread"], ENGLISH, False),
        (["cat", "dog 🐕", "°C"], ENGLISH, False),
        (["кошка", "собака"], MANY, False),
    ],
)
def test_labels_in_another_language_are_told_of(
    labels: list[str], source: Any, warned: bool, caplog: pytest.LogCaptureFixture
) -> None:
    classes: Any = SimpleNamespace(labels=labels, prompts=[[f"a photo of a {label}"] for label in labels])
    with caplog.at_level(logging.WARNING, "clipcli"):
        warn_of_language(classes, source)
    assert ("do not look English" in caplog.text) == warned


def test_what_counts_is_the_prompt(caplog: pytest.LogCaptureFixture) -> None:
    classes: Any = SimpleNamespace(labels=["кошка"], prompts=[["a photo of a cat"]])
    with caplog.at_level(logging.WARNING, "clipcli"):
        warn_of_language(classes, ENGLISH)  # type: ignore[arg-type]
    assert not caplog.text


# --- figures ----------------------------------------------------------------------------------------


def test_published_figures_are_of_models_that_open_clip_has() -> None:
    from clipcli.models.published import _figures, imagenet_accuracy, million_parameters

    names = set(registry.architecture_names())
    for (name,) in _figures("sizes.csv"):
        assert name in names
    for name, tag in _figures("accuracies.csv"):
        assert tag in registry.pretrained_tags(name)
    assert (million_parameters("ViT-B-32"), imagenet_accuracy("ViT-B-32", "openai")) == (151.3, 63.32)
    assert million_parameters("none") is imagenet_accuracy("ViT-B-32", "none") is None


def test_published_figures_agree_with_the_recommendations() -> None:
    from clipcli.models.published import imagenet_accuracy, million_parameters

    for each in MODELS:
        counted, measured = million_parameters(each.name), imagenet_accuracy(each.name, each.tag)
        assert counted is None or each.parameters is None or round(counted) == each.parameters
        assert measured is None or each.imagenet is None or abs(measured - each.imagenet) <= 0.06
