"""What is asked of a training run, what it tells meanwhile, and how it ends."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from clipcli.errors import InputError
from clipcli.inputs.exclusion import Exclusion
from clipcli.training.pairs import LeftOut

if TYPE_CHECKING:  # it needs torch; what is asked for is checked before that is imported
    from clipcli.training.validation import Validation

__all__ = ["Listener", "Measures", "Outcome", "Place", "Reporter", "Request"]

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
    exclude, include_hidden
        What to pass over in folders and shards; see :class:`~clipcli.inputs.exclusion.Exclusion`.
    """

    pairs: tuple[str, ...] | None = None
    model: str | None = None
    pretrained: str | None = None
    from_scratch: str | None = None
    validation: str | None = None
    labels: str | None = None
    templates: tuple[str, ...] | None = None
    prompts: tuple[str, ...] | None = None
    exclude: tuple[str, ...] | None = None
    include_hidden: bool | None = None

    @property
    def exclusion(self) -> Exclusion:
        """What to pass over."""
        return Exclusion(self.exclude or (), bool(self.include_hidden))

    @property
    def held_out(self) -> tuple[float, str | None]:
        """The share of the pairs to hold out, or the source of pairs of their own.

        Raises
        ------
        InputError
            If it is a number that is not a share.
        """
        try:
            share = float(self.validation if self.validation is not None else 0.1)
        except ValueError:
            return 0.0, self.validation
        if not 0.0 <= share < 1.0:
            raise InputError(f"--validation {self.validation}: a share is from 0 to below 1")
        return share, None

    @classmethod
    def recorded(cls, values: Mapping[str, Any]) -> Request:
        """Return what an earlier run was asked for, as its ``settings.json`` has it."""
        found: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in values.items()
        }
        return cls(**found)


@dataclass(frozen=True)
class Outcome:
    """How a run ended: names of weights with their measures, the pairs that were left out, and the epoch kept."""

    measures: list[tuple[str, Measures]]
    left_out: int
    best_epoch: int


@dataclass(frozen=True)
class Place:
    """Where a process stands among those that train together."""

    device: str
    rank: int = 0
    world: int = 1
    local_rank: int = 0

    @property
    def is_first(self) -> bool:
        """Whether it is the one that measures and writes."""
        return self.rank == 0


class Reporter(Protocol):
    """Is told how a run goes."""

    def step(self, row: Mapping[str, Any], steps: int) -> None:
        """Take the measures of one step, of so many."""

    def epoch(self, epoch: int, epochs: int, validation: Validation | None, best: bool) -> None:
        """Take the measures after an epoch; epoch 0 is the start."""


class Listener(Reporter, Protocol):
    """Is told what a run finds and does."""

    def left_out(self, rows: Sequence[LeftOut]) -> None:
        """Take the pairs that cannot be used, or not whole."""

    def checking(self, items: Iterable[Any], count: int) -> Iterable[Any]:
        """Pass on items that are being checked."""

    def begin(self, record: Mapping[str, Any], done: int) -> None:
        """Take what the run begins with, and how many steps were done before."""
