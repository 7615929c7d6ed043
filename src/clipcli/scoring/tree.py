"""Groups as paths in a tree of classes, such as ``animal/bird``: nodes, and the deepest one that is probable enough."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

__all__ = ["deepest_node", "is_tree", "labels_next_to_groups", "levels_of", "nodes_of"]

_SLASH = "/"


def nodes_of(group: str) -> list[str]:
    """Return a group and all that contain it, the widest first: ``animal`` and ``animal/bird`` for ``animal/bird``."""
    parts = group.split(_SLASH)
    return [_SLASH.join(parts[:count]) for count in range(1, len(parts) + 1)]


def levels_of(path: str, label: str | None = None) -> tuple[str, ...]:
    """Return the names on the path of a node, the widest first; a label at its end is one name, even with a slash."""
    if label is not None and path.endswith(_SLASH + label):
        return (*path[: -len(label) - 1].split(_SLASH), label)
    return (path,) if path == label else tuple(path.split(_SLASH))


def is_tree(groups: Iterable[str | None]) -> bool:
    """Return whether some group is a path with more than one level."""
    return any(group is not None and _SLASH in group for group in groups)


def labels_next_to_groups(groups: Sequence[str | None]) -> dict[str, list[int]]:
    """Return the labels of those groups that have labels and further groups below them, as indices.

    Parameters
    ----------
    groups
        The group of each label.
    """
    inner = {node for group in groups if group is not None for node in nodes_of(group)[:-1]}
    found: dict[str, list[int]] = {}
    for place, group in enumerate(groups):
        if group in inner:
            found.setdefault(str(group), []).append(place)
    return found


def deepest_node(
    nodes: Mapping[str, float], least: float = 0.0, level: int | None = None, own: Mapping[str, float] | None = None
) -> str | None:
    """Descend to the most probable node of each level, as far as the nodes are probable enough.

    Parameters
    ----------
    nodes
        The probability of every node.
    least
        The least probability of a node.
    level
        Where to stop; 1 is the widest.
    own
        The greatest probability of the labels of a node itself, where it has further groups too: if no group is more
        probable, the node is the answer. See :func:`labels_next_to_groups`.

    Returns
    -------
    The deepest node, ``None`` if none is probable enough. Of equal nodes, the first is taken.
    """
    found, depth = None, 1
    while level is None or depth <= level:
        below = [
            name for name in nodes
            if name.count(_SLASH) == depth - 1 and (found is None or name.startswith(found + _SLASH))
        ]  # fmt: skip
        best = max(below, key=nodes.__getitem__, default=None)
        if best is None or nodes[best] < least:
            break
        if found is not None and own and nodes[best] < own.get(found, 0.0):
            break
        found, depth = best, depth + 1
    return found
