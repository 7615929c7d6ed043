"""A process that runs many command lines, so that torch is imported once, and is stopped when one takes too long."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tools.fuzz.limits import START_SECONDS, WAITING_SECONDS, environment, processor_seconds

__all__ = ["Answer", "Child"]

_ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Answer:
    """What one command line came to; ``problem`` is a traceback, or the reason why the process was stopped."""

    code: int | None = None
    output: str = ""
    errors: str = ""
    problem: str | None = None
    seen: Sequence[str] = ()
    seconds: float = 0.0
    peak_mib: float = 0.0


class Child:
    """Runs command lines in a process, and in a new one after a crash or a hang.

    Parameters
    ----------
    log
        What the process writes besides its answers; its folder is the process's own.
    tracer
        A command that starts the process and watches it, such as ``strace`` with its options.
    """

    def __init__(self, log: Path, tracer: Sequence[str] = ()) -> None:
        self._log, self._tracer = log, list(tracer)
        self._process: subprocess.Popen[str] | None = None

    def run(
        self, folder: Path, arguments: Sequence[str], *, stdin: Path | None = None, seconds: float = START_SECONDS
    ) -> Answer:
        """Run one command line in a folder; it may use so much processor time."""
        process = self._process if self._process is not None else self._start()
        request = {
            "folder": str(folder), "arguments": list(arguments), "stdin": str(stdin) if stdin else None,
            "environment": environment(folder),
        }  # fmt: skip
        assert process.stdin is not None
        process.stdin.write(json.dumps(request) + "\n")
        process.stdin.flush()
        return self._answer(process, seconds)

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _start(self) -> subprocess.Popen[str]:
        paths = os.pathsep.join(filter(None, (str(_ROOT), os.environ.get("PYTHONPATH"))))
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [*self._tracer, sys.executable, "-m", "tools.fuzz.worker"], stdin=subprocess.PIPE,
                stdout=subprocess.PIPE, stderr=log, text=True, encoding="utf-8", cwd=self._log.parent,
                env=environment(self._log.parent) | {"PYTHONPATH": paths},
            )  # fmt: skip
        return self._process

    def _answer(self, process: subprocess.Popen[str], seconds: float) -> Answer:
        assert process.stdout is not None
        began, used = time.monotonic(), processor_seconds(process.pid)
        while not select.select([process.stdout], [], [], 0.2)[0]:
            spent = processor_seconds(process.pid) - used
            if spent > seconds or time.monotonic() - began > WAITING_SECONDS:
                self.close()
                return Answer(problem=f"took more than {seconds} s, or {WAITING_SECONDS} s of waiting", seconds=spent)
        line = process.stdout.readline()
        if not line:
            code = process.wait()
            self._process = None
            return Answer(code=code, problem=f"the process ended with {code}; see {self._log}")
        return Answer(**json.loads(line))
