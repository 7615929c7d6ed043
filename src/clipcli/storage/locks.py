"""Locks, so that two runs never write the same output at once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from clipcli.errors import OutputError

__all__ = ["OutputLock", "locked"]


class OutputLock:
    """The lock of one output, held from :meth:`acquire` until :meth:`release` or the end of the process.

    Parameters
    ----------
    output
        The file or folder to write, for messages.
    file
        The lock file, which is removed when the lock is released.
    """

    def __init__(self, output: Path, file: Path) -> None:
        self._output, self._file, self._lock = output, file, FileLock(file)

    def acquire(self) -> OutputLock:
        """Acquire the lock and return it; a signal in between leaves no file behind.

        Raises
        ------
        OutputError
            If another process holds the lock, or the lock file cannot be created.
        """
        output = self._output
        if not self._file.absolute().parent.is_dir():
            raise OutputError(f"cannot write {output}: no such folder")
        try:
            self._lock.acquire(blocking=False)
        except Timeout:
            raise OutputError(
                f"cannot write {output}: another run is writing it (name another output, or wait)"
            ) from None
        except (OSError, NotImplementedError) as problem:
            reason = getattr(problem, "strerror", None) or problem
            raise OutputError(f"cannot write {output}: {reason}") from None
        except BaseException:  # the file may exist without the lock being acquired
            with suppress(OSError, NotImplementedError, Timeout):
                self._lock.acquire(blocking=False)
                self.release()
            raise
        return self

    def release(self) -> None:
        """Release the lock and remove its file; do nothing if it is not held."""
        if not self._lock.is_locked:
            return
        with suppress(OSError):  # some systems cannot remove an open file; there filelock does it
            self._file.unlink(missing_ok=True)
        self._lock.release()


@contextmanager
def locked(*outputs: Path | None) -> Iterator[None]:
    """Hold the locks of files and folders during the block; pipes and devices need none.

    Raises
    ------
    OutputError
        If another run is writing one of them.
    """
    with ExitStack() as held:
        for output in outputs:
            if output is not None and (output.is_dir() or output.is_file() or not output.exists()):
                in_folder, beside = output / ".clipcli.lock", output.with_name(output.name + ".partial.lock")
                lock = OutputLock(output, in_folder if output.is_dir() else beside)
                held.callback(lock.release)
                lock.acquire()
        yield
