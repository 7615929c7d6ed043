"""The captions and classes of training pairs: their own captions, or prompts made of their labels."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from clipcli.errors import InputError
from clipcli.evaluation.vocabulary import distinct_names, indices_of
from clipcli.labels.files import Label, prompts_for
from clipcli.labels.templates import Template
from clipcli.training.data import group_of
from clipcli.training.pairs import Example, LeftOut
from clipcli.training.settings import MIN_PAIRS

__all__ = ["Captions", "digest_of", "settle"]


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
        said = [example.label for example in examples if example.label is not None]
        names = sorted(set(said))
        labels = tuple(labels) if labels and names else tuple(Label(name) for name in distinct_names(said))
        places = dict(zip(names, indices_of(names, labels), strict=True))
        prompts = {name: tuple(prompts_for(labels[place], templates)) for name, place in places.items()}
        return cls(prompts, labels, places)

    def __call__(self, example: Example) -> tuple[str, ...]:
        """Return the possible captions of an example, at least one."""
        return example.captions or self.prompts[example.label or ""]


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
