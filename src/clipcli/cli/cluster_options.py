"""The options of a Ray cluster."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from clipcli.errors import ClusterError
from clipcli.models.engines import choose_engine

if TYPE_CHECKING:
    from clipcli.distributed.cluster import RayOptions

__all__ = ["Cluster", "RayActors", "RayAddress", "RayGpus"]

_RAY = "Cluster"

RayAddress = Annotated[
    str | None,
    typer.Option(
        "--ray-address", metavar="HOST:PORT|auto", envvar=["CLIPCLI_RAY_ADDRESS", "RAY_ADDRESS"], rich_help_panel=_RAY,
        help="Address of the Ray cluster, or auto for the one that this machine belongs to. [default: start Ray on "
             "this machine]",
    ),
]  # fmt: skip
RayActors = Annotated[
    str | None,
    typer.Option(
        "--ray-actors", metavar="N|MIN:MAX", envvar="CLIPCLI_RAY_ACTORS", rich_help_panel=_RAY,
        help="Number of model replicas: fixed (N), or within a range (MIN:MAX). [default: from 1 to as many as fit "
             "on the cluster]",
    ),
]  # fmt: skip
RayGpus = Annotated[
    float | None,
    typer.Option(
        "--ray-gpus", metavar="N", min=0.0, envvar="CLIPCLI_RAY_GPUS", rich_help_panel=_RAY,
        help="GPUs per model replica; can be a fraction, such as 0.5. [default: 1 if there are GPUs]",
    ),
]  # fmt: skip


@dataclass(frozen=True)
class Cluster:
    """The options of a Ray cluster; see :mod:`clipcli.cli.groups`."""

    ray_address: RayAddress = None
    ray_actors: RayActors = None
    ray_gpus: RayGpus = None

    def chosen(self, engine: str, workers: int | None) -> RayOptions | None:
        """Return the cluster that ``--engine`` asks for, if any.

        Raises
        ------
        ClusterError
            If a ``--ray-`` option is invalid.
        """
        if not choose_engine(engine).on_cluster:
            return None
        from clipcli.distributed.cluster import RayOptions

        actors = _range(self.ray_actors) if self.ray_actors else None
        return RayOptions(self.ray_address, actors, self.ray_gpus, workers)


def _range(actors: str) -> tuple[int, int]:
    found = re.fullmatch(r"(\d+)(?::(\d+))?", actors.strip())
    least, most = (int(found[1]), int(found[2] or found[1])) if found else (0, 0)
    if not 1 <= least <= most:
        raise ClusterError(f"cannot use --ray-actors {actors}: not a number or range (write it like 8 or 1:8)")
    return least, most
