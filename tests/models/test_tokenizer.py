"""The tokenizer gives the tokens of open_clip's, for any text, and imports neither open_clip nor torch."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clipcli.models._torchvision import import_open_clip
from clipcli.models.config import CLEANERS
from clipcli.models.tokenizer import Tokenizer

TEXTS = [
    "", " ", "a photo of a cat", "A Photo of a CAT!", "it's they're I'VE we'll", "<start_of_text> x <END_OF_TEXT>",
    "caf\u00e9 cafe\u0301", "кошка 猫 قطة", "\U0001f469\u200d\U0001f467 \U0001f1eb\U0001f1f7 \u2708\ufe0f",
    "fish &amp; chips &amp;lt;b&amp;gt;", "&#x1F600; &copy;", "Ã©tÃ©", "ﬁne “quotes” ‘single’ …", "ＦＵＬＬ width",
    "1234567890 ½ ٣", "a_b-c/d\\e", "tab\tnew\nline\r\x1c\x85\u2028end", "\x00\x1b[31mred", "word " * 100, "x" * 300,
    "supercalifragilisticexpialidocious", "\u200b\u00ad\ufeff", "\U0001fae8 \u1c80 \ua7c0", "a  b",
]  # fmt: skip


PAIRS: dict[tuple[str, int], tuple[Any, Tokenizer]] = {}


def both(clean: str, length: int) -> tuple[Any, Tokenizer]:
    if (clean, length) not in PAIRS:
        reference = import_open_clip().tokenizer.SimpleTokenizer(context_length=length, clean=clean)
        PAIRS[clean, length] = reference, Tokenizer(length, clean)
    return PAIRS[clean, length]


@pytest.mark.parametrize("clean", CLEANERS)
@pytest.mark.parametrize("length", [2, 32, 77])
def test_known_texts_have_the_tokens_of_open_clip(clean: str, length: int) -> None:
    reference, tokenizer = both(clean, length)
    np.testing.assert_array_equal(tokenizer(TEXTS), reference(TEXTS).numpy())


ANY = st.text(st.characters(exclude_categories=["Cs"]), max_size=120)
PROSE = st.text(st.sampled_from("abz AZ09'’&;#_-<>.,!?\tàéßñ中あ😀👩\u200d\ufe0f"), max_size=300)
ENTITIES = st.lists(st.sampled_from(["&amp;", "&lt;", "&eacute;", "&#39;", "&#x27;", "&bogus;", "cat", " "])).map(
    "".join
)


@given(ANY | PROSE | ENTITIES, st.sampled_from(CLEANERS), st.sampled_from([32, 77]))
def test_any_text_has_the_tokens_of_open_clip(text: str, clean: str, length: int) -> None:
    reference, tokenizer = both(clean, length)
    assert tokenizer.encode(text) == reference.encode(text)
    np.testing.assert_array_equal(tokenizer([text]), reference([text]).numpy())


def test_tokens_need_neither_open_clip_nor_torch() -> None:
    program = (
        "import sys\nfrom clipcli.models.tokenizer import Tokenizer\n"
        "assert Tokenizer()(['a photo of a cat'])[0, :7].tolist() == [49406, 320, 1125, 539, 320, 2368, 49407]\n"
        "assert not {'open_clip', 'torch', 'ftfy', 'regex'} & set(sys.modules)\n"
        "Tokenizer()(['caf\u00e9 \u00a9'])\nassert not {'open_clip', 'torch'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
