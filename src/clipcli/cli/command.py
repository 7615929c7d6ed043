"""The class of all commands: what holds for every option and argument."""

from __future__ import annotations

from typing import Any

from typer.core import TyperCommand

from clipcli.errors import InputError

__all__ = ["Command"]


class Command(TyperCommand):
    """A command that takes no empty value: as a path it would mean the current folder, without a word.

    An argument whose default is the empty text may be empty; so may an environment variable, which then counts as
    not set.
    """

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the command line, and refuse empty values. The context's class depends on Typer's version.

        Raises
        ------
        InputError
            If a value is empty; the option or argument is named.
        """
        given = list(args)
        rest = super().parse_args(ctx, args)
        is_suspect = "" in given or any(each.endswith("=") for each in given)
        if is_suspect and not ctx.resilient_parsing:  # as it is while the shell completes a line
            values, _, _ = self.make_parser(ctx).parse_args(given)
            for parameter in self.get_params(ctx):
                if parameter.default != "" and _has_empty(values.get(str(parameter.name))):
                    raise InputError(f"cannot use {_shown(parameter)}: it is empty (give it a value, or leave it out)")
        return rest


def _has_empty(value: object) -> bool:
    return value == "" or (isinstance(value, list | tuple) and "" in value)


def _shown(parameter: Any) -> str:
    long = [name for name in parameter.opts if name.startswith("--")]
    return str((long or [parameter.metavar or parameter.name])[0]).strip("[]")
