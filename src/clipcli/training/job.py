"""Check the request of a run as far as possible without torch, whose import takes longer than these checks."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from clipcli.errors import InputError, LabelError, ModelError
from clipcli.evaluation.vocabulary import indices_of
from clipcli.labels.files import load_labels
from clipcli.labels.templates import resolve_templates
from clipcli.models.resolve import resolve_model, untrained_model
from clipcli.models.source import ModelSource
from clipcli.outputs.run_settings import RunSettings
from clipcli.training.base_model import check_trainable
from clipcli.training.pairs import Pairs, read_pairs
from clipcli.training.request import Outcome, Request
from clipcli.training.run_folder import REMEDY, TrainingFolder
from clipcli.training.settings import TrainConfig, check_batch

__all__ = ["Job", "check_job", "has_companions"]


@dataclass(frozen=True)
class Job:
    """A run that can be started.

    Parameters
    ----------
    request, config
        The request; for a resumed run, completed by the recorded values.
    folder
        The folder of the run.
    recorded
        The record of the interrupted run, if this continues one.
    source
        The model to start from.
    pairs, held_out
        All pairs, and the validation pairs if they have a separate source.
    """

    request: Request
    config: TrainConfig
    folder: TrainingFolder
    recorded: Mapping[str, Any] | None
    source: ModelSource
    pairs: Pairs
    held_out: Pairs | None


def has_companions() -> bool:
    """Return whether a launcher such as ``torchrun`` started several processes, by the variables open_clip reads."""
    return any(int(os.environ.get(name, "1")) > 1 for name in ("WORLD_SIZE", "SLURM_NTASKS"))


def check_job(
    request: Request, config: TrainConfig, folder: TrainingFolder, *, resume: bool, offline: bool, device: str
) -> Job | Outcome:  # fmt: skip
    """Check options, pairs, labels and model.

    Returns
    -------
    A job; or the outcome, if the run to resume is already complete and matches the request.

    Raises
    ------
    ClipcliError
        Any subclass: if something is missing, damaged, contradictory, or differs from the run to resume.
    """
    recorded = folder.read_json("settings.json") if resume else None
    if recorded is not None:
        _check_asked(request, config, recorded, folder)
        if (finished := folder.outcome()) is not None:
            return Outcome(*finished)
        request = Request.recorded(recorded["request"])
        config = TrainConfig(**recorded["settings"])
    if not request.pairs:
        raise InputError("cannot train without pairs (name a table, a folder or shards)")
    if config.precision == "fp16" and device == "cpu":
        raise ModelError("cannot train with --precision fp16 on this device: it needs a GPU (use bf16 or fp32)")
    check_batch(config)
    own = request.held_out[1]
    pairs, held_out = (
        read_pairs(request.pairs, request.exclusion),
        read_pairs([own], request.exclusion) if own else None,
    )
    _check_labels(request, [pairs, *([held_out] if held_out else [])])
    if request.from_scratch:
        source = untrained_model(request.from_scratch, offline=offline)
    else:
        source = resolve_model(request.model or "auto", request.pretrained, offline=offline)
    check_trainable(source)
    return Job(request, config, folder, recorded, source, pairs, held_out)


def _check_asked(request: Request, config: TrainConfig, recorded: Mapping[str, Any], folder: TrainingFolder) -> None:
    """Raise an error if a given setting differs from that of the run to resume."""
    earlier = RunSettings("train", {**recorded["request"], **recorded["settings"]})
    asked = RunSettings("train", {**asdict(request), **asdict(config)})
    run = "the interrupted run" if folder.outcome() is None else "the complete run"
    asked.check_same(earlier, folder.root, run, REMEDY, given_only=True)


def _check_labels(request: Request, read: Iterable[Pairs]) -> None:
    """Check labels and templates, and that the pairs have labels for them."""
    labels = load_labels(Path(request.labels)) if request.labels else []
    resolve_templates([*(request.templates or ())], [*(request.prompts or ())])
    names = sorted({each.label for pairs in read for each in pairs.examples if each.label is not None})
    if labels and names:
        indices_of(names, labels)
    given = {"--labels": request.labels, "--template": request.templates, "--prompts": request.prompts}
    unused = [option for option, value in given.items() if value]
    if unused and not names:
        raise LabelError(f"{unused[0]} only works with pairs that have labels; these have captions")
