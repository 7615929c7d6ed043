"""The engines: what runs a model's encoders, each in a module of its own and with one line in the table here.

The module of an engine has a class ``Backend`` that fits :class:`Backend` below. It is imported when the engine is
used, so that neither torch nor OpenVINO is imported to name them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from clipcli.errors import ModelError
from clipcli.images.preprocess import Preprocessing
from clipcli.models.source import ModelSource

if TYPE_CHECKING:
    from clipcli.models.model import Model

__all__ = [
    "Backend",
    "Choice",
    "EngineEntry",
    "ImageEncoder",
    "Opening",
    "TextEncoder",
    "check_engine",
    "choose_engine",
    "cluster_names",
    "runs_on_cluster",
]

FloatArray = NDArray[np.float32]


class ImageEncoder(Protocol):
    """Pixels in, embeddings out."""

    @property
    def preprocessing(self) -> Preprocessing:
        """How pictures are resized and cropped for it."""

    @property
    def shares_processor(self) -> bool:
        """Whether it computes on the same cores as decoding does; the two then take turns."""

    def encode(self, pixels: Sequence[NDArray[np.uint8]], pad_to: int = 0) -> FloatArray:
        """Encode N images, each (H, W, 3), into (N, D) float32, each row of length one.

        ``pad_to`` fills the batch up to that size, so that the result does not depend on N in its last digits.
        """


class TextEncoder(Protocol):
    """Prompts in, embeddings out."""

    def cut(self, prompts: Sequence[str]) -> list[bool]:
        """Tell which prompts are longer than the model's context and lose their end."""

    def encode(self, prompts: Sequence[str]) -> FloatArray:
        """Encode P prompts into (P, D) float32, each row of length one."""


@dataclass(frozen=True)
class Opening:
    """What an engine is given to open a model with.

    Parameters
    ----------
    source
        The model's files.
    device, precision
        As the user asked for them; both may be ``auto``.
    cache
        The folder where an engine may keep what it made of the model; ``None`` to keep nothing.
    sha256_of
        Returns the sha256 of a file, from memory where it is known.
    """

    source: ModelSource
    device: str
    precision: str
    cache: Path | None
    sha256_of: Callable[[Path], str]


class Backend(Protocol):
    """One model run by one engine. Nothing heavy happens before a method asks for it."""

    def __init__(self, opening: Opening) -> None: ...

    @property
    def model(self) -> Model:
        """The model as torch has it, opened on first use; what other engines convert."""

    @property
    def is_loaded(self) -> bool:
        """Whether torch's model had to be opened so far."""

    @property
    def device(self) -> str:
        """Where images are encoded, for people: ``cpu``, ``cuda:0``, ``cpu with OpenVINO``."""

    def arithmetic(self) -> str:
        """Return what the image encoder computes in: ``fp32``, ``bf16`` or ``fp16``.

        Raises
        ------
        ModelError
            If it cannot compute in what was asked for.
        """

    def image_encoder(self) -> ImageEncoder:
        """Open the image encoder.

        Raises
        ------
        CheckpointError, ModelError
            If the weights are damaged or belong to another architecture, or the engine cannot run the model.
        """

    def text_encoder(self) -> TextEncoder:
        """Open the text encoder; raises as :meth:`image_encoder` does."""


@dataclass(frozen=True)
class EngineEntry:
    """An engine as the table has it.

    Parameters
    ----------
    name
        Of the option ``--engine``.
    home
        The module with its ``Backend``.
    package
        The package that it needs, and whose version decides about what is noted of it.
    extra
        The extra of clipcli that brings the package; empty where every installation has it.
    cpu_only
        Whether it runs on no other device.
    prefix
        Before the precision in records and keys of the cache; empty for torch, whose came first.
    """

    name: str
    home: str
    package: str
    extra: str = ""
    cpu_only: bool = False
    prefix: str = ""

    def open(self, opening: Opening) -> Backend:
        """Make ready to open a model."""
        backend: Backend = import_module(self.home).Backend(opening)
        return backend

    @property
    def version(self) -> str:
        """The version of its package."""
        return version(self.package)

    def precision(self, arithmetic: str) -> str:
        """Return what records and the cache call the precision: ``bf16``, ``openvino-bf16``."""
        return f"{self.prefix}{arithmetic}"

    def check(self, device: str) -> None:
        """Raise :class:`ModelError` unless the engine is installed and runs on the device."""
        if self.cpu_only and device not in ("auto", "cpu"):
            raise ModelError(f"--engine {self.name} runs on the CPU; leave --device {device} out")
        if find_spec(self.package) is None:
            raise ModelError(f"--engine {self.name} needs an extra: pip install 'clipcli[{self.extra}]'")


_ENGINES = (
    EngineEntry("torch", "clipcli.models.torch_engine", "torch"),
    EngineEntry("openvino", "clipcli.models.openvino", "openvino", "openvino", cpu_only=True, prefix="openvino-"),
)  # fmt: skip
_DEFAULT, _CLUSTER = "torch", "ray"


@dataclass(frozen=True)
class Choice:
    """What a name of ``--engine`` means: the engine of the encoders, and whether they run on a cluster."""

    engine: EngineEntry
    on_cluster: bool = False

    @cached_property
    def name(self) -> str:
        """The name of the engine itself, as it is opened on one machine."""
        return self.engine.name


_HERE = {engine.name: Choice(engine) for engine in _ENGINES}
_ON_CLUSTER = {_CLUSTER: Choice(_HERE[_DEFAULT].engine, on_cluster=True)} | {
    f"{_CLUSTER}+{engine.name}": Choice(engine, on_cluster=True) for engine in _ENGINES
}
_SHOWN_ON_CLUSTER = [name for name in _ON_CLUSTER if name != f"{_CLUSTER}+{_DEFAULT}"]


def choose_engine(name: str, *, clusters: bool = True) -> Choice:
    """Return what a name of ``--engine`` means.

    Parameters
    ----------
    clusters
        Whether the work can also be done on a cluster.

    Raises
    ------
    ModelError
        If there is no engine of that name; the message lists those that there are.
    """
    if name in _HERE:
        return _HERE[name]
    if name in _ON_CLUSTER:
        if clusters:
            return _ON_CLUSTER[name]
        raise ModelError(f"--engine {name} is for classify and export images")
    raise ModelError(f"--engine {name}: choose one of {', '.join([*_HERE, *(_SHOWN_ON_CLUSTER if clusters else [])])}")


def runs_on_cluster(name: str) -> bool:
    """Tell whether ``--engine`` names a cluster."""
    return name in _ON_CLUSTER


def cluster_names() -> str:
    """Return the names of ``--engine`` that mean a cluster, for people."""
    return " or ".join(_SHOWN_ON_CLUSTER)


def check_engine(name: str, device: str = "auto") -> EngineEntry:
    """Return the engine of that name.

    Raises
    ------
    ModelError
        If there is none that runs on one machine, it is not installed, or does not run on the device.
    """
    engine = choose_engine(name, clusters=False).engine
    if engine.extra:
        engine.check(device)
    return engine
