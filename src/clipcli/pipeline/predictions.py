"""What the stream yields for each input in the end: a prediction, or the failure that took its place."""

from __future__ import annotations

from dataclasses import dataclass, field

from clipcli.scoring.thresholds import UNKNOWN
from clipcli.scoring.zeroshot import Score

__all__ = ["Failure", "Prediction", "Result", "failure_of", "missing_input"]


@dataclass(frozen=True)
class Prediction:
    """One classified image.

    Parameters
    ----------
    path
        The input's name; empty for an image passed in memory.
    label
        The best label, or ``unknown`` if it is below a threshold.
    top
        The best labels with their scores, best first.
    groups
        Probability by group, best first, if the labels have groups.
    model
        The name of the model.
    pretrained
        Its pretrained tag or checkpoint, if it has one.
    precision
        The precision of its image encoder, such as ``bf16``.
    labels
        With tags, all labels at or above their threshold, best first; they come first in ``top`` too, and ``label`` is
        the first of them. ``None`` if the run gives one label per image.
    node
        The answer in a tree of groups: the path of the label, or the deepest group that is probable enough, or
        ``unknown``; ``None`` if the groups have one level.
    tree_group
        The deepest group of a tree, found level by level; ``None`` if the groups have one level.
    """

    path: str
    label: str
    top: tuple[Score, ...]
    model: str
    pretrained: str | None = None
    groups: dict[str, float] = field(default_factory=dict)
    precision: str = "fp32"
    labels: tuple[Score, ...] | None = None
    node: str | None = None
    tree_group: str | None = None

    @property
    def group(self) -> str | None:
        """The best group, of a tree the deepest; ``unknown`` if the label is, ``None`` if the labels have no groups."""
        return UNKNOWN if self.groups and self.label == UNKNOWN else self.best_group

    @property
    def best_group(self) -> str | None:
        """The best group, of a tree the deepest, even if the answer is ``unknown``."""
        return next(iter(self.groups), None) if self.tree_group is None else self.tree_group

    @property
    def probability(self) -> float:
        """Probability of the best label, even if the answer is ``unknown``."""
        return self.top[0].probability

    @property
    def similarity(self) -> float:
        """Cosine similarity of the best label."""
        return self.top[0].similarity


@dataclass(frozen=True)
class Failure:
    """One input that could not be classified.

    Parameters
    ----------
    path
        The input's name.
    type
        The kind of error, for programs: one of those of :class:`~clipcli.errors.ImageError`.
    message
        The reason, for people.
    """

    path: str
    type: str
    message: str


Result = Prediction | Failure


def missing_input(result: Result) -> str | None:
    """Return the name of an input that does not exist; ``None`` for any other result."""
    return result.path if isinstance(result, Failure) and result.type == "not_found" else None


def failure_of(result: Result) -> tuple[str, str] | None:
    """Return the input and the message of a failure; ``None`` for a prediction."""
    return (result.path, result.message) if isinstance(result, Failure) else None
