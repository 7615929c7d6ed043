"""The process that runs command lines for :mod:`tools.fuzz.child`, one after the other, and watches what they do.

Each line on stdin is a request, each line on stdout its answer, both in JSON. Python's audit events show which
files are written, which programs are started and which addresses are called, also where nothing is left of it.
"""

from __future__ import annotations

import gc
import io
import json
import os
import socket
import sys
import tempfile
import time
import traceback
from pathlib import Path
from typing import Any

_CHANGES = {
    "os.remove": (0,), "os.rename": (0, 1), "os.mkdir": (0,), "os.rmdir": (0,), "os.link": (1,), "os.symlink": (1,),
    "os.truncate": (0,), "os.chmod": (0,), "os.chown": (0,), "os.utime": (0,), "sqlite3.connect": (0,),
}  # fmt: skip
_PROGRAMS = ("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.spawn", "pty.spawn")
_LIBRARY_FINDERS = (
    "ldconfig",
    "gcc",
    "cc",
    "ld",
    "objdump",
    "fc-list",
)  # how Python and matplotlib find libraries, fonts
_HARMLESS = ("/dev/null", "/dev/tty", "/proc/", "/dev/shm/")  # noqa: S108
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


class Watch:
    """Notes what is done outside one folder, or should not be done at all.

    Attributes
    ----------
    folder
        Where the case may write; ``None`` between cases.
    seen
        What was done outside it, in words.
    """

    def __init__(self) -> None:
        self.folder: str | None = None
        self.seen: list[str] = []

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Take one audit event of Python."""
        if self.folder is None:
            return
        if event == "open":
            path, mode, flags = arguments
            if any(sign in (mode or "r") for sign in "wax+") or (mode is None and flags & _WRITES):
                self._check(event, path)
        elif event in _CHANGES:
            for place in _CHANGES[event]:
                self._check(event, arguments[place])
        elif event in _PROGRAMS and Path(os.fsdecode(arguments[0])).name not in _LIBRARY_FINDERS:
            self.seen.append(f"{event} of {str(arguments[0])[:200]}")
        elif event in ("socket.connect", "socket.bind") and arguments[0].family != socket.AF_UNIX:
            self.seen.append(f"{event} to {arguments[1]}")

    def _check(self, event: str, path: Any) -> None:
        if isinstance(path, int) or self.folder is None or os.fsdecode(path).startswith((":memory:", *_HARMLESS)):
            return
        name = os.fsdecode(path).removeprefix("file:").partition("?")[0]
        parent, last = os.path.split(os.path.abspath(name))  # noqa: PTH100, a link itself may be removed
        place = os.path.join(os.path.realpath(parent), last)  # noqa: PTH118
        if place != self.folder and not place.startswith(self.folder + os.sep):
            self.seen.append(f"{event} of {place}")


def _peak_mib() -> float:
    """Return the peak of resident memory since it was last forgotten; of the whole process where that can't be."""
    try:
        status = Path("/proc/self/status").read_text("ascii")
        return int(status.partition("VmHWM:")[2].split()[0]) / 1024
    except (OSError, IndexError, ValueError):
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 if sys.platform != "darwin" else 2**20)


def _forget_peak() -> None:
    try:
        Path("/proc/self/clear_refs").write_text("5", "ascii")
    except OSError:
        return


def _run(request: dict[str, Any], watch: Watch) -> dict[str, Any]:
    from clipcli.cli import run

    os.chdir(request["folder"])
    os.environ.update(request["environment"])
    tempfile.tempdir = None  # or it would be that of the case before
    _forget_peak()
    began, code, problem = time.process_time(), None, None
    source = Path(request["stdin"] or os.devnull).open("rb")  # noqa: SIM115
    streams = [io.TextIOWrapper(io.BytesIO(), encoding="utf-8", newline="", errors="backslashreplace") for _ in "oe"]
    sys.stdin, sys.stdout, sys.stderr = io.TextIOWrapper(source, "utf-8"), *streams
    watch.seen, watch.folder = [], os.path.realpath(request["folder"])
    try:
        code = run(request["arguments"])
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else 1
    except BaseException:  # noqa: BLE001 - whatever it is, it is a finding
        problem = traceback.format_exc()[-3000:]
    finally:
        gc.collect()  # what is not closed yet is closed in the name of this case
        watch.folder = None
        sys.stdin, sys.stdout, sys.stderr = sys.__stdin__, sys.__stdout__, sys.__stderr__
    for stream in streams:
        stream.flush()
    texts = [stream.buffer.getvalue().decode("utf-8", "replace") for stream in streams]
    return {
        "code": code, "output": texts[0][-2000:], "errors": texts[1], "problem": problem, "seen": watch.seen[:5],
        "seconds": time.process_time() - began, "peak_mib": _peak_mib(),
    }  # fmt: skip


def main() -> None:
    """Answer requests until stdin ends; what libraries in C write goes to stderr, not between the answers."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    requests = os.fdopen(os.dup(0), "r", encoding="utf-8")
    watch = Watch()
    sys.addaudithook(watch)
    for line in requests:
        answers.write(json.dumps(_run(json.loads(line), watch)) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
