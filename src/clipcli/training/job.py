"""What is asked of a run, checked as far as that goes without torch: importing it takes longer than all of this."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from clipcli.errors import InputError, LabelError, ModelError
from clipcli.evaluation.ground_truth import indices_of
from clipcli.labels.files import load_labels
from clipcli.labels.templates import resolve_templates
from clipcli.models.resolve import resolve_model, untrained_model
from clipcli.models.source import ModelSource
from clipcli.outputs.settings import RunSettings
from clipcli.training.base_model import check_trainable
from clipcli.training.pairs import Pairs, read_pairs
from clipcli.training.request import Outcome, Request
from clipcli.training.settings import Wishes, check_batch
from clipcli.training.state import REMEDY, TrainingFolder

__all__ = ["Job", "check_job", "has_companions"]


@dataclass(frozen=True)
class Job:
    """A run that can be started.

    Parameters
    ----------
    request, wishes
        What was asked for; when a run is resumed, filled up with what it was begun with.
    folder
        Where it is written.
    recorded
        What the interrupted run recorded, if this continues one.
    source
        The model to start from.
    pairs, held_out
        What was read: all pairs, and those to hold out where they have a source of their own.
    """

    request: Request
    wishes: Wishes
    folder: TrainingFolder
    recorded: Mapping[str, Any] | None
    source: ModelSource
    pairs: Pairs
    held_out: Pairs | None


def has_companions() -> bool:
    """Tell whether a launcher started other processes to train together with this one, as open_clip does."""
    return any(int(os.environ.get(name, "1")) > 1 for name in ("WORLD_SIZE", "SLURM_NTASKS"))


def check_job(
    request: Request, wishes: Wishes, folder: TrainingFolder, *, resume: bool, offline: bool, device: str
) -> Job | Outcome:  # fmt: skip
    """Check options, pairs, labels and model.

    Returns
    -------
    A job; or the outcome, where the run to resume is complete and is what is asked for.

    Raises
    ------
    ClipcliError
        Of every kind: if something is missing or damaged, contradicts the rest, or differs from the run to resume.
    """
    recorded = folder.read_json("settings.json") if resume else None
    if recorded is not None:
        _check_asked(request, wishes, recorded, folder)
        if (finished := folder.outcome()) is not None:
            return Outcome(*finished)
        request = Request.recorded(recorded["request"])
        wishes = Wishes(**recorded["settings"])
    if not request.pairs:
        raise InputError("no pairs: name a table, a folder or shards")
    if wishes.precision == "fp16" and device == "cpu":
        raise ModelError("--precision fp16 trains on a GPU alone; use bf16 or fp32")
    check_batch(wishes)
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
    return Job(request, wishes, folder, recorded, source, pairs, held_out)


def _check_asked(request: Request, wishes: Wishes, recorded: Mapping[str, Any], folder: TrainingFolder) -> None:
    """Refuse to go on with other settings than a run was begun with; what was not asked for is taken from it."""
    earlier = RunSettings("train", {**recorded["request"], **recorded["settings"]})
    asked = RunSettings("train", {**asdict(request), **asdict(wishes)})
    run = "the interrupted run" if folder.outcome() is None else "the complete run"
    asked.check_same(earlier, folder.root, run, REMEDY, given_only=True)


def _check_labels(request: Request, read: Iterable[Pairs]) -> None:
    """Check labels and templates, and that there are classes for them."""
    labels = load_labels(Path(request.labels)) if request.labels else []
    resolve_templates([*(request.templates or ())], [*(request.prompts or ())])
    names = sorted({each.label for pairs in read for each in pairs.examples if each.label is not None})
    if labels and names:
        indices_of(names, labels)
    given = {"--labels": request.labels, "--template": request.templates, "--prompts": request.prompts}
    unused = [option for option, value in given.items() if value]
    if unused and not names:
        raise LabelError(f"{unused[0]} only works with pairs that have labels; these have captions alone")
