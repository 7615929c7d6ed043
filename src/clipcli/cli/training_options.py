"""The options of ``clipcli train``, in groups; see :mod:`clipcli.cli.groups`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import typer

from clipcli.cli import options

__all__ = ["Data", "Running", "Start", "Steps"]

_START, _STEPS, _DATA = "Initial model", "Training", "Pairs"


@dataclass(frozen=True)
class Data:
    """The pairs and their captions."""

    pairs: Annotated[
        list[str] | None,
        typer.Argument(metavar="PAIRS", show_default=False,
                       help="Image-text pairs: .csv, .tsv or .jsonl tables, a folder of images and captions, "
                            "a folder with one folder per class, or .tar shards."),
    ] = None  # fmt: skip
    validation: Annotated[
        str | None,
        typer.Option("--validation", metavar="SHARE|PAIRS", rich_help_panel=_DATA,
                     help="Share of the pairs to hold out for validation, or separate validation pairs; 0 for none. "
                          "[default: 0.1]"),
    ] = None  # fmt: skip
    labels: Annotated[
        str | None,
        typer.Option("--labels", "-L", metavar="FILE", rich_help_panel=_DATA,
                     help="Label file with the names of the classes in PAIRS."),
    ] = None  # fmt: skip
    template: options.Templates = None
    prompts: options.PromptSets = None
    exclude: options.Exclude = None
    include_hidden: options.IncludeHidden = False

    @property
    def parameters(self) -> dict[str, Any]:
        """The parameters of :class:`clipcli.training.request.Request` that they stand for; ``None`` if not given."""
        return {
            "pairs": _tuple(self.pairs), "validation": self.validation, "labels": self.labels,
            "templates": _tuple(self.template), "prompts": _tuple(self.prompts), "exclude": _tuple(self.exclude),
            "include_hidden": self.include_hidden or None,
        }  # fmt: skip


@dataclass(frozen=True)
class Start:
    """The initial weights, and what of them is not trained."""

    model: Annotated[
        str | None,
        typer.Option("--model", "-m", metavar="NAME", rich_help_panel=_START, envvar="CLIPCLI_MODEL",
                     help="Model to start from: auto, pocket, an open_clip name, hf-hub:ORG/REPO or local-dir:PATH. "
                          "[default: auto]"),
    ] = None  # fmt: skip
    pretrained: Annotated[
        str | None,
        typer.Option("--pretrained", metavar="TAG|FILE", rich_help_panel=_START, envvar="CLIPCLI_PRETRAINED",
                     help="Its weights: a tag, or a checkpoint file."),
    ] = None  # fmt: skip
    from_scratch: Annotated[
        str | None,
        typer.Option("--from-scratch", metavar="NAME|DIR", rich_help_panel=_START,
                     help="Start with random weights: tiny, an open_clip architecture, or a folder with a config."),
    ] = None  # fmt: skip
    lock_image: Annotated[
        bool, typer.Option("--lock-image", rich_help_panel=_START, help="Freeze the image encoder.")
    ] = False  # fmt: skip
    lock_text: Annotated[
        bool, typer.Option("--lock-text", rich_help_panel=_START, help="Freeze the text encoder.")
    ] = False  # fmt: skip
    unlocked_layers: Annotated[
        int | None,
        typer.Option("--unlocked-layers", metavar="N", min=0, rich_help_panel=_START,
                     help="Do not freeze the last N layers of a frozen encoder."),
    ] = None  # fmt: skip
    interpolate: Annotated[
        float | None,
        typer.Option("--interpolate", metavar="SHARE", min=0.0, max=1.0, rich_help_panel=_START,
                     help="Interpolate between the initial (0) and fine-tuned (1) weights (WiSE-FT)."),
    ] = None  # fmt: skip

    @property
    def settings(self) -> dict[str, Any]:
        """The parameters of :class:`clipcli.training.settings.TrainConfig` that they stand for."""
        return {
            "lock_image": self.lock_image or None, "lock_text": self.lock_text or None,
            "unlocked_layers": self.unlocked_layers, "interpolate": self.interpolate,
        }  # fmt: skip


@dataclass(frozen=True)
class Steps:
    """The steps of the optimiser."""

    epochs: Annotated[
        int | None,
        typer.Option("--epochs", metavar="N", min=1, rich_help_panel=_STEPS, help="Number of epochs."),
    ] = None  # fmt: skip
    batch_size: Annotated[
        int | None,
        typer.Option("--batch-size", metavar="N", min=2, rich_help_panel=_STEPS,
                     help="Pairs per step; each is contrasted with all others."),
    ] = None  # fmt: skip
    accumulate: Annotated[
        int | None,
        typer.Option("--accumulate", metavar="N", min=1, rich_help_panel=_STEPS,
                     help="Process each batch in N parts, to save memory."),
    ] = None  # fmt: skip
    learning_rate: Annotated[
        float | None,
        typer.Option("--learning-rate", "--lr", metavar="RATE", min=0.0, rich_help_panel=_STEPS,
                     help="Peak learning rate."),
    ] = None  # fmt: skip
    weight_decay: Annotated[
        float | None,
        typer.Option("--weight-decay", metavar="RATE", min=0.0, rich_help_panel=_STEPS, help="Weight decay of AdamW."),
    ] = None  # fmt: skip
    warmup: Annotated[
        int | None, typer.Option("--warmup", metavar="N", min=0, rich_help_panel=_STEPS, help="Warm-up steps.")
    ] = None  # fmt: skip
    patience: Annotated[
        int | None,
        typer.Option("--patience", metavar="N", min=0, rich_help_panel=_STEPS,
                     help="Stop after N epochs without improvement; 0 for never. [default: 5]"),
    ] = None  # fmt: skip
    seed: Annotated[
        int | None, typer.Option("--seed", metavar="N", min=0, rich_help_panel=_STEPS, help="Random seed.")
    ] = None  # fmt: skip
    precision: Annotated[
        str | None,
        typer.Option("--precision", metavar="NAME", rich_help_panel=_STEPS,
                     help="Precision: auto, fp32, bf16 or fp16 (mixed)."),
    ] = None  # fmt: skip

    @property
    def settings(self) -> dict[str, Any]:
        """The parameters of :class:`clipcli.training.settings.TrainConfig` that they stand for."""
        return {**vars(self), "precision": None if self.precision == "auto" else self.precision}


@dataclass(frozen=True)
class Running:
    """The settings of a run that do not change the trained weights."""

    resume: options.Resume = False
    overwrite: options.Overwrite = False
    save_every: Annotated[
        float, typer.Option("--save-every", metavar="SECONDS", min=1.0, rich_help_panel=_STEPS,
                            help="Interval between checkpoints within an epoch.")
    ] = 300.0  # fmt: skip
    device: options.Device = "auto"
    workers: Annotated[
        int | None,
        typer.Option("--workers", metavar="N", min=0, rich_help_panel=_STEPS, help="Number of decoding processes."),
    ] = None  # fmt: skip
    offline: options.Offline = False


def _tuple(values: list[str] | None) -> tuple[str, ...] | None:
    return tuple(values) if values else None
