"""Write keywords into the sidecars of images, one image after the other, each change logged before it is made."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO, Literal, Protocol

from clipcli.errors import OutputError
from clipcli.images.files import has_image_suffix, looks_like_image, read_signature
from clipcli.inputs.originals import existing_file, reason_not_local
from clipcli.outputs.readers import ReadRecord
from clipcli.storage.atomic import replacing
from clipcli.storage.locks import locked
from clipcli.tagging.keywords import Keyword, KeywordRules
from clipcli.tagging.log import Entry, digest_of
from clipcli.tagging.xmp import LARGEST, XmpError, keywords_added, keywords_removed

__all__ = ["Editor", "NameForm", "Sidecars", "Tagged", "carry_out", "plan", "read_sidecar", "write_sidecar"]

NameForm = Literal["auto", "full", "stem"]
_PATIENCE = 20.0  # seconds that a sidecar may be locked by another run


@dataclass(frozen=True)
class Tagged:
    """One image, the keywords of its record, and what was done.

    Parameters
    ----------
    image
        Its path; ``name`` in messages if a path would change a URL.
    keywords
        The keywords of its record.
    files
        The sidecars that were, or are to be, changed; or the image itself.
    problem
        Why nothing was changed.
    """

    image: Path
    keywords: tuple[Keyword, ...] = ()
    files: tuple[Path, ...] = ()
    problem: str | None = None
    name: str = ""


class Editor(Protocol):
    """Adds keywords to images, or removes them."""

    def edit(self, image: Path, keywords: Sequence[Keyword], log: BinaryIO | None) -> tuple[Path, ...]:
        """Change what belongs to an image, and return the files that changed.

        Parameters
        ----------
        log
            Where changes are logged before they are made; ``None`` to make none, and return the same.

        Raises
        ------
        XmpError, OSError, OutputError
            If that fails; the file is unchanged.
        """


def plan(records: Iterable[ReadRecord], root: Path, rules: KeywordRules) -> Iterator[Tagged]:
    """Yield the image and the keywords of each record that has any; failed inputs are skipped.

    Parameters
    ----------
    root
        The folder that the paths of the records are relative to.
    """
    for record in records:
        keywords = rules.of(record)
        if not keywords:
            continue
        source = existing_file(root, record.path)
        if source is None:
            reason = reason_not_local(record.path, root)
            yield Tagged(root / record.path, problem=reason or "no such file", name=record.path if reason else "")
        elif not looks_like_image(read_signature(source)) and not has_image_suffix(source.name):
            yield Tagged(source, problem="it is not an image")
        else:
            yield Tagged(source, keywords)


def carry_out(planned: Iterable[Tagged], editor: Editor, log: BinaryIO | None) -> Iterator[Tagged]:
    """Change the files of each image, or find out what would change if there is no log."""
    for each in planned:
        if each.problem is None:
            try:
                each = replace(each, files=editor.edit(each.image, each.keywords, log))
            except OSError as problem:
                each = replace(each, problem=problem.strerror or str(problem))
            except (XmpError, OutputError) as problem:
                each = replace(each, problem=str(problem))
        yield each


@dataclass(frozen=True)
class Sidecars:
    """Keywords go into sidecars: ``a.jpg.xmp`` or ``a.xmp`` for ``a.jpg``.

    Parameters
    ----------
    form
        ``full`` (``a.jpg.xmp``) or ``stem`` (``a.xmp``); ``auto`` changes each of the two that exists, and makes
        ``a.jpg.xmp`` if there is none.
    remove
        Remove the keywords instead of adding them.
    """

    form: NameForm = "auto"
    remove: bool = False

    def edit(self, image: Path, keywords: Sequence[Keyword], log: BinaryIO | None) -> tuple[Path, ...]:
        """Change the sidecars of an image."""
        found = [self._edit_one(file, keywords, log) for file in self._files_of(image)]
        return tuple(file for file in found if file is not None)

    def _files_of(self, image: Path) -> list[Path]:
        names = {
            "full": [image.name + ".xmp", image.name + ".XMP"],
            "stem": [image.stem + ".xmp", image.stem + ".XMP"],
        }
        wanted = ("full", "stem") if self.form == "auto" else (self.form,)
        found: list[Path] = []
        for place in (image.with_name(name) for form in wanted for name in names[form]):
            if os.path.lexists(place) and not any(map(place.samefile, found)):
                found.append(place)
        return found or ([] if self.remove else [image.with_name(names[wanted[0]][0])])

    def _edit_one(self, file: Path, keywords: Sequence[Keyword], log: BinaryIO | None) -> Path | None:
        file = file.parent.resolve() / file.name
        with locked(file, patience=_PATIENCE) if log is not None else nullcontext():
            before, before_ns = read_sidecar(file)
            try:
                after = self._edited(before, keywords)
            except XmpError as problem:
                raise XmpError(f"cannot edit {file.name}: {problem}") from None
            if after == before:
                return None
            if log is not None:
                inode = os.fstat(log.fileno()).st_ino
                entry = Entry("write", file, before, before_ns, digest_of(after), (), inode)
                log.write(entry.as_line())
                log.flush()
                write_sidecar(file, after)
        return file

    def _edited(self, before: bytes | None, keywords: Sequence[Keyword]) -> bytes | None:
        if not self.remove:
            return keywords_added(before, keywords)
        return None if before is None else keywords_removed(before, keywords)


def read_sidecar(file: Path) -> tuple[bytes | None, int]:
    """Return the bytes of a sidecar, ``None`` if it does not exist, and its modification time in nanoseconds.

    Raises
    ------
    OSError, XmpError
        If it cannot be read, is a link or not a regular file, or is too large.
    """
    try:
        status = file.lstat()
    except FileNotFoundError:
        return None, 0
    if not stat.S_ISREG(status.st_mode):
        raise XmpError(f"{file.name} is {'a link' if file.is_symlink() else 'not a regular file'}")
    if status.st_size > LARGEST:
        raise XmpError(f"{file.name} is larger than {LARGEST >> 20} MiB")
    with file.open("rb") as opened:
        return opened.read(LARGEST + 1), status.st_mtime_ns


def write_sidecar(file: Path, data: bytes | None) -> None:
    """Replace a sidecar atomically, or delete it; its permissions stay."""
    if data is None:
        file.unlink()
        return
    with replacing(file) as temporary, temporary.open("wb") as opened:
        opened.write(data)
        opened.flush()
        os.fsync(opened.fileno())
