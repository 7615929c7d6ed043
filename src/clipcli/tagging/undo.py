"""Undo ``clipcli tag``: each sidecar gets the bytes that it had before.

The log is untrusted (see :mod:`clipcli.tagging.log`), so undoing changes a sidecar only if its bytes are those that the
log says ``tag`` wrote, follows no links, and creates no folders. If the log does not prove that this user wrote it in
this place, the user has to name the folder that files may be changed in.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from clipcli.errors import OutputError
from clipcli.storage.locks import locked
from clipcli.tagging.log import Change, Entry, TagLog, digest_of, log_of, reading_log
from clipcli.tagging.sidecars import read_sidecar, write_sidecar
from clipcli.tagging.xmp import XmpError

__all__ = ["TakeBack", "undo"]

TakeBack = Callable[[Path, Sequence[Change], bool], bool]
"""Takes back changes to an image, or only finds out with ``True``; returns whether any of them was still there."""


def undo(
    results: Path, root: Path | None = None, *, embedded: TakeBack | None = None, dry_run: bool = False
) -> Iterator[tuple[Path, str | None]]:
    """Undo all changes that the log of some results names, last first; yield each file with the reason if it stays.

    The log is removed if everything was undone.

    Parameters
    ----------
    root
        The folder that files may be changed in, at any depth; needed if the log was copied, unpacked or made by others.
    embedded
        Removes keywords from images; without it, images stay as they are.
    dry_run
        Change nothing, and yield the same.

    Raises
    ------
    InputError
        If there is nothing to undo, or the log is damaged; no file is changed then.
    """
    kept = False
    blocked = dict[Path, str]()
    known = dict[Path, str | None]()  # in a dry run, the digests that files would have
    with reading_log(results) as log:
        base = root.resolve() if root is not None else None
        for entry in log.reversed():
            problem = blocked.get(entry.file) or _distrust(entry, log, base)
            changed = False
            if problem is None:
                try:
                    changed = (
                        _embedded_undone(entry, embedded, dry_run=dry_run)
                        if entry.action == "embed"
                        else _restored(entry, known, dry_run=dry_run)
                    )
                except OSError as error:
                    problem = error.strerror or str(error)
                except (XmpError, OutputError) as error:
                    problem = str(error)
            if problem is not None:
                kept = True
                if entry.file not in blocked:  # what was done before it cannot be undone either
                    blocked[entry.file] = problem
                    yield entry.file, problem
            elif changed:
                yield entry.file, None
    if not kept and not dry_run:
        log_of(results).unlink()


def _distrust(entry: Entry, log: TagLog, root: Path | None) -> str | None:
    """Return why the file of an entry may not be changed, or ``None``."""
    folder = entry.file.parent
    if root is None and not log.is_own:
        return "the log may come from others, as in a copied folder; name the folder of the images with --root DIR"
    if not folder.is_dir():
        return f"its folder {folder} no longer exists"
    real = folder.resolve()
    if root is None and real != folder:
        return f"{folder} is now a link to another folder"
    if root is not None and not real.is_relative_to(root):
        return f"{folder} is not in {root}"
    return None


def _restored(entry: Entry, known: dict[Path, str | None], *, dry_run: bool) -> bool:
    """Give a sidecar its bytes of before; return whether that changed it."""
    before = digest_of(entry.before)
    with locked(entry.file):
        found = known[entry.file] if entry.file in known else digest_of(read_sidecar(entry.file)[0])
        if found == before:  # the run was killed between the log and the change
            return False
        if found != entry.after:
            raise XmpError("it has changed since (remove only the keywords with --remove)")
        if dry_run:
            known[entry.file] = before
            return True
        write_sidecar(entry.file, entry.before)
        if entry.before is not None:
            with suppress(OSError):
                os.utime(entry.file, ns=(entry.before_ns, entry.before_ns))
    return True


def _embedded_undone(entry: Entry, embedded: TakeBack | None, *, dry_run: bool) -> bool:
    if embedded is None:
        raise XmpError("keywords in images are removed by ExifTool (install it, and clipcli[tag])")
    if not entry.file.is_file() or entry.file.is_symlink():
        raise XmpError("it no longer exists, or is a link")
    return embedded(entry.file, entry.changes, dry_run)
