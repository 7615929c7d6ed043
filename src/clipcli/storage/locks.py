"""Locks, so that two runs never write the same output at once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from clipcli.errors import OutputError

if TYPE_CHECKING:
    from filelock import FileLock

__all__ = ["locked"]


@contextmanager
def locked(*outputs: Path | None, patience: float = 0.0) -> Iterator[None]:
    """Hold the locks of files and folders during the block; pipes and devices need none.

    Parameters
    ----------
    patience
        Seconds to wait for each lock that another run holds.

    Raises
    ------
    OutputError
        If another run is writing one of them, or a lock's own file cannot be made.
    """
    with ExitStack() as held:
        for output in outputs:
            if output is not None and (output.is_dir() or output.is_file() or not output.exists()):
                in_folder, beside = output / ".clipcli.lock", output.with_name(output.name + ".partial.lock")
                held.enter_context(_locked(output, in_folder if output.is_dir() else beside, patience))
        yield


@contextmanager
def _locked(output: Path, file: Path, patience: float) -> Iterator[None]:
    """Hold one lock; its own file is removed afterwards."""
    if not file.absolute().parent.is_dir():
        raise OutputError(f"cannot write {output}: no such folder")
    from filelock import FileLock

    lock = FileLock(file)
    try:
        _acquire(lock, output, patience)
        yield
    finally:
        _release(lock, file)


def _acquire(lock: FileLock, output: Path, patience: float) -> None:
    from filelock import Timeout

    try:
        lock.acquire(timeout=patience, poll_interval=0.01)
    except Timeout:
        raise OutputError(f"cannot write {output}: another run is writing it (name another output, or wait)") from None
    except (OSError, NotImplementedError) as problem:
        reason = getattr(problem, "strerror", None) or problem
        raise OutputError(f"cannot write {output}: {reason}") from None
    except BaseException:  # a signal: the file may be there, and the lock not ours yet
        with suppress(OSError, NotImplementedError, Timeout):
            lock.acquire(blocking=False)
        raise


def _release(lock: FileLock, file: Path) -> None:
    """Remove the lock's own file, and let others have the lock; nothing happens where it is not held."""
    if not lock.is_locked:
        return
    with suppress(OSError):  # some systems cannot remove an open file; there filelock does it
        file.unlink(missing_ok=True)
    lock.release()
