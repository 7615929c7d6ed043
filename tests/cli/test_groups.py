"""Options in groups: each field is an option of the command, and comes back in its group."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import typer

from clipcli.cli.groups import with_groups


@dataclass(frozen=True)
class Size:
    width: Annotated[int, typer.Option("--width")] = 3
    names: Annotated[list[str] | None, typer.Option("--name")] = None


def test_fields_are_options_and_come_back_in_their_group() -> None:
    found: list[tuple[str, Size, bool]] = []

    @with_groups
    def command(*, path: str, size: Size, loud: bool = False) -> None:
        """Take a group."""
        found.append((path, size, loud))

    app = typer.Typer()
    app.command()(command)
    app(["a.png", "--name", "x", "--name", "y", "--loud"], standalone_mode=False)
    app(["b.png", "--width", "5"], standalone_mode=False)
    assert found == [("a.png", Size(3, ["x", "y"]), True), ("b.png", Size(5, None), False)]
