"""Measures on validation pairs: contrastive loss, recall in both directions, zero-shot accuracy."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clipcli.images.preprocess import Preprocessing
from clipcli.models.build import learned_scale
from clipcli.models.encoders import ImageEncoder, TextEncoder
from clipcli.scoring.contrastive_loss import own_loss
from clipcli.scoring.ensemble import ensemble
from clipcli.scoring.retrieval import recall_at
from clipcli.scoring.zeroshot import cosine_similarities
from clipcli.training.data import open_example
from clipcli.training.pairs import Example

__all__ = ["MEASURES", "HeldOut", "Validation", "validate"]

_IMAGES = 32  # images per batch
_LOSS_BATCH = 1024  # maximum number of pairs in one loss


MEASURES = {
    "loss": "contrastive loss",
    "image_recall_1": "image→text recall@1",
    "image_recall_5": "image→text recall@5",
    "text_recall_1": "text→image recall@1",
    "text_recall_5": "text→image recall@5",
    "accuracy": "zero-shot accuracy",
}
"""The names of the measures of :class:`Validation` for people."""


@dataclass(frozen=True)
class HeldOut:
    """The validation pairs.

    Parameters
    ----------
    examples
        N of them.
    captions, groups
        N each: one caption per image; and numbers, equal for pairs that share a class or caption.
    class_prompts, truth
        The prompts of C classes, and N indices of classes; both ``None`` if there are no classes.
    """

    examples: Sequence[Example]
    captions: Sequence[str]
    groups: Sequence[int]
    class_prompts: Sequence[Sequence[str]] | None = None
    truth: Sequence[int] | None = None


@dataclass(frozen=True)
class Validation:
    """Measures of one network on N validation pairs.

    Parameters
    ----------
    loss
        The network's loss, over at most 1024 pairs at once.
    image_recall_1, image_recall_5
        Share of images with a positive among their best 1 or 5 texts.
    accuracy
        Zero-shot top-1 accuracy over the classes; ``None`` if there are no classes.
    """

    loss: float
    image_recall_1: float
    image_recall_5: float
    text_recall_1: float
    text_recall_5: float
    accuracy: float | None = None

    @property
    def as_json(self) -> dict[str, float]:
        """The measures that are available."""
        return {name: round(value, 6) for name, value in asdict(self).items() if value is not None}


def validate(network: Any, preprocessing: Preprocessing, tokenizer: Any, device: str, held_out: HeldOut) -> Validation:
    """Measure a network with the encoders that ``classify`` uses.

    Raises
    ------
    InputError
        If an image can no longer be read.
    """
    network.eval()
    texts = TextEncoder(network, tokenizer, device)
    images = _embed(ImageEncoder(network, preprocessing, device), held_out.examples)
    captions = texts.encode(held_out.captions)
    cosines = cosine_similarities(images, captions)
    recalls = {within: recall_at(cosines, held_out.groups, within) for within in (1, 5)}
    return Validation(
        loss=_loss(cosines, np.asarray(held_out.groups), *learned_scale(network)),
        image_recall_1=recalls[1][0],
        image_recall_5=recalls[5][0],
        text_recall_1=recalls[1][1],
        text_recall_5=recalls[5][1],
        accuracy=_accuracy(texts.encode, images, held_out),
    )


def _loss(cosines: NDArray[np.float64], groups: NDArray[Any], scale: float, bias: float | None) -> float:
    """Return the mean loss over the largest possible batches."""
    losses, sizes = [], []
    for start in range(0, len(cosines), _LOSS_BATCH):
        part = slice(start, start + _LOSS_BATCH)
        square = cosines[part, part]
        losses.append(own_loss(square, scale, bias, groups[part]))
        sizes.append(len(square))
    return float(np.average(losses, weights=sizes))


def _accuracy(
    encode: Callable[[Sequence[str]], NDArray[np.float32]], images: NDArray[np.float32], held_out: HeldOut
) -> float | None:
    if held_out.class_prompts is None or held_out.truth is None:
        return None
    prompts = [prompt for each in held_out.class_prompts for prompt in each]
    classes = ensemble(encode(prompts), [len(each) for each in held_out.class_prompts])
    best = cosine_similarities(images, classes).argmax(axis=1)
    return float(np.mean(best == np.asarray(held_out.truth)))


def _embed(encoder: ImageEncoder, examples: Sequence[Example]) -> NDArray[np.float32]:
    """Encode the images into (N, D) while the next batch is decoded."""
    starts, seen = range(0, len(examples), _IMAGES), encoder.preprocessing
    with ThreadPoolExecutor(1) as ahead:
        batches = _in_advance(
            ahead,
            lambda start: [seen.pixels(open_example(each, seen)) for each in examples[start : start + _IMAGES]],
            starts,
        )
        return np.concatenate([encoder.encode(pixels) for pixels in batches])


def _in_advance(pool: ThreadPoolExecutor, work: Callable[[int], Any], arguments: Sequence[int]) -> Iterator[Any]:
    """Yield the results of ``work`` in order, computing the next one ahead."""
    waiting = pool.submit(work, arguments[0])
    for argument in arguments[1:]:
        done, waiting = waiting, pool.submit(work, argument)
        yield done.result()
    yield waiting.result()
