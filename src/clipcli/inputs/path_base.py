"""One rule for the relative paths that a table names."""

from __future__ import annotations

import filecmp
import os
import re
import unicodedata
from pathlib import Path

from clipcli.errors import InputError
from clipcli.schemes import is_remote, join_url
from clipcli.storage.network_policy import check_location

__all__ = ["PathBase"]


class PathBase:
    """The folder that all relative paths of one table are resolved against.

    That is the folder of the table, or the current folder for a table that clipcli wrote. If the first file that
    exists is in the other of the two, all paths are resolved against that one. So a missing file is never silently
    replaced by one from another folder. If a table that clipcli wrote names a file that is in both folders, and they
    differ, it is unknown which was meant: cameras give the same names again and again.

    Parameters
    ----------
    table
        The table's path or URL.
    own
        Whether clipcli wrote the table.
    root
        The folder, if it is known; otherwise one of the two is chosen.
    """

    def __init__(self, table: str, *, own: bool, root: Path | None = None) -> None:
        beside = os.path.dirname(table.rstrip("/" + os.sep))  # noqa: PTH120 - keeps names as they are
        self._table, self._own = table, own
        self._folders = ("", beside) if own else (beside, "")
        self._folder = None if root is None else os.fspath(root)

    @property
    def folder(self) -> Path:
        """The folder, according to the names located so far."""
        return Path(self._folders[0] if self._folder is None else self._folder)

    def locate(self, name: str) -> str:
        """Return the path or URL of a file that the table names.

        Raises
        ------
        InputError
            If it is a URL and the network is forbidden, or if the first file is another one in the current folder than
            next to the table.
        """
        if is_remote(name) or is_remote(self._table):
            location = join_url(self._table, name)
            check_location(location)
            return location
        if os.path.isabs(name):  # noqa: PTH117
            return self._existing("", name) or name
        for folder in self._folders if self._folder is None else (self._folder,):
            if (found := self._existing(folder, name)) is not None:
                if self._folder is None and self._own:
                    self._check_other(name, found)
                self._folder = folder
                return found
        folder = self._folders[0] if self._folder is None else self._folder
        return os.path.join(folder, name)  # noqa: PTH118

    def _check_other(self, name: str, found: str) -> None:
        """Raise :class:`InputError` if the folder of the table has another file of that name than the current one."""
        other = self._existing(self._folders[1], name)
        if other is None or _are_equal(found, other):
            return
        raise InputError(
            f"cannot use {self._table}: it can mean {found} or {other}, which differ (run the command in the folder "
            "of its paths; sort, tag, report and evaluate also take --root)"
        )

    def look_for(self, name: str) -> None:
        """Choose the folder by a name, which may be a URL, unless it is chosen already."""
        if self._folder is None and not is_remote(name):
            self.locate(name)

    def _existing(self, folder: str, name: str) -> str | None:
        r"""Return a file's path if it exists, as it is named or else in another form of the name.

        Systems compose letters differently; tables of Windows have backslashes in place of slashes; and tables of
        clipcli write bytes that are not UTF-8 as ``\xff``.
        """
        names = [name]
        if self._own and "\\x" in name:
            names.append(os.fsdecode(re.sub(rb"\\x([89a-f][0-9a-f])", _byte, os.fsencode(name))))
        if "\\" in name and os.sep == "/":
            names.append(name.replace("\\", "/"))
        if not name.isascii():
            names += [unicodedata.normalize(form, each) for each in names for form in ("NFC", "NFD")]
        paths = (os.path.join(folder, each) for each in names)  # noqa: PTH118
        return next((path for path in paths if os.path.lexists(path)), None)


def _are_equal(first: str, second: str) -> bool:
    try:
        one, other = Path(first), Path(second)
        return one.samefile(other) or (one.is_file() and filecmp.cmp(one, other, shallow=False))
    except OSError:
        return False


def _byte(found: re.Match[bytes]) -> bytes:
    return bytes.fromhex(found[1].decode())
