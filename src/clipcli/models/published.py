"""Published figures of open_clip's models: their size, and their zero-shot accuracy on ImageNet.

``accuracies.csv`` has the column of ImageNet in open_clip's ``docs/openclip_results.csv``. ``sizes.csv`` has the
parameters of open_clip's architectures, counted; those with a text encoder of Hugging Face are from its
``docs/model_profile.csv``.
"""

from __future__ import annotations

import csv
from functools import cache
from pathlib import Path

__all__ = ["imagenet_accuracy", "million_parameters"]


def million_parameters(name: str) -> float | None:
    """Return the millions of parameters of both encoders, ``None`` if unknown."""
    return _figures("sizes.csv").get((name,))


def imagenet_accuracy(name: str, tag: str) -> float | None:
    """Return the zero-shot top-1 accuracy on ImageNet in percent, ``None`` if unknown."""
    return _figures("accuracies.csv").get((name, tag))


@cache
def _figures(file: str) -> dict[tuple[str, ...], float]:
    with (Path(__file__).parent / file).open(encoding="utf-8", newline="") as table:
        _, *rows = csv.reader(table)
    return {tuple(names): float(figure) for *names, figure in rows}
