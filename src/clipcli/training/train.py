"""From a request to a model folder: everything that ``clipcli train`` does, but for printing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from clipcli.errors import InputError, ModelError
from clipcli.model import choose_device
from clipcli.sources import resolve_model, untrained_model
from clipcli.store import EmbeddingStore
from clipcli.training.finish import finish
from clipcli.training.prepare import Plan, make_training_data, prepare
from clipcli.training.request import Listener, Outcome, Request
from clipcli.training.run import Place, Training
from clipcli.training.settings import Wishes, contradiction
from clipcli.training.start import Start, lock_towers, open_start
from clipcli.training.state import TrainingFolder
from clipcli.training.trainer import init_distributed_device

__all__ = ["join_processes", "train"]


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
                return _finished(folder) if place.is_first else None
            request = request.continued(recorded["request"])
            if (other := contradiction(wishes, recorded["settings"])) is not None:
                raise InputError(other)
            wishes = Wishes(**{each.name: recorded["settings"][each.name] for each in fields(Wishes)})
        return _run(request, wishes, folder, place, listener, recorded, offline, workers, save_every)
    finally:
        if place.is_first:
            folder.release()


def _finished(folder: TrainingFolder) -> Outcome:
    summary = folder.read_json("summary.json")
    return Outcome([(name, values) for name, values in summary["measures"]], 0, summary["best_epoch"])


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
    with _first_then_others(place) as shared:
        if place.is_first:
            shared.append(prepare(request, wishes, folder, place, listener, recorded, start))
    plan: Plan = shared[0]
    settings = plan.settings
    lock_towers(start, settings)
    data = make_training_data(start, plan, settings, place, workers)
    training = Training(start, data, plan.held_out, settings, folder, place, listener, save_every)
    done = training.resume() if recorded is not None else None
    if place.is_first:
        listener.begin(plan.record, done.epoch * data.steps + done.step if done else 0)
    progress = training.fit()
    if not place.is_first:
        return None
    return finish(start, training, plan, folder, progress.best_epoch, progress.epoch, listener)


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
    sha256_of = EmbeddingStore(None).file_sha256
    if request.from_scratch:
        return open_start(untrained_model(request.from_scratch, offline=offline), sha256_of, seed)
    source = resolve_model(request.model or "auto", request.pretrained, offline=offline, warn=listener.warn)
    return open_start(source, sha256_of)


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
