"""Compute class embeddings from labels and templates, with the cache.

The embedding of each prompt is cached separately, so a new label costs only its prompts, and the text encoder is not
loaded if all prompts are cached.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from clipcli.cache.embeddings import EmbeddingStore, ModelFacts, content_key
from clipcli.labels.files import Label, prompts_for
from clipcli.labels.templates import Template
from clipcli.log import LOG
from clipcli.models.backend import TextEncoder
from clipcli.models.source import ModelSource
from clipcli.pipeline.taught import Taught
from clipcli.scoring.ensemble import ensemble
from clipcli.scoring.scores import LinearHead, Scores, score

if TYPE_CHECKING:
    from clipcli.pipeline.calibration import FittedCalibration

__all__ = [
    "ClassEmbeddings",
    "Competitors",
    "TextStatistics",
    "build_class_embeddings",
    "embed_competitors",
    "telling_cut",
]

Encode = Callable[[Sequence[str]], NDArray[np.float32]]


@dataclass(frozen=True)
class Competitors:
    """The embeddings of phrases that compete with labels.

    Parameters
    ----------
    phrases
        K phrases.
    prompts
        The prompts of each of them.
    vectors
        (K, D) float32, rows of length one.
    rivals
        For each of the C labels, the phrases that compete with it, as indices.
    """

    phrases: tuple[str, ...]
    prompts: tuple[tuple[str, ...], ...]
    vectors: NDArray[np.float32]
    rivals: tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class ClassEmbeddings:
    """The zero-shot weights of a set of labels, with everything needed for scoring.

    Parameters
    ----------
    labels, groups, prompts
        C each: the names, the groups (``None`` for no group) and the prompts of each ensemble.
    vectors
        (C, D) float32, rows of length one.
    fingerprint
        Identifies the model.
    facts
        The model's name and its learned scale and bias.
    thresholds
        The threshold of each label, as far as it has a separate one; empty if none has.
    competitors
        The phrases that compete with labels, if there are any.
    head
        A linear head, which gives the logits in place of the cosines with the vectors.
    scale
        The factor of the cosines, if it is not the model's.
    taught
        The examples, if the classes were taught by some.
    calibration
        What was fitted for the scores of these classes, if it was.
    folders
        The name of each class in the ground truth, as far as it is different; empty if none is.
    """

    labels: tuple[str, ...]
    groups: tuple[str | None, ...]
    prompts: tuple[tuple[str, ...], ...]
    vectors: NDArray[np.float32]
    fingerprint: str
    facts: ModelFacts
    thresholds: tuple[float | None, ...] = ()
    competitors: Competitors | None = None
    head: LinearHead | None = None
    scale: float | None = None
    taught: Taught | None = None
    calibration: FittedCalibration | None = None
    folders: tuple[str | None, ...] = ()

    @property
    def logit_scale(self) -> float:
        """The factor of the cosines."""
        return self.facts.logit_scale if self.scale is None else self.scale

    @property
    def words(self) -> ClassEmbeddings:
        """The same classes by their words alone."""
        if self.taught is None:
            return self
        return replace(self, vectors=self.taught.text, head=None, scale=None, taught=None, calibration=None)

    def score(self, images: NDArray[np.float32]) -> Scores:
        """Score images for all classes. (N, D) float32 of length one."""
        return score(images, self.vectors, self.logit_scale, self.facts.logit_bias, self.head)


@dataclass(frozen=True)
class TextStatistics:
    """The numbers of distinct prompts that came from the cache and that were encoded."""

    cached: int
    encoded: int


def build_class_embeddings(
    labels: Sequence[Label],
    templates: Sequence[Template],
    source: ModelSource,
    store: EmbeddingStore,
    key: Callable[[str], str],
    open_encoder: Callable[[], tuple[ModelFacts, Encode]],
) -> tuple[ClassEmbeddings, TextStatistics]:
    """Embed every label's prompts and average them into class embeddings.

    Parameters
    ----------
    labels, templates
        The C classes and the prompt templates.
    source
        The model, by its files.
    store
        The cache, which may be disabled.
    key
        Returns what the cache files embeddings under, given the model's fingerprint: engines share none.
    open_encoder
        Loads the model; called only when a prompt is missing from the cache.
    """
    prompts = [prompts_for(label, templates) for label in labels]
    phrases = list(dict.fromkeys(phrase for label in labels for phrase in label.negatives))
    against = [prompts_for(Label(phrase), templates) for phrase in phrases]
    fingerprint = source.fingerprint(store.file_sha256)
    vectors, facts, statistics = _embedded([*prompts, *against], key(fingerprint), store, open_encoder)
    thresholds = tuple(label.threshold for label in labels)
    rivals = tuple(tuple(dict.fromkeys(map(phrases.index, label.negatives))) for label in labels)
    classes = ClassEmbeddings(
        labels=tuple(label.name for label in labels),
        groups=tuple(label.group for label in labels),
        prompts=tuple(map(tuple, prompts)),
        vectors=vectors[: len(labels)],
        fingerprint=fingerprint,
        # The cache holds the name under which the model was first used; the same weights may have several names.
        facts=replace(facts, name=source.name, pretrained=source.pretrained),
        thresholds=() if set(thresholds) == {None} else thresholds,
        competitors=Competitors(tuple(phrases), tuple(map(tuple, against)), vectors[len(labels) :], rivals)
        if phrases
        else None,
        folders=tuple(label.folder for label in labels) if any(label.folder for label in labels) else (),
    )
    return classes, statistics


def embed_competitors(
    phrases: Sequence[str], source: ModelSource, store: EmbeddingStore, key: Callable[[str], str],
    open_encoder: Callable[[], tuple[ModelFacts, Encode]],
) -> Competitors:  # fmt: skip
    """Embed phrases as they are, which compete with no label so far; for the parameters see the function above."""
    prompts = tuple((phrase,) for phrase in phrases)
    vectors, _, _ = _embedded(prompts, key(source.fingerprint(store.file_sha256)), store, open_encoder)
    return Competitors(tuple(phrases), prompts, vectors, ())


def telling_cut(encoder: TextEncoder, title: str) -> Encode:
    """Return what encodes prompts with an encoder, and warns of those that are longer than its context."""

    def encode(prompts: Sequence[str]) -> NDArray[np.float32]:
        cut = sum(encoder.cut(prompts))
        if cut:
            prompts_are = "1 prompt is" if cut == 1 else f"{cut} prompts are"
            LOG.warning(f"{prompts_are} longer than the context of {title}, and truncated")
        return encoder.encode(prompts)

    return encode


def _embedded(
    prompts: Sequence[Sequence[str]], made_by: str, store: EmbeddingStore,
    open_encoder: Callable[[], tuple[ModelFacts, Encode]],
) -> tuple[NDArray[np.float32], ModelFacts, TextStatistics]:  # fmt: skip
    """Return the embedding of each ensemble of prompts, (E, D); the encoder is opened if one is not in the cache."""
    distinct = list(dict.fromkeys(prompt for ensemble_prompts in prompts for prompt in ensemble_prompts))
    keys = {prompt: content_key(prompt) for prompt in distinct}
    facts = store.model_facts(made_by)
    known = store.get_many("text", made_by, list(keys.values())) if facts else {}
    missing = [prompt for prompt in distinct if keys[prompt] not in known]
    if missing or facts is None:
        facts, encode = open_encoder()
        if missing:
            fresh = {keys[prompt]: vector for prompt, vector in zip(missing, encode(missing), strict=True)}
            store.remember_model(made_by, facts)
            store.put_many("text", made_by, fresh)
            known.update(fresh)
    rows = np.stack([known[keys[prompt]] for ensemble_prompts in prompts for prompt in ensemble_prompts])
    statistics = TextStatistics(len(distinct) - len(missing), len(missing))
    return ensemble(rows, [len(ensemble_prompts) for ensemble_prompts in prompts]), facts, statistics
