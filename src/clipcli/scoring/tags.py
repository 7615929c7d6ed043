"""Tags: all labels of an image whose probability is at or above their threshold. Arrays only."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from clipcli.scoring.thresholds import UNKNOWN
from clipcli.scoring.zeroshot import Ranking, Score, ScoreArray

__all__ = ["rank_tags"]


def rank_tags(
    labels: Sequence[str], probability: ScoreArray, order: ScoreArray, similarity: ScoreArray, top_k: int,
    thresholds: ScoreArray,
) -> tuple[Ranking, tuple[Score, ...]]:  # fmt: skip
    """Rank the labels of one image, first those at or above their thresholds, and return those separately too.

    Parameters
    ----------
    labels
        C names.
    probability, order, similarity, thresholds
        (C,) each. Labels are ranked by ``order``, then by similarity, then in the order of the list.
    top_k
        Number of best labels in the ranking; all if it exceeds C.

    Returns
    -------
    The ranking, whose label is the best of the image's labels, or ``unknown`` if it has none; and all its labels.
    """
    reached = probability >= thresholds
    ranked = [
        Score(labels[place], float(probability[place]), float(similarity[place]))
        for place in np.lexsort((-similarity, -order, ~reached))
    ]
    count = int(reached.sum())
    return Ranking(ranked[0].label if count else UNKNOWN, tuple(ranked[:top_k])), tuple(ranked[:count])
