"""Zip archives of images, read member by member in the order of their directory."""

from __future__ import annotations

import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

from clipcli.errors import ImageError
from clipcli.images.files import SIGNATURE_BYTES, has_image_suffix, looks_like_image
from clipcli.images.limits import MAX_BYTES, too_many_bytes
from clipcli.inputs.archive import ArchiveFile
from clipcli.inputs.items import BadInput, Input, MemberInput
from clipcli.storage.remote import open_location
from clipcli.storage.zip_archive import DamagedZipError, check_members, member_errors, opened_zip

__all__ = ["ZipArchive"]

# LZMA is left out: a header of a few bytes makes its decoder allocate gigabytes.
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2)
_IS_UTF8 = 0x800  # flag of a member
_UNICODE_PATH = 0x7075  # kind of an extra field


@dataclass(frozen=True)
class ZipArchive(ArchiveFile):
    """A zip archive on disk or in an object store; its members are named ARCHIVE/MEMBER."""

    def inputs(self) -> Iterator[Input]:
        """Yield its images; damage of the whole archive becomes a failure with its name."""
        try:
            with ExitStack() as stack:
                file = stack.enter_context(open_location(self.path))
                if not file.seekable():
                    reason = "a zip archive cannot be read from this server (copy it to this machine, or use tar)"
                    raise ImageError("unsupported", reason)
                archive = stack.enter_context(opened_zip(file))
                check_members(archive)
                for member in archive.infolist():
                    if (item := self._member(archive, member)) is not None:
                        yield item
        except ImageError as problem:
            yield BadInput(self.name, problem)
        except DamagedZipError as problem:
            yield BadInput(self.name, ImageError("truncated", f"damaged archive ({problem})"))
        except OSError as problem:
            yield BadInput(self.name, ImageError("unreadable", problem.strerror or str(problem)))

    def _member(self, archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> Input | None:
        """Read a member; ``None`` if it is not an image."""
        kind, inner = stat.S_IFMT(member.external_attr >> 16), member_name(member)
        if member.is_dir() or kind not in (0, stat.S_IFREG) or not self.exclusion.lets_in(inner):
            return None
        name, is_named = f"{self.name}/{inner}", has_image_suffix(inner)
        if (problem := _refusal(member)) is not None:
            return BadInput(name, problem) if is_named else None
        try:
            with member_errors(), archive.open(member) as file:
                start = file.read(SIGNATURE_BYTES)
                if not is_named and not looks_like_image(start):
                    return None  # not read, whatever its size
                data = start + file.read(member.file_size)
        except DamagedZipError as problem:
            reason = f"damaged in the archive ({problem})"
            return BadInput(name, ImageError("truncated", reason)) if is_named else None
        return MemberInput(name, data)


def member_name(member: zipfile.ZipInfo) -> str:
    """Return the name of a member; without a mark of its encoding, UTF-8 is tried before the old code page 437.

    Zip programs of Unix write UTF-8 without the mark, or add the name in an extra field.
    """
    if member.flag_bits & _IS_UTF8:
        return member.filename
    try:
        raw = member.orig_filename.encode("cp437")
    except UnicodeError:  # newer versions of Python have read the extra field already
        return member.filename
    for name in (_name_in_extra(member.extra, raw), raw):
        try:
            if name is not None:
                return name.decode("utf-8").partition("\0")[0]
        except UnicodeError:
            pass
    return member.filename


def _name_in_extra(extra: bytes, raw: bytes) -> bytes | None:
    """Return the name in the extra field of Info-ZIP, which holds a checksum of the name that it replaces."""
    while len(extra) >= 4:
        kind, size = struct.unpack_from("<HH", extra)
        data, extra = extra[4 : 4 + size], extra[4 + size :]
        if kind == _UNICODE_PATH and len(data) == size > 5 and data[:5] == struct.pack("<BL", 1, zlib.crc32(raw)):
            return data[5:]
    return None


def _refusal(member: zipfile.ZipInfo) -> ImageError | None:
    if member.flag_bits & 1:
        return ImageError("unsupported", "encrypted in the archive")
    if member.compress_type not in _METHODS:
        return ImageError("unsupported", "compressed in the archive by a method that is not read (use deflate)")
    return too_many_bytes(member.file_size) if member.file_size > MAX_BYTES else None
