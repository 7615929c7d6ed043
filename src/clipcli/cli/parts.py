"""Runs whose rows go into a folder of parts, whatever engine makes them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, TypeVar

from clipcli.errors import Interrupted

if TYPE_CHECKING:
    from clipcli.inputs import Source
    from clipcli.parts import PartedOutput, PartForm
    from clipcli.work import Engine

__all__ = ["begin_parts", "into_parts"]

Row = TypeVar("Row")


def begin_parts(
    folder: str, form: PartForm[Row], settings: dict[str, Any], about: dict[str, Any], *, resume: bool, overwrite: bool
) -> PartedOutput[Row]:
    """Begin a folder of parts, or go on with one."""
    from clipcli.parts import PartedOutput
    from clipcli.places import folder_at

    return PartedOutput(folder_at(folder), form, settings, about, resume=resume, overwrite=overwrite)


def into_parts(engine: Engine[Row], source: Source, output: PartedOutput[Row], size: int, warn: Any) -> Iterator[Row]:
    """Discover, work and write; yield the rows as they come."""
    from clipcli.inputs import discover_units
    from clipcli.work import in_chunks

    chunks = output.rest(in_chunks(discover_units(source, warn), size))
    try:
        yield from output.write(engine.pieces(chunks))
    except KeyboardInterrupt:
        raise Interrupted(f"interrupted: {output.how_to_go_on()}") from None
