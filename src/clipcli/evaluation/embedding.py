"""Embed labelled images, and report the progress and the failures."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from clipcli.embedder import Embedder
from clipcli.errors import ImageError, InputError
from clipcli.evaluation.evaluate import Embedded
from clipcli.evaluation.ground_truth import LabelledImage
from clipcli.inputs.items import FileInput, name_of
from clipcli.log import LOG
from clipcli.runner import Reporter
from clipcli.schemes import is_remote

__all__ = ["embed_all"]


def embed_all(
    embedder: Embedder, labelled: Sequence[LabelledImage], reporter: Reporter, *, is_first: bool = True,
    doing: str = "evaluate",
) -> tuple[Embedded, list[str]]:  # fmt: skip
    """Embed all images; return the readable ones and the names of the others, which the first model reports.

    Parameters
    ----------
    is_first
        Whether this is the first model.
    doing
        What cannot be done without images, for the message.

    Raises
    ------
    InputError
        If none of the images can be read.
    """
    failed: list[str] = []

    def note(path: str, reason: str) -> None:
        failed.append(path)
        if is_first:
            reporter.failed(path, reason)

    rows = []
    with reporter.following(lambda: len(labelled)) as show:
        for row in _embed_labelled(embedder, labelled, note):
            rows.append(row)
            show(len(rows) + len(failed), len(failed))
    statistics = embedder.image_statistics
    if statistics.cached or statistics.encoded:  # neither if the embeddings are those of a file
        LOG.info(f"images: {statistics.cached} from the cache, {statistics.encoded} encoded")
    if not rows:
        raise InputError(f"cannot {doing}: none of the images can be read{_looked_for(labelled, doing)}")
    paths, labels, vectors = zip(*rows, strict=True)
    return Embedded(paths, labels, np.stack(vectors)), failed


def _looked_for(labelled: Sequence[LabelledImage], doing: str) -> str:
    """Return where the first image was looked for, if it is missing."""
    first = labelled[0].image
    if not isinstance(first, FileInput) or is_remote(first.path) or os.path.lexists(first.path):
        return ""
    remedy = "check the paths, or name their folder with --root" if doing == "evaluate" else "check the paths"
    return f"; the first was looked for as {os.path.abspath(first.path)} ({remedy})"  # noqa: PTH100


def _embed_labelled(
    embedder: Embedder, labelled: Sequence[LabelledImage], failed: Callable[[str, str], None]
) -> Iterator[tuple[str, str, NDArray[np.float32]]]:
    """Embed labelled images in order, and yield path, label and embedding of the readable ones.

    ``failed`` is called with the path and the reason for the others.
    """
    labels = iter(labelled)
    for block in embedder.embed(each.image for each in labelled):
        for item, vector in block:
            label = next(labels).label
            if isinstance(vector, ImageError):
                failed(name_of(item), str(vector))
            else:
                yield name_of(item), label, vector
