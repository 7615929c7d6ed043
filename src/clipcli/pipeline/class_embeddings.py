"""Compute class embeddings from labels and templates, with the cache.

The embedding of each prompt is cached separately, so a new label costs only its prompts, and the text encoder is not
loaded if all prompts are cached.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from clipcli.cache.embeddings import EmbeddingStore, ModelFacts, content_key
from clipcli.labels.files import Label, prompts_for
from clipcli.labels.templates import Template
from clipcli.models.source import ModelSource
from clipcli.scoring.ensemble import ensemble

__all__ = ["ClassEmbeddings", "TextStatistics", "build_class_embeddings"]

Encode = Callable[[Sequence[str]], NDArray[np.float32]]


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
    """

    labels: tuple[str, ...]
    groups: tuple[str | None, ...]
    prompts: tuple[tuple[str, ...], ...]
    vectors: NDArray[np.float32]
    fingerprint: str
    facts: ModelFacts


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
    distinct = list(dict.fromkeys(prompt for ensemble_prompts in prompts for prompt in ensemble_prompts))
    fingerprint = source.fingerprint(store.file_sha256)
    keys = {prompt: content_key(prompt) for prompt in distinct}
    made_by = key(fingerprint)
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
    classes = ClassEmbeddings(
        labels=tuple(label.name for label in labels),
        groups=tuple(label.group for label in labels),
        prompts=tuple(map(tuple, prompts)),
        vectors=ensemble(rows, [len(ensemble_prompts) for ensemble_prompts in prompts]),
        fingerprint=fingerprint,
        # The cache holds the name under which the model was first used; the same weights may have several names.
        facts=replace(facts, name=source.name, pretrained=source.pretrained),
    )
    return classes, TextStatistics(len(distinct) - len(missing), len(missing))
