"""Split pairs into those that train and those held out for validation."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Sequence

from clipcli.labels.files import prompts_for
from clipcli.labels.several import label_key
from clipcli.labels.templates import Template
from clipcli.training.captions import Captions
from clipcli.training.data import group_of
from clipcli.training.pairs import Example
from clipcli.training.validation import HeldOut

__all__ = ["MOST_HELD_OUT", "hold_out", "split"]

MOST_HELD_OUT = 5_000
"""Maximum number of pairs to hold out as a share."""


def split(examples: Sequence[Example], share: float, seed: int) -> tuple[list[Example], list[Example]]:
    """Hold out a share of the examples of each class, and return the others and those held out.

    At least one of each class that has two, and at most :data:`MOST_HELD_OUT` in total.
    """
    if not share or not examples:
        return list(examples), []
    by_class: dict[str | None, list[int]] = defaultdict(list)
    for place, example in enumerate(examples):
        by_class[None if example.label is None else label_key(example.label)].append(place)
    share = min(share, MOST_HELD_OUT / len(examples))
    held: set[int] = set()
    for label, places in by_class.items():
        chosen = random.Random(f"{seed} {label}").sample(places, len(places))  # noqa: S311
        held.update(chosen[: max(round(share * len(places)), min(1, len(places) - 1))])
    kept = [example for place, example in enumerate(examples) if place not in held]
    return kept, [examples[place] for place in sorted(held)]


def hold_out(examples: Sequence[Example], captions: Captions, templates: Sequence[Template]) -> HeldOut | None:
    """Return the held-out examples for validation; ``None`` if there are fewer than two."""
    if len(examples) < 2:
        return None
    said = [captions(example)[0] for example in examples]
    groups = [group_of(example, caption) for example, caption in zip(examples, said, strict=True)]
    if not captions.labels or any(example.label is None for example in examples):
        return HeldOut(examples, said, groups)
    truth = [captions.places[example.label or ""] for example in examples]
    return HeldOut(examples, said, groups, [prompts_for(label, templates) for label in captions.labels], truth)
