"""Write files atomically."""

from __future__ import annotations

import errno
import os
import re
import shlex
import shutil
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path

from clipcli.errors import OutputError
from clipcli.images.files import looks_like_image, read_signature

__all__ = [
    "already_exists",
    "check_not_created",
    "check_writable",
    "is_special",
    "missing_folder",
    "moved",
    "replacing",
]

_DISK_FAULTS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS)
_STREAM = re.compile(r"/dev/(stdout|stderr)|/(?:dev|proc/self)/fd/(\d{1,9})")
_STREAMS = {"stdout": 1, "stderr": 2}
_ERRNO = re.compile(r"\[errno (\d+)\]", re.IGNORECASE)


@contextmanager
def replacing(path: Path, *, overwrite: bool = True) -> Iterator[Path]:
    """Yield a temporary file next to ``path`` that replaces it when the block ends without an error.

    Without ``overwrite``, a file that appeared meanwhile is not replaced: the content is saved next to it.

    If ``path`` is a link, its target is replaced; if it is a pipe or device, ``path`` itself is yielded. If it is a
    name of an open stream, such as ``/dev/stdout``, that leads to a regular file, the content is added to the stream.

    Raises
    ------
    OutputError
        If the folder cannot be written to, or the disk is full; or without ``overwrite``, if the file exists at the
        end, and the message names where the content is. ``path`` is then unchanged. Other errors of the block are not
        translated.
    """
    if (stream := _stream_of(path)) is not None and path.is_file():
        with _disk_faults_of(path), _added_to(stream, path.suffix) as temporary:
            yield temporary
        return
    if is_special(path):
        with _disk_faults_of(path):
            yield path
        return
    target, temporary = _new_name(path)
    try:
        _create(temporary, path)
        with _disk_faults_of(path):
            yield temporary
        try:
            temporary.chmod(_mode_of(target))
            if not moved(temporary, target, overwrite=overwrite):
                raise _created_meanwhile(path, f"the output is in {_saved_beside(temporary, target)}")
        except OSError as problem:
            raise _cannot_be_written(path, problem) from None
    finally:
        _remove(temporary)


def moved(source: Path, target: Path, *, overwrite: bool) -> bool:
    """Give a file the name of another; without ``overwrite``, return ``False`` if that name is taken."""
    if overwrite:
        source.replace(target)
        return True
    try:
        os.link(source, target)
    except FileExistsError:
        return False
    except OSError:  # a file system without hard links
        if target.exists():
            return False
        source.replace(target)
        return True
    source.unlink()
    return True


def check_not_created(path: Path, content: str, *, overwrite: bool) -> None:
    """Raise :class:`OutputError` if a file that did not exist at the start of a run exists now.

    Parameters
    ----------
    content
        Where the output of the run is, for the message.
    """
    if path.exists() and not overwrite:
        raise _created_meanwhile(path, content)


def _created_meanwhile(path: Path, content: str) -> OutputError:
    return OutputError(f"cannot write {path}: another program created it during the run ({content})")


def _saved_beside(temporary: Path, target: Path) -> Path:
    """Move a file to a free name next to its target, and return that name."""
    names = (f"{target.stem}.new{number or ''}{target.suffix}" for number in count())
    free = (target.with_name(name) for name in names)
    return next(name for name in free if moved(temporary, name, overwrite=False))


def _stream_of(path: Path) -> int | None:
    """Return the number of the open stream that a path such as ``/dev/stdout`` names, ``None`` for any other path."""
    if (found := _STREAM.fullmatch(os.fspath(path))) is None:
        return None
    return _STREAMS[found[1]] if found[1] else int(found[2])


@contextmanager
def _added_to(stream: int, suffix: str) -> Iterator[Path]:
    """Yield a temporary file whose content is added to an open stream: opening it by name could truncate its file."""
    from tempfile import TemporaryDirectory

    with TemporaryDirectory(prefix="clipcli-") as folder:
        temporary = Path(folder, f"stream{suffix}")
        yield temporary
        with temporary.open("rb") as content, os.fdopen(os.dup(stream), "wb") as opened:
            shutil.copyfileobj(content, opened)


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


