"""Converted image encoders in the cache folder: checked when read, counted, and dropped with the rest.

::

    CACHE/engines/<model>/encoder.xml, encoder.bin     what OpenVINO wrote, without the weights that stay in their file
    CACHE/engines/<model>/tokenizer.json               of a text encoder whose tokenizer comes from the hub
    CACHE/engines/<model>/manifest.json                what else is needed, and the checksum of all files

The built-in model has the same files, made in advance, in its own folder.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clipcli.storage.checksums import hash_file, seal

__all__ = [
    "GRAPH",
    "TOKENIZER",
    "StoredGraph",
    "check_graphs",
    "clear_graphs",
    "graph_place",
    "list_graphs",
    "mark_used",
    "read_manifest",
    "save_graph_files",
    "trim_graphs",
    "write_graph_files",
]

GRAPH, _WEIGHTS, TOKENIZER, _MANIFEST = "encoder.xml", "encoder.bin", "tokenizer.json", "manifest.json"
_FOLDER = "engines"
_PARTS = {GRAPH, _WEIGHTS, TOKENIZER, _MANIFEST}


@dataclass(frozen=True)
class StoredGraph:
    """One converted encoder: its folder, bytes on disk, and when it was last used (seconds)."""

    folder: Path
    size: int
    used: float


def graph_place(cache: Path, name: str) -> Path:
    """Return the folder of a graph in a cache folder."""
    return cache / _FOLDER / name


def read_manifest(folder: Path) -> dict[str, Any] | None:
    """Return what was saved with a graph; ``None`` unless all its files are as they were written.

    Raises
    ------
    OSError, ValueError
        If a file is missing or the manifest is not JSON.
    """
    manifest = json.loads((folder / _MANIFEST).read_bytes())
    if not isinstance(manifest, dict) or not isinstance(manifest.get("about"), dict):
        return None
    return dict(manifest["about"]) if manifest.get("checksum") == _checksum(manifest["about"], folder) else None


def mark_used(folder: Path) -> None:
    """Note that a graph is used now: those that were not used for longest are deleted first."""
    with suppress(OSError):
        os.utime(folder)


def _checksum(about: dict[str, Any], folder: Path) -> str:
    optional = (TOKENIZER,) if (folder / TOKENIZER).exists() else ()
    parts = [hash_file(folder / name) for name in (GRAPH, _WEIGHTS, *optional)]
    return seal(json.dumps(about, sort_keys=True), *parts).hex()


def save_graph_files(folder: Path, about: dict[str, Any], write: Callable[[Path], None]) -> None:
    """Save a graph atomically. A full or write-protected disk is not an error.

    Parameters
    ----------
    about
        Plain values for JSON that are saved with the graph.
    write
        Writes the graph to a path, and its weights and tokenizer into the same folder.
    """
    from tempfile import mkdtemp

    with suppress(OSError, RuntimeError):
        folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if folder.parent.is_symlink():
            return
        new = Path(mkdtemp(prefix="new-", dir=folder.parent))  # for this user alone
        try:
            write_graph_files(new, about, write)
            for part in new.iterdir():
                part.chmod(0o600)
            shutil.rmtree(folder, ignore_errors=True)  # a damaged one
            new.rename(folder)
        finally:
            shutil.rmtree(new, ignore_errors=True)


def write_graph_files(folder: Path, about: dict[str, Any], write: Callable[[Path], None]) -> None:
    """Write a graph into an existing folder; parameters as for :func:`save_graph_files`."""
    write(folder / GRAPH)
    manifest = {"about": about, "checksum": _checksum(about, folder)}
    (folder / _MANIFEST).write_text(json.dumps(manifest), "utf-8")


def list_graphs(cache: Path) -> list[StoredGraph]:
    """Return the graphs in a cache folder, the one used longest ago first; other things there are left out."""
    place, found = cache / _FOLDER, []
    with suppress(OSError):
        for folder in place.iterdir() if not place.is_symlink() else ():
            with suppress(OSError):  # another process removed it
                if not folder.is_symlink() and {part.name for part in folder.iterdir()} <= _PARTS:
                    size = sum(part.lstat().st_size for part in folder.iterdir())
                    found.append(StoredGraph(folder, size, folder.stat().st_mtime))
    return sorted(found, key=lambda graph: graph.used)


def trim_graphs(cache: Path, limit: int) -> int:
    """Drop the graphs used longest ago until the rest takes no more than ``limit`` bytes; return what it takes."""
    graphs = list_graphs(cache)
    total = sum(graph.size for graph in graphs)
    for graph in graphs:
        if total <= limit:
            break
        shutil.rmtree(graph.folder, ignore_errors=True)
        total -= graph.size
    return total


def clear_graphs(cache: Path) -> int:
    """Delete all graphs in a cache folder; return how many."""
    graphs = list_graphs(cache)
    for graph in graphs:
        shutil.rmtree(graph.folder, ignore_errors=True)
    with suppress(OSError):
        (cache / _FOLDER).rmdir()
    return len(graphs)


def check_graphs(cache: Path) -> list[str]:
    """Read all graphs and return what is wrong, one line each."""
    problems = []
    for graph in list_graphs(cache):
        try:
            sound = read_manifest(graph.folder) is not None
        except (OSError, ValueError):
            sound = False
        if not sound:
            problems.append(f"converted encoder {graph.folder.name[:12]}: does not match its checksum")
    return problems
