"""Archives of images, by their extension."""

from __future__ import annotations

from clipcli.inputs import tar, zip_images
from clipcli.inputs.exclusion import Exclusion
from clipcli.inputs.items import Shard

__all__ = ["archive_of", "is_archive"]


def is_archive(name: str) -> bool:
    """Return whether a file is an archive, by its extension."""
    return tar.is_archive(name) or zip_images.is_zip_name(name)


def archive_of(name: str, exclusion: Exclusion) -> Shard:
    """Return the archive of a path or URL, unread."""
    return (zip_images.ZipArchive if zip_images.is_zip_name(name) else tar.Archive)(name, name, exclusion)
