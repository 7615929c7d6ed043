"""Which inputs have a record already, for an output to which records are added (``--update``)."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clipcli.inputs.items import Input, Shard, Unit, is_input
from clipcli.inputs.repetition import DIGEST_BYTES, name_digest
from clipcli.log import LOG
from clipcli.text import printable

__all__ = ["KeptNames", "changed_since", "is_gone", "remaining", "tell_gone"]

_KIND = np.dtype(f"S{DIGEST_BYTES}")
_PORTION = 1 << 16


class KeptNames:
    """A set of names that needs 16 bytes for each: the digests of the names, sorted.

    Spellings of one path, such as ``a.jpg`` and ``./a.jpg``, are one name.
    """

    def __init__(self, names: Iterable[str] = ()) -> None:
        """Take all names."""
        buffer, blocks = bytearray(), []
        for name in names:
            buffer += name_digest(name)
            if len(buffer) >= _PORTION * DIGEST_BYTES:
                blocks.append(np.frombuffer(bytes(buffer), _KIND))
                buffer.clear()
        blocks.append(np.frombuffer(bytes(buffer), _KIND))
        self._sorted: NDArray[Any]
        self._sorted, counts = np.unique(np.concatenate(blocks), return_counts=True)
        self._repeated = frozenset(self._sorted[counts > 1].tolist())

    def __len__(self) -> int:
        """Return the number of different names."""
        return len(self._sorted)

    def __contains__(self, name: object) -> bool:
        """Return whether a name is in the set."""
        wanted = np.frombuffer(name_digest(str(name)), _KIND)
        place = int(np.searchsorted(self._sorted, wanted)[0])
        return place < len(self._sorted) and bool(self._sorted[place] == wanted[0])

    @property
    def are_different(self) -> bool:
        """Whether no name was given twice."""
        return not self._repeated

    def repetitions(self) -> Callable[[str], bool]:
        """Return a function that is called with the same names again, and returns whether a name came before."""
        seen: set[bytes] = set()

        def is_repetition(name: str) -> bool:
            key = name_digest(name).rstrip(b"\0")  # as NumPy returns texts of bytes
            if key not in self._repeated:
                return False
            before = key in seen
            seen.add(key)
            return before

        return is_repetition


def changed_since(path: str, since: float, *, status_too: bool = False) -> bool:
    """Return whether a file was modified after a time, in seconds since the epoch.

    Parameters
    ----------
    status_too
        Whether to take a change of its name or permissions for a modification: then a file is also recognised that
        was copied with the time of its original.

    A time in the future says nothing. A path that is not a file on disk, such as a URL, was never modified.
    """
    try:
        status = os.stat(path)  # noqa: PTH116 - also for names that are not valid text
    except (OSError, ValueError):
        return False
    times = (status.st_mtime, status.st_ctime) if status_too else (status.st_mtime,)
    return any(since < each <= time.time() for each in times)


def is_gone(name: str) -> bool:
    r"""Return whether the file of a record was deleted: its folder, or the nearest one that exists, does not hold it.

    Never true for URLs, members of archives, an image from standard input, and names with bytes that are not UTF-8,
    which are written as ``\xff``.
    """
    if name == "-" or any(mark in name for mark in ("://", "\\x", "\0")) or os.path.lexists(name):
        return False
    folder = os.path.dirname(name)  # noqa: PTH120 - keeps names as they are
    while folder and not os.path.lexists(folder):
        folder = os.path.dirname(folder)  # noqa: PTH120
    return os.path.isdir(folder or os.curdir)  # noqa: PTH112 - not an archive


def tell_gone(output: str, count: int) -> None:
    """Warn of records that are removed because their files were deleted."""
    if count:
        LOG.warning(f"{output}: {count:,} records are removed, because their files no longer exist")


@dataclass(frozen=True)
class _RestOfShard:
    """The inputs of a shard that have no record yet."""

    name: str
    path: str
    shard: Any
    kept: KeptNames

    def inputs(self) -> Iterator[Input]:
        shard: Shard = replace(self.shard, path=self.path)  # it is absolute in another process
        return (item for item in shard.inputs() if printable(item.name) not in self.kept)


def remaining(units: Iterable[Unit], kept: KeptNames) -> Iterator[Unit]:
    """Yield the inputs that have no record yet, and the shards, reduced to such inputs."""
    for unit in units:
        if not is_input(unit):
            shard: Any = unit
            yield _RestOfShard(shard.name, shard.path, shard, kept)
        elif printable(unit.name) not in kept:
            yield unit
