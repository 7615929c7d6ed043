"""Evaluate classes that were taught by examples: against their words, and on other images than the examples."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from clipcli.errors import InputError
from clipcli.evaluation.evaluate import Embedded
from clipcli.labels.label import Label
from clipcli.log import LOG
from clipcli.pipeline.class_embeddings import ClassEmbeddings
from clipcli.pipeline.taught import Taught

__all__ = ["labels_of", "unseen", "with_words"]


def labels_of(classes: ClassEmbeddings) -> list[Label]:
    """Return the labels of classes, with their groups and folders."""
    folders = classes.folders or (None,) * len(classes.labels)
    columns = zip(classes.labels, classes.groups, folders, strict=True)
    return [Label(name, group=group, folder=folder) for name, group, folder in columns]


def with_words(classes: ClassEmbeddings, source: object) -> list[tuple[str, ClassEmbeddings]]:
    """Return classes with a name, and before them the same classes by words, if they were taught by examples."""
    named = (source.name if isinstance(source, Path) else "classes", classes)
    return [named] if classes.taught is None else [("words", classes.words), named]


def unseen(images: Embedded, taught: Taught | None) -> Embedded:
    """Return the images that are not among the examples of taught classes, on which accuracy says nothing.

    Raises
    ------
    InputError
        If all of them are.
    """
    if taught is None or not (seen := taught.has_seen(images.vectors)).any():
        return images
    if seen.all():
        raise InputError(
            "cannot evaluate: the classes were taught with all of these images (evaluate on images that are not among "
            "the examples)"
        )
    LOG.warning(f"{seen.sum()} of {len(seen)} images are examples that the classes were taught with, and are left out")
    rows = np.flatnonzero(~seen)
    paths, labels = (tuple(names[row] for row in rows) for names in (images.paths, images.labels))
    return Embedded(paths, labels, images.vectors[rows])
