"""What a terminal shows while a run lasts, and at its end."""

from __future__ import annotations

import io
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from clipcli.cli.progress import RecentRate, run_columns
from tests.conftest import clean_environment, clipcli_command


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def rate_after(samples: list[tuple[float, int]]) -> float | None:
    clock = Clock()
    rate = RecentRate(clock)
    for now, count in samples:
        clock.now = now
        rate.add(count)
    return rate.per_second


def test_the_rate_is_that_of_the_last_half_minute() -> None:
    fast = [(float(second), 100 * second) for second in range(60)]
    slow = [(float(second), 5900 + 2 * (second - 59)) for second in range(60, 100)]
    assert rate_after(fast) == pytest.approx(100)
    assert rate_after(fast + slow) == pytest.approx(2)


def test_what_was_done_before_the_first_sample_does_not_count() -> None:
    assert rate_after([(0.0, 80_000), (10.0, 80_050)]) == pytest.approx(5)


@pytest.mark.parametrize("samples", [[], [(0.0, 5)], [(0.0, 0), (0.2, 50)], [(0.0, 7), (30.0, 7)]])
def test_there_is_no_rate_where_nothing_was_encoded_or_measured(samples: list[tuple[float, int]]) -> None:
    assert rate_after(samples) is None


def test_many_samples_do_not_fill_the_memory() -> None:
    clock = Clock()
    rate = RecentRate(clock)
    for number in range(100_000):
        clock.now = number / 1000
        rate.add(number)
    assert rate.per_second == pytest.approx(1000)
    assert len(rate._samples) < 100


def seen_by_terminal(folder: Path, *line: object) -> tuple[int, str]:
    """Return the exit code and the stderr of a run, which is a terminal."""
    pty = pytest.importorskip("pty")
    master, slave = pty.openpty()
    environment = clean_environment(folder) | {"TERM": "xterm"}
    process = subprocess.Popen(
        [*clipcli_command(environment), *map(str, line)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=slave, cwd=folder, env=environment,
    )  # fmt: skip
    os.close(slave)
    read = b""
    try:
        while piece := os.read(master, 1 << 16):
            read += piece
    except OSError:  # the other end was closed
        pass
    code = process.wait()
    os.close(master)
    return code, read.decode()


COMMAND = ("classify", "album", "-l", "cat", "-l", "rocket", "-m", "pocket", "-o", "r.csv")


@pytest.mark.parametrize("width", [32, 40, 60, 80, 120])
def test_no_number_of_the_progress_is_cut_off(width: int) -> None:
    from rich.console import Console
    from rich.progress import Progress

    console = Console(width=width, file=io.StringIO(), color_system=None)
    progress = Progress(*run_columns(width), console=console)
    fields: dict[str, Any] = {"rate": "123.4/s, 1:02:03 left", "failures": "12 failed"}
    progress.add_task("loading a model with a long name, encoding labels", total=20_000, completed=12_345, **fields)
    with console.capture() as captured:
        console.print(progress.get_renderable())
    (line,) = filter(str.strip, captured.get().splitlines())
    assert len(line) <= width
    assert "12345/20000" in line
    assert "12 failed" in line
    assert ("123.4/s, 1:02:03 left" in line) == (width >= 60)


@pytest.fixture
def album(tmp_path: Path, photos: dict[str, Path]) -> Path:
    (tmp_path / "album").mkdir()
    for name in ("cat", "rocket"):
        shutil.copy(photos[name], tmp_path / "album")
    (tmp_path / "album" / "broken.jpg").write_bytes(b"no image")
    return tmp_path / "album"


@pytest.fixture
def seen(tmp_path: Path, album: Path) -> str:
    """The stderr of a run, which is a terminal."""
    code, text = seen_by_terminal(tmp_path, *COMMAND)
    assert code == 1
    return text


def test_a_terminal_shows_the_phases_and_a_summary_with_the_next_command(seen: str) -> None:
    phases = ("loading pocket, encoding labels", "classifying")
    places = [seen.find(phase) for phase in phases]
    assert -1 not in places
    assert places == sorted(places)
    summary = r"3 images in [\d.]+ s, 0 from the cache: 1 failed, 0 unknown; (cat 1, rocket 1|rocket 1, cat 1)\s"
    assert re.search(summary, seen)
    assert "next: clipcli report r.csv -o r.html" in seen


def test_the_summary_of_a_continued_run_says_how_many_there_are_in_all(
    tmp_path: Path, album: Path, photos: dict[str, Path]
) -> None:
    (album / "broken.jpg").unlink()
    seen_by_terminal(tmp_path, *COMMAND)
    shutil.copy(photos["coffee"], album / "z.png")
    code, text = seen_by_terminal(tmp_path, *COMMAND, "--update")
    assert code == 0
    assert re.search(r"1 of 3 images in [\d.]+ s, 0 from the cache: 0 failed", text)
