"""Options of ``clipcli evaluate`` that fit a calibration."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from clipcli.evaluation.calibrating import Goal

__all__ = ["Calibrating"]

_CALIBRATION = "Calibration"


@dataclass(frozen=True)
class Calibrating:
    """What to fit, and where to save it; see :mod:`clipcli.cli.groups`."""

    save_calibration: Annotated[
        Path | None,
        typer.Option(
            "--save-calibration",
            metavar="FILE",
            rich_help_panel=_CALIBRATION,
            show_default=False,
            help="Fit a calibration on these images and save it to this JSON file, for --calibration of classify.",
        ),
    ] = None
    target_precision: Annotated[
        float | None,
        typer.Option(
            "--target-precision",
            metavar="P",
            min=0.0,
            max=1.0,
            rich_help_panel=_CALIBRATION,
            show_default=False,
            help="With --tags: choose the threshold of each label for this precision. [default: for the best F1]",
        ),
    ] = None
    target_error: Annotated[
        float | None,
        typer.Option(
            "--target-error",
            metavar="P",
            min=0.0,
            max=1.0,
            rich_help_panel=_CALIBRATION,
            help="Choose the threshold for 'unknown' so that at most this share of the answers is wrong.",
        ),
    ] = None
    conformal: Annotated[
        float | None,
        typer.Option(
            "--conformal",
            metavar="P",
            min=0.0,
            max=1.0,
            rich_help_panel=_CALIBRATION,
            help="Give each image the set of labels that contains the right one for this share of images.",
        ),
    ] = None

    @property
    def goal(self) -> Goal | None:
        """What to fit, ``None`` for nothing."""
        if self.save_calibration is None:
            return None
        from clipcli.evaluation.calibrating import Goal

        return Goal(self.target_precision, self.target_error, self.conformal)
