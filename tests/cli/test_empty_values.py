"""An empty value of any option is refused: as a path it would mean the current folder, without a word."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from clipcli.cli import build_app, run


def commands(group: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, (*path, name))
        else:
            yield (*path, name), command


def parameters() -> Iterator[Any]:
    for path, command in commands(get_command(build_app(["x", "y"]))):
        for parameter in command.params:
            if not getattr(parameter, "is_flag", False) and parameter.name != "help":
                yield pytest.param(path, command, parameter, id=f"{' '.join(path)} {parameter.name}")


def line_with(path: tuple[str, ...], command: Any, parameter: Any, value: str) -> list[str]:
    """A command line with one value, and something for all else that is required."""
    line = [*path]
    for each in command.params:
        if each is parameter or each.required:
            given = value if each is parameter else "x.html"
            line += [given] if each.param_type_name == "argument" else [max(each.opts, key=len), given]
    return line


@pytest.mark.parametrize(("path", "command", "parameter"), parameters())
def test_an_empty_value_is_refused_by_name(
    path: tuple[str, ...], command: Any, parameter: Any, capsys: pytest.CaptureFixture[str],
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    if parameter.default == "":
        run(line_with(path, command, parameter, ""))
        assert "is empty" not in capsys.readouterr().err
        return
    assert run(line_with(path, command, parameter, "")) == 2
    done = capsys.readouterr()
    assert (done.out, done.err.count("\n")) == ("", 1)
    assert "is empty" in done.err or "Invalid value for" in done.err
    name = max(parameter.opts, key=len) if parameter.param_type_name == "option" else parameter.metavar or ""
    assert name.strip("[]") in done.err
    assert list(tmp_path.iterdir()) == []


LINES = [
    ["sort", "r.jsonl", "--into="], ["sort", "r.jsonl", "--into", "s", "--root="], ["classify", "a.png", "-L", ""],
    ["classify", "a.png", "", "-l", "cat"], ["classify", "a.png", "-l", "cat", "-l", ""],
    ["classify", "a.png", "-o", "", "-l", "x"],
]  # fmt: skip


@pytest.mark.parametrize("line", LINES, ids=" ".join)
def test_an_empty_value_is_refused_however_it_is_written(line: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(line) == 2
    assert "is empty" in capsys.readouterr().err


def test_an_empty_environment_variable_counts_as_not_set(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CLIPCLI_LABELS", "")
    assert run(["classify", "x.png"]) == 2
    assert "no labels" in capsys.readouterr().err
