"""Carry out a checked job: the part of ``clipcli train`` that needs torch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

from clipcli.cache.embeddings import EmbeddingStore
from clipcli.errors import ModelError
from clipcli.models.devices import choose_device
from clipcli.training._open_clip import init_distributed_device
from clipcli.training.base_model import lock_towers, open_start
from clipcli.training.finish import finish
from clipcli.training.job import Job
from clipcli.training.prepare import Plan, make_training_data, prepare
from clipcli.training.request import Listener, Outcome, Place
from clipcli.training.settings import check_batch
from clipcli.training.trainer import Training

__all__ = ["join_processes", "train"]


def join_processes(device: str) -> Place:
    """Join the other processes, if ``torchrun`` or another launcher started several.

    Raises
    ------
    ModelError
        If the device does not exist.
    """
    arguments = SimpleNamespace(device=choose_device(device), horovod=False, dist_backend=None, dist_url=None)
    init_distributed_device(arguments)
    return Place(arguments.device, arguments.rank, arguments.world_size, arguments.local_rank)


def train(
    job: Job, place: Place, listener: Listener, *, workers: int | None = None, save_every: float = 300.0
) -> Outcome | None:
    """Train, and write the model folder.

    Returns
    -------
    The outcome in the first process; ``None`` in the others.

    Raises
    ------
    ClipcliError
        Any subclass: for invalid pairs, model and settings; ``Interrupted`` if the user stopped
        the run, which can then be resumed.
    """
    config, folder = job.config, job.folder
    if config.precision == "fp16" and not place.device.startswith("cuda"):
        raise ModelError("cannot train with --precision fp16 on this device: it needs a GPU (use bf16 or fp32)")
    check_batch(config, place.world)
    scratch_seed = (config.seed or 0) if job.request.from_scratch else None
    start = open_start(job.source, EmbeddingStore(None).file_sha256, scratch_seed)
    with _first_then_others(place) as shared:
        if place.is_first:
            shared.append(prepare(job, place, listener, start))
    plan: Plan = shared[0]
    settings = plan.settings
    lock_towers(start, settings)
    data = make_training_data(start, plan, settings, place, workers)
    training = Training(start, data, plan.held_out, settings, folder, place, listener, save_every)
    done = training.resume() if job.recorded is not None else None
    if place.is_first:
        listener.begin(plan.record, done.epoch * data.steps + done.step if done else 0)
    progress = training.fit()
    if not place.is_first:
        return None
    return finish(start, training, plan, folder, progress.best_epoch, progress.epoch)


@contextmanager
def _first_then_others(place: Place) -> Iterator[list[Any]]:
    """Send the list from the first process to the others at the end of the block."""
    shared: list[Any] = []
    yield shared
    if place.world > 1:
        import torch

        sent = [shared[0] if place.is_first else None]
        torch.distributed.broadcast_object_list(sent, src=0)
        shared[:] = sent
