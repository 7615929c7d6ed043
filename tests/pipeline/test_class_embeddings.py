"""Class embeddings cost no more than the prompts that are new, and the model only where there are some."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from clipcli.cache.embeddings import EmbeddingStore, ModelFacts, content_key
from clipcli.errors import CheckpointError
from clipcli.labels.files import Label
from clipcli.labels.templates import Template
from clipcli.models.source import ModelSource
from clipcli.pipeline.class_embeddings import ClassEmbeddings, TextStatistics, build_class_embeddings

TEMPLATES = [Template("a photo of a {}"), Template("a drawing of a {}")]
FACTS = ModelFacts("letters", None, 27, 20.0, None)


class LetterEncoder:
    """A real little text encoder: a prompt's vector says how often each letter stands in it."""

    def __init__(self) -> None:
        self.opened = 0
        self.encoded: list[str] = []

    def open(self) -> tuple[ModelFacts, Callable[[Sequence[str]], NDArray[np.float32]]]:
        self.opened += 1
        return FACTS, self.encode

    def encode(self, prompts: Sequence[str]) -> NDArray[np.float32]:
        self.encoded.extend(prompts)
        counts = [[1, *(text.count(letter) for letter in "abcdefghijklmnopqrstuvwxyz")] for text in prompts]
        vectors = np.array(counts, dtype=np.float32)
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@pytest.fixture
def source(tmp_path: Path) -> ModelSource:
    checkpoint = tmp_path / "weights"
    checkpoint.write_bytes(b"letters")
    return source_of(checkpoint)


def source_of(checkpoint: Path, **config: Any) -> ModelSource:
    return ModelSource("letters", None, "letters", {"text_cfg": {}, **config}, {}, checkpoint)


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def build(
    labels: Sequence[Label | str], source: ModelSource, folder: Path | None, templates: Sequence[Template] = TEMPLATES
) -> tuple[ClassEmbeddings, TextStatistics, LetterEncoder]:
    """Build in a run of its own: a fresh encoder, the cache opened anew."""
    encoder = LetterEncoder()
    parsed = [label if isinstance(label, Label) else Label(label) for label in labels]
    classes, statistics = build_class_embeddings(parsed, templates, source, EmbeddingStore(folder), str, encoder.open)
    return classes, statistics, encoder


def test_each_class_is_the_mean_of_its_prompts(source: ModelSource) -> None:
    classes, _, encoder = build(["cat", "owl"], source, None)
    for label, vector in zip(("cat", "owl"), classes.vectors, strict=True):
        mean = encoder.encode([template.fill(label) for template in TEMPLATES]).mean(axis=0)
        np.testing.assert_allclose(vector, mean / np.linalg.norm(mean), atol=1e-6)


def test_class_embeddings_carry_labels_groups_prompts_and_model(source: ModelSource) -> None:
    labels = [Label("cat", names=("tabby",), group="pets"), Label("owl", prompts=("Hoot!",))]
    classes, _, _ = build(labels, source, None)
    assert classes.labels == ("cat", "owl")
    assert classes.groups == ("pets", None)
    assert classes.prompts == (("a photo of a tabby", "a drawing of a tabby"), ("Hoot!",))
    assert classes.facts == FACTS
    assert classes.fingerprint == source.fingerprint(EmbeddingStore(None).file_sha256)


def test_the_first_run_encodes_every_prompt_in_one_call(source: ModelSource, cache: Path) -> None:
    _, statistics, encoder = build(["cat", "owl"], source, cache)
    assert encoder.opened == 1
    assert encoder.encoded == ["a photo of a cat", "a drawing of a cat", "a photo of a owl", "a drawing of a owl"]
    assert statistics == TextStatistics(cached=0, encoded=4)


def test_the_encoder_is_not_opened_where_all_prompts_are_cached(source: ModelSource, cache: Path) -> None:
    build(["cat", "owl", "fox"], source, cache)
    _, statistics, encoder = build(["fox", "cat"], source, cache)
    assert encoder.opened == 0
    assert statistics == TextStatistics(cached=4, encoded=0)


