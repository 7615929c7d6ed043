"""Recognise an input that came before, also under another spelling of its path."""

from __future__ import annotations

import hashlib
import os
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from clipcli.inputs.items import EmbeddedInput, MemberInput, Unit
from clipcli.log import LOG
from clipcli.text import one_line, printable

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["DIGEST_BYTES", "Repetition", "name_digest", "spelling_of"]

DIGEST_BYTES = 16
_KIND = f"S{DIGEST_BYTES}"
_LEAST_HELD = 1 << 16  # digests in a Python set, which needs five times their size


def spelling_of(name: str) -> str:
    """Return one spelling for all spellings of a path: absolute, and without links to folders.

    A link to a file is another name, as a copy is. A URL has one spelling.
    """
    if "://" in name or "\0" in name:
        return name
    folder, file = os.path.split(name)
    if file in ("", os.curdir, os.pardir):
        return _real(name)
    return os.path.join(_real(folder), file)  # noqa: PTH118 - also for names that are not valid text


@lru_cache(4096)
def _real_in(folder: str, current: str) -> str:  # noqa: ARG001 - what the result depends on
    return os.path.realpath(folder)


def _real(folder: str) -> str:
    try:
        return _real_in(folder, os.getcwd())  # noqa: PTH109
    except (OSError, ValueError):  # the current folder was removed
        return folder


def name_digest(name: str) -> bytes:
    """Return a digest that is the same for all spellings of a path."""
    return hashlib.blake2b(spelling_of(name).encode("utf-8", "surrogatepass"), digest_size=DIGEST_BYTES).digest()


class Repetition:
    """Recognises the inputs that came before; it needs about 20 bytes per input.

    Parameters
    ----------
    is_possible
        Whether there can be any; otherwise nothing is remembered.

    Attributes
    ----------
    count
        The number of inputs that came before: files, archives and row groups of tables.
    """

    def __init__(self, *, is_possible: bool = True) -> None:
        self.count, self._first = 0, ""
        self._is_possible = is_possible
        self._recent: set[bytes] = set()
        self._sorted: NDArray[Any] | None = None

    def tell(self) -> None:
        """Warn once of all inputs that came before."""
        if not self.count:
            return
        name = one_line(printable(self._first))
        if self.count == 1:
            LOG.warning(f"{name} is left out: it was named before, so its image has a record already")
        else:
            LOG.warning(
                f"{self.count:,} inputs are left out: they were named before, so their images have records already; "
                f"the first is {name}"
            )

    def is_new(self, unit: Unit) -> bool:
        """Return whether an input did not come before; an image without a location is always new."""
        if not self._is_possible or isinstance(unit, MemberInput | EmbeddedInput):
            return True
        digest = name_digest(_location(unit))
        if digest not in self._recent and not self._is_in_sorted(digest):
            self._add(digest)
            return True
        self.count += 1
        self._first = self._first or unit.name
        return False

    def _is_in_sorted(self, digest: bytes) -> bool:
        if self._sorted is None:
            return False
        import numpy as np

        wanted = np.frombuffer(digest, _KIND)
        place = int(np.searchsorted(self._sorted, wanted)[0])
        return place < len(self._sorted) and bool(self._sorted[place] == wanted[0])

    def _add(self, digest: bytes) -> None:
        self._recent.add(digest)
        if len(self._recent) < max(_LEAST_HELD, 0 if self._sorted is None else len(self._sorted) // 8):
            return
        import numpy as np

        blocks = [np.frombuffer(b"".join(self._recent), _KIND), *([] if self._sorted is None else [self._sorted])]
        self._sorted = np.sort(np.concatenate(blocks))
        self._recent.clear()


def _location(unit: Any) -> str:
    """Return the path of an input, with the number of a row group."""
    number = getattr(unit, "number", None)
    path = str(getattr(unit, "path", unit.name))
    return path if number is None else f"{path}#{number}"
