"""Figures: made with matplotlib, and written atomically as PNG and SVG.

The caller's matplotlib settings stay as they are.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from clipcli.outputs.own_files import CHART_MARK
from clipcli.storage.atomic import replacing

__all__ = ["empty_figure", "plain", "save", "save_as"]

_DOTS = 200  # per inch
_METADATA: dict[str, dict[str, str | None]] = {
    ".png": {"Software": CHART_MARK},
    ".svg": {"Creator": CHART_MARK, "Date": None},
}


def empty_figure(width: float, height: float) -> Any:
    """Return a figure of a size in inches, without axes; no window is opened."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def save(drawn: Any, stem: Path, *, overwrite: bool = True) -> Iterator[Path]:
    """Write a figure as PNG and as SVG, and yield the files."""
    for suffix in (".png", ".svg"):
        file = stem.with_name(stem.name + suffix)
        save_as(drawn, file, overwrite=overwrite)
        yield file


def save_as(drawn: Any, file: Path, *, overwrite: bool = True) -> None:
    """Write a figure in the format of the extension, atomically.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    from matplotlib import rc_context
    from matplotlib.text import Text

    suffix = file.suffix.lower()
    for text in drawn.findobj(Text):
        text.set_parse_math(False)  # a label may hold a dollar sign
    settings: Any = {"text.parse_math": False, "svg.hashsalt": "clipcli"}  # the salt: the same chart is the same file
    with replacing(file, overwrite=overwrite) as temporary, rc_context(settings):
        drawn.savefig(temporary, dpi=_DOTS, format=suffix[1:], metadata=_METADATA[suffix])


def plain(text: str, longest: int = 32) -> str:
    """Return a label on one line, shortened if it is too long."""
    shown = " ".join(text.split())
    return shown if len(shown) <= longest else shown[: longest - 1] + "…"
