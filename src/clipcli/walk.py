"""Walk a folder in the order of names, safely: no loops, nothing read ahead but one folder's names."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass

from clipcli.errors import ImageError
from clipcli.images import has_image_suffix

__all__ = ["Found", "walk"]


@dataclass(frozen=True)
class Found:
    """A file below a folder, or a ``problem`` in a place where a file was to be expected."""

    path: str
    problem: ImageError | None = None


@dataclass
class _Level:
    """One folder on the way down: its names that are still to come, and how many files came before it."""

    path: str
    names: Iterator[str]
    before: int


def walk(root: str) -> Iterator[Found]:
    """Yield the files below ``root``, depth first, in the order of names; hidden ones are passed over.

    A link to a folder inside ``root`` is not followed, as its files are found in their own place; one
    that leads outside is followed once. A folder that cannot be listed, a pipe or a dangling link with
    the suffix of an image, and an empty folder with such a suffix are yielded as problems.
    """
    real_root = os.path.realpath(root)
    followed: set[tuple[int, int]] = set()
    count = 0
    stack: list[_Level] = []
    current: Found | str | None = root
    while True:
        if isinstance(current, str):  # a folder to go down into
            names, problem = _names(current)
            if problem is None:
                stack.append(_Level(current, iter(names), count))
            else:
                count += 1
                yield Found(current, problem)
        elif current is not None:
            count += 1
            yield current
        current = None
        if not stack:
            return
        level = stack[-1]
        name = next(level.names, None)
        if name is not None:
            current = _look(os.path.join(level.path, name), real_root, followed)  # noqa: PTH118
            continue
        stack.pop()
        if count == level.before and stack and has_image_suffix(level.path):
            current = Found(level.path, ImageError("not_a_file", "a folder, not a file"))


def _names(folder: str) -> tuple[list[str], ImageError | None]:
    try:
        return sorted(name for name in os.listdir(folder) if not name.startswith(".")), None  # noqa: PTH208
    except OSError as problem:
        return [], ImageError("unreadable", f"cannot list this folder ({problem.strerror or problem})")


def _look(path: str, real_root: str, followed: set[tuple[int, int]]) -> Found | str | None:
    """Return a file, the path of a folder to go into, or ``None`` for what is passed over."""
    try:
        status = os.lstat(path)
        is_link = stat.S_ISLNK(status.st_mode)
        if is_link:
            status = os.stat(path)  # noqa: PTH116
    except OSError:
        # Dangling, looping or gone meanwhile: whoever opens it says which.
        return Found(path) if has_image_suffix(path) else None
    if stat.S_ISDIR(status.st_mode):
        return path if not is_link or _leads_elsewhere(path, status, real_root, followed) else None
    if stat.S_ISREG(status.st_mode) or has_image_suffix(path):
        return Found(path)
    return None


def _leads_elsewhere(path: str, status: os.stat_result, real_root: str, followed: set[tuple[int, int]]) -> bool:
    target = os.path.realpath(path)
    identity = (status.st_dev, status.st_ino)
    inside = os.path.commonpath([target, real_root]) in (real_root, target)
    if inside or identity in followed:
        return False
    followed.add(identity)
    return True