def check_writable(
    path: Path, inputs: Iterable[str | Path | None] = (), *, overwrite: bool | None,
    is_own: Callable[[], bool] = lambda: False,
) -> None:  # fmt: skip
    """Check that a file can be created, before any work is done for it.

    Parameters
    ----------
    inputs
        Files that are never replaced.
    overwrite
        Whether an existing file may be replaced, if it is empty or ``is_own``. ``None`` if the caller checks that
        itself.
    is_own
        Whether an existing file is an output of this program.

    Raises
    ------
    OutputError
        If it cannot be created or may not be replaced.
    """
    from tempfile import TemporaryFile

    if is_special(path):
        return
    if any(_is_same(path, other) for other in inputs if other):
        raise OutputError(f"cannot write {path}: it is one of the inputs (name another file)")
    if path.exists():
        _check_replaceable(path, overwrite, is_own)
    target, _ = _new_name(path)
    try:
        TemporaryFile(dir=target.parent).close()  # where the system can, one without a name
    except OSError as problem:
        raise _cannot_be_written(path, problem) from None


def _check_replaceable(path: Path, overwrite: bool | None, is_own: Callable[[], bool]) -> None:
    if looks_like_image(read_signature(path)) and not is_own():
        raise OutputError(f"cannot write {path}: it is an image (name another file)")
    if overwrite is False:
        raise already_exists(path)
    if overwrite and path.stat().st_size and not is_own():
        raise OutputError(f"cannot write {path}: clipcli did not write this file (delete it, or name another file)")


def already_exists(path: object, kind: str = "file", state: str = "it exists") -> OutputError:
    """Return the error for an output that would be replaced: one text for all commands."""
    return OutputError(f"cannot write {path}: {state} (replace it with --overwrite, or name another {kind})")


def is_special(path: Path) -> bool:
    """Return whether a path exists and is a pipe, a device or an open stream; raise an error for a folder."""
    if path.is_dir():
        raise OutputError(f"cannot write {path}: it is a folder (name a file in it)")
    return path.exists() and (not path.is_file() or _stream_of(path) is not None)


def _new_name(path: Path) -> tuple[Path, Path]:
    """Return the target of a path that may be a link, and a random name for a new file next to the target.

    The name is known before the file exists, so that a signal at any moment leaves no file behind.
    """
    try:
        target = path.resolve()
        return target, target.with_name(f".clipcli-{os.urandom(8).hex()}{path.suffix}")
    except (OSError, RuntimeError) as problem:  # RuntimeError: a link to itself, before Python 3.13
        raise _cannot_be_written(path, problem) from None


def _create(temporary: Path, path: Path) -> None:
    """Create an empty file that did not exist; writers open it again, as some accept only a path."""
    try:
        temporary.touch(0o600, exist_ok=False)
    except OSError as problem:
        raise _cannot_be_written(path, problem) from None


def _remove(temporary: Path) -> None:
    with suppress(OSError):  # where it could not be created either: a missing folder, too long a name
        temporary.unlink()


def _is_same(path: Path, other: str | Path) -> bool:
    try:
        return path.samefile(other)
    except (OSError, ValueError, RuntimeError):
        return False


def missing_folder(path: Path) -> str | None:
    """Return that the folder of a file is missing, and how it is made; ``None`` if it exists."""
    folder = path.parent
    if folder.exists():
        return None
    return f"the folder {folder} does not exist (create it with: mkdir -p {shlex.quote(str(folder))})"


def _cannot_be_written(path: Path, problem: OSError | RuntimeError) -> OutputError:
    if isinstance(problem, FileNotFoundError) and (reason := missing_folder(path)) is not None:
        return OutputError(f"cannot write {path}: {reason}")
    return OutputError(f"cannot write {path}: {getattr(problem, 'strerror', None) or problem}")


def _mode_of(path: Path) -> int:
    """Return the permissions of a file, or those of a new one."""
    if path.exists():
        return stat.S_IMODE(path.stat().st_mode)
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask
