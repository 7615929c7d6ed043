"""The small text files that people write by hand, labels and templates, and lines of CSV."""

from __future__ import annotations

import csv
import difflib
import io
import json
import re
import unicodedata
from collections.abc import Iterable, Iterator
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
_FORMULA = re.compile(r"'*[=+\-@\t\r]")


def guarded(text: str) -> str:
    """Put an apostrophe before text that a spreadsheet would take for a formula; :func:`unguarded` undoes it."""
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
    return escape_controls(text)


def escape_controls(text: str, keep: str = "") -> str:
    r"""Replace what a terminal would obey rather than show: control, format and bidirectional characters.

    Above ASCII the escapes are those of JSON (``\u009b``), so JSON stays JSON; the others are Python's (``\x1b``).

    Parameters
    ----------
    keep
        Control characters to leave as they are.
    """
    if text.isprintable():
        return text
    return "".join(each if each in keep or _is_shown(each) else _escaped(each) for each in text)


def _escaped(character: str) -> str:
    return repr(character)[1:-1] if character < " " else json.dumps(character)[1:-1]


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
