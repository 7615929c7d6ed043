"""From a request to a model folder: everything that ``clipcli train`` does, but for printing."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Protocol

from clipcli._version import __version__
from clipcli.errors import ImageError, InputError, ModelError
from clipcli.labels import load_labels
from clipcli.model import choose_device
from clipcli.prompts import Template, resolve_templates
from clipcli.sources import resolve_model, untrained_model
from clipcli.training.pairs import Example, LeftOut, read_pairs
from clipcli.training.plan import Captions, check_images, digest_of, hold_out, settle, split
from clipcli.training.run import Place, Reporter, Training
from clipcli.training.settings import Facts, Settings, Wishes, choose_settings, contradiction
from clipcli.training.start import Start, lock_towers, open_start
from clipcli.training.state import TrainingFolder
from clipcli.training.trainer import PreprocessCfg, image_transform, init_distributed_device
from clipcli.training.validation import HeldOut

__all__ = ["Listener", "Outcome", "Request", "join_processes", "train"]

Measures = dict[str, float]


@dataclass(frozen=True)
class Request:
    """What the user asked for; ``None`` is a default, or on ``resume`` what the run was begun with.

    Parameters
    ----------
    pairs
        As :func:`~clipcli.training.pairs.read_pairs` takes them.
    model, pretrained
        The start, as ``classify`` takes it.
    from_scratch
        An architecture to begin with random weights instead.
    validation
        A share of the pairs to hold out, or pairs of their own.
    labels, templates, prompts
        As ``classify`` takes them, for classes.
    """

    pairs: tuple[str, ...] | None = None
    model: str | None = None
    pretrained: str | None = None
    from_scratch: str | None = None
    validation: str | None = None
    labels: str | None = None
    templates: tuple[str, ...] | None = None
    prompts: tuple[str, ...] | None = None

    def continued(self, recorded: Mapping[str, Any]) -> Request:
        """Fill up what was not said with what the run was begun with.

        Raises
        ------
        InputError
            If something else is asked for.
        """
        values: dict[str, Any] = {}
        for each in fields(self):
            wish, before = getattr(self, each.name), recorded.get(each.name)
            before = tuple(before) if isinstance(before, list) else before
            if wish is not None and wish != before:
                raise InputError(f"{each.name} {wish!r}: this run was begun with {before!r}")
            values[each.name] = before
        return Request(**values)


@dataclass(frozen=True)
class Outcome:
    """How a run ended: names of weights with their measures, the pairs that were left out, and the epoch kept."""

    measures: list[tuple[str, Measures]]
    left_out: int
    best_epoch: int
    epochs: int


class Listener(Reporter, Protocol):
    """Is told what a run finds and does."""

    def left_out(self, rows: Sequence[LeftOut]) -> None:
        """Take the pairs that cannot be used, or not whole."""

    def checking(self, items: Iterable[Any], count: int) -> Iterable[Any]:
        """Pass on items that are being checked."""

    def begin(self, record: Mapping[str, Any], done: int) -> None:
        """Take what the run begins with, and how many steps were done before."""

    def warn(self, text: str) -> None:
        """Take a warning."""


def join_processes(device: str) -> Place:
    """Find out whether ``torchrun`` or another launcher started several of us, and join the others.

    Raises
    ------
    ModelError
        If the device is not there.
    """
    arguments = SimpleNamespace(device=choose_device(device), horovod=False, dist_backend=None, dist_url=None)
    init_distributed_device(arguments)
    return Place(arguments.device, arguments.rank, arguments.world_size, arguments.local_rank)


def train(
    request: Request,
    wishes: Wishes,
    output: Path,
    place: Place,
    listener: Listener,
    *,
    resume: bool = False,
    force: bool = False,
    offline: bool = False,
    workers: int | None = None,
    save_every: float = 300.0,
) -> Outcome | None:
    """Train, and write the model folder.

    Returns
    -------
    The outcome, in the first of the processes only; ``None`` in the others.

    Raises
    ------
    ClipcliError
        Of every kind: for pairs, model, settings and output that cannot be used; ``Interrupted`` where the
        user stopped the run, which ``resume`` then goes on with.
    """
    folder = TrainingFolder(output)
    if place.is_first:
        folder.claim(resume=resume, force=force)
    try:
        recorded = folder.read_json("settings.json") if resume else None
        if recorded is not None:
            if folder.file("summary.json").is_file():
                return _finished(folder, recorded) if place.is_first else None
            request = request.continued(recorded["request"])
            if (other := contradiction(wishes, recorded["settings"])) is not None:
                raise InputError(other)
            wishes = Wishes(**{each.name: recorded["settings"][each.name] for each in fields(Wishes)})
        return _run(request, wishes, folder, place, listener, recorded, offline, workers, save_every)
    finally:
        if place.is_first:
            folder.release()


def _finished(folder: TrainingFolder, recorded: Mapping[str, Any]) -> Outcome:
    summary = folder.read_json("summary.json")
    return Outcome([(name, values) for name, values in summary["measures"]], 0, summary["best_epoch"],
                   recorded["settings"]["epochs"])  # fmt: skip


def _run(
    request: Request,
    wishes: Wishes,
    folder: TrainingFolder,
    place: Place,
    listener: Listener,
    recorded: Mapping[str, Any] | None,
    offline: bool,
    workers: int | None,
    save_every: float,
) -> Outcome | None:
    _check(request, wishes, place)
    start = _open(request, wishes.seed or 0, offline, listener)
    templates = resolve_templates([*(request.templates or ())], [*(request.prompts or ())])
    with _first_then_others(place) as shared:
        if place.is_first:
            shared.append(_prepare(request, wishes, folder, place, listener, recorded, start, templates))
    plan: _Plan = shared[0]
    settings = plan.settings
    lock_towers(start, settings)
    data = _data(start, plan, settings, place, workers)
    training = Training(start, data, plan.held_out, settings, folder, place, listener, save_every)
    done = training.resume() if recorded is not None else None
    if place.is_first:
        listener.begin(plan.record, done.epoch * data.steps + done.step if done else 0)
    progress = training.fit()
    if not place.is_first:
        return None
    return _finish(start, training, plan, folder, progress.best_epoch, progress.epoch, listener)


def _check(request: Request, wishes: Wishes, place: Place) -> None:
    if not request.pairs:
        raise InputError("no pairs: name a table, a folder or shards")
    if request.from_scratch and (request.model or request.pretrained):
        raise ModelError("--from-scratch begins with random weights: leave out --model and --pretrained")
    if wishes.precision == "fp16" and not place.device.startswith("cuda"):
        raise ModelError("--precision fp16 trains on a GPU alone; use bf16 or fp32")
    if wishes.batch_size and wishes.batch_size % ((wishes.accumulate or 1) * place.world):
        raise InputError(
            f"--batch-size {wishes.batch_size}: cannot be cut into {wishes.accumulate or 1} parts "
            f"for {place.world} processes"
        )


def _open(request: Request, seed: int, offline: bool, listener: Listener) -> Start:
    if request.from_scratch:
        return open_start(untrained_model(request.from_scratch, offline=offline), _sha256_of, seed)
    source = resolve_model(request.model or "auto", request.pretrained, offline=offline, warn=listener.warn)
    return open_start(source, _sha256_of)


def _sha256_of(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


@contextmanager
def _first_then_others(place: Place) -> Iterator[list[Any]]:
    """Let the first process fill the list; all have it after the block."""
    shared: list[Any] = []
    yield shared
    if place.world > 1:
        import torch

        told = [shared[0] if place.is_first else None]
        torch.distributed.broadcast_object_list(told, src=0)
        shared[:] = told


@dataclass(frozen=True)
class _Plan:
    """What all processes must know of a run."""

    examples: list[Example]
    captions: Captions
    held_out: HeldOut | None
    settings: Settings
    record: dict[str, Any]
    left_out: int


def _prepare(
    request: Request,
    wishes: Wishes,
    folder: TrainingFolder,
    place: Place,
    listener: Listener,
    recorded: Mapping[str, Any] | None,
    start: Start,
    templates: Sequence[Template],
) -> _Plan:
    """Read and check the pairs, and settle what is done with them."""
    checked = _Checked(listener, folder.read_left_out() if recorded is not None else None)
    examples = checked.read(request.pairs or ())
    share, own = _validation(request.validation)
    labels = load_labels(Path(request.labels)) if request.labels else []
    if own:
        kept, held = examples, checked.read((own,))
    else:
        kept, held = split(examples, share, wishes.seed or 0)
    captions = Captions.of([*kept, *held], labels, templates)
    from clipcli.encoders import TextEncoder

    encoder = TextEncoder(start.network, start.tokenizer, "cpu")
    listener.left_out(checked.left_out)
    too_long = settle(kept, captions, encoder.cut)
    listener.left_out(too_long)
    facts = Facts(len(kept), start.parameters, start.from_scratch, place.device)
    settings = _for_all(choose_settings(wishes, facts), place)
    record = {
        "clipcli": __version__,
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
    _check_same(record, recorded)
    if recorded is None:
        folder.write_left_out([*checked.left_out, *too_long])
        folder.write_json("settings.json", record)
    return _Plan(kept, captions, hold_out(held, captions, templates), settings, record, len(checked.left_out))


def _for_all(settings: Settings, place: Place) -> Settings:
    """Make the batch one that can be cut evenly among the processes."""
    parts = settings.accumulate * place.world
    batch = settings.batch_size - settings.batch_size % parts
    if batch < 2 * parts:
        raise InputError(f"a batch of {settings.batch_size} pairs is too small for {place.world} processes")
    return Settings(**settings.as_json | {"batch_size": batch})


def _check_same(record: Mapping[str, Any], recorded: Mapping[str, Any] | None) -> None:
    """Refuse to go on with other data, or from other weights, than a run was begun with."""
    if recorded is None:
        return
    if record["pairs_digest"] != recorded["pairs_digest"]:
        raise InputError(
            f"the pairs are not those that this run was begun with ({record['train'] + record['validation']} now, "
            f"{recorded['train'] + recorded['validation']} then); start anew with --force"
        )
    if record["start"] != recorded["start"]:
        raise ModelError(f"{record['model']}: its weights are not those that this run was begun with")


class _Checked:
    """Reads pairs and leaves out those whose image cannot be decoded; an earlier run's findings are taken over."""

    def __init__(self, listener: Listener, before: Sequence[LeftOut] | None) -> None:
        self._listener = listener
        self._known = None if before is None else {(row.where, row.name): row for row in before if not row.used}
        self.left_out: list[LeftOut] = []

    def read(self, sources: Sequence[str]) -> list[Example]:
        found = read_pairs(sources)
        self.left_out += found.left_out
        if self._known is not None:
            return [each for each in found.examples if (each.where, each.name) not in self._known]
        usable = []
        threads = max(1, (os.cpu_count() or 1))
        checks = check_images(found.examples, threads)
        for example, problem in self._listener.checking(checks, len(found.examples)):
            if problem is None:
                usable.append(example)
            else:
                self.left_out.append(LeftOut(example.where, example.name, _said(problem)))
        return usable


