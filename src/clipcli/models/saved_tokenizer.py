"""A Hugging Face tokenizer that is used without transformers, which imports torch.

What the ``tokenizers`` library needs is taken from a tokenizer that transformers made, as JSON, together with the
truncation and padding that open_clip asks for.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clipcli.errors import ModelError
from clipcli.models.tokenizer import cleaner_named

__all__ = ["SavedTokenizer", "saved_form"]

_PROBES = (
    "", "a photo of a cat", "A photo, of the Caf\u00e9!  It's 10:30", "word " * 300,
    "\u732b\u306e\u5199\u771f \U0001f600", "&amp; <b>", "under_score", "\u00e9\u00a0\u2028x", "<pad> </s> [SEP] <eos>",
)  # fmt: skip


class SavedTokenizer:
    """Texts to tokens.

    Parameters
    ----------
    form
        From :func:`saved_form`.
    clean
        How texts are tidied first, as for :class:`~clipcli.models.tokenizer.Tokenizer`.

    Raises
    ------
    ModelError
        If the library is missing, or the form is damaged.
    """

    def __init__(self, form: str, clean: str) -> None:
        try:
            from tokenizers import Tokenizer

            self._tokenizer = Tokenizer.from_str(form)
        except (KeyboardInterrupt, SystemExit, MemoryError):
            raise
        except BaseException as problem:  # noqa: BLE001 - what Rust panics with derives from it alone
            raise ModelError(f"cannot use the model's tokenizer: {str(problem)[:200]}") from None
        self._clean = cleaner_named(clean)

    def __call__(self, texts: Sequence[str]) -> NDArray[np.int64]:
        """Return (P, L) tokens, filled up to the context length."""
        return np.array([encoded.ids for encoded in self._encoded(texts)], np.int64)

    def cut(self, texts: Sequence[str]) -> list[bool]:
        """Return which texts are longer than the model's context, and truncated."""
        return [bool(encoded.overflowing) for encoded in self._encoded(texts)]

    def _encoded(self, texts: Sequence[str]) -> Any:
        return self._tokenizer.encode_batch([self._clean(text) for text in texts])


def saved_form(tokenizer: Any, clean: str) -> str:
    """Return the JSON of a tokenizer.

    Parameters
    ----------
    tokenizer
        ``open_clip.tokenizer.HFTokenizer``.
    clean
        How it tidies texts.

    Raises
    ------
    ModelError
        If its tokens are not those of the ``tokenizers`` library alone.
    """
    expected = np.asarray(tokenizer(list(_PROBES)))  # sets the truncation and padding
    backend = getattr(getattr(tokenizer, "tokenizer", None), "backend_tokenizer", None)
    if backend is not None:
        form: str = backend.to_str()
        if np.array_equal(SavedTokenizer(form, clean)(_PROBES), expected):
            return form
    raise ModelError("its tokenizer needs --engine torch")
