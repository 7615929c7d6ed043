"""Turn image embeddings into results: the last step, the same for every engine."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from clipcli.errors import ImageError
from clipcli.inputs.items import name_of
from clipcli.pipeline.class_embeddings import ClassEmbeddings
from clipcli.pipeline.predictions import Failure, Prediction, Result
from clipcli.pipeline.scorer import Tagging, score_labels, thresholds_of
from clipcli.pipeline.stream import Block
from clipcli.scoring.calibration import Correction
from clipcli.scoring.tags import rank_tags
from clipcli.scoring.thresholds import UNKNOWN, Thresholds
from clipcli.scoring.tree import deepest_node, is_tree, labels_next_to_groups
from clipcli.scoring.zeroshot import ScoreArray, group_probabilities, rank

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
    tagging
        How several labels of an image are chosen; ``None`` for one label per image.
    correction
        What calibrates the probabilities.
    level
        The deepest level of the answer in a tree of groups.
    """

    classes: ClassEmbeddings
    top_k: int
    thresholds: Thresholds
    model: str
    pretrained: str | None
    precision: str
    tagging: Tagging | None = None
    correction: Correction | None = None
    level: int | None = None

    def results(self, block: Block[Any]) -> list[Result]:
        """Rank the labels for all images of a block at once; return one result per image, in order."""
        vectors = [vector for _, vector in block if not isinstance(vector, ImageError)]
        stacked = np.stack(vectors) if vectors else np.empty((0, self.classes.facts.dim), np.float32)
        scores = score_labels(stacked, self.classes, self.tagging, self.correction)
        rows = iter(zip(scores.probability, scores.similarity, scores.order, scores.is_other, strict=True))
        return [
            Failure(name_of(item), vector.kind, str(vector))
            if isinstance(vector, ImageError)
            else self._prediction(name_of(item), *next(rows))
            for item, vector in block
        ]

    @cached_property
    def _least(self) -> ScoreArray:
        """(C,) the least probability of each label as a tag."""
        return np.empty(0) if self.tagging is None else thresholds_of(self.classes, self.tagging)

    def _prediction(self, path: str, probability: Any, cosines: Any, order: Any, is_other: Any) -> Prediction:
        names, groups, tags = self.classes.labels, self.classes.groups, None
        if self.tagging is not None:
            ranking, tags = rank_tags(names, probability, order, cosines, self.top_k, self._least)
        else:
            own = self.classes.thresholds
            ranking = rank(
                names, probability, cosines, self.top_k, self.thresholds, own, is_other=bool(is_other), ranked=order
            )
        by_group = group_probabilities(groups, probability, is_exclusive=tags is None) if any(groups) else {}
        node = group = None
        if self._in_tree:
            best = {name: float(max(probability[places])) for name, places in self._next_to.items()}
            node, group = self._node(ranking.label, by_group, best), deepest_node(by_group, own=best)
        return Prediction(
            path, ranking.label, ranking.top, self.model, self.pretrained, by_group, self.precision, tags, node, group
        )  # fmt: skip

    @cached_property
    def _in_tree(self) -> bool:
        return is_tree(self.classes.groups)

    @cached_property
    def _next_to(self) -> dict[str, list[int]]:
        return labels_next_to_groups(self.classes.groups)

    def _node(self, label: str, nodes: dict[str, float], own: dict[str, float]) -> str:
        """Return the answer in the tree: the path of the label, else the deepest group that is probable enough."""
        if label != UNKNOWN and self.level is None:
            group = self.classes.groups[self.classes.labels.index(label)]
            return label if group is None else f"{group}/{label}"
        least = self.tagging.threshold if self.tagging is not None else self.thresholds.probability or 0.0
        return deepest_node(nodes, least, self.level, own) or UNKNOWN
