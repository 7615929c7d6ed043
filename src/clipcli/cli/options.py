"""Options that several commands share, each declared once."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from clipcli.cache.limit import DEFAULT_LIMIT
from clipcli.cli.input_options import (
    Exclude,
    ImageEmbeddingsFile,
    IncludeHidden,
    Inputs,
    Reading,
    TruthLabel,
    TruthPath,
)
from clipcli.cli.label_options import ClassesFile, Labels, PromptSets, Templates
from clipcli.cli.model_options import Device, Model, ModelName, ModelOnCluster, Offline, Pretrained
from clipcli.cli.score_options import Scores
from clipcli.errors import CacheError

__all__ = [
    "BatchSize",
    "CacheDir",
    "CacheSize",
    "Checked",
    "ClassesFile",
    "Device",
    "DropMissing",
    "Exclude",
    "ImageEmbeddingsFile",
    "IncludeHidden",
    "Inputs",
    "Labels",
    "Model",
    "ModelName",
    "ModelOnCluster",
    "NoCache",
    "Offline",
    "Overwrite",
    "PartSize",
    "Pretrained",
    "PromptSets",
    "Quiet",
    "Reading",
    "Resume",
    "Running",
    "RunningOnCluster",
    "Scores",
    "Templates",
    "TruthLabel",
    "TruthPath",
    "Update",
    "Verbose",
    "Workers",
    "WorkersOnCluster",
    "bytes_in",
    "cache_setting",
]

_LEAST_CACHE = 1_000_000
_RUNNING, _GENERAL = "Performance and cache", "General"


Resume = Annotated[
    bool,
    typer.Option(
        "--resume", rich_help_panel="Output", help="Continue an interrupted run; repeat its command with --resume."
    ),
]
Overwrite = Annotated[
    bool,
    typer.Option(
        "--overwrite",
        rich_help_panel="Output",
        help="Replace output that exists, or that of an interrupted run; without it, the command stops. Only files "
        "that clipcli wrote are replaced.",
    ),
]
Update = Annotated[
    bool,
    typer.Option(
        "--update", rich_help_panel="Output",
        help="Add new inputs to the finished results at -o, and try failed ones again. All other records stay as they "
             "are.",
    ),
]  # fmt: skip
DropMissing = Annotated[
    bool,
    typer.Option(
        "--drop-missing", rich_help_panel="Output",
        help="With --update: remove the records of files that no longer exist on the disk.",
    ),
]  # fmt: skip
Checked = Annotated[
    Path | None,
    typer.Option("--checked", metavar="FILE", show_default=False,
                 help="Table saved on the page of 'clipcli report': its labels replace those in RESULTS; other images "
                      "keep theirs."),
]  # fmt: skip
PartSize = Annotated[
    int,
    typer.Option(
        "--part-size", metavar="N", min=1, envvar="CLIPCLI_PART_SIZE", rich_help_panel="Output",
        help="Records per part, for output that is written in parts.",
    ),
]  # fmt: skip
BatchSize = Annotated[
    int | None,
    typer.Option(
        "--batch-size", metavar="N", min=1, envvar="CLIPCLI_BATCH_SIZE", rich_help_panel=_RUNNING,
        help="Images per batch. [default: 16, 32 or 64, depending on the precision]",
    ),
]  # fmt: skip
Workers = Annotated[
    int | None,
    typer.Option(
        "--workers", metavar="N", min=1, envvar="CLIPCLI_WORKERS", rich_help_panel=_RUNNING,
        help="Number of decoding threads. [default: by the number of CPUs]",
    ),
]  # fmt: skip
WorkersOnCluster = Annotated[
    int | None,
    typer.Option(
        "--workers", metavar="N", min=1, envvar="CLIPCLI_WORKERS", rich_help_panel=_RUNNING,
        help="Number of decoding threads; on a cluster, of decoding processes. [default: by the number of CPUs]",
    ),
]  # fmt: skip
CacheDir = Annotated[
    Path | None,
    typer.Option(
        "--cache-dir", metavar="DIR", envvar="CLIPCLI_CACHE_DIR", rich_help_panel=_RUNNING,
        help="Folder of the embedding cache. [default: in the user's cache folder]",
    ),
]  # fmt: skip
NoCache = Annotated[
    bool,
    typer.Option(
        "--no-cache", envvar="CLIPCLI_NO_CACHE", rich_help_panel=_RUNNING, help="Do not use the embedding cache."
    ),
]
CacheSize = Annotated[
    str,
    typer.Option(
        "--cache-size", metavar="SIZE", envvar="CLIPCLI_CACHE_SIZE", rich_help_panel=_RUNNING,
        help="Maximum size of the cache, such as 500MB, 500MiB or 4GB; above it, the oldest image embeddings are "
             "removed.",
    ),
]  # fmt: skip
Quiet = Annotated[
    bool,
    typer.Option(
        "--quiet", "-q", envvar="CLIPCLI_QUIET", rich_help_panel=_GENERAL, help="Print only errors on stderr."
    ),
]
Verbose = Annotated[
    bool,
    typer.Option("--verbose", "-v", rich_help_panel=_GENERAL, help="Print details of loading, caching and encoding."),
]


def cache_setting(cache_dir: Path | None, no_cache: bool) -> bool | Path:
    """Turn ``--cache-dir`` and ``--no-cache`` into the ``cache`` parameter of :class:`clipcli.Classifier`."""
    if no_cache:
        return False
    return cache_dir if cache_dir is not None else True


@dataclass(frozen=True)
class Running:
    """The options that say how much is done at once, and where embeddings are cached."""

    batch_size: BatchSize = None
    workers: Workers = None
    cache_dir: CacheDir = None
    no_cache: NoCache = False
    cache_size: CacheSize = f"{DEFAULT_LIMIT // 10**9}GB"

    @property
    def parameters(self) -> dict[str, Any]:
        """The parameters of :class:`clipcli.Classifier` and :class:`clipcli.Embedder` that they stand for."""
        return {
            "batch_size": self.batch_size,
            "workers": self.workers,
            "cache": cache_setting(self.cache_dir, self.no_cache),
            "cache_limit": bytes_in(self.cache_size),
        }


@dataclass(frozen=True)
class RunningOnCluster(Running):
    """The same for a command that can also run on a cluster."""

    workers: WorkersOnCluster = None


def bytes_in(size: str) -> int:
    """Turn a size into bytes: ``500MB`` is 500 * 10**6, ``500MiB`` is 500 * 2**20.

    Raises
    ------
    CacheError
        If it is not a size, or below the minimum.
    """
    found = re.fullmatch(r"\s*([0-9]{1,15}(?:\.[0-9]{1,15})?)\s*(?:([KMGT])(i?)B?|B)?\s*", size, re.IGNORECASE)
    if not found:
        raise CacheError(f"cannot read --cache-size {size!r}: not a size (write it like 500MB, 500MiB or 4GB)")
    base = 1024 if found[3] else 1000
    count = int(float(found[1]) * base ** " KMGT".index((found[2] or " ").upper()))
    if count < _LEAST_CACHE:
        raise CacheError(f"cannot use --cache-size {size!r}: the minimum is 1MB (turn the cache off with --no-cache)")
    return count
