"""The class of all commands: behaviour that every option and argument has."""

from __future__ import annotations

import os
import select
import stat
import sys
from typing import Any

from clipcli.cli.help import GroupedHelp
from clipcli.cli.plain_values import convert_plain_values
from clipcli.cli.requirements import CheckedCommand, UsageError
from clipcli.errors import InputError

__all__ = ["Command"]

_PATIENCE = 5.0  # seconds that a pipe may be silent before it counts as none


class Command(GroupedHelp, CheckedCommand):
    """A command that rejects values which would silently mean something else.

    An empty path would mean the current folder, and of an option that is given twice only the last value would be used.
    An argument whose default is the empty text may be empty; so may an environment variable, which is then ignored.
    """

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the command line; reject empty values, repeated options with one value, and a line without INPUTs.

        Raises
        ------
        InputError
            If a value is empty, or an option with one value is repeated; the message names the option or argument.
        UsageError
            If there is neither an INPUT nor a file of image embeddings.
        """
        for parameter in self.get_params(ctx):
            convert_plain_values(parameter)
        given = list(args)
        if not ctx.resilient_parsing:
            self._check_no_file(ctx, given)
        if not ctx.resilient_parsing and not set(given) & set(ctx.help_option_names):
            self._check_repeated(ctx, given)
        rest = self._parsed(ctx, args)
        if ctx.resilient_parsing:  # as it is while the shell completes a line
            return rest
        if "" in given or any(each.endswith("=") for each in given):
            self._check_not_empty(ctx, given)
        if _lacks_inputs(ctx.params):
            raise UsageError("Missing argument 'INPUT...': name images, or give --image-embeddings.", ctx=ctx)
        return rest

    def _check_no_file(self, ctx: Any, given: list[str]) -> None:
        """Raise :class:`InputError` for a file that would be read as options, as ``-rf.jpg`` in ``*.jpg`` would."""
        known = {name for each in self.get_params(ctx) for name in (*each.opts, *each.secondary_opts)}
        before = given[: given.index("--")] if "--" in given else given
        for each in before:
            if len(each) > 1 and each[0] == "-" and each.partition("=")[0] not in known and os.path.lexists(each):
                raise InputError(
                    f"cannot use {each}: a name that begins with - is read as an option (write ./{each}, or put -- "
                    "before the names)"
                )

    def _check_repeated(self, ctx: Any, given: list[str]) -> None:
        _, _, order = self.make_parser(ctx).parse_args(list(given))
        for parameter in self.get_params(ctx):
            is_single = parameter.param_type_name == "option" and not getattr(parameter, "multiple", False)
            if is_single and _takes_value(parameter) and order.count(parameter) > 1:
                raise InputError(
                    f"cannot use {_shown(parameter)} more than once: it takes one value (run the command once for each)"
                )

    def _parsed(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the command line; where INPUTs are missing and stdin is a pipe or file, they are read from there."""
        given = list(args)
        rest = super().parse_args(ctx, args)
        if ctx.resilient_parsing or not _lacks_inputs(ctx.params) or not _has_stdin():
            return rest
        return super().parse_args(ctx, [*given, "-"])

    def _check_not_empty(self, ctx: Any, args: list[str]) -> None:
        values, _, _ = self.make_parser(ctx).parse_args(args)
        for parameter in self.get_params(ctx):
            if parameter.default != "" and _has_empty(values.get(str(parameter.name))):
                raise InputError(f"cannot use {_shown(parameter)}: it is empty (give it a value or leave it out)")


def _takes_value(parameter: Any) -> bool:
    """Return whether an option has a value, or contradicts itself like ``--paired --not-paired``."""
    return not parameter.is_flag or bool(parameter.secondary_opts)


def _lacks_inputs(values: Any) -> bool:
    return "inputs" in values and not values["inputs"] and values["image_embeddings"] is None


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
