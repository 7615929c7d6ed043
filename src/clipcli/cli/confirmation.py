"""Ask before something is deleted."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from clipcli.errors import InputError

__all__ = ["Yes", "confirmed"]

Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")]


def confirmed(what: str, detail: str, *, yes: bool) -> bool:
    """Return whether something may be deleted, as the user answers on the terminal.

    Parameters
    ----------
    what, detail
        What is deleted, and how much that is.
    yes
        Whether it was confirmed already, with ``--yes``.

    Raises
    ------
    InputError
        If it was not, and there is no terminal to ask on.
    """
    if yes:
        return True
    if not sys.stdin.isatty():
        raise InputError(f"cannot delete {what}: stdin is not a terminal, so it cannot be confirmed (use --yes)")
    return typer.confirm(f"Delete {what} ({detail})?", err=True)
