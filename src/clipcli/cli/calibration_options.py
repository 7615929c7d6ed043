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
            help="Learn from the images of SOURCE how to correct probabilities, with the thresholds that the options "
            "below ask for, and save this to a JSON file for 'clipcli classify --calibration'.",
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
            help="With --tags: choose the lowest threshold of each label at which at least this share of the images "
            "with the tag is right. [default: the threshold with the best F1, the balance of precision and "
            "recall]",
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
            help="Without --tags: choose the minimum probability, below which the answer is 'unknown', so that at most "
            "this share of the other answers is wrong.",
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
            help="Without --tags: choose sets of likely labels, as small as possible, that contain the right label for "
            "at least this share of the images, such as 0.9 (conformal prediction).",
        ),
    ] = None

    @property
    def goal(self) -> Goal | None:
        """What to fit, ``None`` for nothing."""
        if self.save_calibration is None:
            return None
        from clipcli.evaluation.calibrating import Goal

        return Goal(self.target_precision, self.target_error, self.conformal)
