"""Find images that ``clipcli sort --move`` moved, by the log of the folder that they were sorted into."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from clipcli.inputs.originals import file_of
from clipcli.sorting.already_there import PlacedBefore
from clipcli.sorting.log import LOG_NAME

__all__ = ["is_sorted_folder", "moved_places"]


def is_sorted_folder(folder: Path | None) -> bool:
    """Return whether ``clipcli sort`` sorted images into a folder."""
    return folder is not None and (folder / LOG_NAME).is_file()


def moved_places(paths: Iterable[str], into: Path, folders: Sequence[Path]) -> dict[str, str]:
    """Return the present places of those images that were moved into a folder, by the paths of their records.

    Parameters
    ----------
    folders
        The folders that relative paths may be relative to.
    """
    earlier = PlacedBefore(into)
    places: dict[str, str] = {}
    for path in paths:
        files = [file for folder in folders if (file := file_of(path, folder)) is not None]
        found = next((place for file in files if (place := earlier.place_of(file)) is not None), None)
        if found is not None and not any(map(os.path.lexists, files)):
            places[path] = os.path.abspath(found)  # noqa: PTH100 - leaves links as they are
    return places
