"""Keep each contender in a process of its own, and ask them in turn."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Answer:
    """What a contender answered, after how many seconds, with how many MiB of memory at its peak."""

    value: Any
    seconds: float
    peak_mib: float
    precision: str


class Worker:
    """A contender's process. It sleeps until it is asked, so that the others have the processor to themselves."""

    def __init__(self, name: str, material: Path) -> None:
        self.name = name
        self._log = (material / f"{name.replace(' ', '-')}.log").open("w")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.contenders", name, str(material)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log, text=True,
        )  # fmt: skip

    def ask(self, command: str, *arguments: Any) -> Answer:
        """Run one of the contender's methods."""
        assert self._process.stdin
        assert self._process.stdout
        print(json.dumps([command, *arguments]), file=self._process.stdin, flush=True)
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.name} ended; see {self._log.name}")
        return Answer(*json.loads(line))

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait()
        self._log.close()


@contextmanager
def workers(names: list[str], material: Path) -> Iterator[dict[str, Worker]]:
    """Start contenders, and end them afterwards."""
    started = {name: Worker(name, material) for name in names}
    try:
        yield started
    finally:
        for worker in started.values():
            worker.close()
