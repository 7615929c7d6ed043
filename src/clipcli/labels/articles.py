"""Choose between "a" and "an" by the sound that a phrase starts with."""

from __future__ import annotations

import re

__all__ = ["article_for"]

_OWN_DETERMINER = re.compile(r"(?:a|an|the|some|my|your|his|her|its|our|their|this|that|these|those)\s", re.IGNORECASE)

# Words whose first letter misleads about their first sound. Prefixes, matched at the start of the label.
_CONSONANT_SOUND = re.compile(
    r"(?:uni(?!n|m|de)|un[ií]c|us(?:e|a|u)|ut[eio]|eu|ew|ufo|ugand|uk[ru]|ubiq|ur[aei][nt]|urug|one\b|once\b|ouija)",
    re.IGNORECASE,
)
_VOWEL_SOUND = re.compile(r"(?:hour|honest|hono(?:u)?r|heir|herb(?:s|al)?\b)", re.IGNORECASE)
_LETTERS_SPOKEN_WITH_VOWEL = "AEFHILMNORSX"


def article_for(phrase: str) -> str:
    """Choose the English indefinite article by the sound the phrase starts with.

    Returns ``"a"``, ``"an"``, or ``""`` if the phrase starts with a determiner.
    """
    word = phrase.lstrip(" \"'([")
    if not word or _OWN_DETERMINER.match(word):
        return ""
    first = re.match(r"[^\s\-/]+", word)
    token = first.group() if first else word
    if _is_spelled_out(token):
        return "an" if token[0].upper() in _LETTERS_SPOKEN_WITH_VOWEL else "a"
    if token[0] == "8" or re.match(r"(?:11|18)(?!\d)", token):
        return "an"
    if _VOWEL_SOUND.match(word):
        return "an"
    if _CONSONANT_SOUND.match(word):
        return "a"
    return "an" if token[0].lower() in "aeiouàáâäæèéêëìíîïòóôöøùúûü" else "a"


def _is_spelled_out(token: str) -> bool:
    """Return whether a word is pronounced letter by letter: ``MRI``, ``x`` (as in x-ray), ``SUVs``."""
    if len(token) == 1:
        return token.isascii() and token.isalpha()
    return bool(re.fullmatch(r"[A-Z]{2,4}s?", token)) and not re.fullmatch(r"[A-Z]*[AEIOU][A-Z]*[AEIOU][A-Z]*s?", token)
