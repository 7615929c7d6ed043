"""Figures: made with matplotlib, and written atomically as PNG and SVG.

The caller's matplotlib settings stay as they are.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from clipcli.log import LOG
from clipcli.outputs.own_files import CHART_MARK
from clipcli.storage.atomic import replacing

__all__ = ["empty_figure", "ink_on", "legible_size", "plain", "save", "save_as", "size_of"]

_DOTS = 200  # per inch
_POINTS = 72  # per inch
_SIZES = (9, 8, 7, 6)  # points of text; smaller text cannot be read
_CHARACTER, _LINE = 0.65, 1.3  # width of a character and height of a line, in the size of the text
_EQUAL = 0.179  # luminance of a colour on which black and white have the same contrast
_OTHER_SCRIPTS = re.compile(
    r"Noto (Sans|Emoji)(?! (Mono|Symbols))|Arial Unicode|Hiragino Sans|PingFang|Apple SD Gothic|Yu Gothic|Meiryo|"
    r"Microsoft (YaHei|JhengHei)|Malgun Gothic|SimHei|WenQuanYi|Droid Sans Fallback|IPAGothic|Nirmala UI|Leelawadee UI"
)
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
    suffix = file.suffix.lower()
    with replacing(file, overwrite=overwrite) as temporary, _drawing(drawn):
        drawn.savefig(temporary, dpi=_DOTS, format=suffix[1:], metadata=_METADATA[suffix])


def size_of(axes: Any) -> tuple[float, float]:
    """Return the width and height in inches that axes will have, after the layout of the whole figure."""
    drawn = axes.figure
    with _drawing(drawn):
        drawn.draw_without_rendering()
    box = axes.get_window_extent()
    return box.width / drawn.dpi, box.height / drawn.dpi


def legible_size(width: float, height: float, characters: int) -> int | None:
    """Return the largest size in points for a text in a space in inches, ``None`` if it is not legible there."""
    for size in _SIZES:
        if characters * _CHARACTER * size <= _POINTS * width and _LINE * size <= _POINTS * height:
            return size
    return None


def ink_on(red: float, green: float, blue: float) -> str:
    """Return ``black`` or ``white``, which has the higher contrast on a colour of sRGB values from 0 to 1."""
    linear = (value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in (red, green, blue))
    luminance = sum(share * value for share, value in zip((0.2126, 0.7152, 0.0722), linear, strict=True))
    return "black" if luminance > _EQUAL else "white"


@contextmanager
def _drawing(drawn: Any) -> Iterator[None]:
    """Prepare a figure for drawing: any script if a font for it is installed, and no formulas between dollar signs."""
    from matplotlib import rc_context
    from matplotlib.text import Text

    families = ["DejaVu Sans", *_other_fonts()]
    for text in drawn.findobj(Text):
        text.set_parse_math(False)
        text.set_fontfamily(families)
    # The same for text that is made while drawing. The salt: the same chart is the same file.
    settings: Any = {"text.parse_math": False, "font.family": families, "svg.hashsalt": "clipcli"}
    with rc_context(settings), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    missing = [each for each in caught if "missing from font" in str(each.message)]
    for each in caught:
        if each not in missing:
            warnings.warn_explicit(each.message, each.category, each.filename, each.lineno)
    if missing:
        LOG.warning(
            "some characters of names are not drawn: no installed font has them (install the fonts 'Noto Sans')"
        )


def _other_fonts() -> list[str]:
    """Return installed fonts for characters that DejaVu Sans, which comes with matplotlib, does not have."""
    from matplotlib.font_manager import fontManager

    return [name for name in sorted(set(fontManager.get_font_names())) if _OTHER_SCRIPTS.match(name)]


def plain(text: str, longest: int = 32) -> str:
    """Return a label on one line, shortened if it is too long."""
    shown = " ".join(text.split())
    return shown if len(shown) <= longest else shown[: longest - 1] + "…"
