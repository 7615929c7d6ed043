"""The files of the page, and the headers that let a browser load nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

__all__ = ["HEADERS", "INDEX", "StaticFile", "static_files"]

INDEX = "index.html"
_KINDS = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".webp": "image/webp",
    ".jpg": "image/jpeg",
    ".ico": "image/x-icon",
    ".txt": "text/plain; charset=utf-8",
    ".woff2": "font/woff2",
    ".webmanifest": "application/manifest+json",
}
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; "
    "font-src 'self'; media-src 'self' blob:; manifest-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-cache",
}
"""Headers of every answer."""


@dataclass(frozen=True)
class StaticFile:
    """A file of the page.

    Parameters
    ----------
    kind
        Its media type.
    etag
        Changes with its content.
    """

    data: bytes
    kind: str
    etag: str


def static_files(folder: Path | None = None) -> dict[str, StaticFile]:
    """Read the files of the page, by name: no request decides what is read."""
    found = {}
    for path in sorted((folder or Path(__file__).parent / "page").glob("*.*")):
        if path.suffix in _KINDS:
            data = path.read_bytes()
            found[path.name] = StaticFile(data, _KINDS[path.suffix], f'"{sha256(data).hexdigest()[:16]}"')
    return found
