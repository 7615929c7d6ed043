"""Lists of paths: separated by newlines or NUL bytes, in UTF-8, UTF-16 or raw bytes."""

from __future__ import annotations

import codecs
import os
from collections.abc import Iterable, Iterator
from typing import BinaryIO

from clipcli.errors import InputError
from clipcli.text import encoding_of

__all__ = ["read_paths"]

_CHUNK = 1 << 16


def read_paths(stream: BinaryIO, *, null_separated: bool) -> Iterator[str]:
    """Yield the paths of a list, without reading ahead; bytes that are not UTF-8 are left as in the file system.

    A byte-order mark is not part of the first path, and UTF-16 with one is decoded, because PowerShell writes
    it. Lines end with LF or CRLF.

    Raises
    ------
    InputError
        If the list does not have the detected format.
    """
    separator = b"\0" if null_separated else b"\n"
    rest = b""
    for chunk in _decoded(stream, null_separated=null_separated):
        *whole, rest = (rest + chunk).split(separator)
        yield from _paths(whole, separator)
    yield from _paths([rest], separator)


def _decoded(stream: BinaryIO, *, null_separated: bool) -> Iterator[bytes]:
    """Yield a stream in pieces of UTF-8, without its byte-order mark."""
    pieces = _pieces(stream)
    start = b""
    while len(start) < 4 and (piece := next(pieces, b"")):
        start += piece
    try:
        encoding = encoding_of(start[:4])
    except UnicodeError:
        if not null_separated:
            raise InputError(
                "cannot read standard input: the paths look like UTF-16 without a byte-order mark (write the list in "
                "UTF-8; if NUL bytes separate the paths, use -0)"
            ) from None
        encoding = "utf-8"
    if encoding.startswith("utf-8"):
        yield start.removeprefix(codecs.BOM_UTF8)
        yield from pieces
        return
    decoder = codecs.getincrementaldecoder(encoding)()
    try:
        yield decoder.decode(start).encode()
        for piece in pieces:
            yield decoder.decode(piece).encode()
        yield decoder.decode(b"", final=True).encode()
    except UnicodeError:
        raise InputError(
            f"cannot read standard input: damaged {encoding.upper()} text (write the list in UTF-8)"
        ) from None


def _pieces(stream: BinaryIO) -> Iterator[bytes]:
    while chunk := stream.read1(_CHUNK) if hasattr(stream, "read1") else stream.read(_CHUNK):
        yield chunk


def _paths(pieces: Iterable[bytes], separator: bytes) -> Iterator[str]:
    for piece in pieces:
        path = piece.rstrip(b"\r") if separator == b"\n" else piece
        if b"\0" in path:
            raise InputError("cannot read standard input: NUL bytes separate the paths, not newlines (use -0)")
        if path.strip():
            yield os.fsdecode(path)
