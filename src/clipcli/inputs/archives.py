"""Archives of images, by their extension."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clipcli.schemes import path_part

if TYPE_CHECKING:
    from clipcli.inputs.exclusion import Exclusion
    from clipcli.inputs.items import Shard

__all__ = ["archive_of", "is_archive"]

_ZIP = ".zip"
_SUFFIXES = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", _ZIP)


def is_archive(name: str) -> bool:
    """Return whether a file is an archive, by its extension."""
    return path_part(name).lower().endswith(_SUFFIXES)


def archive_of(name: str, exclusion: Exclusion) -> Shard:
    """Return the archive of a path or URL, unread."""
    if path_part(name).lower().endswith(_ZIP):
        from clipcli.inputs.zip_images import ZipArchive

        return ZipArchive(name, name, exclusion)
    from clipcli.inputs.tar import Archive

    return Archive(name, name, exclusion)
