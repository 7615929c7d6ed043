"""Exclusion of files when folders are walked: hidden files, system files, and patterns of the user.

Patterns are those of ``.gitignore``, matched by the pathspec library, which is imported only if there are patterns.
"""

from __future__ import annotations

import os
import posixpath
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from clipcli.errors import InputError
from clipcli.inputs.system_files import is_system_name
from clipcli.schemes import path_part
from clipcli.text import numbered_lines, read_text

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec

__all__ = ["IGNORE_FILE", "Exclusion", "ignore_file"]

IGNORE_FILE = ".clipcliignore"
"""The name of ignore files, whose patterns apply to their folder and those below."""


@dataclass(frozen=True)
class Exclusion:
    """The files and folders to exclude.

    Parameters
    ----------
    patterns
        Patterns of ``.gitignore``, relative to the folder, archive or URL that is walked.
    include_hidden
        Whether to include names that start with a dot; system files are excluded in any case.
    """

    patterns: tuple[str, ...] = ()
    include_hidden: bool = False

    def __post_init__(self) -> None:
        if self.patterns:
            _spec(self.patterns, "--exclude")

    def passes_over(self, name: str) -> bool:
        """Return whether a file or folder is excluded by its name."""
        if name.startswith(".") and not self.include_hidden:
            return name not in (".", "..")
        return is_system_name(name)

    def leaves_out(self, path: str, ignored: Sequence[tuple[str, GitIgnoreSpec]] = (), *, is_folder: bool) -> bool:
        """Return whether the patterns exclude a path.

        Parameters
        ----------
        path
            Relative to the start of the walk, with ``/`` between names.
        ignored
            The patterns of ignore files, outer ones first, each with its folder relative to the start and a ``/``.
        """
        mark = "/" if is_folder else ""
        specs = [*ignored, ("", _spec(self.patterns, "--exclude"))] if self.patterns else ignored
        for folder, spec in reversed(specs):
            included = spec.check_file(path[len(folder) :] + mark).include
            if included is not None:  # the last matching pattern of the innermost file decides
                return bool(included)
        return False

    def lets_in(self, path: str) -> bool:
        """Return whether a member of an archive or an object is included, by all names on its relative path."""
        parts = [part for part in path.split("/") if part]
        if any(map(self.passes_over, parts)):
            return False
        return not self.leaves_out_named(path)

    def leaves_out_named(self, name: str) -> bool:
        """Return whether the patterns exclude a file named by the user, by its whole name."""
        if not self.patterns:
            return False
        path = posixpath.normpath(path_part(name).rpartition("://")[2].replace(os.sep, "/")).lstrip("/")
        while path.startswith("../"):
            path = path[3:]
        parts = path.split("/")
        folders = ("/".join(parts[:count]) for count in range(1, len(parts)))
        return any(self.leaves_out(folder, is_folder=True) for folder in folders) or self.leaves_out(
            path, is_folder=False
        )


def ignore_file(folder: str) -> GitIgnoreSpec | None:
    """Read the ignore file of a folder, if there is one.

    Raises
    ------
    InputError
        If it cannot be read, or a line is not a pattern.
    """
    file = Path(folder, IGNORE_FILE)
    try:
        if not file.is_file():
            return None
    except (OSError, ValueError):
        return None
    return _spec(tuple(line for _, line in numbered_lines(read_text(file, InputError))), str(file))


_specs: dict[tuple[str, ...], GitIgnoreSpec] = {}


def _spec(patterns: Iterable[str], where: str) -> GitIgnoreSpec:
    key = tuple(patterns)
    if key not in _specs:
        from pathspec import GitIgnoreSpec

        for pattern in key:
            if not pattern.strip():
                raise InputError(f"cannot use {where}: a pattern is empty")
            try:
                GitIgnoreSpec.from_lines([pattern])
            except ValueError:
                raise InputError(f"cannot use {where} {pattern!r}: not a .gitignore pattern") from None
        _specs[key] = GitIgnoreSpec.from_lines(key)
    return _specs[key]
