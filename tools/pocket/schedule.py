"""The learning rate over a run."""

from __future__ import annotations

import math

WARM_UP = 100


def learning_rate(step: int, steps: int, rate: float) -> float:
    """Linear warm-up, then a cosine down to a hundredth."""
    if step < WARM_UP:
        return rate * (step + 1) / WARM_UP
    done = min(1.0, (step - WARM_UP) / max(1, steps - WARM_UP))
    return rate * (0.01 + 0.99 * 0.5 * (1.0 + math.cos(math.pi * done)))
