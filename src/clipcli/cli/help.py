"""The layout of ``--help``: options in titled groups, the most used first, as plain text.

Typer draws such groups with Rich, which takes longer to import than the rest of ``--help``.
"""

from __future__ import annotations

import inspect
import re
from typing import Any

from typer.core import TyperGroup

__all__ = ["PANELS", "WIDTH", "Group", "GroupedHelp", "option_groups"]

PANELS = (
    "Options", "Query", "Pairs", "Labels and prompts", "Texts", "Output", "Comparison", "Calibration",
    "Scores", "Initial model", "Training", "Method", "Model", "Inputs", "Server", "Access", "Performance and cache",
    "Cluster", "General",
)  # fmt: skip
"""The titles of the groups, in the order of ``--help``; an option without one belongs to the first."""

WIDTH = 100
"""The maximum width of ``--help`` in columns."""

_SHORT = 5  # parameters of a command that needs no groups
_NAME_WIDTH = 30  # columns; a longer name gets a line to itself
_MARGINS = 6  # columns: two before a name, two after, and a bracket before and after a text
_HYPHEN = "\N{NON-BREAKING HYPHEN}"  # stands for "-" while text is wrapped: names of options are never split
_SPACE = "\N{NO-BREAK SPACE}"  # the same for " " in quoted commands and in notes such as [default: 5]
_TOGETHER = re.compile(r"(?<!\w)'[^' ]+ [^']*'(?!\w)|(?<=[\[ ])(?:env var|default|minimum|range): [^];]+")
_LONGEST_TOGETHER = 34  # characters; longer ones would leave lines half empty
_LIMITS = re.compile(r"(-?[\d.e-]+)<=x<=(-?[\d.e-]+)|x>=(-?[\d.e-]+)")

Row = tuple[str, str]


class GroupedHelp:
    """Mixin of commands that groups options by their ``rich_help_panel``."""

    def get_help(self, ctx: Any) -> str:
        """Return the whole text of ``--help``."""
        text: str = super().get_help(ctx)  # type: ignore[misc]
        return text.replace(_HYPHEN, "-").replace(_SPACE, " ")

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """Return the parts of the usage line, without the braces that Typer puts around required arguments."""
        pieces: list[str] = super().collect_usage_pieces(ctx)  # type: ignore[misc]
        return [re.sub(r"^\{(.+)\}", r"\1", each) for each in pieces]

    def format_help_text(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002 - the signature of Typer
        """Write the description; the lines of an example are not wrapped, so that they can be copied."""
        paragraphs = inspect.cleandoc(getattr(self, "help", None) or "").split("\n\n")
        marked = (
            f"\b\n{each}" if each.startswith("clipcli ") else _unsplit(each, formatter.width) for each in paragraphs
        )
        formatter.write_paragraph()
        with formatter.indentation():
            formatter.write_text("\n\n".join(marked))

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write arguments and options, each group under its title, in aligned columns."""
        groups = option_groups(self, ctx)
        names = [name for rows in groups.values() for name, _ in rows if len(name) <= _NAME_WIDTH]
        width = max(map(len, names), default=0)
        room = formatter.width - width - _MARGINS
        for title, rows in groups.items():
            with formatter.section(title):
                formatter.write_dl([(name.ljust(width), _unsplit(text, room)) for name, text in rows], width)


class Group(GroupedHelp, TyperGroup):
    """A group of commands, such as ``clipcli cache``."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the options, then the commands."""
        super().format_options(ctx, formatter)
        self.format_commands(ctx, formatter)


def option_groups(command: Any, context: Any) -> dict[str, list[Row]]:
    """Return the arguments and options of a command, each with its help text, by the title of their group."""
    groups: dict[str, list[Row]] = {title: [] for title in ("Arguments", *PANELS)}
    parameters = command.get_params(context)
    is_short = len(parameters) <= _SHORT
    for parameter in parameters:
        record = parameter.get_help_record(context)
        if record is None:
            continue
        name, text = record
        if parameter.param_type_name == "argument":
            name = str(parameter.metavar or name)  # Typer adds the type to the name
            groups["Arguments"].append((name, _with_notes(text)))
        else:
            title = PANELS[0] if is_short else _title(parameter)
            groups.setdefault(title, []).append((name, _with_notes(text)))
    return {title: rows for title, rows in groups.items() if rows}


def _title(parameter: Any) -> str:
    if parameter.name == "help":
        return "General"
    return getattr(parameter, "rich_help_panel", None) or PANELS[0]


def _with_notes(text: str) -> str:
    """Return a help text with one bracket for all that it notes: the default, the limits, and the variable last."""
    body, *brackets = re.split(r"\s*\[(?=[^][]*\](?:\s*\[[^][]*\])?$)", text)
    notes = [each.strip("]") for each in brackets[:-1]]
    notes += [_note(each) for each in brackets[-1].strip("]").split("; ")] if brackets else []
    notes.sort(key=lambda note: note.startswith("env var") - note.startswith("default"))
    return f"{body} [{'; '.join(notes)}]" if notes else body


def _note(text: str) -> str:
    """Return a note of Typer in words: ``x>=1`` as ``minimum: 1``."""
    found = _LIMITS.fullmatch(text)
    if found is None:
        return re.sub(r"(default: \d+)\.0$", r"\1", text)
    if found[3]:
        return f"minimum: {float(found[3]):g}"
    return f"range: {float(found[1]):g} to {float(found[2]):g}"


def _unsplit(text: str, room: int) -> str:
    """Prevent line breaks in the names of options, and in what belongs together if it fits into a line."""

    def joined(found: re.Match[str]) -> str:
        return found[0].replace(" ", _SPACE) if len(found[0]) <= min(room, _LONGEST_TOGETHER) else found[0]

    return _TOGETHER.sub(joined, text).replace("-", _HYPHEN)
