"""Labels that are gathered from the lines or entries of a label file, each with its place for messages."""

from __future__ import annotations

from dataclasses import dataclass, field

from clipcli.errors import LabelError
from clipcli.labels.label import Label, check_labels

__all__ = ["Entry", "checked"]


@dataclass
class Entry:
    """A label that is gathered from several lines."""

    name: str
    where: str
    names: list[str] = field(default_factory=list)
    prompts: list[str] = field(default_factory=list)
    group: str | None = None
    folder: str | None = None
    threshold: float | None = None
    negatives: list[str] = field(default_factory=list)

    def freeze(self) -> Label:
        """Return the label."""
        return Label(
            self.name, tuple(self.names), tuple(self.prompts), self.group, self.folder, self.threshold,
            tuple(self.negatives),
        )  # fmt: skip


def checked(entries: list[Entry], where: str) -> list[Label]:
    """Return the labels of a file after the checks of :func:`clipcli.labels.label.check_labels`.

    Raises
    ------
    LabelError
        If there are none, or one cannot be used.
    """
    if not entries:
        raise LabelError(f"{where}: it has no labels (write one per line)")
    return check_labels([entry.freeze() for entry in entries], where, [entry.where for entry in entries])
