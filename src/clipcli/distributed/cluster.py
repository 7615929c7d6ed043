"""Start Ray on this machine or connect to a cluster, quietly, with one-line errors."""

from __future__ import annotations

import logging
import os
import re
import socket
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from clipcli import errors
from clipcli.errors import ClipcliError, ClusterError
from clipcli.models.allocator import ENVIRONMENT
from clipcli.signals import preserved

__all__ = ["ActorPlan", "RayOptions", "as_clipcli_error", "connected"]

_OURS = re.compile(r"clipcli\.errors\.(\w+): (.*)")


@dataclass(frozen=True)
class RayOptions:
    """The user's options for the cluster.

    Parameters
    ----------
    address
        ``HOST:PORT`` of a cluster's head, or ``auto`` for the one this machine is part of; ``None`` starts Ray
        on this machine for this run.
    actors
        Minimum and maximum number of model replicas; ``None`` for as many as fit.
    gpus
        GPUs per replica; ``None`` for one if there are GPUs.
    decoders
        Maximum number of decoders; ``None`` for as many as fit.
    """

    address: str | None = None
    actors: tuple[int, int] | None = None
    gpus: float | None = None
    decoders: int | None = None

    def __post_init__(self) -> None:
        if (self.address or "").startswith("ray://"):
            raise ClusterError(
                f"--ray-address {self.address}: run clipcli on a machine of the cluster, with HOST:PORT or auto"
            )


@dataclass(frozen=True)
class ActorPlan:
    """How the work is laid on a cluster; processors and GPUs are what Ray counts, not what is measured.

    A GPU's actor and a decoder take half a processor each. Without GPUs, an actor and a decoder share a
    processor, and the system gives each what it needs of it.
    """

    least: int
    most: int
    gpus: float
    processors: float
    decoders: int
    decoder_processors: float

    @classmethod
    def of(cls, options: RayOptions, resources: dict[str, float], device: str) -> ActorPlan:
        """Distribute the work over the resources of a cluster."""
        there = resources.get("GPU", 0.0)
        gpus = options.gpus if options.gpus is not None else float(there >= 1 and device != "cpu")
        if gpus and not there and options.actors is None:
            raise ClusterError("--ray-gpus: no machine of the cluster has a GPU")
        room = int(there / gpus) if gpus else int(resources.get("CPU", 1.0))
        alone = options.address is None  # no other program uses the resources of this Ray
        least, most = options.actors or (max(1, room) if alone else 1, max(1, room))
        if alone and gpus and least > room:
            raise ClusterError(f"--ray-actors {least}: at {gpus:g} GPUs each, this machine has room for {room}")
        processors = resources.get("CPU", 1.0)
        own, decoder = (0.5, 0.5) if gpus else (0.75, 0.25)
        decoders = options.decoders or max(1, int((processors - own * most) / decoder))
        return cls(least, most, gpus, own, decoders, decoder)


@contextmanager
def connected(options: RayOptions) -> Iterator[Any]:
    """Start Ray, or join a cluster, for the time of the block.

    Raises
    ------
    ClusterError
        If Ray is not installed, cannot be started, or nothing answers.
    """
    address = options.address
    if address:
        _check_answers(address)
    for name, value in (
        ("RAY_BACKEND_LOG_LEVEL", "fatal"),  # its C++ side would write warnings to our stderr
        ("RAY_USAGE_STATS_ENABLED", "0"),  # no usage statistics
        ("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0"),
        ("RAY_DATA_DISABLE_PROGRESS_BARS", "1"),
        ("RAY_ENABLE_AUTO_CONNECT", "0"),  # else a thread that outlives an interrupted run would start another Ray
    ):
        os.environ.setdefault(name, value)
    try:
        import ray
        import ray.data
    except ImportError:
        raise ClusterError("--engine ray needs an extra: pip install 'clipcli[ray]'") from None
    try:
        with warnings.catch_warnings(), _stderr_closed(), preserved():
            warnings.simplefilter("ignore")
            ray.init(
                address or "local",
                runtime_env={"env_vars": ENVIRONMENT},
                log_to_driver=False,
                logging_level=logging.CRITICAL,
                include_dashboard=None if address else False,
                # the requested number of actors must fit, even if they become slower
                num_cpus=None if address else max(os.cpu_count() or 1, options.actors[0] if options.actors else 1),
            )
    except Exception as problem:  # noqa: BLE001 - Ray raises errors of many kinds here
        if address == "auto":
            raise ClusterError(
                "--ray-address auto: no Ray runs on this machine; begin it with 'ray start', or leave the option out"
            ) from None
        where = f"--ray-address {address}: no cluster can be joined" if address else "Ray cannot be started here"
        hint = "; if it asks for a token, set RAY_AUTH_MODE=token and Ray's token" if address else ""
        raise ClusterError(f"{where} ({_first_line(problem)}){hint}") from None
    # What Ray has to say of lost machines it would print to stdout, where the records go; there is no public way
    # to keep it from that.
    ray._private.worker._worker_logs_enabled = False  # noqa: SLF001
    try:
        yield ray
    finally:
        ray.shutdown()


def _check_answers(address: str) -> None:
    """Check that the address accepts connections; Ray itself would wait for minutes."""
    if address in ("auto", "local"):
        return
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal() or int(port) > 65535:
        raise ClusterError(f"--ray-address {address}: give HOST:PORT, or auto on a machine of the cluster")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=10).close()
    except OSError as problem:
        reason = problem.strerror or problem
        raise ClusterError(f"--ray-address {address}: no cluster can be joined ({reason})") from None


@contextmanager
def _stderr_closed() -> Iterator[None]:
    """Keep the C++ side of Ray from telling on our stderr that it will keep quiet."""
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def as_clipcli_error(problem: BaseException) -> ClipcliError:
    """Return the clipcli error that caused a Ray error; else one with the first line of Ray's."""
    seen: list[BaseException] = []
    waiting: list[BaseException | None] = [problem]
    while waiting:
        each = waiting.pop()
        if each is None or each in seen:
            continue
        seen.append(each)
        if isinstance(each, ClipcliError):
            return each
        waiting += [each.__cause__, getattr(each, "cause", None)]
    for each in seen:  # the death of an actor is only in the text
        found = _OURS.search(str(each))
        kind = getattr(errors, found[1], None) if found else None
        if found and isinstance(kind, type) and issubclass(kind, ClipcliError) and kind is not errors.ImageError:
            return kind(found[2])
    return ClusterError(f"Ray gave up ({_first_line(problem)})")


def _first_line(problem: BaseException) -> str:
    lines = [line.strip() for line in re.sub(r"\x1b\[\d+m", "", str(problem)).splitlines() if line.strip()]
    return f"{type(problem).__name__}: {lines[0][:200]}" if lines else type(problem).__name__
