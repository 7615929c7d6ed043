"""Which epoch of a run is the best, and when to stop early; with the completed epochs and steps."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from clipcli.training.validation import Validation

__all__ = ["Progress", "goodness"]


def goodness(measures: Validation) -> tuple[float, float]:
    """Return the key by which epochs are compared: accuracy, or else the mean recall at 1; then the loss."""
    recall = (measures.image_recall_1 + measures.text_recall_1) / 2
    return (recall if measures.accuracy is None else measures.accuracy, -measures.loss)


@dataclass
class Progress:
    """The progress of a run.

    Parameters
    ----------
    epoch, step
        Completed epochs, and completed steps of the next one.
    best_epoch, best
        The epoch with the best measures, and the measures (``[]`` before the first).
    lowest_loss, stale
        The lowest validation loss, and the number of epochs without improvement.
    """

    epoch: int = 0
    step: int = 0
    best_epoch: int = 0
    best: tuple[float, ...] = ()
    lowest_loss: float = float("inf")
    stale: int = 0

    @property
    def has_started(self) -> bool:
        """Whether any step is done."""
        return bool(self.epoch or self.step)

    def note(self, epoch: int, measures: Validation) -> bool:
        """Add the measures of an epoch, and return whether they are the best so far."""
        found = goodness(measures)
        better, lower = not self.best or found > tuple(self.best), measures.loss < self.lowest_loss
        if better:
            self.best, self.best_epoch = found, epoch
        self.lowest_loss = min(self.lowest_loss, measures.loss)
        self.stale = 0 if better or lower else self.stale + 1
        return better

    @property
    def as_plain(self) -> dict[str, Any]:
        """Plain values, for a checkpoint that is loaded without running code."""
        return asdict(self) | {"best": list(self.best)}
