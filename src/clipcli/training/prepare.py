"""Prepare a run: check the pairs, choose the settings, and record both."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from clipcli.errors import InputError
from clipcli.evaluation.vocabulary import missing_words, shown_names
from clipcli.labels.files import load_labels
from clipcli.labels.templates import resolve_templates
from clipcli.log import LOG
from clipcli.models.encoders import TextEncoder
from clipcli.outputs.run_settings import RunSettings, header
from clipcli.training._open_clip import PreprocessCfg, image_transform
from clipcli.training.base_model import Start
from clipcli.training.captions import Captions, digest_of, settle
from clipcli.training.data import Batches, PairDataset, TrainingData, make_data
from clipcli.training.image_check import check_images
from clipcli.training.job import Job
from clipcli.training.pairs import Example, LeftOut, Pairs
from clipcli.training.request import Listener, Place
from clipcli.training.run_folder import REMEDY, TrainingFolder
from clipcli.training.settings import Facts, Settings, choose_settings
from clipcli.training.split import hold_out, split
from clipcli.training.validation import HeldOut

__all__ = ["Plan", "make_training_data", "prepare"]


@dataclass(frozen=True)
class Plan:
    """The facts of a run that all processes need."""

    examples: list[Example]
    captions: Captions
    held_out: HeldOut | None
    settings: Settings
    record: dict[str, Any]
    left_out: int


def prepare(job: Job, place: Place, listener: Listener, start: Start) -> Plan:
    """Check the images of the pairs, and plan the run.

    Raises
    ------
    InputError, LabelError, TemplateError
        If there are too few pairs, or they differ from those of the run to resume.
    """
    request, config, folder, recorded = job.request, job.config, job.folder, job.recorded
    templates = resolve_templates([*(request.templates or ())], [*(request.prompts or ())])
    labels = load_labels(Path(request.labels)) if request.labels else []
    before = folder.read_left_out() if recorded is not None else None
    checked = _Checked(listener, before)
    kept, held = _divided(checked, job)
    listener.left_out(checked.left_out)
    captions = Captions.of([*kept, *held], labels, templates)
    too_long = settle(kept, captions, TextEncoder(start.network, start.tokenizer, "cpu").cut)
    listener.left_out(too_long)
    facts = Facts(len(kept), start.parameters, start.from_scratch, place.device)
    settings = _for_all(choose_settings(config, facts), place)
    record = {
        **header(),
        "request": asdict(request),
        "model": start.source.title,
        "from_scratch": start.from_scratch,
        "start": start.identity,
        "pairs": list(request.pairs or ()),
        "pairs_digest": digest_of([*kept, *held], captions),
        "train": len(kept),
        "validation": len(held),
        "templates": [template.text for template in templates] if captions.labels else [],
        "settings": settings.as_json,
    }
    if recorded is not None:
        _check_same(record, recorded, folder)
    else:
        folder.clear()  # not earlier: a command that fails must not remove an earlier run
        folder.write_left_out([*checked.left_out, *too_long])
        folder.write_images(start.source.checkpoint.parent, kept)
        folder.write_json("settings.json", record)
    left_out = sum(not row.used for row in (checked.left_out if before is None else before))
    return Plan(kept, captions, hold_out(held, captions, templates), settings, record, left_out)


def _divided(checked: _Checked, job: Job) -> tuple[list[Example], list[Example]]:
    """Return the training examples and those held out."""
    examples = checked.usable(job.pairs)
    if job.held_out is not None:
        held = checked.usable(job.held_out)
        _compare_classes(examples, held)
        return examples, held
    return split(examples, job.request.held_out[0], job.config.seed or 0)


def _compare_classes(examples: Sequence[Example], held: Sequence[Example]) -> None:
    """Warn of validation pairs with other labels: zero-shot transfer can be the purpose, and so can be a mistake."""
    trained, held_labels = ({each.label for each in pairs if each.label is not None} for pairs in (examples, held))
    missing, count = missing_words(held_labels, trained)
    if trained and 2 * len(missing) > count:
        LOG.warning(
            f"{len(missing)} of {count} labels of the validation pairs ({shown_names(missing)}) are not among those of "
            f"the training pairs ({shown_names(trained)})"
        )


def _for_all(settings: Settings, place: Place) -> Settings:
    """Adjust the batch size so that it can be split evenly among the processes."""
    parts = settings.accumulate * place.world
    batch = settings.batch_size - settings.batch_size % parts
    if batch < 2 * parts:
        raise InputError(f"cannot split a batch of {settings.batch_size} pairs among {place.world} processes")
    return Settings(**settings.as_json | {"batch_size": batch})


def _check_same(record: Mapping[str, Any], recorded: Mapping[str, Any], folder: TrainingFolder) -> None:
    """Raise an error if the data or the initial weights differ from those of the run to resume."""
    now, before = (
        RunSettings(
            "train",
            {
                "start": each["start"],
                "train": each["train"],
                "validation_pairs": each["validation"],
                "pairs_digest": each["pairs_digest"],
            },
        )
        for each in (record, recorded)
    )
    now.check_same(before, folder.root, remedy=REMEDY)


class _Checked:
    """Leaves out pairs whose image cannot be decoded, reusing the results of an interrupted run."""

    def __init__(self, listener: Listener, before: Sequence[LeftOut] | None) -> None:
        self._listener = listener
        self._known = None if before is None else {(row.where, row.name) for row in before if not row.used}
        self.left_out: list[LeftOut] = []

    def usable(self, found: Pairs) -> list[Example]:
        self.left_out += found.left_out
        if self._known is not None:
            return [each for each in found.examples if (each.where, each.name) not in self._known]
        usable = []
        checks = check_images(found.examples, os.cpu_count() or 1)
        for example, problem in self._listener.checking(checks, len(found.examples)):
            if problem is None:
                usable.append(example)
            else:
                self.left_out.append(LeftOut(example.where, example.name, str(problem)))
        return usable


def make_training_data(start: Start, plan: Plan, settings: Settings, place: Place, workers: int | None) -> TrainingData:
    """Return the batches of this process, with open_clip's training transform."""
    transform = image_transform(PreprocessCfg(**start.network.visual.preprocess_cfg), is_train=True)
    dataset = PairDataset(plan.examples, plan.captions, start.preprocessing, transform, start.tokenizer, settings.seed)
    batches = Batches(
        len(plan.examples), settings.batch_size, settings.accumulate, place.rank, place.world, settings.seed
    )
    if workers is None:
        workers = min(8, os.cpu_count() or 1) if place.device.startswith("cuda") else 1
    return make_data(dataset, batches, settings.accumulate, workers, settings.seed, place.rank)
