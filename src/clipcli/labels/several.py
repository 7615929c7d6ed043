"""Find texts that were meant as several labels, and labels that are one label in two spellings."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence

from clipcli.errors import LabelError
from clipcli.log import LOG

__all__ = [
    "SEPARATOR",
    "check_list",
    "check_one_label",
    "joined",
    "label_key",
    "split",
    "warn_of_several",
    "with_lines",
    "with_list",
    "with_options",
]

SEPARATOR = "|"
"""The character between several labels, or several phrases, in one cell of a table."""

_SEPARATOR = re.compile(r"[,;|，；、]")
_TIGHT = re.compile(r"[^\s\d][,;|，；、][^\s\d]")
_INVISIBLE = dict.fromkeys(map(ord, "\u00ad\u200b\u2060\ufeff"))
_WORDS = 3  # of a label that is written in a row with others; a sentence has more
_MANY = 100  # labels; in a longer file a comma belongs to the name of a class, as in ImageNet
_BULLET = re.compile(r"(?:[-*+•]|\d{1,6}[.)])\s+\S")
_QUOTED = re.compile(r"""\[?(["']).+\1\s*[,\]]?""")
_NUMBER_WORDS = ("two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


def label_key(name: str) -> str:
    """Return the normalised form of a label.

    Case, spaces, underscores in their place, invisible characters and Unicode form are ignored.
    """
    return " ".join(unicodedata.normalize("NFKC", name).translate(_INVISIBLE).lower().replace("_", " ").split())


def joined(labels: Iterable[str]) -> str:
    """Return the labels of an image as one text, see :func:`split`."""
    return SEPARATOR.join(labels)


def split(text: str) -> tuple[str, ...]:
    """Return the labels in a text such as ``cat|outdoor``, each once, without outer spaces; an empty text has none."""
    return tuple(dict.fromkeys(name for part in text.split(SEPARATOR) if (name := part.strip())))


def _parts(text: str) -> list[str]:
    """Return the labels of a text that can be read as several short ones, else an empty list."""
    parts = [part.strip().strip("[]\"'").strip() for part in _SEPARATOR.split(text)]
    parts = [part for part in parts if part]
    return parts if len(parts) > 1 and all(len(part.split()) <= _WORDS for part in parts) else []


def with_options(parts: Sequence[str]) -> str:
    """Return how labels are given as options."""
    shown = " ".join(f'-l "{part}"' if " " in part else f"-l {part}" for part in parts[:3])
    return f"repeat -l: {shown}{' …' if len(parts) > 3 else ''}"


def with_lines(parts: Sequence[str]) -> str:  # noqa: ARG001 - one of three alike
    """Return how labels are given in a text file."""
    return "write one per line"


def with_list(parts: Sequence[str]) -> str:
    """Return how labels are given in Python."""
    return f"give a list: {list(parts[:3])}" if len(parts) <= 3 else "give a list of labels"


def _question(parts: Sequence[str], remedy: Callable[[Sequence[str]], str]) -> str:
    count = _NUMBER_WORDS[len(parts) - 2] if len(parts) - 2 < len(_NUMBER_WORDS) else str(len(parts))
    return f"did you mean {count} labels? {remedy(parts)}"


def check_one_label(text: str, subject: str, remedy: Callable[[Sequence[str]], str]) -> None:
    """Refuse the only label of a run if it reads as several labels.

    Parameters
    ----------
    subject
        The label and its place, for messages.
    remedy
        Returns how several labels are given there.

    Raises
    ------
    LabelError
        If it does. A label file in CSV or JSON can hold such a label.
    """
    if parts := _parts(text):
        raise LabelError(
            f"cannot use {subject} as the only label: {_question(parts, remedy)} (a label that contains a comma can be "
            "given in a .csv or .json label file)"
        )


def warn_of_several(labels: Sequence[tuple[str, str]], remedy: Callable[[Sequence[str]], str]) -> None:
    """Warn of the first label that probably was meant as several, unless there are very many labels.

    Parameters
    ----------
    labels
        The name and place of each, for messages, and its text.
    remedy
        Returns how several labels are given there.
    """
    if len(labels) >= _MANY:
        return
    for subject, text in labels:
        parts = _parts(text)
        if parts and (len(parts) > 2 or _TIGHT.search(text)):
            LOG.warning(f"{subject} is one label ({_question(parts, remedy)})")
            return


def check_list(lines: Sequence[str], where: str) -> None:
    """Refuse the lines of a text file that are a table, or a list in another notation.

    Raises
    ------
    LabelError
        If all lines begin with a bullet or a number, or are in quotes; or if the first line is the header of a table.
    """
    if not lines:
        return
    cells = [cell.strip().strip("\"'").lower() for cell in re.split(r"[,;\t]", lines[0])]
    if len(cells) > 1 and "label" in cells:
        raise LabelError(
            f"cannot read {where}: line 1 is the header of a table (give the file the extension .csv, or .tsv for tabs)"
        )
    items = [line for line in lines if line != "---" and not line.endswith(":")]
    for pattern, kind in ((_BULLET, "a mark of a list"), (_QUOTED, "quotes")):
        if items and all(pattern.match(line) for line in items):
            raise LabelError(
                f"cannot read {where}: {items[0]!r} would be a label with {kind} (write one label per line without it, "
                "or use a .csv or .json label file)"
            )
