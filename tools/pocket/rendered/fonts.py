"""The fonts of this machine, by style; a part of them is held out for measuring."""

from __future__ import annotations

import random
import re
import sys
from functools import cache, lru_cache
from pathlib import Path
from zlib import crc32

from PIL import ImageFont

STYLES = ("sans", "serif", "mono", "hand", "display")
_FOLDERS = (
    "/usr/share/fonts",
    "/usr/local/share/fonts",
    "~/.fonts",
    "~/.local/share/fonts",
    "/Library/Fonts",
    "/System/Library/Fonts/Supplemental",
    "C:/Windows/Fonts",
)
# Symbols, other scripts, and faces in which a page is not written.
_SKIPPED = re.compile(
    r"symbol|math|emoji|amiri|wqy|musi|bravura|aoyagi|cmex|cmmi|cmsy|cmr10|STIXSiz|STIXNonUni|dings|terminus",
    re.IGNORECASE,
)
_PATTERNS = {
    "mono": r"mono|courier|code|hack|inconsolata|consol|cursor",
    "hand": (
        r"humor|breip|dancing|kristi|ecolier|comic|isabella|tomson|ruf|femke|dkg|fifthhorse"
        r"|script|hand|chancery|sniglet|beteckna"
    ),
    "display": r"bebas|lobster|league|yanone|sixtyfour|ostrich|impact|gothic|blankenburg|black|heavy",
    "serif": r"serif|didot|garamond|vollkorn|oldstandard|fanwood|linden|goudy|tinos|times|georgia|roman|STIX|playfair",
}
_HELD_PART = 4  # one family in four


@lru_cache(maxsize=512)
def load_font(path: str, size: int) -> ImageFont.FreeTypeFont:
    """Open a font at a size in pixels."""
    return ImageFont.truetype(path, size, layout_engine=ImageFont.Layout.BASIC)  # Raqm takes twice as long


def pick_font(rng: random.Random, size: float, style: str, held: bool = False) -> ImageFont.FreeTypeFont:
    """Choose a font of a style; of another style if the machine has none of it."""
    files = _fonts(held)
    choices = files[style] or files["sans"] or [file for others in files.values() for file in others]
    return load_font(rng.choice(choices), max(6, round(size)))


@cache
def _fonts(held: bool) -> dict[str, list[str]]:
    """Font files by style: those held out for measuring, or those for training."""
    found: dict[str, dict[str, list[str]]] = {style: {} for style in STYLES}
    for path in _font_files():
        if _writes_latin(path):
            found[_style(path)].setdefault(_family(path), []).append(str(path))
    return {style: _part(families, held) for style, families in found.items()}


def _part(families: dict[str, list[str]], held: bool) -> list[str]:
    """Files of the held-out or of the other families; of all if that part is empty."""
    chosen = [file for name, files in families.items() if _is_held(name) == held for file in files]
    return chosen or [file for files in families.values() for file in files]


def _is_held(family: str) -> bool:
    return crc32(family.encode()) % _HELD_PART == 0


def _family(path: Path) -> str:
    return re.split(r"[-_ ]", path.stem)[0].lower()


def _font_files() -> list[Path]:
    folders = [Path(folder).expanduser() for folder in _FOLDERS]
    folders += [Path(place) / "matplotlib/mpl-data/fonts/ttf" for place in sys.path if place]
    files = {path.name: path for folder in folders if folder.is_dir() for path in folder.rglob("*.[to]tf")}
    if not files:
        message = "cannot render text: no TrueType fonts found (install matplotlib or fonts-dejavu)"
        raise FileNotFoundError(message)
    return [files[name] for name in sorted(files) if not _SKIPPED.search(name)]


def _style(path: Path) -> str:
    name = f"{path.parent.name}/{path.name}".replace("SansSerif", "Sans")
    for style, pattern in _PATTERNS.items():
        if re.search(pattern, name, re.IGNORECASE):
            return style
    return "sans"


def _writes_latin(path: Path) -> bool:
    try:
        font = load_font(str(path), 20)
        shapes = {bytes(font.getmask(letter)) for letter in ("a", "g", "R", "7", "\uffff")}
    except OSError:
        return False
    return len(shapes) == 5  # a font that lacks a letter draws the same box for all
