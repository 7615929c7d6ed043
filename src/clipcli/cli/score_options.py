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
                 help="Give each image all labels that reach their threshold, instead of the best label."),
]  # fmt: skip
TagScore = Annotated[
    ScoreKind | None,
    typer.Option("--score", rich_help_panel=_SCORES, show_default=False,
                 help="Kind of probability for --tags. [default: sigmoid if the model has a bias, else contrast]"),
]  # fmt: skip
TagThreshold = Annotated[
    float,
    typer.Option("--threshold", metavar="P", min=0.0, max=1.0, rich_help_panel=_SCORES,
                 help="Least probability for --tags, of labels without a threshold in the label file."),
]  # fmt: skip


@dataclass(frozen=True)
class Scores:
    """The options that decide what a record says; see :mod:`clipcli.cli.groups`."""

    top_k: Annotated[
        int,
        typer.Option(
            "--top-k", "-k", metavar="N", min=1, rich_help_panel=_SCORES, help="Number of labels to list per image."
        ),
    ] = 5
    min_probability: Annotated[
        float | None,
        typer.Option(
            metavar="P",
            min=0.0,
            max=1.0,
            rich_help_panel=_SCORES,
            help="Answer 'unknown' if the highest probability is below P.",
        ),
    ] = None
    min_similarity: Annotated[
        float | None,
        typer.Option(
            metavar="COSINE",
            min=-1.0,
            max=1.0,
            rich_help_panel=_SCORES,
            help="Answer 'unknown' if the highest cosine similarity is below COSINE.",
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
            help="Calibration of probabilities and thresholds: a file that --save-calibration of evaluate wrote. "
            "[default: the calibration in the file of --classes, if it holds one]",
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
            help="With groups that are paths, such as animal/bird: answer with a group of at most N levels.",
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
