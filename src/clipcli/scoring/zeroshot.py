"""Zero-shot classification on plain arrays, as in the CLIP paper (Radford et al. 2021, section 3.1).

Nothing here knows about models, files or torch. Shapes: N images, C classes, P prompts, D dimensions of
the shared space. Embeddings are float32 and L2-normalised along D; scores are float64.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clipcli.scoring.thresholds import UNKNOWN, Thresholds
from clipcli.scoring.tree import nodes_of
from clipcli.text import name_key

__all__ = [
    "Ranking",
    "Score",
    "cosine_similarities",
    "group_probabilities",
    "normalise",
    "probabilities",
    "rank",
]

FloatArray = NDArray[np.float32]
ScoreArray = NDArray[np.float64]


@dataclass(frozen=True)
class Score:
    """The scores of one label for one image."""

    label: str
    probability: float
    similarity: float


@dataclass(frozen=True)
class Ranking:
    """The result of one image: its label, and the best labels with their scores."""

    label: str
    top: tuple[Score, ...]


def normalise(vectors: FloatArray) -> FloatArray:
    """Scale each row to length one. (…, D) -> (…, D); a zero row stays zero."""
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, np.finfo(np.float32).tiny), dtype=np.float32)


def cosine_similarities(images: FloatArray, classes: FloatArray) -> ScoreArray:
    """Cosine similarity of each image to each class. (N, D) x (C, D) -> (N, C).

    Summed in float64, so that the written digits of a row do not depend on the number of rows. On one thread: more
    threads would keep spinning on cores that decode the next images.
    """
    if images.size * len(classes) < _SMALL_PRODUCT:
        return np.asarray(images.astype(np.float64) @ classes.T.astype(np.float64))
    with _thread_pools().limit(limits=1, user_api="blas"):
        return np.asarray(images.astype(np.float64) @ classes.T.astype(np.float64))


_SMALL_PRODUCT = 1 << 17  # multiplications; BLAS libraries start threads for larger ones only


@cache
def _thread_pools() -> Any:
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


def probabilities(similarities: ScoreArray, logit_scale: float, logit_bias: float | None = None) -> ScoreArray:
    """Turn cosine similarities into probabilities with the model's learned scale (and bias).

    Softmax over the classes for contrastive models (CLIP); an independent sigmoid per class if
    the model has a ``logit_bias`` (SigLIP, Zhai et al. 2023).

    Parameters
    ----------
    similarities
        (N, C) cosines.
    logit_scale
        The factor itself, not its logarithm.
    logit_bias
        The learned bias of a sigmoid model, else ``None``.

    Returns
    -------
    (N, C), each in 0 to 1; softmax rows sum to one.
    """
    logits = logit_scale * similarities
    if logit_bias is not None:
        return 0.5 * (1.0 + np.tanh(0.5 * (logits + logit_bias)))  # sigmoid without overflow
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=1, keepdims=True), dtype=np.float64)


def rank(
    labels: Sequence[str],
    probability: ScoreArray,
    similarity: ScoreArray,
    top_k: int,
    thresholds: Thresholds | None = None,
    own: Sequence[float | None] = (),
    *,
    is_other: bool = False,
    ranked: ScoreArray | None = None,
) -> Ranking:
    """Rank the labels for one image; ties are in the order of the labels.

    Parameters
    ----------
    labels
        C names.
    probability, similarity
        (C,) each.
    top_k
        Number of best labels to return; all if it exceeds C.
    own
        The least probability of each label that has a separate one, in place of that of ``thresholds``.
    is_other
        Whether something else fits the image better than all labels, so that the answer is ``unknown``.
    ranked
        (C,) what they are ranked by, if not the similarity.
    """
    thresholds = thresholds or Thresholds()
    order = np.argsort(-(similarity if ranked is None else ranked), kind="stable")[: max(top_k, 2)]
    best = [Score(labels[i], float(probability[i]), float(similarity[i])) for i in order]
    lead = best[0].probability - (best[1].probability if len(best) > 1 else 0.0)
    if own and (least := own[order[0]]) is not None:
        thresholds = replace(thresholds, probability=least)
    named = not is_other and thresholds.accept(best[0].probability, best[0].similarity, lead)
    return Ranking(best[0].label if named else UNKNOWN, tuple(best[:top_k]))


def group_probabilities(
    groups: Sequence[str | None], probability: ScoreArray, *, is_exclusive: bool = True
) -> dict[str, float]:
    """Sum the labels' probabilities by group, best group first. Labels without a group are left out.

    For sigmoid models, whose probabilities do not sum to one, the sum is capped at one. If several labels can be right
    (``is_exclusive`` is false), a group has the probability of its best label. Of groups that are paths, such as
    ``animal/bird``, each node has a probability, which is never less than those of the nodes below it.
    """
    sums: dict[str, float] = {}
    spelt: dict[str, str] = {}  # groups that differ only in Unicode composition are equal
    for group, value in zip(groups, probability, strict=True):
        for node in nodes_of(group) if group is not None else ():
            name = spelt.setdefault(name_key(node), node)
            before = sums.get(name, 0.0)
            sums[name] = before + float(value) if is_exclusive else max(before, float(value))
    return {group: min(total, 1.0) for group, total in sorted(sums.items(), key=lambda item: -item[1])}
