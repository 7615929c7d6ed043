"""Options that several commands share, each declared once."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from clipcli.cli.input_options import Exclude, ImageColumn, IncludeHidden, Inputs, NullSeparated, PathColumn
from clipcli.errors import CacheError

if TYPE_CHECKING:
    from clipcli.inputs.discover import Source

__all__ = [
    "AnyEngine",
    "BatchSize",
    "CacheDir",
    "CacheSize",
    "Device",
    "Engine",
    "Exclude",
    "ExtraLabels",
    "ImageColumn",
    "IncludeHidden",
    "Inputs",
    "LabelsFile",
    "ModelName",
    "NoCache",
    "NullSeparated",
    "Offline",
    "Overwrite",
    "PartSize",
    "PathColumn",
    "Precision",
    "Pretrained",
    "PromptSets",
    "Quiet",
    "Reading",
    "Resume",
    "Running",
    "Templates",
    "Verbose",
    "Workers",
    "bytes_in",
    "cache_setting",
]

_LEAST_CACHE = 1_000_000
_LABELS, _MODEL, _RUNNING = "Labels and prompts", "Model", "Performance and cache"
_GENERAL = "General"


def _complete_model(incomplete: str) -> list[str]:
    from clipcli.models.registry import architecture_names

    return [name for name in ("auto", "pocket", *architecture_names()) if name.startswith(incomplete)]


def _complete_prompts(incomplete: str) -> list[str]:
    from clipcli.labels.templates import builtin_set_names

    return [name for name in builtin_set_names() if name.startswith(incomplete)]


def _forbid_network(offline: bool) -> bool:
    """Forbid network access in the whole process, so that no command has to pass the option on."""
    from clipcli.storage.network import forbid_in_process

    forbid_in_process(offline)
    return offline


LabelsFile = Annotated[
    Path | None,
    typer.Option(
        "--labels", "-L", metavar="FILE", envvar="CLIPCLI_LABELS", rich_help_panel=_LABELS,
        help="Label file: text (one label per line), .csv, .tsv or .json.",
    ),
]  # fmt: skip
ExtraLabels = Annotated[
    list[str] | None,
    typer.Option("--label", "-l", metavar="TEXT", rich_help_panel=_LABELS, help="A label; repeat for more labels."),
]
Templates = Annotated[
    list[str] | None,
    typer.Option(
        "--template", "-t", metavar="TEXT", rich_help_panel=_LABELS,
        help="Prompt template that contains {label}; repeat for an ensemble. [default: a photo of a/an {label}]",
    ),
]  # fmt: skip
PromptSets = Annotated[
    list[str] | None,
    typer.Option(
        "--prompts", "-p", metavar="NAME|FILE", rich_help_panel=_LABELS, autocompletion=_complete_prompts,
        help="Built-in template set, or a file with one template per line.",
    ),
]  # fmt: skip
ModelName = Annotated[
    str,
    typer.Option(
        "--model", "-m", metavar="NAME", envvar="CLIPCLI_MODEL", rich_help_panel=_MODEL, autocompletion=_complete_model,
        help="Model: auto, pocket, an open_clip name, hf-hub:ORG/REPO or local-dir:PATH.",
    ),
]  # fmt: skip
Pretrained = Annotated[
    str | None,
    typer.Option(
        "--pretrained", metavar="TAG|FILE", envvar="CLIPCLI_PRETRAINED", rich_help_panel=_MODEL,
        help="Weights of an open_clip model: a tag, or a checkpoint file.",
    ),
]  # fmt: skip
Device = Annotated[
    str,
    typer.Option(
        "--device",
        metavar="NAME",
        envvar="CLIPCLI_DEVICE",
        rich_help_panel=_MODEL,
        help="Device: auto, cpu, cuda, cuda:N or mps.",
    ),
]
Precision = Annotated[
    str,
    typer.Option(
        "--precision", metavar="NAME", envvar="CLIPCLI_PRECISION", rich_help_panel=_MODEL,
        help="Precision of the image encoder: auto, fp32, bf16 or fp16.",
    ),
]  # fmt: skip
Engine = Annotated[
    str,
    typer.Option(
        "--engine", metavar="NAME", envvar="CLIPCLI_ENGINE", rich_help_panel=_MODEL,
        help="Engine of the encoders: torch, openvino (an extra, for CPUs) or auto.",
    ),
]  # fmt: skip
AnyEngine = Annotated[
    str,
    typer.Option(
        "--engine", metavar="NAME", envvar="CLIPCLI_ENGINE", rich_help_panel=_MODEL,
        help="Engine of the encoders: torch, openvino (for CPUs), auto, ray or ray+openvino (on a cluster). "
        "openvino and ray are extras.",
    ),
]  # fmt: skip
Resume = Annotated[
    bool,
    typer.Option("--resume", rich_help_panel="Output", help="Continue an interrupted run with the same -o."),
]
Overwrite = Annotated[
    bool, typer.Option("--overwrite", rich_help_panel="Output", help="Replace existing output or an interrupted run.")
]
PartSize = Annotated[
    int,
    typer.Option(
        "--part-size", metavar="N", min=1, envvar="CLIPCLI_PART_SIZE", rich_help_panel="Output",
        help="Records per part, for output into a folder.",
    ),
]  # fmt: skip
Offline = Annotated[
    bool,
    typer.Option(
        "--offline",
        envvar="CLIPCLI_OFFLINE",
        rich_help_panel=_MODEL,
        callback=_forbid_network,
        help="Do not use the network.",
    ),
]
BatchSize = Annotated[
    int | None,
    typer.Option(
        "--batch-size", metavar="N", min=1, envvar="CLIPCLI_BATCH_SIZE", rich_help_panel=_RUNNING,
        help="Images per batch.",
    ),
]  # fmt: skip
Workers = Annotated[
    int | None,
    typer.Option(
        "--workers", metavar="N", min=1, envvar="CLIPCLI_WORKERS", rich_help_panel=_RUNNING,
        help="Number of decoding threads; on a cluster, of decoding processes.",
    ),
]  # fmt: skip
CacheDir = Annotated[
    Path | None,
    typer.Option(
        "--cache-dir", metavar="DIR", envvar="CLIPCLI_CACHE_DIR", rich_help_panel=_RUNNING,
        help="Folder of the embedding cache. [default: the user's cache folder]",
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
        help="Maximum size of the cache, such as 500MB, 500MiB or 4GB. Above it, the oldest entries are removed.",
    ),
]  # fmt: skip
Quiet = Annotated[
    bool, typer.Option("--quiet", "-q", envvar="CLIPCLI_QUIET", rich_help_panel=_GENERAL, help="Print errors only.")
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
class Reading:
    """The options that say how INPUTs are read, and what is skipped; see :mod:`clipcli.cli.groups`."""

    null_separated: NullSeparated = False
    path_column: PathColumn = None
    image_column: ImageColumn = None
    exclude: Exclude = None
    include_hidden: IncludeHidden = False

    def source(self, inputs: Sequence[str]) -> Source:
        """Return what is read: the INPUTs, and what to pass over in them."""
        from clipcli.inputs.discover import Source
        from clipcli.inputs.exclusion import Exclusion

        exclusion = Exclusion(tuple(self.exclude or ()), self.include_hidden)
        columns = (self.path_column, self.image_column)
        return Source(tuple(inputs), sys.stdin.buffer, self.null_separated, *columns, exclusion)


@dataclass(frozen=True)
class Running:
    """The options that say how much is done at once, and where embeddings are cached."""

    batch_size: BatchSize = None
    workers: Workers = None
    cache_dir: CacheDir = None
    no_cache: NoCache = False
    cache_size: CacheSize = "4GB"

    @property
    def model_options(self) -> dict[str, Any]:
        """The parameters of :class:`clipcli.Classifier` and :class:`clipcli.Embedder` that they stand for."""
        return {
            "batch_size": self.batch_size,
            "workers": self.workers,
            "cache": cache_setting(self.cache_dir, self.no_cache),
            "cache_limit": bytes_in(self.cache_size),
        }


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
