"""Files and folders that operating systems, network drives and clipcli create, which are never inputs."""

from __future__ import annotations

__all__ = ["SORT_LOG", "SYSTEM_NAMES", "is_system_name"]

SORT_LOG = ".clipcli-sort.jsonl"
"""The log in a folder that ``clipcli sort`` made."""

SYSTEM_NAMES = (
    "@eaDir", "#recycle", "#snapshot", "@tmp", "@Recycle", "@Recently-Snapshot", ".@__thumb", ".@__qini", ".streams",
    ".thumbnails", ".thumb", "Thumbs.db", "ehthumbs.db", "desktop.ini", "$RECYCLE.BIN", "System Volume Information",
    "__MACOSX", ".AppleDouble", ".AppleDB", ".AppleDesktop", ".DS_Store", ".Spotlight-V100", ".fseventsd",
    ".TemporaryItems", ".DocumentRevisions-V100", "lost+found",
)  # fmt: skip
"""Names, ignoring case, of files and folders that systems create: thumbnails, deleted files, settings."""

_SYSTEM = frozenset(name.casefold() for name in SYSTEM_NAMES)
_SYSTEM_STARTS = ("._", ".trash", ".nfs")


def is_system_name(name: str) -> bool:
    """Return whether a file or folder has a name of :data:`SYSTEM_NAMES`."""
    folded = name.casefold()
    return folded in _SYSTEM or folded.startswith(_SYSTEM_STARTS)
