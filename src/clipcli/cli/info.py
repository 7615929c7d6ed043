"""``clipcli info``: what is known of the run that wrote some results."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from clipcli.outputs.run_info import RunInfo

__all__ = ["info"]

_MOST_SHOWN = 12  # items of a list


def info(
    results: Annotated[
        Path,
        typer.Argument(metavar="RESULTS", show_default=False,
                       help="Results of 'clipcli classify', complete or not: a file or a folder of parts; or a folder "
                            "of embeddings of 'clipcli export images'."),
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print the details as JSON, with all settings.")] = False,
) -> None:  # fmt: skip
    """Show how results were made, and when.

    That is the model, the versions, the command line, start and end, and the number of records.

    clipcli info results.csv

    clipcli info results.csv --json
    """
    from clipcli.cli.model_facts import facts_as_lines
    from clipcli.outputs.run_info import run_info
    from clipcli.text import escape_controls, one_line

    found = run_info(results)
    if as_json:
        typer.echo(escape_controls(json.dumps(found.as_json, ensure_ascii=False, indent=2), keep="\n"))
        return
    for line in facts_as_lines(_facts(found)):
        typer.echo(one_line(line))


def _facts(found: RunInfo) -> dict[str, Any]:
    """Return what is known, for people, by title."""
    values = found.as_json
    facts: dict[str, Any] = {name: values[name] for name in ("results", "state", "done", "failed", "command", "model")}
    if found.arguments is not None:
        facts["command"] = shlex.join(["clipcli", *found.arguments])
    facts |= {name: values[name] for name in ("started", "ended")}
    if found.started and found.ended:
        facts["seconds"] = round(found.ended - found.started, 1)
    known = {name: value for name, value in found.settings.items() if value is not None}
    facts |= {
        "clipcli": found.clipcli,
        "versions": dict(found.versions),
        "settings": {name: _shortened(value) for name, value in known.items()},
    }
    return {name: value for name, value in facts.items() if value not in (None, {})}


def _shortened(value: object) -> object:
    if not isinstance(value, Sequence) or isinstance(value, str) or len(value) <= _MOST_SHOWN:
        return value
    return [*value[:_MOST_SHOWN], f"and {len(value) - _MOST_SHOWN:,} more"]
