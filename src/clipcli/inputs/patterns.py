"""Glob patterns, on disk and behind URLs, expanded in the order of names."""

from __future__ import annotations

import glob
import os
import re
import sys
from collections.abc import Iterator
from contextlib import suppress

from clipcli.inputs.exclusion import Exclusion
from clipcli.inputs.system_files import is_system_name
from clipcli.schemes import is_remote
from clipcli.storage.remote import glob_url

__all__ = ["is_pattern", "matches_of"]


def is_pattern(name: str) -> bool:
    """Return whether a name is a pattern; the name of an existing file is not."""
    if is_remote(name):  # in an HTTP URL, a question mark starts the query
        return glob.has_magic(name) and not name.lower().startswith("http")
    return glob.has_magic(name) and not os.path.lexists(name)


def matches_of(pattern: str, exclusion: Exclusion) -> list[str]:
    """Expand a pattern in the order of names; ``**`` matches folders at any depth, but not links to folders."""
    found = glob_url(pattern) if is_remote(pattern) else _on_disk(pattern, exclusion)
    written = set(re.split(r"[/\\]", pattern))
    return [name for name in found if not any(map(is_system_name, set(re.split(r"[/\\]", name)) - written))]


def _on_disk(pattern: str, exclusion: Exclusion) -> list[str]:
    head, stars, tail = pattern.partition("**")
    alone = head[-1:] in ("", "/", os.sep) and tail[:1] in ("", "/", os.sep)
    if not stars or not alone:
        return sorted(_glob(pattern, exclusion))
    if not tail:  # everything, as if the folder itself were named
        return sorted(_glob(head, exclusion)) if head else ["."]
    starts = _glob(head, exclusion) if head else [""]
    patterns = (glob.escape(folder) + tail[1:] for start in starts for folder in _folders(start, exclusion))
    return sorted({match for each in patterns for match in _on_disk(each, exclusion)})


def _glob(pattern: str, exclusion: Exclusion) -> list[str]:
    if exclusion.include_hidden and sys.version_info >= (3, 11):
        return glob.glob(pattern, include_hidden=True)  # noqa: PTH207
    return glob.glob(pattern)  # noqa: PTH207 - leaves names unchanged


def _folders(start: str, exclusion: Exclusion) -> Iterator[str]:
    """Yield a folder and all folders below it with a trailing separator, without links and excluded ones."""
    waiting = [start]
    while waiting:
        folder = waiting.pop()
        yield folder
        with suppress(OSError), os.scandir(folder or ".") as entries:
            visible = [entry for entry in entries if not exclusion.passes_over(entry.name)]
            waiting += [f"{folder}{entry.name}{os.sep}" for entry in visible if entry.is_dir(follow_symlinks=False)]