def _said(problem: ImageError) -> str:
    return str(problem)


def _validation(wish: str | None) -> tuple[float, str | None]:
    """Return the share to hold out, or where held-out pairs stand."""
    try:
        share = float(wish if wish is not None else 0.1)
    except ValueError:
        return 0.0, wish
    if not 0.0 <= share < 1.0:
        raise InputError(f"--validation {wish}: a share is from 0 to below 1")
    return share, None


def _data(start: Start, plan: _Plan, settings: Settings, place: Place, workers: int | None) -> Any:
    from clipcli.training.data import Batches, PairDataset, make_data

    transform = image_transform(PreprocessCfg(**start.network.visual.preprocess_cfg), is_train=True)
    dataset = PairDataset(plan.examples, plan.captions, start.preprocessing, transform, start.tokenizer, settings.seed)
    batches = Batches(
        len(plan.examples), settings.batch_size, settings.accumulate, place.rank, place.world, settings.seed
    )
    if workers is None:
        workers = min(8, os.cpu_count() or 1) if place.device.startswith("cuda") else 1
    return make_data(dataset, batches, settings.accumulate, workers, settings.seed, place.rank)


def _finish(
    start: Start,
    training: Training,
    plan: _Plan,
    folder: TrainingFolder,
    best_epoch: int,
    epochs: int,
    listener: Listener,
) -> Outcome:
    """Write the model with the best weights, mixed with the start's where that was asked for."""
    from clipcli.training.result import interpolated, model_card, write_model

    weights = folder.load_best()
    measures = _measured(training, best_epoch)
    share = plan.settings.interpolate
    if share != 1.0:
        from clipcli.network import load_network

        weights = interpolated(load_network(start.source)[0].state_dict(), weights, share)
        start.network.load_state_dict(weights)
        if plan.held_out is not None:
            measures.append((f"saved ({share:g} of it)", training.validate().as_json))
    write_model(folder.root, start, weights, model_card(plan.record, measures))
    _draw(folder, plan, training, listener)
    folder.write_json("summary.json", {"measures": measures, "best_epoch": best_epoch, "epochs": epochs})
    folder.drop_state()
    return Outcome(measures, plan.left_out, best_epoch, epochs)


def _measured(training: Training, best_epoch: int) -> list[tuple[str, Measures]]:
    """Return the measures of the start and of the best epoch."""
    rows = {row["epoch"]: row["validation"] for row in training.metrics.rows() if "validation" in row}
    chosen = dict.fromkeys((0, best_epoch))
    return [(f"epoch {epoch}" if epoch else "start", rows[epoch]) for epoch in chosen if epoch in rows]


def _draw(folder: TrainingFolder, plan: _Plan, training: Training, listener: Listener) -> None:
    if find_spec("matplotlib") is None:
        listener.warn("no curve is drawn: that needs an extra: pip install 'clipcli[train]'")
        return
    from clipcli.plots import save_as
    from clipcli.training.curve import draw_curve

    title = f"{plan.record['model']}, {plan.record['train']} images"
    save_as(draw_curve(training.metrics.rows(), title), folder.file("loss.png"))
