"""The settings of a training run: the user's, with defaults that depend on the size of the data."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from clipcli.errors import InputError

__all__ = ["MIN_PAIRS", "Facts", "Settings", "TrainConfig", "check_batch", "choose_settings"]

MIN_PAIRS = 8
"""Minimum number of usable pairs: contrastive training needs different ones."""

_SMALL = 50_000_000  # parameters; smaller networks tolerate a higher learning rate
_FEW_EPOCHS, _MANY_EPOCHS = 3, 20
_TUNING_STEPS, _SCRATCH_STEPS = 1_000, 4_000
_LONGEST_WARMUP = 2_000


@dataclass(frozen=True)
class Facts:
    """The basis of the defaults: number of pairs and parameters, kind of initial weights and device."""

    pairs: int
    parameters: int
    from_scratch: bool
    device: str


@dataclass(frozen=True)
class TrainConfig:
    """The user's settings; ``None`` means the default of :func:`choose_settings`."""

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
    """All settings of a run, except for the data and the initial weights.

    Parameters
    ----------
    epochs
        Number of epochs.
    batch_size
        Pairs per step, over all processes and parts: the N of the N×N matrix.
    accumulate
        Number of parts in which a batch is processed, for batches that do not fit into memory.
    learning_rate, warmup
        The peak learning rate, and the number of warm-up steps; a cosine decay follows.
    weight_decay
        Weight decay of AdamW; not applied to biases, normalisations and the logit scale.
    precision
        ``fp32``, or ``bf16`` or ``fp16`` for automatic mixed precision.
    patience
        Number of epochs without improvement after which to stop; 0 for never.
    interpolate
        Interpolation between the initial (0) and fine-tuned (1) weights (WiSE-FT).
    lock_image, lock_text, unlocked_layers
        The frozen encoders (LiT), and the number of their last layers that are not frozen.
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


def choose_settings(config: TrainConfig, facts: Facts) -> Settings:
    """Complete the user's settings by defaults.

    From scratch: a high learning rate and many steps. Fine-tuning: about a thousand steps, at a hundredth of that rate
    for networks of 50 million parameters and more, at a tenth for smaller ones; higher if one encoder is frozen.

    Raises
    ------
    InputError
        If the settings contradict each other.
    """
    scratch, small = facts.from_scratch, facts.parameters < _SMALL
    usual = 256 if facts.device != "cpu" else 128 if scratch else 32  # 32 take some 6 GB with the built-in model
    batch = min(config.batch_size or usual, facts.pairs)
    accumulate = config.accumulate or 1
    batch -= batch % accumulate
    if batch < 2 * accumulate:
        raise InputError(
            f"cannot use --accumulate {accumulate}: a batch of {batch} pairs cannot be split into that many parts"
        )
    steps = max(1, facts.pairs // batch)
    wanted = math.ceil((_SCRATCH_STEPS if scratch else _TUNING_STEPS) / steps)
    epochs = config.epochs or min(max(wanted, _FEW_EPOCHS), _MANY_EPOCHS)
    rate = 1e-3 if scratch and small else 5e-4 if scratch else 1e-4 if small else 1e-5
    if not scratch and (config.lock_image or config.lock_text):
        rate = round(rate * 3, 6)  # 0.0003, not 0.00030000000000000003
    return Settings(
        epochs=epochs,
        batch_size=batch,
        accumulate=accumulate,
        learning_rate=_given(config.learning_rate, rate),
        weight_decay=_given(config.weight_decay, 0.2 if scratch else 0.1),
        warmup=min(_given(config.warmup, min(_LONGEST_WARMUP, steps * epochs // 10)), steps * epochs),
        precision=config.precision or "fp32",
        seed=config.seed or 0,
        patience=_given(config.patience, 5),
        interpolate=_given(config.interpolate, 1.0),
        lock_image=bool(config.lock_image),
        lock_text=bool(config.lock_text),
        unlocked_layers=config.unlocked_layers or 0,
    )


def check_batch(config: TrainConfig, processes: int = 1) -> None:
    """Raise :class:`InputError` if the batch cannot be split into even parts for all processes."""
    if config.batch_size and config.batch_size % ((config.accumulate or 1) * processes):
        raise InputError(
            f"cannot use --batch-size {config.batch_size}: it cannot be split into {config.accumulate or 1} parts "
            f"for {processes} process{'es' if processes != 1 else ''}"
        )


def _given(value: Any, default: Any) -> Any:
    return default if value is None else value
