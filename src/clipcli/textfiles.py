"""Reading the small text files that people write by hand: labels and templates."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from pathlib import Path

from clipcli.errors import ClipcliError

__all__ = ["near_matches", "numbered_lines", "read_text"]


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


def near_matches(name: str, known: Iterable[str], limit: int = 3) -> str:
    """Say which known names are closest to a mistyped one, or list them where none is close."""
    names = list(known)
    by_lower = {candidate.lower(): candidate for candidate in names}
    close = [by_lower[match] for match in difflib.get_close_matches(name.lower(), by_lower, limit, cutoff=0.6)]
    if close:
        return f"did you mean {' or '.join(close)}?"
    shown = ", ".join(names[:8])
    return f"known: {shown}{', …' if len(names) > 8 else ''}"
