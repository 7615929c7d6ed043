"""``clipcli train``: contrastive training and fine-tuning on the user's image-text pairs."""

from __future__ import annotations

import shlex
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from clipcli.cli import options
from clipcli.cli.exit_codes import SOME_FAILED
from clipcli.cli.groups import with_groups
from clipcli.cli.messages import Messages
from clipcli.cli.parameter_source import is_from_variable
from clipcli.cli.training_options import Data, Running, Start, Steps
from clipcli.cli.training_progress import TrainingProgress, measures_line
from clipcli.errors import ClipcliError

if TYPE_CHECKING:
    from clipcli.training.request import Outcome, Place, Request
    from clipcli.training.settings import TrainConfig

__all__ = ["train"]

_FEW = 200  # held-out images; at 80 % accuracy, their 95 % interval is 11 points wide


@with_groups
def train(
    *,
    context: typer.Context,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="DIR", rich_help_panel="Output", help="Model folder to write. [required]"
        ),
    ] = None,
    data: Data,
    start: Start,
    steps: Steps,
    running: Running,
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

    check_precision(steps.precision or "auto")
    from clipcli.training.request import Request
    from clipcli.training.settings import TrainConfig

    model, pretrained = start.model, start.pretrained
    if running.resume or start.from_scratch is not None:  # a default for new runs must not contradict these
        model = None if is_from_variable(context, "model") else model
        pretrained = None if is_from_variable(context, "pretrained") else pretrained
    request = Request(model=model, pretrained=pretrained, from_scratch=start.from_scratch, **data.parameters)
    ended = _run(request, TrainConfig(**start.settings, **steps.settings), output, running, messages)
    if ended is not None:
        outcome, is_new = ended
        _print_outcome(outcome, output, messages, is_new=is_new)
        if outcome.left_out:
            raise typer.Exit(SOME_FAILED)


def _run(
    request: Request, config: TrainConfig, output: Path, running: Running, messages: Messages
) -> tuple[Outcome, bool] | None:
    """Check everything that needs no torch, then train.

    Returns
    -------
    The outcome and whether it is that of this run, not of an earlier one; ``None`` except in the first process.
    """
    from clipcli.training.job import check_job, has_companions
    from clipcli.training.request import Outcome
    from clipcli.training.run_folder import TrainingFolder

    # joined first: a process that failed before it joined would leave the others waiting
    place = _join(running.device) if has_companions() else None
    is_first = place is None or place.is_first
    listener = TrainingProgress(Messages(quiet=messages.quiet or not is_first))
    folder = TrainingFolder(output)
    try:
        with folder.claimed(resume=running.resume, overwrite=running.overwrite) if is_first else nullcontext():
            job = check_job(
                request, config, folder, resume=running.resume, offline=running.offline, device=running.device
            )
            if isinstance(job, Outcome):
                return (job, False) if is_first else None
            from clipcli.training.train import train as run

            place = place or _join(running.device)
            outcome = run(job, place, listener, workers=running.workers, save_every=running.save_every)
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