def test_one_new_label_of_many_encodes_only_its_prompts(source: ModelSource, cache: Path) -> None:
    many = [f"label {number}" for number in range(300)]
    build(many, source, cache)
    _, statistics, encoder = build([*many[:100], "cat", *many[100:]], source, cache)
    assert encoder.encoded == ["a photo of a cat", "a drawing of a cat"]
    assert statistics == TextStatistics(cached=600, encoded=2)


def test_one_new_template_encodes_only_its_prompts(source: ModelSource, cache: Path) -> None:
    build(["cat", "owl"], source, cache)
    _, _, encoder = build(["cat", "owl"], source, cache, [*TEMPLATES, Template("{}")])
    assert encoder.encoded == ["cat", "owl"]


def test_a_prompt_that_two_labels_share_is_encoded_once(source: ModelSource) -> None:
    labels = [Label("cat", prompts=("a pet", "meow")), Label("dog", prompts=("a pet", "woof"))]
    classes, statistics, encoder = build(labels, source, None)
    assert encoder.encoded == ["a pet", "meow", "woof"]
    assert statistics == TextStatistics(cached=0, encoded=3)
    assert classes.vectors.shape == (2, 27)


def test_the_cache_changes_no_bit(source: ModelSource, cache: Path) -> None:
    without, _, _ = build(["cat", "owl", "кошка"], source, None)
    build(["owl"], source, cache)
    partly, _, _ = build(["cat", "owl", "кошка"], source, cache)
    wholly, _, _ = build(["cat", "owl", "кошка"], source, cache)
    np.testing.assert_array_equal(without.vectors, partly.vectors)
    np.testing.assert_array_equal(without.vectors, wholly.vectors)


def test_the_facts_of_the_model_come_from_the_cache_too(source: ModelSource, cache: Path) -> None:
    build(["cat"], source, cache)
    classes, _, encoder = build(["cat"], source, cache)
    assert encoder.opened == 0
    assert classes.facts == FACTS


def test_other_weights_share_nothing(source: ModelSource, cache: Path) -> None:
    build(["cat"], source, cache)
    source.checkpoint.write_bytes(b"other letters")
    _, _, encoder = build(["cat"], source, cache)
    assert len(encoder.encoded) == 2


def test_other_settings_of_the_same_weights_share_nothing(source: ModelSource, cache: Path) -> None:
    build(["cat"], source, cache)
    _, _, encoder = build(["cat"], source_of(source.checkpoint, embed_dim=27), cache)
    assert len(encoder.encoded) == 2


def test_the_same_weights_elsewhere_share_everything(source: ModelSource, cache: Path, tmp_path: Path) -> None:
    build(["cat"], source, cache)
    copy = tmp_path / "copy"
    copy.write_bytes(source.checkpoint.read_bytes())
    _, _, encoder = build(["cat"], source_of(copy), cache)
    assert encoder.opened == 0


def test_without_a_cache_every_run_encodes(source: ModelSource) -> None:
    build(["cat"], source, None)
    _, statistics, encoder = build(["cat"], source, None)
    assert encoder.opened == 1
    assert statistics == TextStatistics(cached=0, encoded=2)


def test_a_vector_that_was_corrupted_in_the_cache_is_made_again(source: ModelSource, cache: Path) -> None:
    expected, _, _ = build(["cat", "owl"], source, cache)
    wrong = {content_key("a photo of a cat"): np.full(27, 3, dtype=np.float32)}
    EmbeddingStore(cache).put_many("text", expected.fingerprint, wrong)
    classes, _, encoder = build(["cat", "owl"], source, cache)
    assert encoder.encoded == ["a photo of a cat"]
    np.testing.assert_array_equal(classes.vectors, expected.vectors)


def test_weights_that_are_not_there_are_a_checkpoint_error(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="No such file"):
        build(["cat"], source_of(tmp_path / "missing"), None)
