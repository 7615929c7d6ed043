"""Accuracy in a tree of classes: at each level, and with credit for the part of a path that is right.

Hierarchical precision, recall and F1: Kiritchenko, Matwin and Famili 2005, *Functional Annotation of Genes Using
Hierarchical Text Categorization*; Silla and Freitas 2011, *A survey of hierarchical classification*. The classes of an
image are its class and all groups that contain it; the figures are those of scikit-learn with ``average="micro"`` on
these sets. Shapes: N images, C labels, K groups.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from clipcli.evaluation.metrics import Interval, Scores, accuracy_interval
from clipcli.outputs.readers import ReadRecord
from clipcli.scoring.thresholds import UNKNOWN
from clipcli.scoring.tree import deepest_node, labels_next_to_groups, levels_of, nodes_of
from clipcli.text import name_key

__all__ = ["Descent", "LevelFigures", "TreeFigures", "groups_by_name", "groups_in_records", "path_of", "tree_figures"]

TreePath = tuple[str, ...]


@dataclass(frozen=True)
class LevelFigures:
    """The accuracy at one level of a tree.

    Parameters
    ----------
    level
        1 for the widest groups.
    images
        The number of images whose class is in a group of that level.
    accuracy
        The share of them for which ``classify --level`` answers that group, with its 95 % interval.
    """

    level: int
    images: int
    accuracy: Interval


@dataclass(frozen=True)
class TreeFigures:
    """The figures of answers in a tree.

    Parameters
    ----------
    levels
        The accuracy at each level of the groups.
    precision, recall, f1
        Hierarchical figures of the answers, 0 to 1.
    """

    levels: tuple[LevelFigures, ...]
    precision: float
    recall: float
    f1: float


Groups = Mapping[str, str | None]


def groups_by_name(labels: Iterable[tuple[str, str | None]]) -> Groups:
    """Return the group of each label, by the label's key for comparison."""
    return {name_key(name): group for name, group in labels}


def path_of(name: str, groups: Groups) -> TreePath:
    """Return the path of an answer or class: a label with its group, or a group; empty for ``unknown``.

    Parameters
    ----------
    groups
        From :func:`groups_by_name`; empty if the answers are groups.
    """
    if name == UNKNOWN:
        return ()
    if not groups:
        return levels_of(name)
    group = groups.get(name_key(name))
    return (name,) if group is None else (*levels_of(group), name)


def groups_in_records(records: Sequence[ReadRecord]) -> dict[str, str]:
    """Return the group of each label that was an answer in a tree."""
    found = {}
    for record in records:
        if record.node is not None and record.node.endswith(f"/{record.label}"):
            found[str(record.label)] = record.node[: -len(str(record.label)) - 1]
    return found


class Descent:
    """Finds the deepest group of images, level by level, as ``classify`` does.

    Parameters
    ----------
    groups
        The group of each label.
    """

    def __init__(self, groups: Sequence[str | None]) -> None:
        paths = [set(nodes_of(group)) if group is not None else set() for group in groups]
        self._nodes = list(dict.fromkeys(node for group in groups if group is not None for node in nodes_of(group)))
        self._below = np.array([[float(node in path) for node in self._nodes] for path in paths])  # (C, K)
        self._next_to = labels_next_to_groups(groups)

    def answers(self, probability: Scores) -> list[str]:
        """Return the deepest group of each image, empty if no label has a group. (N, C) -> N."""
        if not self._nodes:
            return [""] * len(probability)
        sums = np.minimum(probability @ self._below, 1.0)  # (N, C) x (C, K) -> (N, K)
        own = {node: probability[:, places].max(axis=1) for node, places in self._next_to.items()}
        return [
            deepest_node(
                dict(zip(self._nodes, row.tolist(), strict=True)), own={node: best[place] for node, best in own.items()}
            ) or ""
            for place, row in enumerate(sums)
        ]  # fmt: skip


def tree_figures(
    classes: Sequence[str], given: Sequence[TreePath], deepest: Sequence[str], groups: Groups
) -> TreeFigures | None:
    """Return the figures of N answers in a tree; ``None`` if no class has a group.

    Parameters
    ----------
    classes
        The true classes.
    given
        The paths of the answers.
    deepest
        The deepest group of each image, found level by level; empty if it is not known.
    groups
        The group of each label, see :func:`path_of`.
    """
    truth = [path_of(name, groups) for name in classes]
    of_groups = [path[:-1] if groups else path for path in truth]
    found = [levels_of(group) if group else () for group in deepest]
    levels = []
    for level in range(1, max(map(len, of_groups), default=0) + 1):
        pairs = [pair for pair in zip(of_groups, found, strict=True) if len(pair[0]) >= level]
        hits = np.array([answer[:level] == path[:level] for path, answer in pairs])
        levels.append(LevelFigures(level, len(hits), accuracy_interval(hits)))
    if not levels:
        return None
    shared = sum(_shared(*paths) for paths in zip(truth, given, strict=True))
    named, right = sum(map(len, given)), sum(map(len, truth))
    precision = shared / named if named else 0.0
    return TreeFigures(tuple(levels), precision, shared / right, 2 * shared / (named + right))


def _shared(first: TreePath, second: TreePath) -> int:
    """Return the number of nodes that are on both paths: the length of their common beginning."""
    return next(
        (place for place, (one, other) in enumerate(zip(first, second, strict=False)) if one != other),
        min(len(first), len(second)),
    )
