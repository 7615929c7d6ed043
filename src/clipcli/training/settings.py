"""What a training run does: what the user asked for, filled up with defaults that suit the data's size."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from clipcli.errors import InputError

__all__ = ["MIN_PAIRS", "Facts", "Settings", "Wishes", "check_batch", "choose_settings"]

MIN_PAIRS = 8
"""Fewest usable pairs: with less there is nothing to tell apart."""

_SMALL = 50_000_000  # parameters; below, a network bears larger steps
_FEW_EPOCHS, _MANY_EPOCHS = 3, 20
_TUNING_STEPS, _SCRATCH_STEPS = 1_000, 4_000
_LONGEST_WARMUP = 2_000


@dataclass(frozen=True)
class Facts:
    """What the defaults depend on: pairs to train on, parameters of the network, the kind of start and device."""

    pairs: int
    parameters: int
    from_scratch: bool
    device: str


@dataclass(frozen=True)
class Wishes:
    """What the user asked for; ``None`` leaves the choice to :func:`choose_settings`."""

    epochs: int | None = None
    batch_size: int | None = None
    accumulate: int | None = None
    learning_rate: float | None = None
    weight_decay: float | None = None
    warmup: int | None = None
    precision: str | None = None
    seed: int | None = None
    patience: int | None = None
    interpolate: float | None = None
    lock_image: bool | None = None
    lock_text: bool | None = None
    unlocked_layers: int | None = None


@dataclass(frozen=True)
class Settings:
    """All that decides how a run goes, but for the data and the start.

    Parameters
    ----------
    epochs
        How often each image is seen.
    batch_size
        Pairs of one step, over all processes and all parts: the N of the N×N matrix.
    accumulate
        In how many parts a batch goes through the network, for batches that don't fit into memory.
    learning_rate, warmup
        The highest rate, and the steps that lead up to it; from there it falls as a cosine does.
    weight_decay
        As AdamW takes it; not on biases, normalisations and the logit scale.
    precision
        ``fp32``, or ``bf16`` or ``fp16`` for automatic mixed precision.
    patience
        After how many epochs that brought nothing better to stop; 0 for never.
    interpolate
        The share of the trained weights in those that are saved, the rest being the start's (WiSE-FT).
    lock_image, lock_text, unlocked_layers
        Which encoders keep their weights (LiT), but for so many of their last layers.
    """

    epochs: int
    batch_size: int
    accumulate: int
    learning_rate: float
    weight_decay: float
    warmup: int
    precision: str
    seed: int
    patience: int
    interpolate: float
    lock_image: bool
    lock_text: bool
    unlocked_layers: int

    @property
    def as_json(self) -> dict[str, Any]:
        """The settings as a flat mapping of plain values."""
        return asdict(self)


def choose_settings(wishes: Wishes, facts: Facts) -> Settings:
    """Fill up what was not asked for.

    From scratch: large steps and many of them. Fine-tuning: about a thousand steps at a hundredth of that
    rate for networks of 50 million parameters and more, at a tenth for smaller ones; a tower that learns
    against a locked one may go faster.

    Raises
    ------
    InputError
        If what was asked for does not go together.
    """
    scratch, small = facts.from_scratch, facts.parameters < _SMALL
    usual = 256 if facts.device != "cpu" else 128 if scratch else 32  # 32 take some 6 GB with the built-in model
    batch = min(wishes.batch_size or usual, facts.pairs)
    accumulate = wishes.accumulate or 1
    batch -= batch % accumulate
    if batch < 2 * accumulate:
        raise InputError(f"--accumulate {accumulate}: a batch of {batch} pairs cannot be cut into that many parts")
    steps = max(1, facts.pairs // batch)
    wanted = math.ceil((_SCRATCH_STEPS if scratch else _TUNING_STEPS) / steps)
    epochs = wishes.epochs or min(max(wanted, _FEW_EPOCHS), _MANY_EPOCHS)
    rate = 1e-3 if scratch and small else 5e-4 if scratch else 1e-4 if small else 1e-5
    if not scratch and (wishes.lock_image or wishes.lock_text):
        rate *= 3
    return Settings(
        epochs=epochs,
        batch_size=batch,
        accumulate=accumulate,
        learning_rate=_given(wishes.learning_rate, rate),
        weight_decay=_given(wishes.weight_decay, 0.2 if scratch else 0.1),
        warmup=min(_given(wishes.warmup, min(_LONGEST_WARMUP, steps * epochs // 10)), steps * epochs),
        precision=wishes.precision or "fp32",
        seed=wishes.seed or 0,
        patience=_given(wishes.patience, 5),
        interpolate=_given(wishes.interpolate, 1.0),
        lock_image=bool(wishes.lock_image),
        lock_text=bool(wishes.lock_text),
        unlocked_layers=wishes.unlocked_layers or 0,
    )


def check_batch(wishes: Wishes, processes: int = 1) -> None:
    """Raise :class:`InputError` if the batch cannot be cut into even parts for all processes."""
    if wishes.batch_size and wishes.batch_size % ((wishes.accumulate or 1) * processes):
        raise InputError(
            f"--batch-size {wishes.batch_size}: cannot be cut into {wishes.accumulate or 1} parts "
            f"for {processes} process{'es' if processes != 1 else ''}"
        )


def _given(wish: Any, otherwise: Any) -> Any:
    return otherwise if wish is None else wish
