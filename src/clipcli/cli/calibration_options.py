"""Options of ``clipcli evaluate`` that fit a calibration."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from clipcli.evaluation.calibrating import Goal
    from clipcli.evaluation.compare import Comparison

__all__ = ["Calibrating"]

_CALIBRATION = "Calibration"


@dataclass(frozen=True)
class Calibrating:
    """What to fit, and where to save it; see :mod:`clipcli.cli.groups`."""

    calibration: Annotated[
        Path | None,
        typer.Option(
            "--calibration",
            metavar="FILE",
            rich_help_panel=_CALIBRATION,
            show_default=False,
            help="Also evaluate with this calibration, for images that it was not fitted on. "
            "[default: the calibration in the file of --classes, if it holds one]",
        ),
    ] = None
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
    save_classes: Annotated[
        Path | None,
        typer.Option(
            "--save-classes",
            metavar="FILE",
            rich_help_panel=_CALIBRATION,
            show_default=False,
            help="Fit a calibration on these images and save it with the classes to this .safetensors or .json file, "
            "for --classes of classify.",
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
    def files(self) -> list[Path | None]:
        """The files that are written.

        Raises
        ------
        OutputError
            If the extension of a classes file is that of a format that cannot hold a calibration.
        """
        if self.save_classes is not None:
            from clipcli.outputs.class_embeddings import TAUGHT_SUFFIXES, check_suffix

            check_suffix(self.save_classes, TAUGHT_SUFFIXES)
        return [self.save_calibration, self.save_classes]

    @property
    def parameters(self) -> dict[str, Any]:
        """The parameters of :func:`clipcli.evaluation.compare.evaluate` that they stand for."""
        return {"goal": self.goal, "calibration": self.calibration}

    def save(self, comparison: Comparison, *, overwrite: bool) -> None:
        """Write what was fitted."""
        from clipcli.outputs.calibration_files import save_calibration
        from clipcli.outputs.class_embeddings import save_class_embeddings

        if comparison.calibration is not None and self.save_calibration is not None:
            save_calibration(comparison.calibration, self.save_calibration, overwrite=overwrite)
        if comparison.classes is not None and self.save_classes is not None:
            save_class_embeddings(comparison.classes, self.save_classes, overwrite=overwrite)

    @property
    def goal(self) -> Goal | None:
        """What to fit, ``None`` for nothing."""
        if self.save_calibration is None and self.save_classes is None:
            return None
        from clipcli.evaluation.calibrating import Goal

        return Goal(self.target_precision, self.target_error, self.conformal)
