"""``clipcli train``: contrastive training and fine-tuning on the user's image-text pairs."""

from __future__ import annotations

import shlex
import sys
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from clipcli.cli import options
from clipcli.cli.exit_codes import SOME_FAILED
from clipcli.cli.messages import Messages
from clipcli.cli.training_progress import TrainingProgress, measures_line
from clipcli.errors import ClipcliError

if TYPE_CHECKING:
    from clipcli.training.request import Outcome, Place, Request
    from clipcli.training.settings import TrainConfig

__all__ = ["train"]

_FEW = 200  # held-out images; at 80 % accuracy, their 95 % interval is 11 points wide
_START, _STEPS, _DATA, _OUT = "Initial model", "Training", "Pairs", "Output"


def train(
    context: typer.Context,
    pairs: Annotated[
        list[str] | None,
        typer.Argument(metavar="PAIRS", show_default=False,
                       help="Image-text pairs: .csv, .tsv or .jsonl tables, a folder of images and captions, a "
                            "folder with one folder per class, or .tar shards. Can be left out with --resume."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="DIR", rich_help_panel=_OUT, help="Model folder to write. [required]"),
    ] = None,
    resume: options.Resume = False,
    overwrite: options.Overwrite = False,
    validation: Annotated[
        str | None,
        typer.Option("--validation", metavar="SHARE|PAIRS", rich_help_panel=_DATA,
                     help="Share of PAIRS to hold out for validation (0 for none), or separate pairs for validation. "
                          "[default: 0.1]"),
    ] = None,
    labels: Annotated[
        str | None,
        typer.Option("--labels", "-L", metavar="FILE", rich_help_panel="Labels and prompts",
                     help="Label file for the classes in PAIRS. [default: the class names]"),
    ] = None,
    template: Annotated[
        list[str] | None,
        typer.Option("--template", "-t", metavar="TEXT", rich_help_panel="Labels and prompts",
                     help="Prompt template with {label} in place of the class; repeat for several captions per class. "
                          "[default: a photo of a/an {label}]"),
    ] = None,
    prompts: options.PromptSets = None,
    model: Annotated[
        str | None,
        typer.Option("--model", "-m", metavar="NAME", rich_help_panel=_START, envvar="CLIPCLI_MODEL",
                     help="Model to start from: auto, pocket (built in), an open_clip name (see 'clipcli models "
                          "list'), hf-hub:ORG/REPO or local-dir:PATH. [default: auto]"),
    ] = None,
    pretrained: Annotated[
        str | None,
        typer.Option("--pretrained", metavar="TAG|FILE", rich_help_panel=_START, envvar="CLIPCLI_PRETRAINED",
                     help="Weights of that model: a tag, or a checkpoint file. [default: the recommended tag]"),
    ] = None,
    from_scratch: Annotated[
        str | None,
        typer.Option("--from-scratch", metavar="NAME|DIR", rich_help_panel=_START,
                     help="Architecture to start with random weights: tiny, an open_clip name, or a folder with a "
                          "config."),
    ] = None,
    lock_image: Annotated[
        bool, typer.Option("--lock-image", rich_help_panel=_START, help="Freeze the image encoder.")
    ] = False,
    lock_text: Annotated[
        bool, typer.Option("--lock-text", rich_help_panel=_START, help="Freeze the text encoder.")
    ] = False,
    unlocked_layers: Annotated[
        int | None,
        typer.Option("--unlocked-layers", metavar="N", min=0, rich_help_panel=_START,
                     help="Train the last N layers of a frozen encoder. [default: 0]"),
    ] = None,
    interpolate: Annotated[
        float | None,
        typer.Option("--interpolate", metavar="SHARE", min=0.0, max=1.0, rich_help_panel=_START,
                     help="Interpolate between the initial (0) and fine-tuned (1) weights (WiSE-FT). [default: 1]"),
    ] = None,
    epochs: Annotated[
        int | None,
        typer.Option("--epochs", metavar="N", min=1, rich_help_panel=_STEPS,
                     help="Number of epochs. [default: 3 to 20, depending on the number of pairs]"),
    ] = None,
    batch_size: Annotated[
        int | None,
        typer.Option("--batch-size", metavar="N", min=2, rich_help_panel=_STEPS,
                     help="Pairs per step; each is contrasted with all others. [default: 256 on a GPU, 32 or 128 on "
                          "a CPU]"),
    ] = None,
    accumulate: Annotated[
        int | None,
        typer.Option("--accumulate", metavar="N", min=1, rich_help_panel=_STEPS,
                     help="Process each batch in N parts, to save memory. [default: 1]"),
    ] = None,
    learning_rate: Annotated[
        float | None,
        typer.Option("--learning-rate", "--lr", metavar="RATE", min=0.0, rich_help_panel=_STEPS,
                     help="Peak learning rate. [default: depends on the model and its initial weights]"),
    ] = None,
    weight_decay: Annotated[
        float | None,
        typer.Option("--weight-decay", metavar="RATE", min=0.0, rich_help_panel=_STEPS,
                     help="Weight decay of AdamW. [default: 0.1, or 0.2 with --from-scratch]"),
    ] = None,
    warmup: Annotated[
        int | None, typer.Option("--warmup", metavar="N", min=0, rich_help_panel=_STEPS,
                                 help="Number of warm-up steps. [default: a tenth of all steps, but at most 2000]")
    ] = None,
    patience: Annotated[
        int | None,
        typer.Option("--patience", metavar="N", min=0, rich_help_panel=_STEPS,
                     help="Stop after N epochs without improvement; 0 to train all epochs. [default: 5]"),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option("--seed", metavar="N", min=0, rich_help_panel=_STEPS, help="Random seed. [default: 0]"),
    ] = None,
    precision: Annotated[
        str | None,
        typer.Option("--precision", metavar="NAME", rich_help_panel=_STEPS,
                     help="Precision: fp32 (also auto), or bf16 or fp16 for mixed precision. [default: auto]"),
    ] = None,
    save_every: Annotated[
        float, typer.Option("--save-every", metavar="SECONDS", min=1.0, rich_help_panel=_STEPS,
                            help="Seconds between checkpoints within an epoch.")
    ] = 300.0,
    device: options.Device = "auto",
    workers: Annotated[
        int | None,
        typer.Option("--workers", metavar="N", min=0, rich_help_panel=_STEPS,
                     help="Number of decoding processes; 0 to decode in the training process. [default: 1, or up "
                          "to 8 with CUDA]"),
    ] = None,
    offline: options.Offline = False,
    exclude: options.Exclude = None,
    include_hidden: options.IncludeHidden = False,
    quiet: options.Quiet = False,
) -> None:  # fmt: skip
    """Train a model on your own image-text pairs.

    clipcli train pairs.csv -o my-model --model pocket

    The result is a model folder, which the other commands load with '--model local-dir:my-model'. To stop a run, press
    Ctrl-C; to continue it, add --resume to the same command.
    """
    messages = Messages(quiet=quiet)
    if output is None:
        raise typer.BadParameter("cannot train: no model folder to write (name it with -o DIR)")
    from clipcli.models.devices import check_precision

    check_precision(precision or "auto")
    from clipcli.training.request import Request
    from clipcli.training.settings import TrainConfig

    config = TrainConfig(
        epochs=epochs, batch_size=batch_size, accumulate=accumulate, learning_rate=learning_rate,
        weight_decay=weight_decay, warmup=warmup, precision=None if precision == "auto" else precision, seed=seed,
        patience=patience, interpolate=interpolate, lock_image=lock_image or None, lock_text=lock_text or None,
        unlocked_layers=unlocked_layers,
    )  # fmt: skip
    if resume or from_scratch is not None:  # a default for new runs must not contradict these
        model, pretrained = (
            None if _is_from_variable(context, name) else value
            for name, value in (("model", model), ("pretrained", pretrained))
        )
    request = Request(
        pairs=tuple(pairs) if pairs else None, model=model, pretrained=pretrained, from_scratch=from_scratch,
        validation=validation, labels=labels, templates=tuple(template) if template else None,
        prompts=tuple(prompts) if prompts else None, exclude=tuple(exclude) if exclude else None,
        include_hidden=include_hidden or None,
    )  # fmt: skip
    how = _How(
        output, device, resume=resume, overwrite=overwrite, offline=offline, workers=workers, save_every=save_every
    )
    ended = _run(request, config, how, messages)
    if ended is not None:
        outcome, is_new = ended
        _print_outcome(outcome, output, messages, is_new=is_new)
        if outcome.left_out:
            raise typer.Exit(SOME_FAILED)


