"""``--help`` shows the options in titled groups, and cuts nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import typer

from clipcli.cli import build_app, run
from clipcli.cli.help import PANELS


def commands(group: Any = None, name: str = "") -> Iterator[tuple[str, Any]]:
    group = group or typer.main.get_command(build_app(["x", "x"]))
    for each, command in group.commands.items():
        yield f"{name}{each}", command
        if hasattr(command, "commands"):
            yield from commands(command, f"{name}{each} ")


COMMANDS = dict(commands())


@pytest.mark.parametrize("command", COMMANDS)
def test_every_group_of_options_has_its_place(command: str) -> None:
    panels = {getattr(parameter, "rich_help_panel", None) for parameter in COMMANDS[command].params}
    assert panels - {None} <= set(PANELS)


@pytest.mark.parametrize("columns", [80, 120])
@pytest.mark.parametrize("command", COMMANDS)
def test_every_line_fits_the_terminal_and_every_option_is_there(
    command: str, columns: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    assert run([*command.split(), "--help"]) == 0
    shown = capsys.readouterr().out
    assert max(map(len, shown.splitlines())) <= min(columns, 100)
    names = [name for parameter in COMMANDS[command].params for name in parameter.opts if name.startswith("-")]
    assert all(name in shown for name in names)
    assert "\N{NON-BREAKING HYPHEN}" not in shown


def test_the_options_of_classify_are_grouped_the_most_used_first(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["classify", "--help"]) == 0
    titles = [line[:-1] for line in capsys.readouterr().out.splitlines() if line[:1].isupper() and line.endswith(":")]
    assert titles == [
        "Arguments", "Labels and prompts", "Output", "Scores", "Model", "Inputs", "Server", "Performance and cache",
        "Cluster", "General",
    ]  # fmt: skip


def test_notes_are_in_one_bracket_in_words_and_the_variable_is_last(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["classify", "--help"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "[default: 4096; minimum: 1; env var: CLIPCLI_PART_SIZE]" in shown
    assert "[range: -1 to 1]" in shown
    assert "] [" not in shown.partition("Arguments:")[2]


@pytest.mark.parametrize("command", COMMANDS)
def test_quoted_commands_are_not_broken_into_lines(
    command: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert run([*command.split(), "--help"]) == 0
    assert all(line.count(" 'clipcli ") <= line.count("'") // 2 for line in capsys.readouterr().out.splitlines())


def test_required_arguments_have_no_braces(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["search", "--help"]) == 0
    assert capsys.readouterr().out.startswith("Usage: clipcli search [OPTIONS] QUERY ")


def test_no_command_is_missing() -> None:
    assert {name for name in COMMANDS if name.startswith("models ")} == {
        "models list", "models show", "models download", "models delete",
    }  # fmt: skip
