"""The engines, which run a model's encoders: each is a separate module, with one line in the table here.

The module of an engine has a class ``Backend`` that fits :class:`clipcli.models.backend.Backend`. It is imported when
the engine is used: to name the engines takes neither torch nor OpenVINO, nor NumPy.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING

from clipcli.errors import ModelError

if TYPE_CHECKING:
    from clipcli.models.backend import Backend, Opening

__all__ = ["Choice", "EngineEntry", "check_engine", "choose_engine", "cluster_names", "runs_on_cluster"]


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
        from importlib.metadata import version

        return version(self.package)

    def precision(self, arithmetic: str) -> str:
        """Return what records and the cache call the precision: ``bf16``, ``openvino-bf16``."""
        return f"{self.prefix}{arithmetic}"

    def text_key(self, fingerprint: str) -> str:
        """Return what the cache files text embeddings under; engines, which differ in the last digits, share none."""
        return sha256(f"{self.prefix}{fingerprint}".encode()).hexdigest()[:32] if self.prefix else fingerprint

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
    names = ", ".join([*_HERE, *(_SHOWN_ON_CLUSTER if clusters else [])])
    raise ModelError(f"cannot use --engine {name}: unknown engine (use {names})")


def runs_on_cluster(name: str) -> bool:
    """Return whether ``--engine`` names a cluster."""
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