def _is_from_variable(context: typer.Context, option: str) -> bool:
    source = context.get_parameter_source(option)
    return source is not None and source.name == "ENVIRONMENT"


@dataclass(frozen=True)
class _How:
    """Settings of a run that do not change the trained weights."""

    output: Path
    device: str
    resume: bool
    overwrite: bool
    offline: bool
    workers: int | None
    save_every: float


def _run(request: Request, config: TrainConfig, how: _How, messages: Messages) -> tuple[Outcome, bool] | None:
    """Check everything that needs no torch, then train.

    Returns
    -------
    The outcome and whether it is that of this run, not of an earlier one; ``None`` except in the first process.
    """
    from clipcli.training.job import check_job, has_companions
    from clipcli.training.request import Outcome
    from clipcli.training.run_folder import TrainingFolder

    # joined first: a process that failed before it joined would leave the others waiting
    place = _join(how.device) if has_companions() else None
    is_first = place is None or place.is_first
    listener = TrainingProgress(Messages(quiet=messages.quiet or not is_first))
    folder = TrainingFolder(how.output)
    try:
        with folder.claimed(resume=how.resume, overwrite=how.overwrite) if is_first else nullcontext():
            job = check_job(request, config, folder, resume=how.resume, offline=how.offline, device=how.device)
            if isinstance(job, Outcome):
                return (job, False) if is_first else None
            from clipcli.training.train import train as run

            outcome = run(job, place or _join(how.device), listener, workers=how.workers, save_every=how.save_every)
            return (outcome, True) if outcome is not None else None
    except ClipcliError as problem:
        if is_first:
            raise
        raise typer.Exit(problem.exit_code) from None  # the first process prints the message
    finally:
        listener.close()


