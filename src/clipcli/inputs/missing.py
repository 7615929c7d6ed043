"""Check that at least one of the named inputs exists.

A missing input among others becomes an error record. If all of them are missing, the name is wrong, or a disk or a
bucket is not there at the moment: a run would replace good results with error records.
"""

from __future__ import annotations

import os

from clipcli.errors import InputError, StorageError
from clipcli.inputs.discover import Source
from clipcli.inputs.items import shown_name
from clipcli.inputs.patterns import is_pattern
from clipcli.schemes import EXTRAS, is_remote, scheme_of, url_start
from clipcli.storage.network_policy import check_location
from clipcli.storage.remote import attempted, filesystem, path_in

__all__ = ["check_some_exist", "none_exists"]


def check_some_exist(source: Source) -> None:
    """Raise :class:`InputError` if every named file, folder, archive, table or object is missing.

    Names are examined up to the first that exists. Patterns and standard input are left to
    :func:`~clipcli.inputs.discover.discover`; web servers are not asked, so that nothing is downloaded twice.
    """
    if source.names and all(_is_missing(name, has_stream=source.stream is not None) for name in source.names):
        kind = "object or prefix" if is_remote(source.names[0]) else "file or folder"
        raise none_exists(source.names[0], len(source.names), kind)


def none_exists(first: str, count: int, kind: str = "file") -> InputError:
    """Return the error for a run in which no input exists."""
    others = f", and none of the other {count - 1:,} inputs exists either" if count > 1 else ""
    return InputError(f"cannot read {shown_name(first)}: no such {kind}{others} (check the name)")


def _is_missing(name: str, *, has_stream: bool) -> bool:
    if (name == "-" and has_stream) or is_pattern(name):
        return False
    if is_remote(name):
        check_location(name)
        return EXTRAS[scheme_of(name)] != "http" and _is_missing_object(name)
    if url_start(name):
        return False
    try:
        os.lstat(name)
    except (FileNotFoundError, NotADirectoryError):
        return True
    except (OSError, ValueError):
        return False
    return False


def _is_missing_object(url: str) -> bool:
    try:
        attempted(lambda: filesystem(url).info(path_in(url)), url)  # not exists(): that is false for any error
    except StorageError as problem:
        return problem.kind in ("not_found", "no_bucket")
    return False
