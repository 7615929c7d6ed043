"""The class of all commands: behaviour that every option and argument has."""

from __future__ import annotations

import os
import select
import stat
import sys
from typing import Any

from clipcli.cli.help import GroupedHelp
from clipcli.cli.plain_values import convert_plain_values
from clipcli.cli.requirements import CheckedCommand
from clipcli.errors import InputError

__all__ = ["Command"]

_PATIENCE = 5.0  # seconds that a pipe may be silent before it counts as none


class Command(GroupedHelp, CheckedCommand):
    """A command that rejects empty values: an empty path would silently mean the current folder.

    An argument whose default is the empty text may be empty; so may an environment variable, which is then ignored.
    """

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the command line; without INPUTs, they are read from stdin if that is a pipe or file.

        Raises
        ------
        InputError
            If a value is empty, or there are no INPUTs; the message names the option or argument.
        """
        for parameter in self.get_params(ctx):
            convert_plain_values(parameter)
        given = list(args)
        rest = super().parse_args(ctx, args)
        if ctx.resilient_parsing:  # as it is while the shell completes a line
            return rest
        if "" in given or any(each.endswith("=") for each in given):
            self._check_not_empty(ctx, given)
        if not ctx.params.get("inputs", True):
            if not _has_stdin():
                raise InputError(
                    "cannot read images: no INPUT is given (name image files or folders, or pipe paths to this command)"
                )
            ctx.params["inputs"] = ["-"]
        return rest

    def _check_not_empty(self, ctx: Any, args: list[str]) -> None:
        values, _, _ = self.make_parser(ctx).parse_args(args)
        for parameter in self.get_params(ctx):
            if parameter.default != "" and _has_empty(values.get(str(parameter.name))):
                raise InputError(f"cannot use {_shown(parameter)}: it is empty (give it a value or leave it out)")


def _has_stdin() -> bool:
    """Return whether stdin is a file, or a pipe in which something arrives: others may be inherited and silent."""
    try:
        mode = os.fstat(sys.stdin.fileno()).st_mode
        return stat.S_ISREG(mode) or (stat.S_ISFIFO(mode) and bool(select.select([sys.stdin], [], [], _PATIENCE)[0]))
    except (AttributeError, OSError, ValueError):
        return False


def _has_empty(value: object) -> bool:
    return value == "" or (isinstance(value, list | tuple) and "" in value)


def _shown(parameter: Any) -> str:
    long = [name for name in parameter.opts if name.startswith("--")]
    return str((long or [parameter.metavar or parameter.name])[0]).strip("[]")
