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
        "Arguments", "Labels and prompts", "Output", "Scores", "Model", "Inputs", "Performance and cache", "Cluster",
        "General",
    ]  # fmt: skip
