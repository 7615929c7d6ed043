"""The small text files that people write by hand, labels and templates, and lines of CSV."""

from __future__ import annotations

import csv
import difflib
import io
import json
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from clipcli.errors import ClipcliError

__all__ = [
    "csv_line",
    "escape_controls",
    "guarded",
    "is_unicode",
    "name_key",
    "near_matches",
    "numbered_lines",
    "one_line",
    "read_text",
    "tsv_cell",
    "unguarded",
]


def read_text(path: Path, error: type[ClipcliError]) -> str:
    """Read a UTF-8 file, with or without BOM, raising ``error`` with one line if that fails."""
    try:
        return path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        raise error(f"{path}: no such file") from None
    except IsADirectoryError:
        raise error(f"{path}: is a folder, not a text file") from None
    except UnicodeDecodeError as problem:
        hint = "save it as UTF-8"
        raise error(f"{path}: not UTF-8 text (byte {problem.start}); {hint}") from None
    except OSError as problem:
        raise error(f"{path}: {problem.strerror or problem}") from None


def numbered_lines(text: str) -> Iterator[tuple[int, str]]:
    """Yield ``(line number, stripped line)`` for each line that is not blank; LF, CRLF or CR."""
    # Not str.splitlines(): it also breaks at form feeds and at U+2028, which may be part of a label.
    for number, line in enumerate(text.replace("\r\n", "\n").replace("\r", "\n").split("\n"), start=1):
        stripped = line.strip()
        if stripped:
            yield number, stripped


def is_unicode(text: str) -> bool:
    """Tell whether text can be written down: false where it holds half of a surrogate pair."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def csv_line(cells: Iterable[object]) -> str:
    """Return one line of CSV, ended by a newline alone."""
    # Before Python 3.13, csv quotes a carriage return only where it is part of the line's end.
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\r\n").writerow(cells)
    return buffer.getvalue().removesuffix("\r\n") + "\n"


_JOINERS = "\u200c\u200d"  # they join letters of some scripts, and emoji
# A formula begins with one of four signs, which East Asian editions also take at full width; some programs skip
# white space and invisible characters before it. A tab or line end at the start may begin a cell of its own.
_FORMULA = re.compile(
    "'*(?:[\\s\x00-\x1f\u200b-\u200f\u2060\ufeff]*[=+\\-@\uff1d\uff0b\uff0d\uff20\ufe66\ufe62\ufe63\ufe6b]|[\t\r\n])"
)


def guarded(text: str) -> str:
    """Put an apostrophe before text that a spreadsheet would take for a formula; :func:`unguarded` undoes it.

    Text that has such an apostrophe already gets another one, so that ``unguarded(guarded(text)) == text`` for any
    text. The page of ``clipcli report`` does the same in its ``cell``.
    """
    return f"'{text}" if _FORMULA.match(text) else text


def unguarded(text: str) -> str:
    """Take off the apostrophe that :func:`guarded` put there."""
    return text[1:] if text.startswith("'") and _FORMULA.match(text) else text


def tsv_cell(cell: str) -> str:
    r"""Read a TSV cell: ``\t``, ``\n``, ``\r`` and ``\\`` are the characters they stand for."""
    known = {"t": "\t", "n": "\n", "r": "\r", "\\": "\\"}
    parts = iter(cell)
    return "".join(known.get(next(parts, ""), "") if character == "\\" else character for character in parts)


def one_line(text: str) -> str:
    """Show control characters, line ends among them, rather than send them to the terminal."""
    return _escape(text, "", repr)


def escape_controls(text: str, keep: str = "") -> str:
    """Replace what a terminal would obey rather than show: control, format and bidirectional characters.

    The escapes are those of JSON, so JSON stays JSON.

    Parameters
    ----------
    keep
        Control characters to leave as they are.
    """
    return _escape(text, keep, json.dumps)


def _escape(text: str, keep: str, quote: Callable[[str], str]) -> str:
    if text.isprintable():
        return text
    return "".join(each if each in keep or _is_shown(each) else quote(each)[1:-1] for each in text)


def _is_shown(character: str) -> bool:
    """Tell whether a character is safe on a terminal: also wide spaces, and what joins letters or emoji."""
    return character.isprintable() or character in _JOINERS or unicodedata.category(character) == "Zs"


def name_key(name: str) -> str:
    """Return what a name is compared by: systems compose letters such as é in different ways (Unicode NFC)."""
    return unicodedata.normalize("NFC", name)


def near_matches(name: str, known: Iterable[str], limit: int = 3) -> str:
    """Say which known names are closest to a mistyped one, or list them where none is close."""
    names = list(known)
    by_lower = {candidate.lower(): candidate for candidate in names}
    close = [by_lower[match] for match in difflib.get_close_matches(name.lower(), by_lower, limit, cutoff=0.6)]
    if close:
        return f"did you mean {' or '.join(filter(None, (', '.join(close[:-1]), close[-1])))}?"
    shown = ", ".join(names[:8])
    return f"known: {shown}{', …' if len(names) > 8 else ''}"
