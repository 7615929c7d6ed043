"""Reproducible batches of pairs for open_clip's trainer.

The pairs of a batch, the caption of an image and its crop depend only on the seed, the epoch and the index: not on the
number of workers or processes, nor on whether the run was interrupted.
"""

from __future__ import annotations

import hashlib
import random
import signal
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset, Sampler

from clipcli.errors import ImageError, InputError
from clipcli.images.files import open_image
from clipcli.images.preprocess import Preprocessing
from clipcli.labels.several import label_key
from clipcli.training.pairs import Example

__all__ = ["Batches", "PairDataset", "TrainingData", "group_of", "make_data", "open_example"]

Key = tuple[int, int]


class PairDataset(Dataset[tuple[torch.Tensor, torch.Tensor]]):
    """Examples by (epoch, index): an image tensor (3, H, W), and its tokens followed by its group (L + 1,).

    Parameters
    ----------
    examples, prompts
        N examples, and their possible captions.
    transform
        open_clip's training transform.
    """

    def __init__(
        self,
        examples: Sequence[Example],
        prompts: Callable[[Example], Sequence[str]],
        preprocessing: Preprocessing,
        transform: Callable[[Any], torch.Tensor],
        tokenizer: Any,
        seed: int,
    ) -> None:
        self._examples, self._prompts, self._seed = examples, prompts, seed
        self._preprocessing, self._transform, self._tokenizer = preprocessing, transform, tokenizer

    def __len__(self) -> int:
        return len(self._examples)

    def __getitem__(self, key: Key) -> tuple[torch.Tensor, torch.Tensor]:
        epoch, place = key
        example = self._examples[place]
        chance = random.Random(f"{self._seed} {epoch} {place}")  # noqa: S311
        caption = chance.choice(self._prompts(example))
        image = open_example(example, self._preprocessing)
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(chance.getrandbits(63))
            pixels = self._transform(image)
        tokens = self._tokenizer([caption])[0]
        return pixels, torch.cat([tokens, torch.tensor([group_of(example, caption)], dtype=tokens.dtype)])


def open_example(example: Example, preprocessing: Preprocessing) -> Image.Image:
    """Decode an image that could be decoded at the start of the run.

    Raises
    ------
    InputError
        If it can no longer be decoded.
    """
    try:
        return open_image(example.image.read(), preprocessing.resized)
    except (ImageError, OSError) as problem:
        raise InputError(f"cannot read {example.name} ({example.where}) any longer: {problem}") from None


def group_of(example: Example, caption: str) -> int:
    """Return a number that is equal for pairs that share a class or caption."""
    label = example.label if not example.captions else None
    text = f"label {label_key(label)}" if label is not None else f"caption {' '.join(caption.lower().split())}"
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") >> 1


class Batches(Sampler[list[Key]]):
    """The batches of an epoch for one process: each global batch is split into parts, each part among processes.

    Parameters
    ----------
    count
        N, the number of examples; the remainder after the last full batch is left out, different ones each epoch.
    batch_size, parts
        Pairs per step, and the number of parts in which they are processed.
    """

    def __init__(
        self, count: int, batch_size: int, parts: int = 1, rank: int = 0, world: int = 1, seed: int = 0
    ) -> None:
        self._count, self._batch_size, self._parts = count, batch_size, parts
        self._rank, self._world, self._seed = rank, world, seed
        self.epoch, self.first_step = 0, 0

    @property
    def steps(self) -> int:
        """Steps per epoch."""
        return self._count // self._batch_size

    def __len__(self) -> int:
        return (self.steps - self.first_step) * self._parts

    def __iter__(self) -> Iterator[list[Key]]:
        order = np.random.default_rng([self._seed, self.epoch]).permutation(self._count)
        for step in range(self.first_step, self.steps):
            batch = order[step * self._batch_size : (step + 1) * self._batch_size]
            for part in np.split(batch, self._parts):
                yield [(self.epoch, int(place)) for place in np.split(part, self._world)[self._rank]]


class TrainingData:
    """The interface of ``data["train"]`` and its ``dataloader`` in ``open_clip_train.train.train_one_epoch``.

    The random generators of the network (dropout) are seeded before each step, so that they too depend on the step
    alone.

    Parameters
    ----------
    before_step
        Called with (epoch, step in this epoch) before each step, after all earlier steps.
    """

    def __init__(self, loader: Any, batches: Batches, parts: int, seed: int, rank: int) -> None:
        self._loader, self._batches, self._parts = loader, batches, parts
        self._seed, self._rank = seed, rank
        self.dataloader = self
        self.num_batches = batches.steps * parts
        self.num_samples = len(loader.dataset)
        self.before_step: Callable[[int, int], None] = lambda _epoch, _step: None

    @property
    def steps(self) -> int:
        """Steps per epoch."""
        return self._batches.steps

    def start_at(self, step: int) -> None:
        """Skip the first steps of the next epoch, which are done already."""
        self._batches.first_step = step

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch of the next batches."""
        self._batches.epoch = epoch

    def __iter__(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        epoch, first = self._batches.epoch, self._batches.first_step
        for number, batch in enumerate(self._loaded()):
            if number % self._parts == 0:
                step = first + number // self._parts
                self.before_step(epoch, step)
                _set_seed(hash((self._seed, epoch, step, self._rank)) & 0x7FFF_FFFF_FFFF_FFFF)
            yield batch

    def _loaded(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        try:
            yield from self._loader
        except InputError as problem:  # an error from a worker contains a traceback in its text
            raise InputError(
                str(problem).strip().splitlines()[-1].removeprefix("clipcli.errors.InputError: ")
            ) from None


def _set_seed(seed: int) -> None:
    """Seed the random generators of the devices in use.

    Not ``torch.manual_seed``: without a GPU, that stores each call, with a traceback, until a GPU is first used.
    """
    torch.default_generator.manual_seed(seed)
    if torch.cuda.is_initialized():
        torch.cuda.manual_seed(seed)
    if torch.backends.mps.is_available():
        torch.mps.manual_seed(seed)


def make_data(dataset: PairDataset, batches: Batches, parts: int, workers: int, seed: int, rank: int) -> TrainingData:
    """Return a loader of the data, with ``workers`` processes that decode ahead, or none if it is 0."""
    loader = DataLoader(
        dataset,
        batch_sampler=batches,
        num_workers=workers,
        persistent_workers=workers > 0,
        pin_memory=torch.cuda.is_available(),
        worker_init_fn=_prepare_worker,
    )
    return TrainingData(loader, batches, parts, seed, rank)


def _prepare_worker(_worker: int) -> None:
    """Ignore Ctrl-C and SIGHUP in a worker: the training process ends its workers by SIGTERM."""
    for name in ("SIGINT", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
