"""Options that only work with others: a table of requirements, checked before a command runs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import typer
from typer.core import TyperCommand

from clipcli.cli.parameter_source import is_given
from clipcli.models.engines import cluster_names, runs_on_cluster
from clipcli.outputs.destination import is_folder

__all__ = ["REQUIREMENTS", "CheckedCommand", "Requirement", "UsageError", "unmet"]

UsageError: Any = typer.BadParameter.__bases__[0]
"""The error for a command line that cannot be used."""

Values = Mapping[str, Any]


@dataclass(frozen=True)
class Requirement:
    """A requirement of some options of a command.

    Parameters
    ----------
    options
        The parameters that have the requirement. Only those given on the command line are rejected: an environment
        variable such as ``CLIPCLI_PART_SIZE`` is a default for the commands that can use it.
    condition
        The requirement in words, to follow "only works".
    is_met
        Takes the values of all parameters by name, and returns whether the requirement is met.
    """

    options: tuple[str, ...]
    condition: str
    is_met: Callable[[Values], bool]


def _needs_no(option: str, *options: str) -> Requirement:
    name = option.replace("_", "-")
    return Requirement(options, f"without --{name}", lambda values: not values[option])


_LOUD = _needs_no("quiet", "verbose")
_CACHE = _needs_no("no_cache", "cache_dir", "cache_size")
_LISTED = Requirement(("null_separated",), "with '-' as an INPUT", lambda values: "-" in (values["inputs"] or ()))
_OVERWRITE = Requirement(("overwrite",), "with -o", lambda values: values["output"] is not None)
_TABLES = Requirement(
    ("path_column", "image_column"),
    "with tables, not with '-': stdin holds plain paths",
    lambda values: "-" not in (values["inputs"] or ()),
)
_DELETED = Requirement(
    ("drop_missing",),
    "with --update, and not with tables or embeddings as inputs",
    lambda values: (
        values["update"] and not any(values[name] for name in ("path_column", "image_column", "image_embeddings"))
    ),
)
_CLUSTER = Requirement(
    ("ray_address", "ray_actors", "ray_gpus"),
    f"with --engine {cluster_names()}",
    lambda values: runs_on_cluster(str(values["engine"])),
)
_EMBEDDED = (
    Requirement(("image_embeddings",), "without an INPUT", lambda values: not values["inputs"]),
    _needs_no("image_embeddings", "null_separated", "path_column", "image_column", "include_hidden"),
)
_NO_ENCODER = _needs_no("image_embeddings", "precision", "batch_size", "workers")
_HERE = Requirement(
    ("image_embeddings",), f"without --engine {cluster_names()}",
    lambda values: not runs_on_cluster(str(values["engine"])),
)  # fmt: skip
_TAGGED = Requirement(("score", "threshold"), "with --tags", lambda values: bool(values["tags"]))
_TAGS = (
    _TAGGED,
    _needs_no("calibration", "threshold", "no_calibration"),
    Requirement(("no_calibration",), "with --classes", lambda values: values["classes"] is not None),
    _needs_no("tags", "min_probability", "min_similarity", "min_margin"),
)
_IN_PARTS = "with a folder as -o (end its name with /) or a URL"
_MODEL_OPTIONS = (
    "model", "pretrained", "device", "precision", "engine", "batch_size", "workers", "cache_dir", "no_cache",
    "cache_size",
)  # fmt: skip
_ONLY_HERE = (
    *_MODEL_OPTIONS[1:], "classes", "calibration", "image_embeddings", "ray_address", "ray_actors", "ray_gpus",
)  # fmt: skip
_LOCKS = ("lock_image", "lock_text")


def _writes_parts(values: Values) -> bool:
    return is_folder(values["output"])


def _draws_thumbnails(values: Values) -> bool:
    return bool(values["thumbnail"] != 0)


def _has_truth(values: Values) -> bool:
    return values["truth"] is not None


REQUIREMENTS: dict[str, tuple[Requirement, ...]] = {
    "classify": (
        _LOUD, _CACHE, *_EMBEDDED, _NO_ENCODER, _HERE, _LISTED, _TABLES, _CLUSTER, *_TAGS,
        Requirement(("part_size",), _IN_PARTS, _writes_parts),
        _OVERWRITE,
        Requirement(("update",), "with -o", lambda values: values["output"] is not None),
        _DELETED,
        Requirement(_ONLY_HERE, "without --server", lambda values: not values.get("server")),
        Requirement(("token_file",), "with --server", lambda values: bool(values["server"])),
    ),
    "sort": (
        _needs_no("undo", "copy", "link", "move", "by", "level", "checked"),
        Requirement(("level",), "with --by group or --by node", lambda values: values["by"].value != "label"),
    ),
    "evaluate": (
        _LOUD, _CACHE,
        _needs_no("truth", *_MODEL_OPTIONS, "image_embeddings", "tags", "classes"),
        _needs_no("compare_model", "classes"),
        _TAGGED, _needs_no("tags", "by", "few_shot", "target_error", "conformal"),
        _needs_no("truth", "calibration", "save_calibration", "save_classes"),
        _needs_no("compare_model", "calibration", "save_calibration", "save_classes"),
        _needs_no("save_calibration", "calibration"), _needs_no("save_classes", "calibration"),
        _needs_no("conformal", "target_error"),
        Requirement(("target_precision",), "with --tags", lambda values: bool(values["tags"])),
        Requirement(
            ("target_precision", "target_error", "conformal"), "with --save-calibration or --save-classes",
            lambda values: bool(values["save_calibration"] or values["save_classes"]),
        ),
        Requirement(
            ("save_calibration", "save_classes"), "without --by group",
            lambda values: str(values["by"].value) == "label",
        ),
        _NO_ENCODER,
        Requirement(
            ("overwrite",), "with --json, --plots, --save-calibration or --save-classes",
            lambda values: any(values[name] for name in ("json_file", "plots", "save_calibration", "save_classes")),
        ),
        Requirement(("seed", "probe_strength"), "with --few-shot", lambda values: bool(values["few_shot"])),
    ),
    "watch": (
        _LOUD, _CACHE, *_TAGS,
        Requirement(("prefix",), "with --tag", lambda values: bool(values["tag"])),
        Requirement(("sort_action",), "with --sort", lambda values: values["sort"] is not None),
    ),
    "tag": (
        _needs_no("undo", "prefix", "by", "top", "min_probability", "checked", "sidecar", "embed", "remove"),
        _needs_no("embed", "sidecar"),
    ),
    "serve": (_LOUD, _CACHE, _needs_no("token_file", "token"), _needs_no("insecure", "token", "token_file")),
    "teach": (_LOUD, _CACHE, _NO_ENCODER),
    "matrix": (
        _LOUD, _CACHE, *_EMBEDDED, _NO_ENCODER, _LISTED, _TABLES,
        _needs_no("classes", "texts_file", "text", "template", "paired"),
        Requirement(("overwrite",), "with -o or --plot", lambda values: bool(values["output"] or values["plot"])),
    ),
    "search": (_LOUD, _CACHE, *_EMBEDDED, _LISTED, _TABLES, _OVERWRITE, _needs_no("classes", "template")),
    "report": (
        Requirement(("root", "workers"), "with a --thumbnail above 0", _draws_thumbnails),
        Requirement(("labels", "path_column", "label_column"), "with --truth", _has_truth),
    ),
    "train": (
        _needs_no("resume", "overwrite"),
        _needs_no("from_scratch", "model", "pretrained", "interpolate", *_LOCKS),
        Requirement(
            ("unlocked_layers",), "with --lock-image or --lock-text",
            lambda values: values["resume"] or any(values[name] for name in _LOCKS),
        ),
        Requirement(("patience",), "with pairs held out; see --validation", lambda values: not _is_nothing(values)),
    ),
    "export text": (_LOUD, _needs_no("no_cache", "cache_dir")),
    "export images": (
        _LOUD, _CACHE, *_EMBEDDED, _NO_ENCODER, _HERE, _LISTED, _TABLES, _CLUSTER,
        Requirement(("part_size", "form", "update"), _IN_PARTS, _writes_parts),
        _DELETED,
    ),
}  # fmt: skip
"""By command. Other options have no requirements, or are checked when their values are read."""


def _is_nothing(values: Values) -> bool:
    """Return whether ``--validation`` is a share of 0."""
    try:
        return float(values["validation"]) == 0.0
    except (TypeError, ValueError):
        return False


def unmet(command: str, given: Iterable[str], values: Values) -> tuple[str, str] | None:
    """Return the first of the given parameters whose requirement is not met, and that requirement."""
    named = list(given)
    for requirement in REQUIREMENTS.get(command, ()):
        for option in requirement.options:
            if option in named and not requirement.is_met(values):
                return option, requirement.condition
    return None


class CheckedCommand(TyperCommand):
    """A command that rejects options that it would ignore."""

    def invoke(self, ctx: Any) -> Any:
        """Check the options, then run the command."""
        given = [name for name in ctx.params if is_given(ctx, name)]
        command = " ".join(ctx.command_path.split()[1:])
        if (found := unmet(command, given, ctx.params)) is not None:
            option, condition = found
            parameter = next(each for each in self.params if each.name == option)
            name = next(name for name in (*parameter.opts, *parameter.secondary_opts) if name.startswith("--"))
            raise UsageError(f"{name} only works {condition}", ctx=ctx)
        return super().invoke(ctx)
