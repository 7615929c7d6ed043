"""Run the fuzzer: ``python -m tools.fuzz --seed 0``; exit code 1 if anything is found."""

from __future__ import annotations

import argparse
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from tools.fuzz.file_kinds import file_kinds
from tools.fuzz.file_runs import FileRun, fuzz_files
from tools.fuzz.image_runs import ImageRun, fuzz_images
from tools.fuzz.limits import Finding
from tools.fuzz.pictures import image_kinds
from tools.fuzz.sockets import check_sockets
from tools.fuzz.templates import make_template

_STEPS = ("images", "files", "sockets")
_KINDS_TOGETHER = 5  # of images in one process, as each imports torch once

Outcome = tuple[list[Finding], ImageRun | FileRun]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tools.fuzz", description=sys.modules["tools.fuzz"].__doc__)
    parser.add_argument("--seed", type=int, default=0, help="what all damage is made from (default: 0)")
    parser.add_argument("--images", type=int, default=500, help="damaged images (default: 500)")
    parser.add_argument("--files", type=int, default=200, help="other damaged files (default: 200)")
    parser.add_argument("--only", metavar="KIND[:N]", help="one kind, or one case as a finding names it")
    parser.add_argument("--step", choices=_STEPS, action="append", help="some of the steps (default: all)")
    parser.add_argument("--jobs", type=int, default=2, help="processes at the same time (default: 2)")
    parser.add_argument("--scratch", type=Path, help="folder for inputs (default: a new one, removed if all is well)")
    return parser.parse_args()


def _shares(kinds: Sequence[str], count: int, only: str | None) -> dict[str, list[int]]:
    """Return the numbers of the cases of each kind; all together they are as many as asked for."""
    wanted, _, number = (only or "").partition(":")
    shares = {kind: list(range(count // len(kinds) + (place < count % len(kinds)))) for place, kind in enumerate(kinds)}
    if number.isdigit():
        shares[wanted] = [int(number)]
    return {kind: share for kind, share in shares.items() if wanted in ("", kind)}


def _jobs(options: argparse.Namespace, steps: Sequence[str], scratch: Path) -> Iterator[Callable[[], Outcome]]:
    """Yield what is to be done, in pieces that can be done at the same time."""
    if "images" in steps:
        shares = _shares(image_kinds(), options.images, options.only)
        for place, some in enumerate(_pieces(list(shares), _KINDS_TOGETHER)):
            part = {kind: shares[kind] for kind in some}
            yield partial(fuzz_images, part, options.seed, scratch / f"images-{place}" / "run")
    kinds = file_kinds()
    shares = _shares(list(kinds), options.files, options.only) if "files" in steps else {}
    if shares or ("sockets" in steps and not options.only):
        make_template(scratch / "template")
    for place, names in enumerate(_pieces(list(shares), 2 * _KINDS_TOGETHER)):
        cases = [(kinds[name], shares[name]) for name in names]
        yield partial(fuzz_files, cases, options.seed, scratch / "template", scratch / f"files-{place}")


def _pieces(names: list[str], size: int) -> list[list[str]]:
    return [names[start : start + size] for start in range(0, len(names), size)]


def main() -> int:
    """Run the steps, print a line for each job and each finding, and return the exit code."""
    options = _arguments()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background may start with it ignored
    scratch = (options.scratch or Path(tempfile.mkdtemp(prefix="clipcli-fuzz-"))).resolve()
    steps = options.step or _STEPS
    began = time.monotonic()
    findings: list[Finding] = []
    peak = 0.0
    with ThreadPoolExecutor(options.jobs) as pool:
        for done in [pool.submit(job) for job in _jobs(options, steps, scratch)]:
            found, run = done.result()
            peak = max(peak, run.peak_mib)
            print(f"{run.outcomes()}, peak memory {run.peak_mib:.0f} MiB", flush=True)
            findings += found
            _show(found, options.seed)
    if "sockets" in steps and not options.only:
        opened = check_sockets(scratch)
        if opened is None:
            print("sockets: skipped, as strace is not installed or may not trace")
        findings += opened or []
        _show(opened or [], options.seed)
    minutes = (time.monotonic() - began) / 60
    print(f"{len(findings)} findings, peak memory {peak:.0f} MiB, {minutes:.0f} minutes")
    if findings or options.scratch:
        print(f"inputs are kept in {scratch}")
    else:
        shutil.rmtree(scratch)
    return int(bool(findings))


def _show(findings: Sequence[Finding], seed: int) -> None:
    for finding in findings:
        print(finding.line(seed), flush=True)


if __name__ == "__main__":
    sys.exit(main())
