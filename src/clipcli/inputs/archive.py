"""What tar and zip archives have in common as inputs."""

from __future__ import annotations

from dataclasses import dataclass, field

from clipcli.inputs.exclusion import Exclusion
from clipcli.inputs.items import shown_name

__all__ = ["ArchiveFile"]


@dataclass(frozen=True)
class ArchiveFile:
    """An archive on disk or in an object store; its members are named ARCHIVE/MEMBER.

    Parameters
    ----------
    name
        For records; without the secrets of a URL.
    path
        Its location.
    exclusion
        The members to leave out.
    """

    name: str
    path: str = field(repr=False)
    exclusion: Exclusion = field(default=Exclusion(), repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", shown_name(self.name, self.path))
