"""Lists of paths: separated by newlines or NUL bytes, in UTF-8, UTF-16 or raw bytes."""

from __future__ import annotations

import codecs
import os
from collections.abc import Iterable, Iterator
from typing import BinaryIO

from clipcli.errors import InputError
from clipcli.images.files import SIGNATURE_BYTES
from clipcli.text import encoding_of

__all__ = ["begin_stream", "check_is_list", "read_paths"]

_CHUNK = 1 << 16
_ARCHIVES = (  # first bytes, of files that hold images and have to be named
    (b"PK\3\4", "a zip archive"), (b"\x1f\x8b", "a compressed archive"), (b"BZh91AY&SY", "a compressed archive"),
    (b"\xfd7zXZ\0", "a compressed archive"), (b"(\xb5/\xfd", "a compressed archive"), (b"PAR1\x15", "a Parquet file"),
)  # fmt: skip
_TAR_MARK = slice(257, 262)
_NOT_TEXT = (*range(9), *range(14, 32), 0x89, 0xFF)  # with which no path begins, but images do


def begin_stream(stream: BinaryIO, *, null_separated: bool) -> tuple[bytes, Iterator[bytes]]:
    """Read the start of a stream, enough to see whether it is an image, and return it and an iterator of the rest.

    Of a list, no more is read than its first path needs, so that a slow list is processed as it comes.
    """
    separator = b"\0" if null_separated else b"\n"
    pieces = _pieces(stream)
    start = b""
    while len(start) < SIGNATURE_BYTES and (separator not in start or start[0] in _NOT_TEXT):
        if not (piece := next(pieces, b"")):
            break
        start += piece
    return start, pieces


def check_is_list(start: bytes) -> None:
    """Raise :class:`InputError` if a stream begins like an archive or a Parquet file, rather than a list of paths."""
    kind = next((kind for signature, kind in _ARCHIVES if start.startswith(signature)), None)
    kind = "a tar archive" if start[_TAR_MARK] == b"ustar" else kind
    if kind is not None:
        raise InputError(
            f"cannot read standard input: it is {kind}, not a list of paths (give the name of the file as an INPUT)"
        )


def read_paths(pieces: Iterable[bytes], *, null_separated: bool) -> Iterator[str]:
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
    for chunk in _decoded(iter(pieces), null_separated=null_separated):
        *whole, rest = (rest + chunk).split(separator)
        yield from _paths(whole, separator)
    yield from _paths([rest], separator)


def _decoded(pieces: Iterator[bytes], *, null_separated: bool) -> Iterator[bytes]:
    """Yield a stream in pieces of UTF-8, without its byte-order mark."""
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
