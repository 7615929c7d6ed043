"""Options for scores: how many labels are listed, and when an image gets one."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import typer

from clipcli.scoring.thresholds import DEFAULT_THRESHOLD

__all__ = ["ScoreKind", "Scores", "TagThreshold", "Tags"]

_SCORES = "Scores"


class ScoreKind(str, Enum):
    """The names of :data:`clipcli.scoring.odds.SCORES`."""

    softmax = "softmax"
    sigmoid = "sigmoid"
    contrast = "contrast"


Tags = Annotated[
    bool,
    typer.Option("--tags", rich_help_panel=_SCORES,
                 help="Answer with all labels whose probability reaches their threshold (tags), or 'unknown' if none "
                      "does; without --tags, with the best label."),
]  # fmt: skip
TagScore = Annotated[
    ScoreKind | None,
    typer.Option("--score", rich_help_panel=_SCORES, show_default=False,
                 help="Probability of a tag. contrast: the label against what competes with it (a photo, or phrases of "
                      "the label file); sigmoid: the label alone, for models made for it, such as SigLIP; softmax: all "
                      "labels compete, and the probabilities add up to 1. [default: sigmoid if the model is made for "
                      "it, else contrast]"),
]  # fmt: skip
TagThreshold = Annotated[
    float,
    typer.Option("--threshold", metavar="P", min=0.0, max=1.0, rich_help_panel=_SCORES,
                 help="Least probability of a tag, for labels that have no threshold in the label file or in the "
                      "calibration."),
]  # fmt: skip


@dataclass(frozen=True)
class Scores:
    """The options that decide what a record says; see :mod:`clipcli.cli.groups`."""

    top_k: Annotated[
        int,
        typer.Option(
            "--top-k",
            "-k",
            metavar="N",
            min=1,
            rich_help_panel=_SCORES,
            help="Number of labels to list per image, best first. Does not limit the number of tags.",
        ),
    ] = 5
    min_probability: Annotated[
        float | None,
        typer.Option(
            metavar="P",
            min=0.0,
            max=1.0,
            rich_help_panel=_SCORES,
            help="Answer 'unknown' if the probability of the best label is below P (not with --tags). [default: no "
            "minimum]",
        ),
    ] = None
    min_similarity: Annotated[
        float | None,
        typer.Option(
            metavar="COSINE",
            min=-1.0,
            max=1.0,
            rich_help_panel=_SCORES,
            help="Answer 'unknown' if the similarity of the best label is below COSINE; see the column similarity for "
            "usual values.",
        ),
    ] = None
    min_margin: Annotated[
        float | None,
        typer.Option(
            metavar="P",
            min=0.0,
            max=1.0,
            rich_help_panel=_SCORES,
            help="Answer 'unknown' if the two highest probabilities differ by less than P.",
        ),
    ] = None
    tags: Tags = False
    score: TagScore = None
    threshold: TagThreshold = DEFAULT_THRESHOLD
    calibration: Annotated[
        Path | None,
        typer.Option(
            "--calibration",
            metavar="FILE",
            rich_help_panel=_SCORES,
            show_default=False,
            help="Correct the probabilities, and use the thresholds, by this file, which 'clipcli evaluate "
            "--save-calibration' wrote with the same model, labels and prompts. Thresholds of the label file come "
            "first. [default: the calibration in the file of --classes, if it holds one]",
        ),
    ] = None
    no_calibration: Annotated[
        bool,
        typer.Option(
            "--no-calibration", rich_help_panel=_SCORES, help="Ignore the calibration in the file of --classes."
        ),
    ] = False
    level: Annotated[
        int | None,
        typer.Option(
            "--level",
            metavar="N",
            min=1,
            rich_help_panel=_SCORES,
            show_default=False,
            help="For groups that are paths, such as animal/bird: answer (column node) with a group of at most N "
            "levels, counted from the top: 1 gives animal, 2 animal/bird.",
        ),
    ] = None

    @property
    def parameters(self) -> dict[str, Any]:
        """The parameters of :class:`clipcli.Classifier` that they stand for."""
        from clipcli.scoring.thresholds import Thresholds

        return {
            "top_k": self.top_k,
            "thresholds": Thresholds(self.min_probability, self.min_similarity, self.min_margin),
            "tags": self.tags,
            "score": self.score.value if self.score else None,
            "threshold": self.threshold,
            "calibration": False if self.no_calibration else self.calibration,
            "level": self.level,
        }
