"""What a run may use, what it may answer, and where it may write."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

__all__ = [
    "EXIT_CODES", "MEMORY_MIB", "SECONDS", "START_SECONDS", "WAITING_SECONDS", "Finding", "complaints", "environment",
    "make_victim", "processor_seconds", "snapshot",
]  # fmt: skip

EXIT_CODES = (0, 1, 2)
"""All that the documentation allows a run that no signal ends."""

SECONDS = 20
"""Processor time of one case, so that a busy machine is no failure."""

START_SECONDS = 90
"""Processor time until the first answer, as libraries are imported and a model is loaded."""

WAITING_SECONDS = 240
"""Time on the clock for one case, for those that wait without computing."""

MEMORY_MIB = 2048
"""Peak of resident memory of one process."""

_TRACES = re.compile(r"Traceback|Fatal Python error|Segmentation fault|core dumped|^\s+File \"", re.MULTILINE)


@dataclass(frozen=True)
class Finding:
    """One failure: the case, what is wrong, and where its input is kept."""

    case: str
    reason: str
    kept: Path

    def line(self, seed: int) -> str:
        """Describe it on one line, with the command that repeats it."""
        repeat = f"python -m tools.fuzz --seed {seed} --only {self.case}"
        return f"FAILED {self.case}: {self.reason} (input in {self.kept}; {repeat})"


def complaints(code: int | None, errors: str) -> Iterator[str]:
    """Yield what is wrong with the exit code and the messages of a run."""
    if code not in EXIT_CODES:
        yield f"exit code {code}, which is not documented"
    found = _TRACES.search(errors)
    if found:
        yield f"{found.group().strip()!r} on stderr: {errors.strip().splitlines()[-1][:200]}"
    lines = errors.splitlines()
    if code == 2 and not any(line.startswith("error: ") for line in lines):
        yield f"exit code 2 without an error line: {errors[-200:]!r}"
    if any(len(line) > 4000 for line in lines):
        yield "a message of more than 4,000 characters"


def environment(folder: Path) -> dict[str, str]:
    """Make the environment of a run that keeps all it writes in one folder, and has no hub to ask."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("CLIPCLI_", "HF_", "XDG_"))}
    (folder / "tmp").mkdir(parents=True, exist_ok=True)
    return kept | {
        "HOME": str(folder / "home"), "TMPDIR": str(folder / "tmp"), "CLIPCLI_CACHE_DIR": str(folder / "cache"),
        "HF_HOME": str(folder / "home" / "huggingface"), "HF_ENDPOINT": "http://127.0.0.1:9",
        "TORCHINDUCTOR_CACHE_DIR": str(folder / "home" / "inductor"),
        "MPLCONFIGDIR": str(folder / "home" / "matplotlib"), "PYTHONDONTWRITEBYTECODE": "1", "OMP_NUM_THREADS": "1",
        "PYTHONIOENCODING": "utf-8", "COLUMNS": "100", "PYTHONWARNINGS": "ignore::UserWarning",
    }  # fmt: skip


def processor_seconds(process: int) -> float:
    """Return the processor time that a process has used; 0 where the system doesn't show it, or it has ended."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text("latin-1").rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def make_victim(root: Path) -> None:
    """Put files beside the folder of a case that it must not touch."""
    (root / "victim").mkdir(parents=True, exist_ok=True)
    (root / "victim" / "f").write_text("untouched\n", "utf-8")


def snapshot(root: Path, without: Path) -> set[tuple[str, int, int, int]]:
    """Describe all that is below a folder, except one part: path, kind, size and modification time."""
    paths = (path for path in root.rglob("*") if path != without and without not in path.parents)
    return {(str(path), (seen := path.lstat()).st_mode, seen.st_size, seen.st_mtime_ns) for path in paths}
