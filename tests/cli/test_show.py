"""``classify --show`` on a terminal: half blocks, Sixel or Kitty's graphics, as the terminal answers."""

from __future__ import annotations

import os
import pty
import re
import select
import struct
import subprocess
from collections.abc import Callable
from fcntl import ioctl
from pathlib import Path
from termios import TIOCSWINSZ

import pytest
from PIL import Image

from tests.conftest import clipcli_command

Run = Callable[..., "subprocess.CompletedProcess[str]"]
LABELS = ("-l", "cat", "-l", "dog", "--model", "pocket")

PLAIN = {b"\x1b[c": b"\x1b[?62;22c"}
SIXEL = {b"\x1b[c": b"\x1b[?62;4;22c"}
KITTY = {**PLAIN, b"\x1b_G": b"\x1b_Gi=1;OK\x1b\\"}


@pytest.fixture
def on_terminal(environment: dict[str, str], tmp_path: Path) -> Callable[..., tuple[int, str]]:
    """Run a command on a pseudo-terminal of 100 columns that answers questions, and return what it drew."""

    def run(
        *arguments: object, answers: dict[bytes, bytes], size: tuple[int, ...] = (40, 100, 1000, 800), **variables: str
    ) -> tuple[int, str]:
        ours, theirs = pty.openpty()
        ioctl(theirs, TIOCSWINSZ, struct.pack("HHHH", *size))  # by default cells of 10 by 20 pixels
        kept = {name: value for name, value in environment.items() if name not in ("COLUMNS", "NO_COLOR")}
        process = subprocess.Popen(
            [*clipcli_command(environment), *map(str, arguments)], stdin=theirs, stdout=theirs, stderr=theirs,
            env=kept | {"TERM": "xterm-256color"} | variables, cwd=tmp_path, start_new_session=True,
        )  # fmt: skip
        os.close(theirs)
        drawn, asked = b"", dict(answers)
        while select.select([ours], [], [], 60)[0]:
            try:
                part = os.read(ours, 1 << 16)
            except OSError:  # it ended
                break
            if not part:
                break
            drawn += part
            for question in [each for each in asked if each in drawn]:
                os.write(ours, asked.pop(question))
        os.close(ours)
        return process.wait(60), drawn.decode("utf-8", "replace")

    return run


def without_escapes(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", text)


def test_half_blocks_stand_beside_the_bars(
    on_terminal: Callable[..., tuple[int, str]], photos: dict[str, Path]
) -> None:
    code, drawn = on_terminal("classify", photos["cat"], *LABELS, "--show", answers=PLAIN)
    assert code == 0
    lines = without_escapes(drawn).splitlines()
    (line,) = [line for line in lines if re.search(r"\bcat  ", line)]
    assert re.match(r"▀{32} +cat +█+", line)
    assert sum("▀" * 32 in line for line in lines) >= 8
    assert "\x1bP" not in drawn


def test_a_terminal_that_knows_sixel_gets_sixel(
    on_terminal: Callable[..., tuple[int, str]], photos: dict[str, Path]
) -> None:
    code, drawn = on_terminal("classify", photos["cat"], *LABELS, "--show", answers=SIXEL)
    assert code == 0
    assert "\x1bP" in drawn
    assert "▀" not in drawn
    assert "cat" in without_escapes(drawn)


def test_a_terminal_that_knows_kittys_graphics_gets_them(
    on_terminal: Callable[..., tuple[int, str]], photos: dict[str, Path]
) -> None:
    code, drawn = on_terminal("classify", photos["cat"], *LABELS, "--show", answers=KITTY)
    assert code == 0
    assert drawn.count("\x1b_G") > 1
    assert "▀" not in drawn


def test_a_broken_image_is_named_and_the_next_one_shown(
    on_terminal: Callable[..., tuple[int, str]], photos: dict[str, Path], tmp_path: Path
) -> None:
    (tmp_path / "broken.jpg").write_bytes(b"no image")
    code, drawn = on_terminal("classify", "broken.jpg", photos["cat"], *LABELS, "--show", answers=PLAIN)
    assert code == 1
    assert "failed: not an image" in without_escapes(drawn)
    assert "▀" * 32 in without_escapes(drawn)


@pytest.mark.parametrize("variables", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_without_colours_there_are_no_pictures(
    variables: dict[str, str], on_terminal: Callable[..., tuple[int, str]], photos: dict[str, Path]
) -> None:
    code, drawn = on_terminal("classify", photos["cat"], *LABELS, "--show", answers={}, **variables)
    assert code == 0
    assert "images are not displayed" in drawn
    assert "▀" not in drawn


@pytest.mark.parametrize("more", [(), ("--format", "json"), ("-o", "r.csv")])
def test_in_a_pipe_there_is_nothing_to_show_on(more: tuple[str, ...], run: Run, photos: dict[str, Path]) -> None:
    done = run("classify", photos["cat"], *LABELS, "--show", *more)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert "cannot use --show: it needs the table on a terminal" in done.stderr


@pytest.mark.parametrize("size", [(0, 80, 0, 0), (24, 0, 0, 0), (0, 0, 0, 0)], ids=str)
def test_a_terminal_without_a_size_gets_the_scores_alone(
    size: tuple[int, ...], on_terminal: Callable[..., tuple[int, str]], photos: dict[str, Path]
) -> None:
    code, drawn = on_terminal("classify", photos["cat"], *LABELS, "--show", answers=PLAIN, size=size)
    assert code == 0
    assert "images are not displayed" in drawn
    assert "Traceback" not in drawn
    assert re.search(r"cat +█+", without_escapes(drawn))


def test_an_answer_that_is_no_size_does_not_end_the_run(
    on_terminal: Callable[..., tuple[int, str]], photos: dict[str, Path]
) -> None:
    answers = {**PLAIN, b"\x1b[16t": b"\x1b[6;x;yt"}
    code, drawn = on_terminal("classify", photos["cat"], *LABELS, "--show", answers=answers, size=(40, 100, 0, 0))
    assert code == 0
    assert "Traceback" not in drawn
    assert re.search(r"cat +█+", without_escapes(drawn))


def test_an_image_that_is_too_flat_to_draw_does_not_end_the_run(
    on_terminal: Callable[..., tuple[int, str]], photos: dict[str, Path], tmp_path: Path
) -> None:
    Image.new("RGB", (2000, 4), "red").save(tmp_path / "flat.png")
    code, drawn = on_terminal("classify", "flat.png", photos["cat"], *LABELS, "--show", answers=PLAIN)
    assert code == 0
    assert "Traceback" not in drawn
    assert "▀" * 32 in without_escapes(drawn)
