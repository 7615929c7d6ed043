"""Writing files whole or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from clipcli.errors import OutputError

__all__ = ["replacing"]


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary file beside ``path`` that takes its place when the block ends well.

    Raises
    ------
    OutputError
        If the folder cannot be written, or the disk is full; ``path`` is then as it was.
    """
    if path.is_dir():
        raise OutputError(f"{path}: is a folder; name a file in it")
    try:
        # Opened exclusively by its random name, then reopened by the writers: some take only a path.
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=path.suffix, dir=path.parent)
        os.close(handle)
    except OSError as problem:
        raise OutputError(f"{path}: cannot be written ({problem.strerror})") from None
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(path)
    except OSError as problem:
        raise OutputError(f"{path}: cannot be written ({problem.strerror or problem})") from None
    finally:
        temporary.unlink(missing_ok=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
