"""Damage to bytes: of any file, and of the parts that image formats are made of."""

from __future__ import annotations

import random
import struct
import zlib
from collections.abc import Callable
from functools import cache

__all__ = ["Damage", "damage_bytes", "damage_image"]

Damage = Callable[[bytes, random.Random], bytes]

_EXTREMES = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF)
_HEADER = 64  # bytes at the start of a file, where most formats have their sizes


def _flip_bits(data: bytes, rng: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(rng.choice((1, 2, 8, 64, 400))):
        changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def _truncate(data: bytes, rng: random.Random) -> bytes:
    return data[: rng.randrange(len(data))]


def _set_number(data: bytes, rng: random.Random, start: int, end: int) -> bytes:
    size = rng.choice((1, 2, 4))
    place = rng.randrange(start, max(start + 1, min(end, len(data)) - size + 1))
    number = rng.choice(_EXTREMES) & (256**size - 1)
    return data[:place] + number.to_bytes(size, rng.choice(("little", "big"))) + data[place + size :]


def _header_value(data: bytes, rng: random.Random) -> bytes:
    return _set_number(data, rng, 0, _HEADER)


def _number_anywhere(data: bytes, rng: random.Random) -> bytes:
    for _ in range(rng.randint(1, 6)):
        data = _set_number(data, rng, 0, len(data))
    return data


def _duplicate(data: bytes, rng: random.Random) -> bytes:
    start = rng.randrange(len(data))
    piece = data[start : start + rng.choice((1, 4, 64, 4096))]
    return data[:start] + piece * rng.choice((2, 3, 50)) + data[start + len(piece) :]


def _remove(data: bytes, rng: random.Random) -> bytes:
    start = rng.randrange(len(data))
    return data[:start] + data[start + rng.choice((1, 2, 16, 1024)) :]


def _insert(data: bytes, rng: random.Random) -> bytes:
    start = rng.randrange(len(data) + 1)
    piece = rng.choice((rng.randbytes(rng.choice((1, 16, 512))), bytes(rng.choice((1, 4, 5000))), b"\xff" * 300))
    return data[:start] + piece + data[start:]


_ANY: tuple[Damage, ...] = (
    _flip_bits, _flip_bits, _truncate, _header_value, _header_value, _number_anywhere, _duplicate, _remove, _insert,
)  # fmt: skip


def damage_bytes(data: bytes, rng: random.Random) -> bytes:
    """Damage any file in one to three ways."""
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        if data:
            data = rng.choice(_ANY)(data, rng)
    return data


def damage_image(data: bytes, rng: random.Random) -> bytes:
    """Damage an image: as any file, or, where its parts are known, in a way that their checks don't notice."""
    for start, parts in _PARTS.items():
        if data.startswith(start) and rng.random() < 0.6:
            return parts(data, rng)
    return damage_bytes(data, rng)


def _damage_list(parts: list[bytes], rng: random.Random) -> list[bytes]:
    """Repeat, move, drop or damage the parts of a file."""
    place = rng.randrange(len(parts))
    way = rng.choice(("repeat", "move", "drop", "damage", "damage", "damage"))
    if way == "repeat":
        return parts[:place] + [parts[place]] * rng.choice((2, 3, 200)) + parts[place + 1 :]
    rest = parts[:place] + parts[place + 1 :]
    if way == "move":
        other = rng.randrange(len(parts))
        return [*rest[:other], parts[place], *rest[other:]]
    if way == "drop":
        return rest
    return [*parts[:place], damage_bytes(parts[place], rng), *parts[place + 1 :]]


def _png(data: bytes, rng: random.Random) -> bytes:
    """Damage the chunks of a PNG, with lengths and checksums that fit again; sometimes its compressed rows."""
    chunks, place = [], 8
    while place + 8 <= len(data):
        size = struct.unpack_from(">I", data, place)[0]
        chunks.append(data[place + 4 : place + 8 + size])
        place += 12 + size
    if rng.random() < 0.2:
        chunks.insert(rng.randrange(1, len(chunks)), _odd_chunk(rng))
    else:
        chunks = _damage_list(chunks, rng)
    written = (struct.pack(">I", max(0, len(c) - 4)) + c + struct.pack(">I", zlib.crc32(c)) for c in chunks)
    return data[:8] + b"".join(written)


@cache
def _many_zeros() -> bytes:
    return zlib.compress(bytes(30_000_000))


def _odd_chunk(rng: random.Random) -> bytes:
    kind = rng.choice(
        (b"tEXt", b"zTXt", b"iTXt", b"iCCP", b"eXIf", b"tRNS", b"PLTE", b"acTL", b"fcTL", b"gAMA", b"xxXx")
    )
    many = _many_zeros()
    content = rng.choice((b"", rng.randbytes(40), b"k\0\0" + many, b"k\0\0\0\0\0" + many, b"\xff" * 900))
    return kind + content


def _jpeg(data: bytes, rng: random.Random) -> bytes:
    """Damage the segments of a JPEG before its first scan, with lengths that fit again."""
    segments, place = [], 2
    while place + 4 <= len(data) and data[place] == 0xFF and data[place + 1] != 0xDA:
        size = struct.unpack_from(">H", data, place + 2)[0]
        segments.append(data[place + 1 : place + 2] + data[place + 4 : place + 2 + size])
        place += 2 + size
    scans = data[place:]
    if rng.random() < 0.3:
        scans = rng.choice((scans[:-2] * rng.choice((2, 300)), damage_bytes(scans, rng)))
    else:
        segments = _damage_list(segments, rng)
    written = (b"\xff" + s[:1] + struct.pack(">H", min(65535, len(s) + 1)) + s[1:65534] for s in segments)
    return data[:2] + b"".join(written) + scans


def _riff(data: bytes, rng: random.Random) -> bytes:
    """Damage the chunks of a WebP, with lengths that fit again."""
    chunks, place = [], 12
    while place + 8 <= len(data):
        size = struct.unpack_from("<I", data, place + 4)[0]
        chunks.append(data[place : place + 4] + data[place + 8 : place + 8 + size])
        place += 8 + size + size % 2
    if not chunks:
        return damage_bytes(data, rng)
    chunks = _damage_list(chunks, rng)
    body = b"".join(c[:4] + struct.pack("<I", max(0, len(c) - 4)) + c[4:] + b"\0" * (len(c) % 2) for c in chunks)
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body


def _tiff(data: bytes, rng: random.Random) -> bytes:
    """Change entries of the first directory of a little-endian TIFF: kinds, counts and values."""
    offset = struct.unpack_from("<I", data, 4)[0]
    count = struct.unpack_from("<H", data, offset)[0] if offset + 2 <= len(data) else 0
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 4))):
        entry = offset + 2 + 12 * rng.randrange(max(1, count))
        if entry + 12 > len(data):
            break
        field, form, size = rng.choice(((0, "<H", 2), (2, "<H", 2), (4, "<I", 4), (8, "<I", 4), (8, "<I", 4)))
        usual = rng.choice((*_EXTREMES, *range(12), offset, 256, 257, 258, 262, 273, 277, 279, 339, 34712))
        struct.pack_into(form, changed, entry + field, usual & (256**size - 1))
    return bytes(changed)


_PARTS: dict[bytes, Damage] = {
    b"\x89PNG\r\n\x1a\n": _png, b"\xff\xd8": _jpeg, b"RIFF": _riff, b"II*\0": _tiff,
}  # fmt: skip
