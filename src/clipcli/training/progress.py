"""The progress of a run: completed epochs and steps, the best epoch, and when to stop early."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

__all__ = ["Progress"]


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

    def note(self, epoch: int, goodness: tuple[float, float]) -> bool:
        """Add the measures of an epoch, and return whether they are the best so far."""
        better, lower = not self.best or goodness > tuple(self.best), -goodness[1] < self.lowest_loss
        if better:
            self.best, self.best_epoch = goodness, epoch
        self.lowest_loss = min(self.lowest_loss, -goodness[1])
        self.stale = 0 if better or lower else self.stale + 1
        return better

    @property
    def as_plain(self) -> dict[str, Any]:
        """Plain values, for a checkpoint that is loaded without running code."""
        return asdict(self) | {"best": list(self.best)}
