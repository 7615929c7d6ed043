"""Damaged files that are not images, each read by the commands for it, in a process that runs many of them."""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tools.fuzz.child import Answer, Child
from tools.fuzz.file_kinds import FileKind
from tools.fuzz.limits import (
    MEMORY_MIB,
    SECONDS,
    START_SECONDS,
    Finding,
    complaints,
    environment,
    make_victim,
    snapshot,
)

__all__ = ["FileRun", "fuzz_files"]


@dataclass
class FileRun:
    """What the cases of one job came to."""

    codes: list[int | None] = field(default_factory=list)
    peak_mib: float = 0.0
    slowest: float = 0.0
    slowest_name: str = ""

    def outcomes(self) -> str:
        """Count the command lines by their exit codes."""
        counts = ", ".join(f"{self.codes.count(code)} x {code}" for code in sorted(set(self.codes), key=str))
        return f"exit codes {counts}, slowest {self.slowest:.1f} s ({self.slowest_name})"

    def add(self, case: str, answer: Answer) -> None:
        """Count one command line."""
        self.codes.append(answer.code)
        self.peak_mib = max(self.peak_mib, answer.peak_mib)
        if answer.seconds > self.slowest:
            self.slowest, self.slowest_name = answer.seconds, case


def fuzz_files(
    shares: Sequence[tuple[FileKind, Sequence[int]]], seed: int, template: Path, folder: Path
) -> tuple[list[Finding], FileRun]:
    """Damage files of some kinds and run the commands that read them, after a case without damage for each.

    Parameters
    ----------
    shares
        Kinds, and which of their damaged files to make; with the seed each number gives the same bytes again.
    template
        A folder of sound files, from :func:`tools.fuzz.templates.make_template`.
    folder
        A new folder for the cases.
    """
    make_victim(folder)
    environment(folder)  # makes the folder for temporary files of the process
    run, findings, child = FileRun(), [], Child(folder / "worker.log")
    for kind, numbers in shares:
        for number in (None, *numbers):
            case = folder / f"{kind.name}-{'sound' if number is None else number}"
            _prepare(kind, template, case, child)
            target = min(case.glob(kind.file))
            if number is not None:
                target.write_bytes(kind.damage(target.read_bytes(), random.Random(f"{seed}/{kind.name}/{number}")))
            name = kind.name if number is None else f"{kind.name}:{number}"
            found = list(_run_case(kind, case, name, child, run, sound=number is None))
            findings += [Finding(name, reason, target) for reason in found]
            if not found:
                shutil.rmtree(case)
    child.close()
    return findings, run


def _prepare(kind: FileKind, template: Path, case: Path, child: Child) -> None:
    case.mkdir(parents=True)
    for name in {"photos", "cache", kind.file.partition("/")[0], *kind.needs}:
        source = template / name
        if source.is_dir():
            shutil.copytree(source, case / name, symlinks=True)
        elif source.is_file() or not kind.before:  # else what is damaged is made here
            shutil.copy2(source, case / name)
    for line in kind.before:
        child.run(case, line.split())


def _run_case(kind: FileKind, case: Path, name: str, child: Child, run: FileRun, *, sound: bool) -> Iterator[str]:
    """Run the commands of a case and yield what is wrong."""
    before = snapshot(case.parent, case)
    for line in kind.commands:
        command, _, source = line.partition(" < ")
        answer = child.run(
            case, command.split(), stdin=case / source if source else None, seconds=START_SECONDS if sound else SECONDS
        )
        if not sound:
            run.add(f"{name} {line.split()[0]}", answer)
        yield from (f"{line}: {reason}" for reason in _reasons(answer, sound=sound))
    log = str(case.parent / "worker.log")
    stray = {path for path, *_ in before ^ snapshot(case.parent, case) if path != log}
    yield from (f"written outside its folder: {path}" for path in stray)


def _reasons(answer: Answer, *, sound: bool) -> Iterator[str]:
    if answer.problem:
        yield answer.problem.strip().splitlines()[-1]
        return
    if sound and answer.code != 0:
        yield f"exit code {answer.code} for a sound file: {answer.errors[-300:]!r}"
    yield from complaints(answer.code, answer.errors)
    yield from answer.seen
    if answer.peak_mib > MEMORY_MIB:
        yield f"peak memory {answer.peak_mib:.0f} MiB"
