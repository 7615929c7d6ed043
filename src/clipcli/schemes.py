"""URLs, distinguished from paths on disk by their scheme."""

from __future__ import annotations

import re

__all__ = ["EXTRAS", "is_remote", "join_url", "path_part", "scheme_of", "schemes_in_words", "url_start"]

EXTRAS = {
    "s3": "s3", "s3a": "s3", "gs": "gcs", "gcs": "gcs", "az": "azure", "abfs": "azure", "abfss": "azure",
    "http": "http", "https": "http",
}  # fmt: skip
"""The supported schemes, and the extra that each needs."""

_URL_START = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
_OTHER_NAMES = ("s3a", "gcs", "abfs", "abfss")


def schemes_in_words(*, writable: bool = False) -> str:
    """Return the supported schemes for a message: ``s3://, gs://, ... or https://``; or only those of object stores."""
    *some, last = (
        f"{scheme}://"
        for scheme, extra in EXTRAS.items()
        if scheme not in _OTHER_NAMES and not (writable and extra == "http")
    )
    return f"{', '.join(some)} or {last}"


def is_remote(name: str) -> bool:
    """Return whether a name is a URL with a supported scheme."""
    return "://" in name and scheme_of(name) in EXTRAS


def url_start(name: str) -> str:
    """Return the scheme of a URL with ``://``, supported or not; empty for any other name."""
    found = _URL_START.match(name)
    return found[0] if found else ""


def scheme_of(url: str) -> str:
    """Return the scheme of a URL, in lower case."""
    return url.partition("://")[0].lower()


def path_part(name: str) -> str:
    """Return a name without its query, which only http(s) URLs have, so that its extension can be read."""
    if not is_remote(name) or EXTRAS[scheme_of(name)] != "http":
        return name
    return name.partition("#")[0].partition("?")[0]


def join_url(table: str, name: str) -> str:
    """Resolve a name in a file at a URL, relative to that URL without its query."""
    if is_remote(name):
        return name
    scheme, mark, rest = path_part(table).partition("://")
    if name.startswith("/") and EXTRAS[scheme.lower()] == "http":
        return f"{scheme}{mark}{rest.partition('/')[0]}{name}"
    return f"{scheme}{mark}{rest.rpartition('/')[0]}/{name}"
