"""Text files that people write: encodings, lines, control characters, and names that are nearly right."""

from __future__ import annotations

import codecs
import difflib
import io
import json
import os
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, cast

from clipcli.errors import ClipcliError

__all__ = [
    "decode_text",
    "encoding_of",
    "escape_controls",
    "is_unicode",
    "name_key",
    "near_matches",
    "numbered_lines",
    "one_line",
    "open_text",
    "printable",
    "read_text",
    "short_name",
]


_JOINERS = "\u200c\u200d"  # they join letters of some scripts, and emoji
_MARKS = (  # UTF-32 first, as its mark begins with that of UTF-16
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def encoding_of(start: bytes) -> str:
    """Return the encoding of a text by its first four bytes: UTF-8, or that of its byte-order mark.

    Raises
    ------
    UnicodeError
        If it looks like UTF-16 without a byte-order mark: the byte order is then unknown.
    """
    found = next((name for mark, name in _MARKS if start.startswith(mark)), None)
    if found is None and len(start) >= 4 and (start[0] == start[2] == 0 or start[1] == start[3] == 0):
        raise UnicodeError("it looks like UTF-16 without a byte-order mark (save it as UTF-8)")
    return found or "utf-8"


def decode_text(data: bytes, errors: str = "strict") -> str:
    """Decode a text without its byte-order mark; ``errors`` applies to UTF-8 only.

    Raises
    ------
    UnicodeError
        If it is in another encoding; the message is one line for people.
    """
    encoding = encoding_of(data[:4])
    try:
        return data.decode(encoding, errors if encoding.startswith("utf-8") else "strict")
    except UnicodeDecodeError as problem:
        name = encoding.upper().removesuffix("-SIG")
        raise UnicodeError(f"it is not {name} text at byte {problem.start} (save it as UTF-8)") from None


def open_text(file: BinaryIO, errors: str = "surrogateescape") -> io.TextIOWrapper:
    """Open a binary file as text, without its byte-order mark, with unchanged line ends.

    Raises
    ------
    UnicodeError
        Also while the text is read, if the encoding is not the detected one; see :func:`encoding_of`.
    """
    # Files opened by fsspec behave like raw files, but do not have that type.
    buffered = file if isinstance(file, io.BufferedReader) else io.BufferedReader(cast("io.RawIOBase", file))
    encoding = encoding_of(buffered.peek(4)[:4])
    errors = errors if encoding.startswith("utf-8") else "strict"
    return io.TextIOWrapper(buffered, encoding=encoding, errors=errors, newline="")


def read_text(path: Path, error: type[ClipcliError]) -> str:
    """Read a text file in UTF-8, or in UTF-16 with a byte-order mark; raise ``error`` with one line if that fails."""
    if re.match(r"\w{2,}:/", path.as_posix()):
        raise error(f"cannot read {path}: a URL, not a file on this machine (copy it to this machine)")
    try:
        return decode_text(path.read_bytes())
    except FileNotFoundError:
        raise error(f"cannot read {path}: no such file") from None
    except IsADirectoryError:
        raise error(f"cannot read {path}: it is a folder, not a text file") from None
    except UnicodeError as problem:
        raise error(f"cannot read {path}: {problem}") from None
    except OSError as problem:
        raise error(f"cannot read {path}: {problem.strerror or problem}") from None


def numbered_lines(text: str) -> Iterator[tuple[int, str]]:
    """Yield ``(line number, stripped line)`` for each line that is not blank; LF, CRLF or CR."""
    # Not str.splitlines(): it also breaks at form feeds and at U+2028, which may be part of a label.
    for number, line in enumerate(text.replace("\r\n", "\n").replace("\r", "\n").split("\n"), start=1):
        stripped = line.strip()
        if stripped:
            yield number, stripped


def is_unicode(text: str) -> bool:
    """Return whether text can be encoded: false if it contains half of a surrogate pair."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def printable(path: str) -> str:
    r"""Return a path as valid Unicode; bytes that are not UTF-8 become escapes such as ``\xff``."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def one_line(text: str) -> str:
    """Escape control characters, including line ends, for the terminal."""
    return _escape(text, "", repr)


def escape_controls(text: str, keep: str = "") -> str:
    """Escape characters that a terminal would interpret: control, format and bidirectional characters.

    The escapes are those of JSON, so JSON stays JSON.

    Parameters
    ----------
    keep
        Control characters to leave unchanged.
    """
    return _escape(text, keep, json.dumps)


def _escape(text: str, keep: str, quote: Callable[[str], str]) -> str:
    if text.isprintable():
        return text
    return "".join(each if each in keep or _is_shown(each) else quote(each)[1:-1] for each in text)


def _is_shown(character: str) -> bool:
    """Return whether a character is safe on a terminal; wide spaces and joiners of letters and emoji are."""
    return character.isprintable() or character in _JOINERS or unicodedata.category(character) == "Zs"


def short_name(name: str, longest: int) -> str:
    """Return a file name on one line; a long one loses its middle, as numbers and the extension are at the end."""
    shown = one_line(printable(name))
    tail = longest // 2 - 1
    return shown if len(shown) <= longest else f"{shown[: longest - tail - 1]}…{shown[len(shown) - tail :]}"


def name_key(name: str) -> str:
    """Return the normalised form of a name for comparisons (Unicode NFC): systems compose letters differently."""
    return unicodedata.normalize("NFC", name)


def near_matches(name: str, known: Iterable[str], limit: int = 3) -> str:
    """Return the known names that are closest to a mistyped one, or a list of names if none is close."""
    names = list(known)
    by_lower = {candidate.lower(): candidate for candidate in names}
    close = [by_lower[match] for match in difflib.get_close_matches(name.lower(), by_lower, limit, cutoff=0.6)]
    if close:
        return f"did you mean {' or '.join(filter(None, (', '.join(close[:-1]), close[-1])))}?"
    shown = ", ".join(names[:8])
    return f"known: {shown}{', …' if len(names) > 8 else ''}"
