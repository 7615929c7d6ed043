"""Walk a folder in the order of names, without loops, reading one folder's names at a time."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from clipcli.errors import ImageError
from clipcli.images.files import has_image_suffix
from clipcli.inputs.exclusion import Exclusion, ignore_file
from clipcli.inputs.system_files import SORT_LOG

__all__ = ["Found", "is_folder", "walk"]


@dataclass(frozen=True)
class Found:
    """A file under a folder, or the ``problem`` that prevents reading it."""

    path: str
    problem: ImageError | None = None


@dataclass
class _Level:
    """One folder of the walk: its remaining names, and the number of files before it."""

    path: str
    names: Iterator[str]
    before: int
    linked: bool  # whether it was reached by a link
    inner: str  # its path relative to the root with a trailing slash; empty for the root
    ignored: tuple[tuple[str, Any], ...]  # patterns of the ignore files that apply here


@dataclass(frozen=True)
class _Folder:
    """A folder to walk."""

    path: str
    linked: bool


def _ignore(_: str) -> None:
    """Do nothing."""


def walk(
    root: str,
    exclusion: Exclusion = Exclusion(),  # noqa: B008 - a value
    passed_over: Callable[[str], None] = _ignore,
) -> Iterator[Found]:
    """Yield the files under ``root``, depth first, in the order of names, except excluded ones.

    A link to a folder inside ``root`` is not followed, because its files are found there anyway; a link to a folder
    outside is followed, but no such folder is walked twice. A folder that cannot be listed, a pipe or dangling link
    with an image extension, and an empty folder with an image extension are yielded as problems. Files that an ignore
    file excludes are not examined. A folder inside that ``clipcli sort`` made is not entered: its images are copies
    of those outside, and a folder sorted each night would grow each night.

    Parameters
    ----------
    passed_over
        Called with each such folder.

    Raises
    ------
    InputError
        If an ignore file cannot be read.
    """
    links = _Links(os.path.realpath(root))
    count = 0
    stack: list[_Level] = []
    current: Found | _Folder | None = _Folder(root, linked=False)
    while True:
        if isinstance(current, _Folder):
            names, problem = _names(current.path, exclusion)
            if problem is None:
                stack.append(_entered(current, names, count, stack[-1] if stack else None))
            else:
                count += 1
                yield Found(current.path, problem)
        elif current is not None:
            count += 1
            yield current
        current = None
        if not stack:
            return
        level = stack[-1]
        name = next(level.names, None)
        if name is not None:
            current = _look(os.path.join(level.path, name), links, linked=level.linked)  # noqa: PTH118
            if current is not None and exclusion.leaves_out(
                level.inner + name, level.ignored, is_folder=isinstance(current, _Folder)
            ):
                current = None
            if isinstance(current, _Folder) and os.path.lexists(os.path.join(current.path, SORT_LOG)):  # noqa: PTH118
                passed_over(current.path)
                current = None
            continue
        stack.pop()
        if count == level.before and stack and has_image_suffix(level.path):
            current = Found(level.path, ImageError("not_a_file", "a folder, not a file"))


def _entered(folder: _Folder, names: list[str], count: int, outer: _Level | None) -> _Level:
    inner = f"{outer.inner}{os.path.basename(folder.path)}/" if outer is not None else ""  # noqa: PTH119
    ignored = outer.ignored if outer is not None else ()
    if (spec := ignore_file(folder.path)) is not None:
        ignored = (*ignored, (inner, spec))
    return _Level(folder.path, iter(names), count, folder.linked, inner, ignored)


def _names(folder: str, exclusion: Exclusion) -> tuple[list[str], ImageError | None]:
    try:
        names = sorted(name for name in os.listdir(folder) if not exclusion.passes_over(name))  # noqa: PTH208
        os.lstat(os.path.join(folder, "."))  # noqa: PTH118 - fails if names can be listed, but files not examined
    except OSError as problem:
        return [], ImageError("unreadable", f"cannot list this folder ({problem.strerror or problem})")
    return names, None


def _look(path: str, links: _Links, *, linked: bool) -> Found | _Folder | None:
    """Return a file, a folder to walk, or ``None`` for an excluded name."""
    try:
        status = os.lstat(path)
        is_link = stat.S_ISLNK(status.st_mode)
        if is_link:
            status = os.stat(path)  # noqa: PTH116
    except OSError as problem:
        if has_image_suffix(path):
            return Found(path)  # dangling, looping or removed meanwhile: opening it gives the reason
        gone = problem.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)
        return None if gone else Found(path, ImageError("unreadable", problem.strerror or str(problem)))
    if stat.S_ISDIR(status.st_mode):
        return links.enter(path, status, is_link=is_link, linked=linked)
    if stat.S_ISREG(status.st_mode) or has_image_suffix(path):
        return Found(path)
    return None


class _Links:
    """Remembers the folders that links led to."""

    def __init__(self, root: str) -> None:
        self._root = root
        self._entered: set[tuple[int, int]] = set()  # folders outside of the root

    def enter(self, path: str, status: os.stat_result, *, is_link: bool, linked: bool) -> _Folder | None:
        """Return the folder to walk, unless its files are found elsewhere."""
        if not is_link and not linked:
            return _Folder(path, linked=False)
        identity = (status.st_dev, status.st_ino)
        if identity in self._entered or (is_link and self._overlaps(os.path.realpath(path))):
            return None
        self._entered.add(identity)
        return _Folder(path, linked=True)

    def _overlaps(self, target: str) -> bool:
        """Return whether a folder is inside the root, or the root inside it."""
        try:
            return os.path.commonpath([target, self._root]) in (self._root, target)
        except ValueError:  # on another drive
            return False


def is_folder(name: str) -> bool:
    """Return whether a name is a folder; false if that cannot be determined."""
    try:
        return stat.S_ISDIR(os.stat(name).st_mode)  # noqa: PTH116
    except (OSError, ValueError):
        return False
