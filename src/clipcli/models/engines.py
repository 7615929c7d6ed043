"""The engines, which run a model's encoders: each is a separate module, with one line in the table here.

The module of an engine has a class ``Backend`` that fits :class:`clipcli.models.backend.Backend`. It is imported when
the engine is used: to name the engines takes neither torch nor OpenVINO, nor NumPy.
"""

from __future__ import annotations

import platform
import sys
from dataclasses import dataclass
from hashlib import sha256
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from clipcli.errors import CheckpointError, ModelError
from clipcli.log import LOG
from clipcli.models.devices import PRECISIONS

if TYPE_CHECKING:
    from clipcli.models.backend import Backend, Opening

__all__ = [
    "AUTOMATIC",
    "DEFAULT_ENGINE",
    "Choice",
    "EngineEntry",
    "check_engine",
    "choose_engine",
    "cluster_names",
    "engine_named",
    "opened_if_able",
    "precision_names",
    "runs_on_cluster",
]


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
    keeps_graphs
        Whether it keeps what it made of a model in the cache folder, and then needs neither torch nor open_clip.
    precisions
        What it can compute in; empty for whatever there is.
    """

    name: str
    home: str
    package: str
    extra: str = ""
    cpu_only: bool = False
    prefix: str = ""
    keeps_graphs: bool = False
    precisions: tuple[str, ...] = ()

    def open(self, opening: Opening) -> Backend:
        """Make ready to open a model."""
        backend: Backend = import_module(self.home).Backend(opening)
        return backend

    @property
    def version(self) -> str:
        """The version of its package."""
        from importlib.metadata import version

        return version(self.package)

    def precision(self, arithmetic: str) -> str:
        """Return what records and the cache call the precision: ``bf16``, ``openvino-bf16``."""
        return f"{self.prefix}{arithmetic}"

    def text_key(self, fingerprint: str) -> str:
        """Return what the cache files text embeddings under; engines, which differ in the last digits, share none."""
        return sha256(f"{self.prefix}{fingerprint}".encode()).hexdigest()[:32] if self.prefix else fingerprint

    def suits(self, device: str, precision: str) -> bool:
        """Return whether ``auto`` may choose it on a machine without a GPU."""
        is_able = not self.precisions or precision in ("auto", *self.precisions)
        return self.keeps_graphs and device in ("auto", "cpu") and is_able and find_spec(self.package) is not None

    def check(self, device: str) -> None:
        """Raise :class:`ModelError` unless the engine is installed and runs on the device."""
        if self.cpu_only and device not in ("auto", "cpu"):
            raise ModelError(f"--engine {self.name} runs on the CPU; leave --device {device} out")
        if find_spec(self.package) is None:
            raise ModelError(f"--engine {self.name} needs an extra: pip install 'clipcli[{self.extra}]'")


_ENGINES = (
    EngineEntry("torch", "clipcli.models.torch_engine", "torch"),
    EngineEntry("openvino", "clipcli.models.openvino", "openvino", "openvino", cpu_only=True, prefix="openvino-",
                keeps_graphs=True, precisions=("fp32", "bf16")),
)  # fmt: skip
_ENTRIES = {engine.name: engine for engine in _ENGINES}
DEFAULT_ENGINE, AUTOMATIC = "torch", "auto"
_CLUSTER = "ray"


@dataclass(frozen=True)
class Choice:
    """What a name of ``--engine`` means: the name of an engine, and whether a cluster does the work."""

    name: str
    on_cluster: bool = False


_HERE = {name: Choice(name) for name in (AUTOMATIC, *_ENTRIES)}
_ON_CLUSTER = {_CLUSTER: Choice(DEFAULT_ENGINE, on_cluster=True)} | {
    f"{_CLUSTER}+{name}": Choice(name, on_cluster=True) for name in _ENTRIES
}
_SHOWN_ON_CLUSTER = [name for name in _ON_CLUSTER if name != f"{_CLUSTER}+{DEFAULT_ENGINE}"]


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
    names = ", ".join([*_HERE, *(_SHOWN_ON_CLUSTER if clusters else [])])
    raise ModelError(f"cannot use --engine {name}: unknown engine (use {names})")


def runs_on_cluster(name: str) -> bool:
    """Return whether ``--engine`` names a cluster."""
    return name in _ON_CLUSTER


def cluster_names() -> str:
    """Return the names of ``--engine`` that mean a cluster, for people."""
    return " or ".join(_SHOWN_ON_CLUSTER)


def engine_named(name: str) -> EngineEntry:
    """Return the engine of that name; the default one for a name that is not known."""
    return _ENTRIES.get(name, _ENTRIES[DEFAULT_ENGINE])


def precision_names() -> list[str]:
    """Return what records call the precision of an image encoder, for every engine: ``fp32``, ``openvino-bf16``."""
    arithmetic = [name for name in PRECISIONS if name != AUTOMATIC]
    return [engine.precision(name) for engine in _ENGINES for name in arithmetic]


def check_engine(name: str, device: str = "auto", precision: str = "auto") -> EngineEntry:
    """Return the engine of that name; for ``auto``, the one that suits this machine.

    That is torch where there is a GPU; else the first engine that keeps what it made of a model, so that later runs
    start sooner, where it is installed. Whether it can run a model is found out when that is opened.

    Raises
    ------
    ModelError
        If there is none that runs on one machine, it is not installed, or does not run on the device.
    """
    choice = choose_engine(name, clusters=False)
    if choice.name == AUTOMATIC:
        suited = (each for each in _ENGINES if each.suits(device, precision))
        return _ENTRIES[DEFAULT_ENGINE] if _has_gpu(device) else next(suited, _ENTRIES[DEFAULT_ENGINE])
    engine = _ENTRIES[choice.name]
    if engine.extra:
        engine.check(device)
    return engine


def opened_if_able(engine: EngineEntry, opening: Opening) -> Backend | None:
    """Open a model with its image encoder; return ``None``, and log why, if the engine cannot run the model.

    Raises
    ------
    CheckpointError
        If the weights are damaged or belong to another architecture.
    """
    backend = engine.open(opening)
    try:
        backend.image_encoder()
    except CheckpointError:
        raise
    except ModelError as problem:
        LOG.info(f"images are encoded with {DEFAULT_ENGINE}: {problem}")
        return None
    return backend


def _has_gpu(device: str) -> bool:
    """Return whether torch would take a GPU, without importing it: where in doubt, yes."""
    if device != "auto":
        return device != "cpu"
    if sys.platform == "darwin":
        return platform.machine() == "arm64"
    return any(Path(name).exists() for name in ("/dev/nvidiactl", "/dev/kfd", "/dev/dxg")) or sys.platform == "win32"
