"""The request of a training run, its events, and its outcome."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from clipcli.errors import InputError
from clipcli.inputs.exclusion import Exclusion
from clipcli.training.pairs import LeftOut

if TYPE_CHECKING:  # it needs torch, and a request is checked before torch is imported
    from clipcli.training.validation import Validation

__all__ = ["Listener", "Measures", "Outcome", "Place", "Reporter", "Request"]

Measures = dict[str, float]


@dataclass(frozen=True)
class Request:
    """The user's request; ``None`` means the default, or for ``resume`` the recorded value.

    Parameters
    ----------
    pairs
        The sources for :func:`~clipcli.training.pairs.read_pairs`.
    model, pretrained
        The initial model, as for ``classify``.
    from_scratch
        An architecture to start with random weights instead.
    validation
        A share of the pairs to hold out, or the source of separate validation pairs.
    labels, templates, prompts
        As for ``classify``, for pairs with labels.
    exclude, include_hidden
        Exclusion in folders and shards; see :class:`~clipcli.inputs.exclusion.Exclusion`.
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
        """The files and folders to exclude."""
        return Exclusion(self.exclude or (), bool(self.include_hidden))

    @property
    def held_out(self) -> tuple[float, str | None]:
        """The share of the pairs to hold out, or the source of separate validation pairs.

        Raises
        ------
        InputError
            If it is a number that is not a share.
        """
        given = self.validation if self.validation is not None else "0.1"
        number, _, rest = given.partition("%")
        try:
            share = float(number) / (100 if given.endswith("%") and not rest else 1)
        except ValueError:
            return 0.0, self.validation
        if not 0.0 <= share < 1.0:
            raise InputError(f"cannot use --validation {self.validation}: a share must be at least 0 and below 1")
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
    """The outcome of a run: weights with their measures, the pairs left out, the saved epoch, the pairs held out."""

    measures: list[tuple[str, Measures]]
    left_out: int
    best_epoch: int
    held_out: int


@dataclass(frozen=True)
class Place:
    """The rank of a process among those that train together."""

    device: str
    rank: int = 0
    world: int = 1
    local_rank: int = 0

    @property
    def is_first(self) -> bool:
        """Whether this is the process that measures and writes."""
        return self.rank == 0


class Reporter(Protocol):
    """Receives the events of a run."""

    def step(self, row: Mapping[str, Any], steps: int) -> None:
        """Receive the measures of one step, and the total number of steps."""

    def epoch(self, epoch: int, epochs: int, validation: Validation | None, best: bool) -> None:
        """Receive the measures after an epoch; epoch 0 means the initial weights."""


class Listener(Reporter, Protocol):
    """Receives the events of a run."""

    def left_out(self, rows: Sequence[LeftOut]) -> None:
        """Receive the pairs that cannot be used, or are truncated."""

    def checking(self, items: Iterable[Any], count: int) -> Iterable[Any]:
        """Pass on the items that are checked."""

    def begin(self, record: Mapping[str, Any], done: int) -> None:
        """Receive the settings of the run, and the number of steps done before."""
