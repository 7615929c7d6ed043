"""When an image is answered with ``unknown`` rather than with its best label."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["DEFAULT_THRESHOLD", "UNKNOWN", "Thresholds"]

UNKNOWN = "unknown"
DEFAULT_THRESHOLD = 0.5
"""The least probability of a tag."""


@dataclass(frozen=True)
class Thresholds:
    """Thresholds for the answer ``unknown``, which is given below any of them; ``None`` disables one.

    Parameters
    ----------
    probability
        Minimum probability of the best label, 0 to 1.
    similarity
        Minimum cosine similarity of the best label, -1 to 1.
    margin
        Minimum difference in probability between the best and the second label, 0 to 1.
    """

    probability: float | None = None
    similarity: float | None = None
    margin: float | None = None

    @property
    def any(self) -> bool:
        """Whether any of them is set, so that an answer can be ``unknown``."""
        return any(least is not None for least in (self.probability, self.similarity, self.margin))

    def accept(self, probability: float, similarity: float, lead: float) -> bool:
        """Return whether the best label meets all thresholds.

        Parameters
        ----------
        probability, similarity
            Those of the best label.
        lead
            Its probability less that of the second label.
        """
        reached = ((self.probability, probability), (self.similarity, similarity), (self.margin, lead))
        return all(least is None or value >= least for least, value in reached)
