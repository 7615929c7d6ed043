"""The options of ``clipcli train``, in groups; see :mod:`clipcli.cli.groups`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import typer

from clipcli.cli import options

__all__ = ["Data", "Running", "Start", "Steps"]

_START, _STEPS, _DATA, _LABELS = "Initial model", "Training", "Pairs", "Labels and prompts"


@dataclass(frozen=True)
class Data:
    """The pairs and their captions."""

    pairs: Annotated[
        list[str] | None,
        typer.Argument(metavar="PAIRS", show_default=False,
                       help="Image-text pairs: .csv, .tsv or .jsonl tables with the columns 'path' and 'caption' "
                            "(or 'label'), a folder of images and captions (x.jpg and x.txt), a folder with one folder "
                            "per class, or .tar shards. Can be left out with --resume."),
    ] = None  # fmt: skip
    validation: Annotated[
        str | None,
        typer.Option("--validation", metavar="SHARE|PAIRS", rich_help_panel=_DATA,
                     help="Share of PAIRS to hold out for validation (0 for none), or separate pairs for validation. "
                          "[default: 0.1]"),
    ] = None  # fmt: skip
    labels: Annotated[
        str | None,
        typer.Option("--labels", "-L", metavar="FILE", rich_help_panel=_LABELS,
                     help="Label file for the classes in PAIRS. [default: the class names]"),
    ] = None  # fmt: skip
    template: Annotated[
        list[str] | None,
        typer.Option("--template", "-t", metavar="TEXT", rich_help_panel=_LABELS,
                     help="Prompt template with {label} in place of the class; repeat for several captions per class. "
                          "[default: a photo of a/an {label}]"),
    ] = None  # fmt: skip
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
                     help="Model to start from: auto, pocket (built in), an open_clip name (see 'clipcli models "
                          "list'), hf-hub:ORG/REPO or local-dir:PATH. [default: auto]"),
    ] = None  # fmt: skip
    pretrained: Annotated[
        str | None,
        typer.Option("--pretrained", metavar="TAG|FILE", rich_help_panel=_START, envvar="CLIPCLI_PRETRAINED",
                     help="Weights of that model: a tag, or a checkpoint file. [default: the recommended tag]"),
    ] = None  # fmt: skip
    from_scratch: Annotated[
        str | None,
        typer.Option("--from-scratch", metavar="NAME|DIR", rich_help_panel=_START,
                     help="Architecture to start with random weights: tiny, an open_clip name, or a folder with an "
                          "open_clip_config.json."),
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
                     help="Train the last N layers of a frozen encoder. [default: 0]"),
    ] = None  # fmt: skip
    interpolate: Annotated[
        float | None,
        typer.Option("--interpolate", metavar="SHARE", min=0.0, max=1.0, rich_help_panel=_START,
                     help="Interpolate between the initial (0) and fine-tuned (1) weights (WiSE-FT). [default: 1]"),
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
        typer.Option("--epochs", metavar="N", min=1, rich_help_panel=_STEPS,
                     help="Number of epochs. [default: 3 to 20, depending on the number of pairs]"),
    ] = None  # fmt: skip
    batch_size: Annotated[
        int | None,
        typer.Option("--batch-size", metavar="N", min=2, rich_help_panel=_STEPS,
                     help="Pairs per step; each is contrasted with all others. [default: 256 on a GPU, 32 or 128 on "
                          "a CPU]"),
    ] = None  # fmt: skip
    accumulate: Annotated[
        int | None,
        typer.Option("--accumulate", metavar="N", min=1, rich_help_panel=_STEPS,
                     help="Split each batch into N parts, one after the other, to save memory. [default: 1]"),
    ] = None  # fmt: skip
    learning_rate: Annotated[
        float | None,
        typer.Option("--learning-rate", "--lr", metavar="RATE", min=0.0, rich_help_panel=_STEPS,
                     help="Peak learning rate. [default: depends on the model and its initial weights]"),
    ] = None  # fmt: skip
    weight_decay: Annotated[
        float | None,
        typer.Option("--weight-decay", metavar="RATE", min=0.0, rich_help_panel=_STEPS,
                     help="Weight decay of AdamW. [default: 0.1, or 0.2 with --from-scratch]"),
    ] = None  # fmt: skip
    warmup: Annotated[
        int | None, typer.Option("--warmup", metavar="N", min=0, rich_help_panel=_STEPS,
                                 help="Number of warm-up steps. [default: a tenth of all steps, but at most 2000]")
    ] = None  # fmt: skip
    patience: Annotated[
        int | None,
        typer.Option("--patience", metavar="N", min=0, rich_help_panel=_STEPS,
                     help="Stop after N epochs without improvement; 0 to train all epochs. [default: 5]"),
    ] = None  # fmt: skip
    seed: Annotated[
        int | None,
        typer.Option("--seed", metavar="N", min=0, rich_help_panel=_STEPS, help="Random seed. [default: 0]"),
    ] = None  # fmt: skip
    precision: Annotated[
        str | None,
        typer.Option("--precision", metavar="NAME", rich_help_panel=_STEPS,
                     help="Precision: fp32 (also auto), or bf16 or fp16 for mixed precision. [default: auto]"),
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
                            help="Seconds between checkpoints within an epoch.")
    ] = 300.0  # fmt: skip
    device: options.Device = "auto"
    workers: Annotated[
        int | None,
        typer.Option("--workers", metavar="N", min=0, rich_help_panel=_STEPS,
                     help="Number of decoding processes; 0 to decode in the training process. [default: 1, or up "
                          "to 8 with CUDA]"),
    ] = None  # fmt: skip
    offline: options.Offline = False


def _tuple(values: list[str] | None) -> tuple[str, ...] | None:
    return tuple(values) if values else None
