"""``clipcli train``: contrastive training and fine-tuning on one's own pairs."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from clipcli.cli import options
from clipcli.cli.messages import Messages
from clipcli.errors import ClipcliError

if TYPE_CHECKING:
    from clipcli.training.pairs import LeftOut
    from clipcli.training.request import Outcome
    from clipcli.training.validation import Validation

__all__ = ["train"]

_START, _STEPS, _DATA = "Start", "Training", "Pairs"
_SHOWN = 10  # pairs left out that are told one by one


def train(
    pairs: Annotated[
        list[str] | None,
        typer.Argument(metavar="PAIRS", show_default=False,
                       help=".csv, .tsv or .jsonl, folder of images and captions, folder of classes, or .tar shards."),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="DIR", help="The model folder to write.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace what an earlier run wrote in DIR.")] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in DIR.")] = False,
    validation: Annotated[
        str | None,
        typer.Option("--validation", metavar="SHARE|PAIRS", rich_help_panel=_DATA,
                     help="Share of the pairs to hold out, or pairs of their own; 0 for none.  [default: 0.1]"),
    ] = None,
    labels: Annotated[
        str | None,
        typer.Option("--labels", "-L", metavar="FILE", rich_help_panel=_DATA,
                     help="Label file that says what the classes of PAIRS are called."),
    ] = None,
    template: options.Templates = None,
    prompts: options.PromptSets = None,
    model: Annotated[
        str | None,
        typer.Option("--model", "-m", metavar="NAME", rich_help_panel=_START,
                     help="What to start from, as for classify.  [default: auto]"),
    ] = None,
    pretrained: Annotated[
        str | None,
        typer.Option("--pretrained", metavar="TAG|FILE", rich_help_panel=_START, help="Its weights, as for classify."),
    ] = None,
    from_scratch: Annotated[
        str | None,
        typer.Option("--from-scratch", metavar="NAME|DIR", rich_help_panel=_START,
                     help="Start with random weights: tiny, an open_clip architecture, or a folder with its config."),
    ] = None,
    lock_image: Annotated[
        bool, typer.Option("--lock-image", rich_help_panel=_START, help="Keep the image encoder as it is.")
    ] = False,
    lock_text: Annotated[
        bool, typer.Option("--lock-text", rich_help_panel=_START, help="Keep the text encoder as it is.")
    ] = False,
    unlocked_layers: Annotated[
        int | None,
        typer.Option("--unlocked-layers", metavar="N", min=0, rich_help_panel=_START,
                     help="Last layers of a locked encoder that learn all the same."),
    ] = None,
    interpolate: Annotated[
        float | None,
        typer.Option("--interpolate", metavar="SHARE", min=0.0, max=1.0, rich_help_panel=_START,
                     help="Save a mix of trained weights and the start's: 0.5 keeps more of what it could do before."),
    ] = None,
    epochs: Annotated[
        int | None,
        typer.Option("--epochs", metavar="N", min=1, rich_help_panel=_STEPS, help="Times each image is seen."),
    ] = None,
    batch_size: Annotated[
        int | None,
        typer.Option("--batch-size", metavar="N", min=2, rich_help_panel=_STEPS, help="Pairs that compete in a step."),
    ] = None,
    accumulate: Annotated[
        int | None,
        typer.Option("--accumulate", metavar="N", min=1, rich_help_panel=_STEPS,
                     help="Parts that a batch goes through the network in, to save memory."),
    ] = None,
    learning_rate: Annotated[
        float | None,
        typer.Option("--learning-rate", "--lr", metavar="RATE", min=0.0, rich_help_panel=_STEPS, help="Highest rate."),
    ] = None,
    weight_decay: Annotated[
        float | None,
        typer.Option("--weight-decay", metavar="RATE", min=0.0, rich_help_panel=_STEPS, help="As AdamW has it."),
    ] = None,
    warmup: Annotated[
        int | None, typer.Option("--warmup", metavar="N", min=0, rich_help_panel=_STEPS, help="Steps up to that rate.")
    ] = None,
    patience: Annotated[
        int | None,
        typer.Option("--patience", metavar="N", min=0, rich_help_panel=_STEPS,
                     help="Stop after so many epochs without anything better; 0 for never.  [default: 5]"),
    ] = None,
    seed: Annotated[
        int | None, typer.Option("--seed", metavar="N", min=0, rich_help_panel=_STEPS, help="Of all that is random.")
    ] = None,
    precision: Annotated[
        str | None,
        typer.Option("--precision", metavar="NAME", rich_help_panel=_STEPS, help="fp32, bf16 or fp16 (mixed)."),
    ] = None,
    save_every: Annotated[
        float, typer.Option("--save-every", metavar="SECONDS", min=1.0, rich_help_panel=_STEPS,
                            help="How often to save the state within an epoch.")
    ] = 300.0,
    device: options.Device = "auto",
    workers: Annotated[
        int | None,
        typer.Option("--workers", metavar="N", min=0, rich_help_panel=_STEPS, help="Processes that decode ahead."),
    ] = None,
    offline: options.Offline = False,
    exclude: options.Exclude = None,
    include_hidden: options.IncludeHidden = False,
    quiet: options.Quiet = False,
) -> None:  # fmt: skip
    """Train a model on your own image-text pairs.

    clipcli train pairs.csv -o my-model --model pocket

    The result is a folder that every other command takes: --model local-dir:my-model. Stop a run with Ctrl-C; the
    same command with --resume goes on with it.
    """
    messages = Messages(quiet=quiet)
    if output is None:
        raise typer.BadParameter("name the model folder to write with -o DIR")
    from clipcli.model import check_precision

    check_precision(precision or "auto")
    from clipcli.training.request import Request
    from clipcli.training.settings import Wishes
    from clipcli.training.train import join_processes
    from clipcli.training.train import train as run

    wishes = Wishes(
        epochs=epochs, batch_size=batch_size, accumulate=accumulate, learning_rate=learning_rate,
        weight_decay=weight_decay, warmup=warmup, precision=None if precision == "auto" else precision, seed=seed,
        patience=patience, interpolate=interpolate, lock_image=lock_image or None, lock_text=lock_text or None,
        unlocked_layers=unlocked_layers,
    )  # fmt: skip
    request = Request(
        pairs=tuple(pairs) if pairs else None, model=model, pretrained=pretrained, from_scratch=from_scratch,
        validation=validation, labels=labels, templates=tuple(template) if template else None,
        prompts=tuple(prompts) if prompts else None, exclude=tuple(exclude) if exclude else None,
        include_hidden=include_hidden or None,
    )  # fmt: skip
    place = join_processes(device)
    listener = _Listener(Messages(quiet=quiet or not place.is_first))
    try:
        outcome = run(request, wishes, output, place, listener, resume=resume, force=force, offline=offline,
                      workers=workers, save_every=save_every)  # fmt: skip
    except ClipcliError as problem:
        if place.is_first:
            raise
        raise typer.Exit(problem.exit_code) from None  # the first process says it
    finally:
        listener.close()
    if outcome is not None:
        _print_outcome(outcome, output, messages)
        if outcome.left_out:
            raise typer.Exit(1)


class _Listener:
    """Shows how a run goes: bars on a terminal, else a line an epoch; on stderr."""

    def __init__(self, messages: Messages) -> None:
        self._messages = messages
        self._progress: Any = None
        if not messages.quiet and sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

            columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"), TimeRemainingColumn())
            self._progress = Progress(*columns, console=Console(stderr=True, highlight=False), transient=True)
            self._task = self._progress.add_task("", total=None)
            self._progress.start()

    def close(self) -> None:
        """Take the bar away."""
        if self._progress is not None:
            self._progress.stop()

    def warn(self, text: str) -> None:
        """Say a warning."""
        self._messages.warn(text)

    def left_out(self, rows: Sequence[LeftOut]) -> None:
        """Say which pairs cannot be used: the first of them."""
        for row in rows[:_SHOWN]:
            (self._messages.warn if row.used else self._messages.error)(str(row))
        if len(rows) > _SHOWN:
            self._messages.warn(f"{len(rows) - _SHOWN} more pairs like these; all are in training/left_out.jsonl")

    def checking(self, items: Iterable[Any], count: int) -> Iterator[Any]:
        """Show how far the images are checked."""
        for done, item in enumerate(items, start=1):
            self._show("checking the images", done, count)
            yield item

    def begin(self, record: Mapping[str, Any], done: int) -> None:
        """Say what the run begins with."""
        settings = record["settings"]
        how = "from scratch" if record["from_scratch"] else "from its weights"
        self._say(f"{record['model']}, {how}: {record['train']} images to train on, {record['validation']} held out")
        self._say(", ".join(f"{name.replace('_', ' ')} {value}" for name, value in settings.items() if value))
        if done:
            self._say(f"going on after step {done}")

    def step(self, row: Mapping[str, Any], steps: int) -> None:
        """Show the loss of a step."""
        self._show(
            f"epoch {row['epoch']}  loss {row['loss']:.3f}  {row['pairs_per_second']:.0f} pairs/s", row["step"], steps
        )

    def epoch(self, epoch: int, epochs: int, validation: Validation | None, best: bool) -> None:
        """Say what was measured after an epoch."""
        if validation is not None:
            name = f"epoch {epoch}/{epochs}" if epoch else "start"
            self._say(f"{name:>12}  {_measures(validation.as_json)}{'  *' if best and epoch else ''}")

    def _say(self, text: str) -> None:
        if not self._messages.quiet:
            from clipcli.textfiles import one_line

            if self._progress is not None:
                self._progress.console.print(one_line(text), markup=False, soft_wrap=True)
            else:
                typer.echo(one_line(text), err=True)

    def _show(self, text: str, done: int, total: int) -> None:
        if self._progress is not None:
            self._progress.update(self._task, description=text, completed=done, total=total)


def _measures(values: Mapping[str, float]) -> str:
    texts = [
        f"loss {values['loss']:.3f}",
        f"image→text {values['image_recall_1']:.1%}/{values['image_recall_5']:.1%}",
        f"text→image {values['text_recall_1']:.1%}/{values['text_recall_5']:.1%}",
    ]
    return "  ".join([*texts, *([f"accuracy {values['accuracy']:.1%}"] if "accuracy" in values else [])])


def _print_outcome(outcome: Outcome, output: Path, messages: Messages) -> None:
    """Say what was saved, on stderr, and where, on stdout."""
    if not messages.quiet:
        for name, values in outcome.measures:
            typer.echo(f"{name:>16}  {_measures(values)}", err=True)
        if outcome.measures and not outcome.best_epoch:
            messages.warn("no epoch was better than the start, whose weights are saved")
    typer.echo(f"local-dir:{output}")
