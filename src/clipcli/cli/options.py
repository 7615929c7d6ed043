"""The options that several commands share, each declared once."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from clipcli.cli.input_options import Exclude, ImageColumn, IncludeHidden, Inputs, NullSeparated, PathColumn
from clipcli.errors import CacheError, ClusterError
from clipcli.models.engines import choose_engine

if TYPE_CHECKING:
    from clipcli.distributed.cluster import RayOptions
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
    "RayActors",
    "RayAddress",
    "RayGpus",
    "Resume",
    "Templates",
    "Verbose",
    "Workers",
    "bytes_in",
    "cache_setting",
    "cluster_or_none",
    "source",
]

_LEAST_CACHE = 1_000_000
_LABELS, _MODEL, _RUNNING, _RAY = "Labels and prompts", "Model", "Running", "Cluster"


def _complete_model(incomplete: str) -> list[str]:
    from clipcli.models.registry import architecture_names

    return [name for name in ("auto", "pocket", *architecture_names()) if name.startswith(incomplete)]


def _complete_prompts(incomplete: str) -> list[str]:
    from clipcli.labels.templates import builtin_set_names

    return [name for name in builtin_set_names() if name.startswith(incomplete)]


def _forbid_network(offline: bool) -> bool:
    """Forbid the network to the whole process, so that no command has to remember the option."""
    from clipcli.storage.network import forbid_in_process

    forbid_in_process(offline)
    return offline


LabelsFile = Annotated[
    Path | None,
    typer.Option(
        "--labels", "-L", metavar="FILE", envvar="CLIPCLI_LABELS", rich_help_panel=_LABELS,
        help="Label file: text (one a line), .csv/.tsv or .json.",
    ),
]  # fmt: skip
ExtraLabels = Annotated[
    list[str] | None,
    typer.Option("--label", "-l", metavar="TEXT", rich_help_panel=_LABELS, help="A label; may be repeated."),
]
Templates = Annotated[
    list[str] | None,
    typer.Option(
        "--template", "-t", metavar="TEXT", rich_help_panel=_LABELS,
        help="Prompt template with {label} in it; repeat for an ensemble. [default: a photo of a/an {label}]",
    ),
]  # fmt: skip
PromptSets = Annotated[
    list[str] | None,
    typer.Option(
        "--prompts", "-p", metavar="NAME|FILE", rich_help_panel=_LABELS, autocompletion=_complete_prompts,
        help="Built-in template set, or a file with one template a line.",
    ),
]  # fmt: skip
ModelName = Annotated[
    str,
    typer.Option(
        "--model", "-m", metavar="NAME", envvar="CLIPCLI_MODEL", rich_help_panel=_MODEL, autocompletion=_complete_model,
        help="auto, pocket, an open_clip name, hf-hub:ORG/REPO or local-dir:PATH.",
    ),
]  # fmt: skip
Pretrained = Annotated[
    str | None,
    typer.Option(
        "--pretrained", metavar="TAG|FILE", envvar="CLIPCLI_PRETRAINED", rich_help_panel=_MODEL,
        help="Weights for an open_clip name: a tag, or a checkpoint file.",
    ),
]  # fmt: skip
Device = Annotated[
    str,
    typer.Option(
        "--device",
        metavar="NAME",
        envvar="CLIPCLI_DEVICE",
        rich_help_panel=_MODEL,
        help="auto, cpu, cuda, cuda:N or mps.",
    ),
]
Precision = Annotated[
    str,
    typer.Option(
        "--precision", metavar="NAME", envvar="CLIPCLI_PRECISION", rich_help_panel=_MODEL,
        help="auto, fp32, bf16 or fp16, for the image encoder.",
    ),
]  # fmt: skip
Engine = Annotated[
    str,
    typer.Option(
        "--engine", metavar="NAME", envvar="CLIPCLI_ENGINE", rich_help_panel=_MODEL,
        help="Engine that runs the encoders: torch, openvino (an extra, for CPUs), or auto.",
    ),
]  # fmt: skip
AnyEngine = Annotated[
    str,
    typer.Option(
        "--engine", metavar="NAME", envvar="CLIPCLI_ENGINE", rich_help_panel=_MODEL,
        help="torch; openvino (an extra, for CPUs); auto; ray or ray+openvino (an extra) to use a cluster.",
    ),
]  # fmt: skip
RayAddress = Annotated[
    str | None,
    typer.Option(
        "--ray-address", metavar="HOST:PORT|auto", envvar=["CLIPCLI_RAY_ADDRESS", "RAY_ADDRESS"], rich_help_panel=_RAY,
        help="The cluster to join. [default: start Ray on this machine]",
    ),
]  # fmt: skip
RayActors = Annotated[
    str | None,
    typer.Option(
        "--ray-actors", metavar="N|MIN:MAX", envvar="CLIPCLI_RAY_ACTORS", rich_help_panel=_RAY,
        help="How many hold the model at once. [default: 1 to as many as the cluster has room for]",
    ),
]  # fmt: skip
RayGpus = Annotated[
    float | None,
    typer.Option(
        "--ray-gpus", metavar="SHARE", min=0.0, envvar="CLIPCLI_RAY_GPUS", rich_help_panel=_RAY,
        help="GPUs that each of them takes, such as 0.5. [default: 1 where there are GPUs]",
    ),
]  # fmt: skip
Resume = Annotated[
    bool,
    typer.Option("--resume", rich_help_panel="Output", help="Go on where an interrupted run to -o stopped."),
]
Overwrite = Annotated[
    bool, typer.Option("--overwrite", rich_help_panel="Output", help="Forget an interrupted run to -o.")
]
PartSize = Annotated[
    int,
    typer.Option(
        "--part-size", metavar="N", min=1, envvar="CLIPCLI_PART_SIZE", rich_help_panel="Output",
        help="Records in each part of a folder.",
    ),
]  # fmt: skip
Offline = Annotated[
    bool,
    typer.Option(
        "--offline",
        envvar="CLIPCLI_OFFLINE",
        rich_help_panel=_MODEL,
        callback=_forbid_network,
        help="Never use the network.",
    ),
]
BatchSize = Annotated[
    int | None,
    typer.Option(
        "--batch-size", metavar="N", min=1, envvar="CLIPCLI_BATCH_SIZE", rich_help_panel=_RUNNING,
        help="Images a batch.",
    ),
]  # fmt: skip
Workers = Annotated[
    int | None,
    typer.Option(
        "--workers", metavar="N", min=1, envvar="CLIPCLI_WORKERS", rich_help_panel=_RUNNING,
        help="Decoding threads; on a cluster, decoders.",
    ),
]  # fmt: skip
CacheDir = Annotated[
    Path | None,
    typer.Option(
        "--cache-dir", metavar="DIR", envvar="CLIPCLI_CACHE_DIR", rich_help_panel=_RUNNING,
        help="Where embeddings are kept. [default: the user's cache folder]",
    ),
]  # fmt: skip
NoCache = Annotated[
    bool,
    typer.Option("--no-cache", envvar="CLIPCLI_NO_CACHE", rich_help_panel=_RUNNING, help="Keep no embeddings on disk."),
]
CacheSize = Annotated[
    str,
    typer.Option(
        "--cache-size", metavar="SIZE", envvar="CLIPCLI_CACHE_SIZE", rich_help_panel=_RUNNING,
        help="Limit of the cache, such as 500MB (10^6) or 500MiB (2^20); over it, the oldest entries are dropped.",
    ),
]  # fmt: skip
Quiet = Annotated[
    bool, typer.Option("--quiet", "-q", envvar="CLIPCLI_QUIET", rich_help_panel=_RUNNING, help="Errors only.")
]
Verbose = Annotated[
    bool,
    typer.Option("--verbose", "-v", rich_help_panel=_RUNNING, help="Say what is loaded, cached and encoded."),
]


def cache_setting(cache_dir: Path | None, no_cache: bool) -> bool | Path:
    """Turn ``--cache-dir`` and ``--no-cache`` into what :class:`clipcli.Classifier` takes."""
    if no_cache:
        return False
    return cache_dir if cache_dir is not None else True


def source(
    inputs: Sequence[str], null_separated: bool, path_column: str | None, image_column: str | None,
    exclude: Sequence[str] | None, include_hidden: bool,
) -> Source:  # fmt: skip
    """Return what is read: the INPUTs, and what to pass over in them."""
    from clipcli.inputs.discover import Source
    from clipcli.inputs.exclusion import Exclusion

    exclusion = Exclusion(tuple(exclude or ()), include_hidden)
    return Source(tuple(inputs), sys.stdin.buffer, null_separated, path_column, image_column, exclusion)


def bytes_in(size: str) -> int:
    """Turn a size into bytes: ``500MB`` is 500 * 10**6, ``500MiB`` is 500 * 2**20.

    Raises
    ------
    CacheError
        If it is not a size, or too small for a cache.
    """
    found = re.fullmatch(r"\s*([0-9]{1,15}(?:\.[0-9]{1,15})?)\s*(?:([KMGT])(i?)B?|B)?\s*", size, re.IGNORECASE)
    if not found:
        raise CacheError(f"cannot read --cache-size {size!r}: not a size (write it like 500MB, 500MiB or 4GB)")
    base = 1024 if found[3] else 1000
    count = int(float(found[1]) * base ** " KMGT".index((found[2] or " ").upper()))
    if count < _LEAST_CACHE:
        raise CacheError(f"cannot use --cache-size {size!r}: less than 1MB (turn the cache off with --no-cache)")
    return count


def cluster_or_none(
    engine: str, address: str | None, actors: str | None, gpus: float | None, workers: int | None
) -> tuple[str, RayOptions | None]:
    """Turn ``--engine`` and the options of a cluster into what runs the image encoder, and on which cluster.

    Raises
    ------
    ClusterError
        If an option of a cluster cannot be used.
    """
    choice = choose_engine(engine)
    if not choice.on_cluster:
        return choice.name, None
    from clipcli.distributed.cluster import RayOptions

    return choice.name, RayOptions(address, _range(actors) if actors else None, gpus, workers)


def _range(actors: str) -> tuple[int, int]:
    found = re.fullmatch(r"(\d+)(?::(\d+))?", actors.strip())
    least, most = (int(found[1]), int(found[2] or found[1])) if found else (0, 0)
    if not 1 <= least <= most:
        raise ClusterError(f"--ray-actors {actors}: give a number such as 8, or the least and the most such as 1:8")
    return least, most
