"""Generate the command reference of the docs from the commands themselves; ``tools/readme.py`` writes it.

Typer's own generator cuts long summaries and does not group options, and its output differs between versions.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from inspect import cleandoc
from typing import Any

import typer

from clipcli.cli import build_app
from clipcli.cli.help import option_groups
from clipcli.cli.requirements import REQUIREMENTS

__all__ = ["command_reference"]

_INTRODUCTION = """\
# Commands and options

This page is generated from the `--help` texts. The guide describes the
[exit codes](../guide/troubleshooting.md#exit-codes).

"""
_REQUIREMENTS = """\
## Options that require other options

An option that would have no effect is an error (exit code 2) if it is given on the command line. Environment variables
are defaults: they are ignored where they do not apply.

| option | commands | only works |
|---|---|---|
"""
_ALL_COMMANDS = "`-h`, `--help` shows the help of a command and exits.\n\n"
_EXAMPLES = re.compile(r"(?:^clipcli .+\n*)+", re.MULTILINE)


def command_reference() -> str:
    """Return the page: all commands with their options, and which options require others."""
    group: Any = typer.main.get_command(build_app(["x", "x"]))
    parts = [_INTRODUCTION, _commands_table(group, "clipcli"), _ALL_COMMANDS]
    for name, command in group.commands.items():
        parts.append(_section(command, f"clipcli {name}", "##"))
        for inner, subcommand in getattr(command, "commands", {}).items():
            parts.append(_section(subcommand, f"clipcli {name} {inner}", "###"))
    return "".join([*parts, _REQUIREMENTS, *_requirement_rows(group)])


def _section(command: Any, name: str, heading: str) -> str:
    """Describe one command: its help text, arguments and options; or the commands of a group."""
    head = f"{heading} {name}\n\n{_prose(command.help)}\n\n"
    if hasattr(command, "commands"):
        return head + _commands_table(command, name)
    context = typer.Context(command)
    groups = option_groups(command, context)
    tables = (
        f"| {title} | |\n|---|---|\n{''.join(_row(*row) for row in rows if not row[0].endswith('--help'))}\n"
        for title, rows in groups.items()
        if not all(name.endswith("--help") for name, _ in rows)
    )
    return head + "".join(tables)


def _commands_table(group: Any, prefix: str) -> str:
    rows = (
        f"| [{prefix} {name}](#{_anchor(f'{prefix} {name}')}) | {_cell(_prose(each.help).partition(chr(10))[0])} |\n"
        for name, each in group.commands.items()
    )
    return f"| command | |\n|---|---|\n{''.join(rows)}\n"


def _anchor(heading: str) -> str:
    return heading.replace(" ", "-")


def _row(spelled: str, text: str) -> str:
    """Return the table row of an argument, or of an option such as ``-k, --top-k N`` or ``-f, --format <csv|json>``."""
    shown = ", ".join(f"`{each}`" for each in re.sub(r"[<>\[\]]", "", spelled).split(", "))
    return f"| {_cell(shown)} | {_cell(_escaped(' '.join(text.split())))} |\n"


def _prose(text: str | None) -> str:
    """Return a help text with its examples as a code block."""
    return _EXAMPLES.sub(_code_block, cleandoc(text or "").replace("\b\n", "") + "\n").strip()


def _code_block(match: re.Match[str]) -> str:
    lines = [line for line in match.group(0).splitlines() if line]
    return "```sh\n" + "\n".join(lines) + "\n```\n\n"


def _escaped(text: str) -> str:
    return re.sub(r"([*<])", r"\\\1", text)


def _cell(text: str) -> str:
    return text.replace("|", r"\|")


def _requirement_rows(group: Any) -> Iterator[str]:
    rows: dict[tuple[str, str], list[str]] = {}
    for name, requirements in REQUIREMENTS.items():
        command = group
        for part in name.split():
            command = command.commands[part]
        for requirement in requirements:
            for option in requirement.options:
                parameter = next(each for each in command.params if each.name == option)
                spelled = next(text for text in parameter.opts if text.startswith("--"))
                rows.setdefault((spelled, requirement.condition), []).append(f"`{name}`")
    for (option, condition), names in rows.items():
        yield f"| `{option}` | {', '.join(names)} | {condition} |\n"
