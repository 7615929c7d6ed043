"""Warn of images that a model was trained with: accuracy on them is higher than on other images."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from clipcli.evaluation.ground_truth import LabelledImage
from clipcli.inputs.items import FileInput, Input, MemberInput
from clipcli.log import LOG
from clipcli.models.training_images import digest_of_bytes, digest_of_file, read_digests

__all__ = ["warn_of_seen_images"]


def warn_of_seen_images(title: str, model: Path, labelled: Sequence[LabelledImage]) -> None:
    """Warn if some of the images are among those that a model was trained with.

    Parameters
    ----------
    title
        The model's name, for the message.
    model
        The folder of the model.
    labelled
        The images of the evaluation.
    """
    known = read_digests(model)
    if known and (count := _count(known, (each.image for each in labelled))):
        LOG.warning(
            f"{title} was trained with {count} of these {len(labelled)} images, so its accuracy on other images is "
            "lower (evaluate with images that it was not trained with)"
        )


def _count(known: frozenset[str], images: Iterable[Input]) -> int:
    return sum(_digest(image) in known for image in images)


def _digest(image: Input) -> str | None:
    if isinstance(image, FileInput):
        return digest_of_file(image.path)
    return digest_of_bytes(image.data, len(image.data)) if isinstance(image, MemberInput) else None
