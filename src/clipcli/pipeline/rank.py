"""Turn image embeddings into results: the last step, the same for every engine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from clipcli.errors import ImageError
from clipcli.inputs.items import name_of
from clipcli.pipeline.class_embeddings import ClassEmbeddings
from clipcli.pipeline.predictions import Failure, Prediction, Result
from clipcli.pipeline.stream import Block
from clipcli.scoring.thresholds import Thresholds
from clipcli.scoring.zeroshot import cosine_similarities, group_probabilities, probabilities, rank

__all__ = ["Ranker"]


@dataclass(frozen=True)
class Ranker:
    """Turns embeddings into results; small enough to be sent to other machines.

    Parameters
    ----------
    classes
        The class embeddings of all labels.
    top_k
        Number of labels per prediction.
    thresholds
        When to answer ``unknown``.
    model, pretrained, precision
        The model, as written into the records.
    """

    classes: ClassEmbeddings
    top_k: int
    thresholds: Thresholds
    model: str
    pretrained: str | None
    precision: str

    def results(self, block: Block[Any]) -> list[Result]:
        """Rank the labels for all images of a block at once; return one result per image, in order."""
        classes = self.classes
        vectors = [vector for _, vector in block if not isinstance(vector, ImageError)]
        stacked = np.stack(vectors) if vectors else np.empty((0, classes.facts.dim), np.float32)
        similarity = cosine_similarities(stacked, classes.vectors)  # (N, D) x (C, D) -> (N, C)
        scored = probabilities(similarity, classes.facts.logit_scale, classes.facts.logit_bias)
        rows = iter(zip(scored, similarity, strict=True))
        return [
            Failure(name_of(item), vector.kind, str(vector))
            if isinstance(vector, ImageError)
            else self._prediction(name_of(item), *next(rows))
            for item, vector in block
        ]

    def _prediction(self, path: str, probability: Any, cosines: Any) -> Prediction:
        groups = self.classes.groups
        ranking = rank(self.classes.labels, probability, cosines, self.top_k, self.thresholds)
        by_group = group_probabilities(groups, probability) if any(groups) else {}
        return Prediction(
            path, ranking.label, ranking.top, self.model, self.pretrained, by_group, self.precision
        )  # fmt: skip