def _join(device: str) -> Place:
    from clipcli.training.train import join_processes

    return join_processes(device)


def _print_outcome(outcome: Outcome, output: Path, messages: Messages, *, is_new: bool) -> None:
    """Print the outcome on stderr, with the command that uses the model, and the model's name on stdout."""
    if not is_new:  # the measures of a run are printed while it lasts
        messages.warn(f"{output}: already complete, nothing to do")
        for name, values in outcome.measures:
            messages.note(f"{name:>16}  {measures_line(values)}")
    if outcome.measures and not outcome.best_epoch:
        messages.warn("no epoch improved on the initial weights, which are saved")
    elif len(outcome.measures) > 1:
        (_, before), (name, after) = outcome.measures[0], outcome.measures[-1]
        measure, form = ("accuracy", ".1%") if "accuracy" in before else ("loss", ".3f")
        messages.note(
            f"{name} is saved: {measure} {after[measure]:{form}}, before training {before[measure]:{form}}, "
            f"on {outcome.held_out} held-out images"
        )
        if outcome.best_epoch and outcome.held_out < _FEW:
            messages.note(
                "so few images give a rough figure, and the epoch was chosen on them; for a reliable one, use clipcli "
                "evaluate with other images"
            )
    model = f"local-dir:{output}"
    messages.note(f"next: clipcli classify IMAGES --labels FILE --model {shlex.quote(model)}")
    if not sys.stdout.isatty():  # for programs; people have read it in the line before
        typer.echo(model)
