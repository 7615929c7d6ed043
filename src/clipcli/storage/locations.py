"""Names that are URLs, told from names on disk by their scheme alone."""

from __future__ import annotations

__all__ = ["EXTRAS", "is_remote", "join_url", "path_part", "scheme_of"]

EXTRAS = {
    "s3": "s3", "s3a": "s3", "gs": "gcs", "gcs": "gcs", "az": "azure", "abfs": "azure", "abfss": "azure",
    "http": "http", "https": "http",
}  # fmt: skip
"""The schemes that can be read or written, and the extra that brings each."""


def is_remote(name: str) -> bool:
    """Tell whether a name is the URL of a place that can be read or written."""
    return "://" in name and scheme_of(name) in EXTRAS


def scheme_of(url: str) -> str:
    """Return the scheme of a URL, in lower case."""
    return url.partition("://")[0].lower()


def path_part(name: str) -> str:
    """Return a name up to its query, which only web addresses have; its suffix tells what is behind it."""
    if not is_remote(name) or EXTRAS[scheme_of(name)] != "http":
        return name
    return name.partition("#")[0].partition("?")[0]


def join_url(table: str, name: str) -> str:
    """Return where a name leads that is written in a file at a URL; the file's own query stays with the file."""
    if is_remote(name):
        return name
    scheme, mark, rest = path_part(table).partition("://")
    if name.startswith("/") and EXTRAS[scheme.lower()] == "http":
        return f"{scheme}{mark}{rest.partition('/')[0]}{name}"
    return f"{scheme}{mark}{rest.rpartition('/')[0]}/{name}"
