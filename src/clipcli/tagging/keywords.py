"""The keywords of a record: which labels become keywords, and their place in a hierarchy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from clipcli.errors import InputError
from clipcli.outputs.readers import ReadRecord
from clipcli.scoring.thresholds import UNKNOWN
from clipcli.scoring.tree import levels_of

__all__ = ["FIELDS", "Keyword", "KeywordRules", "texts_of"]

FIELDS = ("dc:subject", "lr:hierarchicalSubject", "digiKam:TagsList")
"""The properties of XMP that hold keywords: each program reads some of them."""

_LEVELS = "|"  # the separator of lr:hierarchicalSubject
_LONGEST = 250  # characters of one level, as in the dialogs of photo managers


@dataclass(frozen=True)
class Keyword:
    """One keyword.

    Parameters
    ----------
    levels
        Its path in the hierarchy of keywords, the widest first; the last one is the keyword itself.
    """

    levels: tuple[str, ...]

    @property
    def flat(self) -> str:
        """As in ``dc:subject``."""
        return self.levels[-1]

    @property
    def hierarchical(self) -> str:
        """As in ``lr:hierarchicalSubject``."""
        return _LEVELS.join(self.levels)

    @property
    def in_tags_list(self) -> str:
        """As in ``digiKam:TagsList``."""
        return "/".join(level.replace("/", "_") for level in self.levels)


def texts_of(keywords: Sequence[Keyword]) -> dict[str, list[str]]:
    """Return the different texts of keywords in each of :data:`FIELDS`."""
    rows = [(each.flat, each.hierarchical, each.in_tags_list) for each in keywords]
    return {field: list(dict.fromkeys(row[place] for row in rows)) for place, field in enumerate(FIELDS)}


@dataclass(frozen=True)
class KeywordRules:
    """How the labels of a record become keywords.

    Parameters
    ----------
    prefix
        What comes before each keyword. Each ``|`` in it ends a level of the hierarchy: ``ai|`` puts all keywords below
        ``ai``, and ``ai:`` makes ``ai:cat`` of ``cat``.
    min_probability
        Labels that are less probable become no keywords.
    top
        The number of labels per image; ``None`` for the answer, or for all labels of a run with tags.
    by
        ``label``; or ``node``, the answer in a tree of groups.
    group_of
        Returns the group of a label, which may be a path such as ``animal/bird``.
    """

    prefix: str = ""
    min_probability: float | None = None
    top: int | None = None
    by: Literal["label", "node"] = "label"
    group_of: Callable[[str], str | None] = lambda _: None

    def of(self, record: ReadRecord) -> tuple[Keyword, ...]:
        """Return the keywords of a record, each once; none for a failure or ``unknown``.

        Raises
        ------
        InputError
            If a probability is needed that the results do not have.
        """
        if record.label is None:
            return ()
        if self.by == "node":
            label = record.label if record.label != UNKNOWN else None
            paths = [] if record.node is None else [levels_of(record.node, label)]
        else:
            paths = [self._path_of(label) for label in self._labels_of(record)]
        found = (Keyword(tuple(filter(None, map(_as_level, self._with_prefix(path))))) for path in paths)
        return tuple(dict.fromkeys(keyword for keyword in found if keyword.levels))

    def _labels_of(self, record: ReadRecord) -> list[str]:
        if record.labels is not None:
            labels = list(record.labels)[: self.top]
        elif self.top is None:
            labels = [str(record.label)]
        elif record.label == UNKNOWN:
            labels = []
        else:
            ranked = (score.label for score in record.top)
            labels = list(dict.fromkeys((str(record.label), *ranked)))[: self.top]
        return [label for label in labels if label != UNKNOWN and self._is_probable(record, label)]

    def _is_probable(self, record: ReadRecord, label: str) -> bool:
        if self.min_probability is None:
            return True
        scored = {score.label: score.probability for score in record.top}
        probability = scored.get(label, record.probability if label == record.label and not scored else None)
        if probability is None:
            raise InputError(
                f"cannot use --min-probability: the results have no probability of {label!r} for {record.path} "
                "(classify with a larger --top-k)"
            )
        return probability >= self.min_probability

    def _path_of(self, label: str) -> tuple[str, ...]:
        group = self.group_of(label)
        levels = () if group is None else tuple(group.split("/"))
        return levels if levels[-1:] == (label,) else (*levels, label)

    def _with_prefix(self, path: tuple[str, ...]) -> tuple[str, ...]:
        *levels, rest = self.prefix.split(_LEVELS)
        return (*levels, *path[:-1], rest + path[-1])


def _as_level(text: str) -> str:
    """Return a name as one level: on one line, without the separator, and without what XML cannot hold."""
    shown = "".join(each if each.isprintable() else " " for each in text.replace(_LEVELS, "_"))
    return " ".join(shown.split())[:_LONGEST]
