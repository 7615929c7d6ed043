"""On a terminal no name, label or text of a file sends a control character; in a pipe all is as it was written."""

from __future__ import annotations

import io
import json
import os
import pty
import re
import shutil
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import clipcli
from clipcli.cli import run as run_command
from clipcli.terminal import TerminalText, console, guarded_streams
from clipcli.text import escape_controls, one_line
from tests.conftest import clean_environment

# A title set by OSC, a cleared screen, a colour, the same by C1 controls, a link, and text turned around.
EVIL = "\x1b]0;owned\x07\x1b[2J\x1b[31mred\x9b31m\x9d0;owned\x9c\x1b]8;;http://evil\x1b\\\u202egpj\u2066\x08\x7f"
OURS = re.compile(r"\x1b\[(?:\d+;)*\d*m|\x1b\[\?25[hl]|\x1b\[(?:\d*A|2K|1A)|\r")
HARMFUL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
SCHEME = "".join(f"[{tag}]{EVIL}[/{tag}]" for tag in ("bold", "link=http://evil"))
LABELS = ("-l", f"cat {EVIL}", "-l", f"[/dog]{SCHEME}", "--model", "pocket")

OnTerminal = Callable[..., tuple[int, str]]


@pytest.fixture
def on_terminal(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> OnTerminal:
    """Run a command in this process with both its streams on a pseudo-terminal; return what the terminal got."""

    def run(*arguments: object, **variables: str) -> tuple[int, str]:
        for name, value in {**clean_environment(tmp_path), "TERM": "dumb", **variables}.items():
            monkeypatch.setenv(name, value)
        monkeypatch.chdir(tmp_path)
        ours, theirs = pty.openpty()
        drawn: list[bytes] = []

        def read() -> None:
            try:
                while part := os.read(ours, 1 << 16):
                    drawn.append(part)
            except OSError:  # the other end was closed
                pass

        reader = threading.Thread(target=read)
        reader.start()
        with os.fdopen(theirs, "w", encoding="utf-8", newline="\n") as terminal, monkeypatch.context() as patched:
            patched.setattr(sys, "stdout", terminal)
            patched.setattr(sys, "stderr", terminal)
            code = run_command([str(each) for each in arguments])
        reader.join(30)
        os.close(ours)
        return code, b"".join(drawn).decode("utf-8", "surrogateescape").replace("\r\n", "\n")

    return run


def assert_harmless(drawn: str) -> None:
    assert HARMFUL.findall(OURS.sub("", drawn)) == []
    assert "\x1b]" not in drawn
    assert "\x1b[31mred" not in drawn
    assert "\x1b[2J" not in drawn


@pytest.fixture
def album(tmp_path: Path, photos: dict[str, Path]) -> Path:
    """A folder of classes with hostile names, each with one photograph and one broken file."""
    name = EVIL.replace("/", "|")
    for kind in ("cat", "rocket"):
        folder = tmp_path / "album" / f"{kind}{name}"
        folder.mkdir(parents=True)
        shutil.copy(photos[kind], folder / f"{name}.png")
    (folder / f"broken{name}.jpg").write_bytes(b"no image")
    (folder / os.fsdecode(b"byte \x9b2J.jpg")).write_bytes(b"no image")
    return tmp_path / "album"


@given(st.text(), st.sampled_from(["", "\n\t"]))
def test_an_escaped_text_holds_nothing_that_a_terminal_obeys(text: str, keep: str) -> None:
    assert set(HARMFUL.findall(escape_controls(text, keep))) <= set()
    assert "\n" not in one_line(text)
    assert [each for each in escape_controls(text, keep) if each in "\t\n"] == (
        [each for each in text if each in "\t\n"] if keep else []
    )


@given(st.text(st.characters(categories=("L", "M", "N", "P", "S", "Zs"))))
def test_letters_signs_and_emoji_are_shown_as_they_are(text: str) -> None:
    assert escape_controls(text) == text


@given(st.dictionaries(st.text(), st.text()))
def test_json_on_a_terminal_is_still_json(values: dict[str, str]) -> None:
    text = json.dumps(values, ensure_ascii=False)
    assert json.loads(escape_controls(text, "\n\t")) == values


class Screen(io.StringIO):
    """A terminal that keeps what it gets."""

    def isatty(self) -> bool:
        return True


@given(st.lists(st.text()))
def test_a_sequence_that_is_split_over_writes_is_escaped_too(parts: list[str]) -> None:
    screen = Screen()
    TerminalText(screen).writelines([*parts, *EVIL])
    assert HARMFUL.findall(screen.getvalue()) == []


@given(st.text())
def test_a_console_sends_no_control_character_of_a_text_and_reads_no_markup(text: str) -> None:
    from rich.table import Table
    from rich.text import Text

    screen = Screen()
    table = Table("name")
    table.add_row(SCHEME + text)
    table.add_row(Text(SCHEME + text, style="bold"))
    shown = console(screen)
    for each in (table, text, Text(EVIL), EVIL, "[/unopened]"):
        shown.print(each)
    assert_harmless(screen.getvalue())
    assert "[/unopened]" in screen.getvalue()


def test_streams_that_are_no_terminals_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    pipe = io.StringIO()
    monkeypatch.setattr(sys, "stdout", pipe)
    with guarded_streams():
        assert sys.stdout is pipe


def test_no_module_opens_a_console_past_the_guard() -> None:
    sources = Path(clipcli.__file__).parent
    opened = {path.name for path in sources.rglob("*.py") if "Console(" in path.read_text("utf-8")}
    assert opened == {"terminal.py"}


@pytest.mark.parametrize("terminal", ["dumb", "xterm-256color"])
@pytest.mark.parametrize("form", ["table", "tsv", "csv", "json", "jsonl"])
def test_classify_escapes_names_and_labels(form: str, terminal: str, on_terminal: OnTerminal, album: Path) -> None:
    code, drawn = on_terminal("classify", album, *LABELS, "-f", form, "-k", "2", TERM=terminal)
    assert code == 1
    assert_harmless(drawn)
    assert "owned" in drawn


def test_json_of_classify_on_a_terminal_can_be_read(
    on_terminal: OnTerminal, album: Path, photos: dict[str, Path]
) -> None:
    photo = next(path for path in album.rglob("*.png") if "cat" in path.parent.name)
    code, drawn = on_terminal("classify", photo, *LABELS, "-f", "json", "--quiet")
    assert code == 0
    assert json.loads(drawn)[0]["path"] == str(photo)


@pytest.mark.parametrize("terminal", ["dumb", "xterm-256color"])
def test_sort_escapes_names_and_labels(terminal: str, on_terminal: OnTerminal, album: Path, tmp_path: Path) -> None:
    paths = [str(path.relative_to(tmp_path)) for path in album.rglob("*.png")]
    records = [{"path": path, "label": EVIL, "probability": 0.5} for path in [*paths, f"gone{EVIL}.png"]]
    (tmp_path / "r.jsonl").write_text("".join(json.dumps(each) + "\n" for each in records), "utf-8")
    for more in (("--dry-run",), ()):
        code, drawn = on_terminal("sort", "r.jsonl", "--into", "sorted", *more, TERM=terminal)
        assert code == 1
        assert_harmless(drawn)
        assert "owned" in drawn
    (copy, *_) = (tmp_path / "sorted").rglob("*.png")
    copy.write_bytes(b"changed")
    code, drawn = on_terminal("sort", "--undo", "sorted", TERM=terminal)
    assert code == 1
    assert_harmless(drawn)


def test_prompts_and_models_escape_what_they_show(on_terminal: OnTerminal, tmp_path: Path) -> None:
    (tmp_path / "evil.txt").write_text(f"a photo {EVIL} of a {{label}}\n", "utf-8")
    for line in (
        ("prompts", "show", "evil.txt"), ("prompts", "show", EVIL), ("models", "list", EVIL), ("models", "show", EVIL),
        ("cache", "info", "--cache-dir", tmp_path / EVIL.replace("/", "|")), ("sort", EVIL, "--into", EVIL),
        ("report", EVIL, "-o", EVIL), ("train", EVIL, "-o", EVIL), ("evaluate", EVIL), (EVIL,),
        ("classify", f"--{EVIL}"), ("classify", "x.png", "-L", EVIL), ("classify", "x.png", "-f", EVIL),
        ("export", "text", "-l", "cat", "-o", EVIL),
    ):  # fmt: skip
        _, drawn = on_terminal(*line, TERM="xterm-256color")
        assert drawn
        assert_harmless(drawn)


@pytest.mark.parametrize("terminal", ["dumb", "xterm-256color"])
def test_evaluate_matrix_export_report_and_train_escape_names(
    terminal: str, on_terminal: OnTerminal, album: Path, tmp_path: Path
) -> None:
    text = tmp_path / "texts.txt"
    text.write_text(f"one {EVIL}\n[/two]\n", "utf-8")
    records = [{"path": str(path), "label": EVIL, "probability": 0.5} for path in album.rglob("*.png")]
    (tmp_path / "r.jsonl").write_text("".join(json.dumps(each) + "\n" for each in records), "utf-8")
    page = tmp_path / f"{EVIL.replace('/', '|')}.html"
    for code, line in (
        (1, ("evaluate", album, "--model", "pocket", "-t", f"[/x]{EVIL} {{label}}", "-p", "photo")),
        (1, ("matrix", album, "--texts", text, "--model", "pocket")),
        (1, ("export", "images", album, "-o", tmp_path / "x.csv", "--model", "pocket", "-v")),
        (0, ("export", "text", *LABELS, "-o", tmp_path / "x.npz", "-v")),
        (0, ("report", "r.jsonl", "-o", page)),
        (2, ("train", album, "-o", tmp_path / EVIL.replace("/", "|"), "--from-scratch", EVIL)),
    ):
        done, drawn = on_terminal(*line, TERM=terminal)
        assert_harmless(drawn)
        assert done == code, drawn


def test_a_pipe_gets_names_as_they_are(tmp_path: Path, run: Callable[..., object], album: Path) -> None:
    (tmp_path / "evil.txt").write_text("a photo \u202e of a {label}\x9b\n", "utf-8")
    done = run("prompts", "show", "evil.txt")
    assert done.stdout == "a photo \u202e of a {label}\x9b\n"  # type: ignore[attr-defined]
