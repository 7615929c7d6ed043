"""Count the inputs of a run in advance, for a progress bar."""

from __future__ import annotations

from collections.abc import Iterator

from clipcli.images.files import has_image_suffix
from clipcli.inputs.archives import is_archive
from clipcli.inputs.discover import Source
from clipcli.inputs.items import FileInput
from clipcli.inputs.patterns import is_pattern, matches_of
from clipcli.inputs.repetition import Repetition
from clipcli.inputs.tables import is_parquet
from clipcli.inputs.walk import is_folder, walk
from clipcli.schemes import is_remote

__all__ = ["count_files"]


def count_files(source: Source) -> int | None:
    """Count the inputs for a progress bar by their names; ``None`` if they would have to be read."""
    if source.embedded is not None:
        return source.embedded.count
    if source.columns is not None or "-" in source.names or any(map(is_remote, source.names)):
        return None
    total, exclusion, before = 0, source.exclusion, Repetition(is_possible=source.may_repeat)
    for name in source.names:
        if is_archive(name) or is_parquet(name):
            return None
        for match in matches_of(name, exclusion) if is_pattern(name) else [name]:
            paths: Iterator[str]
            if is_folder(match):
                paths = (found.path for found in walk(match, exclusion) if has_image_suffix(found.path))
            else:
                paths = iter(() if exclusion.leaves_out_named(match) else (match,))
            total += sum(before.is_new(FileInput(path, path)) for path in paths)
    return total
