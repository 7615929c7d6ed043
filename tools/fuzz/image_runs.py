"""Damaged images, classified in runs of the real command line, some kinds together in each."""

from __future__ import annotations

import json
import os
import random
import select
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tools.fuzz.damage import damage_image
from tools.fuzz.limits import (
    MEMORY_MIB,
    SECONDS,
    START_SECONDS,
    WAITING_SECONDS,
    Finding,
    complaints,
    environment,
    make_victim,
    processor_seconds,
    snapshot,
)  # fmt: skip
from tools.fuzz.pictures import sound_image

__all__ = ["ImageRun", "fuzz_images"]

_CLASSIFY = "classify --model pocket -l cat -l dog --no-cache --offline -f jsonl --batch-size 1 --workers 2"


@dataclass
class ImageRun:
    """What one run did: its records as they came, and what it used."""

    names: list[str]
    code: int | None = None
    errors: str = ""
    records: list[str] = field(default_factory=list)
    peak_mib: float = 0.0
    slowest: float = 0.0
    slowest_name: str = ""
    stopped: str = ""

    def outcomes(self) -> str:
        """Count the records by what they say."""
        failed = sum('"error"' in line for line in self.records)
        return (
            f"{len(self.records)} records, {failed} of them errors, slowest {self.slowest:.1f} s ({self.slowest_name})"
        )


def fuzz_images(shares: Mapping[str, Sequence[int]], seed: int, folder: Path) -> tuple[list[Finding], ImageRun]:
    """Damage images and classify them in one run; find out which is to blame if it fails.

    Parameters
    ----------
    shares
        By kind, as :func:`tools.fuzz.pictures.image_kinds` names them: which of the damaged images to make.
        With the seed each number gives the same bytes again.
    folder
        A new folder for the run; what is beside it must not change.
    """
    make_victim(folder.parent)
    sound, damaged = [], []
    for kind, numbers in shares.items():
        (folder / kind).mkdir(parents=True)
        content, ending = sound_image(kind), kind.rpartition(".")[2]
        sound.append(f"{kind}/sound.{ending}")
        (folder / sound[-1]).write_bytes(content)
        for number in numbers:
            damaged.append(f"{kind}/{number:03}.{ending}")
            (folder / damaged[-1]).write_bytes(damage_image(content, random.Random(f"{seed}/{kind}/{number}")))
    environment(folder)  # makes the folder for temporary files
    before = snapshot(folder.parent, folder)
    run = _classify(folder, [*sound, *damaged])
    findings = list(_unread(folder, sound, run)) + list(_blame(folder, sound[0], damaged, run))
    findings += _report(folder, run)
    stray = {path for path, *_ in before ^ snapshot(folder.parent, folder)}
    findings += [Finding(folder.name, f"written outside its folder: {path}", folder) for path in stray]
    return findings, run


def _case(name: str) -> str:
    kind, _, file = name.partition("/")
    return f"{kind}:{int(file.partition('.')[0])}"


def _unread(folder: Path, sound: Sequence[str], run: ImageRun) -> Iterator[Finding]:
    """Yield a finding for each sound image that is not read: its kind would be tested in vain."""
    for name, line in zip(sound, run.records, strict=False):
        if not json.loads(line).get("label"):
            yield Finding(name.partition("/")[0], f"the sound image is not read: {line[:200]}", folder / name)


def _blame(folder: Path, sound: str, names: Sequence[str], run: ImageRun) -> Iterator[Finding]:
    """Yield a finding for each image that makes a run fail by itself, found by halving."""
    reasons = list(_reasons(run))
    if not reasons:
        return
    if len(names) == 1:
        yield from (Finding(_case(names[0]), reason, folder / names[0]) for reason in reasons)
        return
    found = False
    middle = len(names) // 2
    for half in filter(None, (names[:middle], names[middle:])):
        for finding in _blame(folder, sound, half, _classify(folder, [sound, *half])):
            found = True
            yield finding
    if not found:
        yield from (Finding(folder.name, f"only together: {reason}", folder) for reason in reasons)


def _reasons(run: ImageRun) -> Iterator[str]:
    if run.stopped:
        yield run.stopped
        return
    yield from complaints(run.code, run.errors)
    if run.peak_mib > MEMORY_MIB:
        yield f"peak memory {run.peak_mib:.0f} MiB"
    records = [json.loads(line) for line in run.records]
    if [record.get("path") for record in records] != run.names:
        yield f"{len(records)} records for {len(run.names)} images, or in another order"
    for record in records:
        if not record.get("label") and not (record.get("error") or {}).get("type"):
            yield f"a record without a label or error: {record}"
    failed = any(record.get("error") for record in records)
    if run.code in (0, 1) and run.code != failed:
        yield f"exit code {run.code} although {'some' if failed else 'no'} images failed"


def _classify(folder: Path, names: Sequence[str]) -> ImageRun:
    """Classify images in a process, stop it if one takes too long, and note what it used."""
    run = ImageRun(list(names))
    with (folder / "stderr.txt").open("wb") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "clipcli", *_CLASSIFY.split(), *names],
            stdout=subprocess.PIPE, stderr=errors, stdin=subprocess.DEVNULL, cwd=folder, env=environment(folder),
        )  # fmt: skip
    _follow(process, run)
    _, status, usage = os.wait4(process.pid, 0)
    run.code = process.returncode = os.waitstatus_to_exitcode(status)
    run.peak_mib = usage.ru_maxrss / (1024 if sys.platform != "darwin" else 2**20)
    run.errors = (folder / "stderr.txt").read_text("utf-8", "replace")
    return run


def _follow(process: subprocess.Popen[bytes], run: ImageRun) -> None:
    """Read records as they come; the time between two is what the second took."""
    assert process.stdout is not None
    last_time, last_used, rest = time.monotonic(), 0.0, b""
    while True:
        ready, _, _ = select.select([process.stdout], [], [], 0.2)
        used, now = processor_seconds(process.pid), time.monotonic()
        if ready:
            piece = os.read(process.stdout.fileno(), 1 << 16)
            if not piece:
                return
            *lines, rest = (rest + piece).split(b"\n")
            if lines:
                if run.records and used - last_used > run.slowest:
                    run.slowest, run.slowest_name = (
                        used - last_used,
                        run.names[min(len(run.records), len(run.names) - 1)],
                    )
                run.records += [line.decode() for line in lines]
                last_time, last_used = now, used
        limit = SECONDS if run.records else START_SECONDS
        if used - last_used > limit or now - last_time > WAITING_SECONDS:
            process.kill()
            place = min(len(run.records), len(run.names) - 1)
            run.stopped = f"{run.names[place]} took more than {limit} s (or {WAITING_SECONDS} s of waiting)"


def _report(folder: Path, run: ImageRun) -> list[Finding]:
    """Make the page of the records, which decodes the images once more, for thumbnails."""
    (folder / "records.jsonl").write_text("".join(f"{line}\n" for line in run.records), "utf-8")
    try:
        done = subprocess.run(
            [sys.executable, "-m", "clipcli", "report", "records.jsonl", "-o", "page.html"],
            capture_output=True, cwd=folder, env=environment(folder), timeout=WAITING_SECONDS, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return [Finding(folder.name, f"report took more than {WAITING_SECONDS} s", folder)]
    reasons = complaints(done.returncode, done.stderr.decode("utf-8", "replace"))
    return [Finding(folder.name, f"report: {reason}", folder) for reason in reasons]
