"""The class of all commands: behaviour that every option and argument has."""

from __future__ import annotations

from typing import Any

from clipcli.cli.help import GroupedHelp
from clipcli.cli.requirements import CheckedCommand
from clipcli.errors import InputError

__all__ = ["Command"]


class Command(GroupedHelp, CheckedCommand):
    """A command that rejects empty values: an empty path would silently mean the current folder.

    An argument whose default is the empty text may be empty; so may an environment variable, which is then ignored.
    """

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the command line and reject empty values.

        Raises
        ------
        InputError
            If a value is empty; the message names the option or argument.
        """
        given = list(args)
        rest = super().parse_args(ctx, args)
        is_suspect = "" in given or any(each.endswith("=") for each in given)
        if is_suspect and not ctx.resilient_parsing:  # as it is while the shell completes a line
            values, _, _ = self.make_parser(ctx).parse_args(given)
            for parameter in self.get_params(ctx):
                if parameter.default != "" and _has_empty(values.get(str(parameter.name))):
                    raise InputError(f"cannot use {_shown(parameter)}: it is empty (give it a value or leave it out)")
        return rest


def _has_empty(value: object) -> bool:
    return value == "" or (isinstance(value, list | tuple) and "" in value)


def _shown(parameter: Any) -> str:
    long = [name for name in parameter.opts if name.startswith("--")]
    return str((long or [parameter.metavar or parameter.name])[0]).strip("[]")
