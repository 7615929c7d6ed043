"""Write files atomically."""

from __future__ import annotations

import errno
import os
import re
import secrets
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from clipcli.errors import OutputError
from clipcli.images.files import looks_like_image, read_signature

__all__ = ["check_writable", "is_special", "replacing"]

_DISK_FAULTS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS)
_ERRNO = re.compile(r"\[errno (\d+)\]", re.IGNORECASE)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary file next to ``path`` that replaces it when the block ends without an error.

    If ``path`` is a link, its target is replaced; if it is a pipe or device, ``path`` itself is yielded.

    Raises
    ------
    OutputError
        If the folder cannot be written to, or the disk is full; ``path`` is then unchanged. Other errors of the
        block are not translated.
    """
    if is_special(path):
        with _disk_faults_of(path):
            yield path
        return
    target, temporary = _claimed(path)
    try:
        with _disk_faults_of(path):
            yield temporary
        try:
            temporary.chmod(_mode_of(target))
            temporary.replace(target)
        except OSError as problem:
            raise _cannot_be_written(path, problem) from None
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def _disk_faults_of(path: Path) -> Iterator[None]:
    """Translate the errors of a full or broken disk into one that names the file."""
    try:
        yield
    except OSError as problem:
        # Arrow gives the error number in words only.
        in_words = _ERRNO.search(str(problem)) if problem.errno is None else None
        if (int(in_words[1]) if in_words else problem.errno) not in _DISK_FAULTS:
            raise
        if in_words:
            problem = OSError(int(in_words[1]), os.strerror(int(in_words[1])))
        raise _cannot_be_written(path, problem) from None


def check_writable(path: Path, inputs: Iterable[str | Path | None] = ()) -> None:
    """Raise :class:`OutputError` if a file cannot be created, or is one of the inputs."""
    if is_special(path):
        return
    if any(_is_same(path, other) for other in inputs if other):
        raise OutputError(f"cannot write {path}: it is one of the inputs (name another file)")
    if path.exists() and looks_like_image(read_signature(path)):
        raise OutputError(f"cannot write {path}: it is an image (name another file)")
    _claimed(path)[1].unlink()


def is_special(path: Path) -> bool:
    """Return whether a path exists and is a pipe or device; raise an error for a folder."""
    if path.is_dir():
        raise OutputError(f"cannot write {path}: it is a folder (name a file in it)")
    return path.exists() and not path.is_file()


def _claimed(path: Path) -> tuple[Path, Path]:
    """Return the target of a path that may be a link, and a new empty file next to the target.

    The file is created exclusively under a random name; writers open it again, as some accept only a path.
    """
    target = None
    try:
        target = path.resolve()
        claimed = target.with_name(f".clipcli-{secrets.token_hex(8)}{path.suffix}")
        claimed.touch(0o600, exist_ok=False)
    except (OSError, RuntimeError) as problem:  # RuntimeError: a link that leads to itself, before Python 3.13
        raise _cannot_be_written(path, problem) from None
    except KeyboardInterrupt:  # a signal may arrive after the file is created and before its name is returned
        if target is not None:
            claimed.unlink(missing_ok=True)
        raise
    return target, claimed


def _is_same(path: Path, other: str | Path) -> bool:
    try:
        return path.samefile(other)
    except (OSError, ValueError, RuntimeError):
        return False


def _cannot_be_written(path: Path, problem: OSError | RuntimeError) -> OutputError:
    return OutputError(f"cannot write {path}: {getattr(problem, 'strerror', None) or problem}")


def _mode_of(path: Path) -> int:
    """Return the permissions of a file, or those of a new one."""
    if path.exists():
        return stat.S_IMODE(path.stat().st_mode)
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask
