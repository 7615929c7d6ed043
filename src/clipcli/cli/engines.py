"""What does the work of a command: this process, or a cluster."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from clipcli.distributed.cluster import RayOptions
    from clipcli.embedder import Embedder
    from clipcli.runner import OpenEngine

__all__ = ["on_cluster"]

Row = TypeVar("Row")


def on_cluster(
    embedder: Embedder, cluster: RayOptions | None, finish: Callable[[str], Callable[[Any], list[Row]]]
) -> OpenEngine[Row] | None:
    """Return the function that opens the engine of a cluster; ``None`` if no cluster is used.

    Parameters
    ----------
    finish
        Says how embeddings become rows; see :class:`clipcli.distributed.engine.RayEngine`.
    """
    if cluster is None:
        return None
    from clipcli.distributed.engine import RayEngine

    return lambda: RayEngine(embedder, cluster, finish)
