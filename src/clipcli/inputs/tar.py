"""Tar archives, such as webdataset shards, read sequentially."""

from __future__ import annotations

import tarfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from clipcli.errors import ImageError
from clipcli.images.files import SIGNATURE_BYTES, has_image_suffix, looks_like_image
from clipcli.images.limits import MAX_BYTES, too_many_bytes
from clipcli.inputs.archive import ArchiveFile
from clipcli.inputs.items import BadInput, Input, MemberInput
from clipcli.storage.remote import open_location

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["DAMAGE", "Archive", "StrictArchive", "StrictHeader"]

_DESCRIBING = (  # headers whose data describes the next member and is read into memory
    tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK,
)  # fmt: skip
_LONGEST_DESCRIPTION = 1 << 20
_STEP = 1 << 20
DAMAGE = (
    tarfile.TarError, EOFError, OSError, zlib.error, ValueError, OverflowError, LookupError, RecursionError,
)  # fmt: skip


class StrictHeader(tarfile.TarInfo):
    """A member's header; an archive is damaged if one is missing, or the end mark.

    It is also damaged if sizes are invalid: negative ones, which make a reader loop, or names that fill the memory.
    """

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        """Read a header, and check its size before it is used."""
        found = super().frombuf(buf, encoding, errors)
        if found.size < 0 or (found.type in _DESCRIBING and found.size > _LONGEST_DESCRIPTION):
            raise tarfile.InvalidHeaderError("an impossible size")  # type: ignore[attr-defined]
        return found

    @classmethod
    def fromtarfile(cls, archive: tarfile.TarFile) -> Self:
        """Read the next header; without this, tarfile treats most damage as the end."""
        try:
            found = super().fromtarfile(archive)
            if found.size < 0 or archive.offset < found.offset:
                raise tarfile.ReadError("an impossible size")
            return found
        except tarfile.EOFHeaderError:  # type: ignore[attr-defined]
            raise
        except tarfile.HeaderError as problem:
            raise tarfile.ReadError(str(problem)) from None


class StrictArchive(tarfile.TarFile):
    """A tar archive that is read sequentially, and whose members may not be larger than the archive.

    Without this, tarfile skips a member of any size in its header, even beyond the end of the archive.
    """

    def next(self) -> tarfile.TarInfo | None:
        """Read up to the next header and return the member."""
        file: Any = self.fileobj
        if self.offset == 0 and file.tell() > 0:
            return None  # it has no members; before Python 3.11, tarfile takes that for damage
        ahead = (
            getattr(self, "firstmember", None) is not None
        )  # its header was read when the archive was opened, its data not yet
        while not ahead and (left := self.offset - file.tell()) > 0:
            if not file.read(min(left, _STEP)):
                raise tarfile.ReadError("unexpected end of data")
        return super().next()


@dataclass(frozen=True)
class Archive(ArchiveFile):
    """A tar archive on disk or in an object store; its members are named ARCHIVE/MEMBER."""

    def inputs(self) -> Iterator[Input]:
        """Yield its images; damage becomes a last failure with the archive's name."""
        count = 0
        try:
            with ExitStack() as stack:
                file = stack.enter_context(open_location(self.path))
                members = stack.enter_context(StrictArchive.open(None, "r|*", fileobj=file, tarinfo=StrictHeader))
                while (member := members.next()) is not None:
                    vars(members)["members"] = []  # before Python 3.13, it holds everything that was read
                    count += 1
                    if not member.isfile() or not self.exclusion.lets_in(member.name):
                        continue
                    item = _member(f"{self.name}/{member.name}", member, members)
                    if item is not None:
                        yield item
        except ImageError as problem:
            yield BadInput(self.name, problem)
        except PermissionError as problem:
            yield BadInput(self.name, ImageError("unreadable", problem.strerror or "permission denied"))
        except DAMAGE as problem:
            reason = getattr(problem, "strerror", None) or " ".join(str(problem).split())
            message = f"damaged archive ({reason}); {count} members came before the damage"
            yield BadInput(self.name, ImageError("truncated", message))


def _member(name: str, member: tarfile.TarInfo, members: tarfile.TarFile) -> Input | None:
    if member.issparse():  # its pieces can be anywhere in the archive
        reason = "stored as a sparse file (write the archive without --sparse)"
        return BadInput(name, ImageError("unreadable", reason)) if has_image_suffix(name) else None
    file = members.extractfile(member)
    if file is None:
        return None
    if member.size > MAX_BYTES:
        return BadInput(name, too_many_bytes(member.size)) if has_image_suffix(name) else None
    start = file.read(SIGNATURE_BYTES)
    if not has_image_suffix(name) and not looks_like_image(start):
        return None  # not read, whatever its size
    data = start + file.read()
    if len(data) < member.size:
        raise EOFError("the archive ends within a member")
    return MemberInput(name, data)
