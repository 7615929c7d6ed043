"""Plan the data of a run: check pairs, hold out a share, determine captions and classes."""

from __future__ import annotations

import hashlib
import json
import random
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from clipcli.errors import ImageError, InputError
from clipcli.evaluation.ground_truth import distinct_names, indices_of
from clipcli.images.files import open_image
from clipcli.labels.files import Label, prompts_for
from clipcli.labels.templates import Template
from clipcli.text import name_key
from clipcli.training.data import group_of
from clipcli.training.pairs import Example, LeftOut
from clipcli.training.settings import MIN_PAIRS
from clipcli.training.validation import HeldOut

__all__ = ["MOST_HELD_OUT", "Captions", "check_images", "digest_of", "hold_out", "settle", "split"]

MOST_HELD_OUT = 5_000
"""Maximum number of pairs to hold out as a share."""

_CHECKED = 64  # pixels; a JPEG is decoded at low resolution, which is enough to detect truncation
_AHEAD = 256


def check_images(examples: Sequence[Example], threads: int) -> Iterator[tuple[Example, ImageError | None]]:
    """Decode every image once, and yield each example in order with its error or ``None``."""
    with ThreadPoolExecutor(threads) as pool:
        for start in range(0, len(examples), _AHEAD):
            part = examples[start : start + _AHEAD]
            yield from zip(part, pool.map(_problem_with, part), strict=True)


def _problem_with(example: Example) -> ImageError | None:
    try:
        open_image(example.image.read(), lambda _width, _height: (_CHECKED, _CHECKED))
    except ImageError as problem:
        return problem
    except OSError as problem:
        return ImageError("unreadable", problem.strerror or str(problem))
    return None


@dataclass(frozen=True)
class Captions:
    """The captions of examples: their own, or the prompts of their labels.

    Parameters
    ----------
    prompts
        By label of the examples.
    labels
        The C classes in order, each with its prompts; empty if there are none.
    places
        By label of the examples: its index among the classes.
    """

    prompts: dict[str, tuple[str, ...]]
    labels: tuple[Label, ...]
    places: dict[str, int]

    @classmethod
    def of(cls, examples: Sequence[Example], labels: Sequence[Label], templates: Sequence[Template]) -> Captions:
        """Determine the classes: the given labels, else all labels of the examples.

        Raises
        ------
        LabelError
            If the label of an example is not among the given ones.
        """
        names = sorted({example.label for example in examples if example.label is not None})
        labels = tuple(labels) if labels and names else tuple(Label(name) for name in distinct_names(names))
        places = dict(zip(names, indices_of(names, labels), strict=True))
        prompts = {name: tuple(prompts_for(labels[place], templates)) for name, place in places.items()}
        return cls(prompts, labels, places)

    def __call__(self, example: Example) -> tuple[str, ...]:
        """Return the possible captions of an example, at least one."""
        return example.captions or self.prompts[example.label or ""]


def split(examples: Sequence[Example], share: float, seed: int) -> tuple[list[Example], list[Example]]:
    """Hold out a share of the examples of each class, and return the others and those held out.

    At least one of each class that has two, and at most :data:`MOST_HELD_OUT` in total.
    """
    if not share or not examples:
        return list(examples), []
    by_class: dict[str | None, list[int]] = defaultdict(list)
    for place, example in enumerate(examples):
        by_class[None if example.label is None else name_key(example.label)].append(place)
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


def settle(
    examples: Sequence[Example], captions: Captions, cut: Callable[[Sequence[str]], list[bool]]
) -> list[LeftOut]:
    """Check that there are enough different pairs, and return the captions that are truncated.

    Parameters
    ----------
    cut
        Returns which texts are longer than the model's context.

    Raises
    ------
    InputError
        If there are fewer than :data:`MIN_PAIRS` pairs, or all have the same caption or class.
    """
    if len(examples) < MIN_PAIRS:
        raise InputError(
            f"cannot train on {len(examples)} usable pairs: at least {MIN_PAIRS} are needed besides those held out"
        )
    if len({group_of(example, text) for example in examples for text in captions(example)}) < 2:
        raise InputError("cannot train: all pairs have the same caption (contrastive training needs different ones)")
    own = [(example, text) for example in examples for text in example.captions]
    flags = cut([text for _, text in own]) if own else []
    return [
        LeftOut(example.where, example.name, "the caption is longer than the model's context, and truncated", True)
        for (example, _), too_long in zip(own, flags, strict=True)
        if too_long
    ]


def digest_of(examples: Sequence[Example], captions: Captions) -> str:
    """Return a digest of the training data: the names of the images and their captions, in order."""
    digest = hashlib.sha256()
    for example in examples:
        row: list[Any] = [example.name, example.label, *captions(example)]
        digest.update(json.dumps(row, ensure_ascii=True).encode())
    return digest.hexdigest()[:32]
