"""What is done with new records of a watched folder: images are sorted or tagged. Both can be repeated."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import BinaryIO

from clipcli.outputs.readers import ReadRecord
from clipcli.sorting.placement import carry_out as placed
from clipcli.sorting.placement import plan as placements_of
from clipcli.tagging.keywords import KeywordRules
from clipcli.tagging.sidecars import Sidecars
from clipcli.tagging.sidecars import carry_out as tagged
from clipcli.tagging.sidecars import plan as keywords_of
from clipcli.watching.watch import Action

__all__ = ["sorting_into", "tagging"]

_HERE = Path()


def sorting_into(folder: Path, action: str) -> Action:
    """Return the action that puts each image into the folder of its label.

    Parameters
    ----------
    action
        ``copy``, ``link`` or ``move``.
    """

    def act(records: Sequence[ReadRecord]) -> Iterable[str]:
        for placement in placed(placements_of(records, folder, _HERE), action, folder):
            if placement.target is None:
                if not (action == "move" and placement.problem == "no such file"):
                    yield f"not sorted: {placement.name or placement.source}: {placement.problem}"
            elif not placement.is_there:
                yield f"sorted: {placement.source} to {placement.target}"

    return act


def tagging(rules: KeywordRules, log: BinaryIO) -> Action:
    """Return the action that writes the keywords of each image into its sidecar."""

    def act(records: Sequence[ReadRecord]) -> Iterable[str]:
        for each in tagged(keywords_of(records, _HERE, rules), Sidecars(), log):
            if each.problem is not None:
                yield f"not tagged: {each.name or each.image}: {each.problem}"
            elif each.files:
                yield f"tagged: {each.image}: {', '.join(keyword.hierarchical for keyword in each.keywords)}"

    return act
