"""Thumbnails of the images in results, on disk and in archives."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path

from clipcli.images.thumbnails import make_thumbnails
from clipcli.inputs.originals import archive_in, file_of, members_of

__all__ = ["thumbnails_of"]


def thumbnails_of(paths: Sequence[str], folder: Path, side: int, workers: int | None = None) -> Iterator[str]:
    """Yield the thumbnail of each record as base64, or an empty text if there is none.

    An archive is read once, at its first record; its other thumbnails wait until their records come.

    Parameters
    ----------
    paths
        The paths of the records; an empty one has no thumbnail.
    folder
        The folder that relative paths are relative to.
    side
        Longer side in pixels; 0 for no thumbnails.
    """
    if not side:
        yield from ("" for _ in paths)
        return
    archives = [archive_in(path, folder) for path in paths]
    wanted: dict[str, set[str]] = {}
    for path, archive in zip(paths, archives, strict=True):
        if archive is not None:
            wanted.setdefault(archive, set()).add(path)
    made: dict[str, str] = {}
    for archive, together in groupby(zip(archives, paths, strict=True), key=lambda pair: pair[0]):
        some = [path for _, path in together]
        if archive is None:
            yield from make_thumbnails((file_of(path, folder) for path in some), side, workers)
            continue
        if archive in wanted:
            made |= _of_archive(archive, folder, wanted.pop(archive), side, workers)
        yield from (made.get(path, "") for path in some)


def _of_archive(archive: str, folder: Path, wanted: set[str], side: int, workers: int | None) -> dict[str, str]:
    names: list[str] = []

    def images() -> Iterator[bytes]:
        for path, data in members_of(archive, folder, wanted):
            names.append(path)
            yield data

    thumbnails = list(make_thumbnails(images(), side, workers))
    return dict(zip(names, thumbnails, strict=True))
