"""Remove secrets from URLs: user info, signatures and tokens never reach a record, a message or a file.

The rest still identifies the object: ``https://user:pw@host/a.jpg?size=2&X-Amz-Signature=…`` becomes
``https://host/a.jpg?size=2``. Only the library of the object store gets the full URL.
"""

from __future__ import annotations

import re
from urllib.parse import quote, unquote

from clipcli.schemes import EXTRAS

__all__ = ["redacted", "redacted_foreign", "redacted_reference"]

# The second kind is the rest of a URL that was read as a path.
_KNOWN = "|".join((*EXTRAS, "wasb", "wasbs", "ftp", "ftps"))
# Texts, which `re` compiles on their first use and keeps: most runs need none of them.
_SCHEME = rf"(?i:[a-z][a-z0-9+.-]*://|\b(?:{_KNOWN}):/)"
_URL = _SCHEME + r"[^\s\"<>]*"
_TRAILING = "'`)]},.;:!…"  # punctuation after a URL in a sentence
_AZURE = tuple(scheme for scheme, extra in EXTRAS.items() if extra == "azure")
_CONTAINERS = (*_AZURE, "wasb", "wasbs")  # CONTAINER@ACCOUNT is not user info there

_PREFIXES = ("x-amz-", "x-goog-", "x-oss-", "x-cos-", "x-ms-", "q-sign", "q-ak", "q-signature", "q-key-time")
_NAMES = frozenset((
    "sig", "sign", "googleaccessid", "hdnts", "hdnea", "hmac", "jwt", "pass", "pwd", "sid", "jsessionid", "phpsessid",
    "auth", "oauth", "bearer", "ticket",
))  # fmt: skip
_WORDS = (
    r"token(?!iz)|secret|passw|passphrase|credential|signature|authori[sz]ation|auth[-_]?key|"
    r"api[-_]?key|access[-_]?key|private[-_]?key|account[-_]?key|subscription[-_]?key|session"
)
# These names are harmless, except together with a signature.
_BESIDE_SIG = frozenset((
    "se", "sp", "sv", "sr", "st", "spr", "sip", "si", "ss", "srt", "skoid", "sktid", "skt", "ske", "sks", "skv", "sdd",
    "saoid", "suoid", "scid", "ses",
))  # fmt: skip
_BESIDE_SIGNATURE = frozenset(("expires", "policy", "key-pair-id", "algorithm", "keyname", "urlprefix"))

_PARAMETER = r"[?&]([^=&?\s\"'<>]+)=[^&\s\"'<>)]*"
_ASSIGNMENT = (
    r"(?i)\b((?:[a-z0-9]+[-_])*(?:secret|password|passwd|token|credentials?|signature|(?:api|access|account|private)"
    r"[-_]?key(?:[-_]?id)?|secret[-_]?(?:access[-_]?)?key)['\"]?\s*(?:=|['\"]\s*:|:\s*['\"])\s*['\"]?)[^\s'\",&)}]+"
)
_HEADER = (
    r"(?i)\b((?:proxy-)?authorization['\"]?\s*[:=]\s*['\"]?)(?:(?:bearer|basic|token)\s+)?[^'\"\r\n]+|"
    r"\b((?:bearer|basic)\s+)[A-Za-z0-9+/._~=-]{16,}"
)


def redacted(text: str) -> str:
    """Remove the secrets of all URLs in a text; return any other text unchanged."""
    if ":/" not in text:
        return text
    return _without_parameters(re.sub(_URL, _redacted_match, text))


def _without_parameters(text: str) -> str:
    """Remove parameters outside a URL, or after a space in one."""
    return re.sub(_PARAMETER, lambda found: "" if _is_secret(found[1], frozenset()) else found[0], text)


def _redacted_match(found: re.Match[str]) -> str:
    url = found[0].rstrip(_TRAILING)
    return _redacted_url(url) + found[0][len(url) :]


def redacted_foreign(text: str) -> str:
    """Return the error message of another library without the secrets that such messages can contain."""
    text = _without_parameters(redacted(text))
    text = re.sub(_HEADER, lambda found: f"{found[1] or found[2]}***", text)
    return re.sub(_ASSIGNMENT, r"\1***", text)


def redacted_reference(name: str) -> str:
    """Return a URL, or one relative to another, without its secrets; it may contain spaces."""
    return _redacted_url(name) if re.match(_SCHEME, name) else _without_secrets(name)


def _redacted_url(url: str) -> str:
    mark = re.match(_SCHEME, url)
    assert mark is not None  # noqa: S101 - checked by the caller
    rest = url[mark.end() :]
    return mark[0] + _without_secrets(_without_user(mark[0].partition(":")[0].lower(), rest))


def _without_user(scheme: str, rest: str) -> str:
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    if "@" not in authority and re.match(r"[^\[\]:@]+:(?!\d*$)", authority) and "@" in rest:
        authority = rest[: rest.rindex("@") + 1]  # a password that contains an unescaped slash
    user, at, _ = authority.rpartition("@")
    if not at or (scheme in _CONTAINERS and ":" not in user):
        return rest
    container = f"{user.partition(':')[0]}@" if scheme in _CONTAINERS else ""
    return container + rest[len(user) + 1 :]


def _without_secrets(reference: str) -> str:
    """Remove secret parameters; leave everything else unchanged, byte for byte."""
    pieces = re.split(r"([?&#])", reference)
    names = frozenset(_plain_name(piece) for piece in pieces[2::2])
    kept = re.sub(r";([^=;/]+)=[^;/]*", lambda found: "" if _is_secret(found[1], names) else found[0], pieces[0])
    owed = ""  # the separator of a removed parameter, which the next one takes over
    for mark, piece in zip(pieces[1::2], pieces[2::2], strict=True):
        if "=" in piece and _is_secret(piece.partition("=")[0], names):
            owed = owed or mark
            continue
        kept += (owed if owed and mark == "&" else mark) + _without_inner(piece)
        owed = ""
    return kept


def _without_inner(piece: str) -> str:
    """Remove the secrets of a URL that is the value of a parameter."""
    name, equals, value = piece.partition("=")
    plain = unquote(value)
    if "://" not in plain or (clean := redacted(plain)) == plain:
        return piece
    return f"{name}{equals}{clean if plain == value else quote(clean, safe='')}"


def _plain_name(piece: str) -> str:
    return unquote(piece.partition("=")[0]).lower().removeprefix("amp;")


def _is_secret(name: str, beside: frozenset[str]) -> bool:
    """Return whether a parameter holds a secret or belongs to one, by its name and those of the others."""
    name = _plain_name(name)
    return (
        name in _NAMES
        or name.startswith(_PREFIXES)
        or bool(re.search(_WORDS, name))
        or ("sig" in beside and name in _BESIDE_SIG)
        or ("signature" in beside and name in _BESIDE_SIGNATURE)
    )
