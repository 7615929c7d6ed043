"""The tokens of open_clip's built-in tokenizer, without importing open_clip, which brings torch.

The vocabulary is the file that open_clip ships. Its lines are pairs of symbols, most frequent first, so the number of
a line is both the rank of that merge and, plus the 512 single bytes, the token of what it makes. Ready in a few
milliseconds, while the ``tokenizers`` library takes longer to load these merges than to tokenize.
"""

from __future__ import annotations

import gzip
import html
import re
import string
from collections.abc import Callable, Sequence
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clipcli.errors import ModelError
from clipcli.models.registry import package_folder
from clipcli.models.source import ModelSource

__all__ = ["Tokenizer", "cleaner_named", "cleaner_of"]

_MERGES = 48_894
_BYTES = 256
_WORD_END = "</w>"
_START, _END = 2 * _BYTES + _MERGES, 2 * _BYTES + _MERGES + 1
_SPECIAL = {"<start_of_text>": _START, "<end_of_text>": _END}
_SUFFIXES = r"<start_of_text>|<end_of_text>|'s|'t|'re|'ve|'m|'ll|'d|"
_PLAIN_WORDS = re.compile(_SUFFIXES + r"[a-z]+|[0-9]|[^\sa-z0-9]+", re.IGNORECASE | re.ASCII)
_WITHOUT_PUNCTUATION = str.maketrans("", "", string.punctuation)


def cleaner_of(source: ModelSource) -> str | None:
    """Return how a model's texts are tidied; ``None`` where its tokenizer is not open_clip's own, or does more."""
    text = source.config["text_cfg"]
    settings = text.get("tokenizer_kwargs") or {}
    is_own = source.tokenizer_folder is None and not text.get("hf_model_name") and not settings.get("reduction_mask")
    return settings.get("clean", "lower") if is_own else None


def cleaner_named(name: str) -> Callable[[str], str]:
    """Return the function that tidies texts in one of open_clip's ways."""
    return _CLEANERS[name]


class Tokenizer:
    """Texts to tokens, as ``open_clip.SimpleTokenizer`` has them.

    Parameters
    ----------
    context_length
        L, the tokens of a row; longer texts lose their end.
    clean
        How a text is tidied first: ``lower``, ``whitespace`` or ``canonicalize``.

    Raises
    ------
    ModelError
        If open_clip's vocabulary is missing or damaged.
    """

    def __init__(self, context_length: int = 77, clean: str = "lower") -> None:
        self.context_length = context_length
        self._clean = cleaner_named(clean)
        self._ranks = _merge_ranks(package_folder() / "bpe_simple_vocab_16e6.txt.gz")
        self._words: dict[str, list[int]] = {}

    def __call__(self, texts: Sequence[str]) -> NDArray[np.int64]:
        """Return (P, L) tokens: start, those of the text, end, and zeros."""
        rows = np.zeros((len(texts), self.context_length), np.int64)
        for row, text in zip(rows, texts, strict=True):
            tokens = [_START, *self.encode(text), _END][: self.context_length]
            tokens[-1] = _END
            row[: len(tokens)] = tokens
        return rows

    def cut(self, texts: Sequence[str]) -> list[bool]:
        """Return which texts are longer than the model's context, and truncated."""
        return [len(self.encode(text)) > self.context_length - 2 for text in texts]

    def encode(self, text: str) -> list[int]:
        """Return the tokens of a text, without start and end."""
        text = self._clean(text)
        words = _PLAIN_WORDS.findall(text) if _is_plain(text) else _any_words().findall(text)
        return [token for word in words for token in self._word(word)]

    def _word(self, word: str) -> list[int]:
        if word not in self._words:
            self._words[word] = [_SPECIAL[word]] if word in _SPECIAL else self._merged(word)
        return self._words[word]

    def _merged(self, word: str) -> list[int]:
        """Merge the bytes of a word, always the most frequent pair first (Sennrich et al. 2016)."""
        symbols = [_byte_symbols()[byte] for byte in word.encode("utf-8")]
        symbols[-1] += _WORD_END
        tokens = dict(_byte_tokens())
        while len(symbols) > 1:
            ranks = [self._ranks.get(f"{left} {right}", _MERGES) for left, right in pairwise(symbols)]
            if (best := min(ranks)) == _MERGES:
                break
            first = ranks.index(best)
            left, right = symbols[first : first + 2]
            symbols = _replaced(symbols, left, right)
            tokens[left + right] = 2 * _BYTES + best
        return [tokens[symbol] for symbol in symbols]


def _replaced(symbols: list[str], left: str, right: str) -> list[str]:
    merged: list[str] = []
    place = 0
    while place < len(symbols):
        is_pair = symbols[place] == left and symbols[place + 1 : place + 2] == [right]
        merged.append(left + right if is_pair else symbols[place])
        place += 2 if is_pair else 1
    return merged


def _merge_ranks(path: Path) -> dict[str, int]:
    """Read the merges in the order of their frequency; the rest of the file is not used."""
    try:
        with gzip.open(path) as file:
            lines: list[bytes] = []
            rest = b""
            while len(lines) <= _MERGES and (part := file.read(1 << 19)):
                *whole, rest = (rest + part).split(b"\n")
                lines += whole
    except (OSError, EOFError) as problem:
        raise ModelError(f"cannot read {path}: {problem} (reinstall it: pip install open_clip_torch)") from None
    ranks = {line: rank for rank, line in enumerate(b"\n".join(lines[1 : _MERGES + 1]).decode("utf-8").split("\n"))}
    if len(ranks) != _MERGES:
        raise ModelError(f"cannot use {path}: not open_clip's vocabulary (reinstall it: pip install open_clip_torch)")
    return ranks


@cache
def _byte_symbols() -> list[str]:
    """Return the printable character that stands for each byte in the vocabulary."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(_BYTES) if byte not in printable]
    symbols = {byte: chr(byte) for byte in printable} | {byte: chr(_BYTES + n) for n, byte in enumerate(others)}
    return [symbols[byte] for byte in range(_BYTES)]


@cache
def _byte_tokens() -> dict[str, int]:
    """Return the tokens of single bytes, within a word and at its end; those of printable characters come first."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    order = [*printable, *(byte for byte in range(_BYTES) if byte not in printable)]
    within = {_byte_symbols()[byte]: place for place, byte in enumerate(order)}
    return within | {symbol + _WORD_END: _BYTES + token for symbol, token in within.items()}


@cache
def _any_words() -> Any:
    import regex

    return regex.compile(_SUFFIXES + r"[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+", regex.IGNORECASE)


def _is_plain(text: str) -> bool:
    """Return whether a text needs no repair, which avoids importing ftfy."""
    return text.isascii() and text.isprintable() and "&" not in text


def _mended(text: str) -> str:
    if not _is_plain(text):
        import ftfy

        text = html.unescape(html.unescape(ftfy.fix_text(text)))
    return text.strip()


def _whitespace(text: str) -> str:
    return " ".join(_mended(text).split())


def _lower(text: str) -> str:
    return _whitespace(text).lower()


def _canonicalize(text: str) -> str:
    return " ".join(_mended(text).replace("_", " ").translate(_WITHOUT_PUNCTUATION).lower().split())


_CLEANERS: dict[str, Callable[[str], str]] = {
    "canonicalize": _canonicalize, "lower": _lower, "whitespace": _whitespace,
}  # fmt: skip
