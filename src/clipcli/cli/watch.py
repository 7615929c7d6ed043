"""``clipcli watch``: classify images as they arrive in a folder."""

from __future__ import annotations

from contextlib import ExitStack
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from clipcli.cli import options
from clipcli.cli.groups import with_groups
from clipcli.cli.messages import Messages
from clipcli.errors import InputError, OutputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clipcli.classifier import Classifier
    from clipcli.inputs.exclusion import Exclusion
    from clipcli.pipeline.predictions import Result
    from clipcli.watching.watch import Action

__all__ = ["watch"]

_OUT = "Output"


class SortAction(str, Enum):
    """The actions of ``sort``."""

    copy = "copy"
    link = "link"
    move = "move"


@with_groups
def watch(
    *,
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", show_default=False, help="Folder to watch, with all folders in it.")
    ],
    output: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="FILE", rich_help_panel=_OUT, show_default=False,
                     help="Results file that records are added to: .jsonl, .csv or .tsv."),
    ],
    sort: Annotated[
        Path | None,
        typer.Option("--sort", metavar="DIR", rich_help_panel=_OUT, show_default=False,
                     help="Also sort each image into the folder of its label in DIR."),
    ] = None,
    sort_action: Annotated[
        SortAction, typer.Option("--sort-action", rich_help_panel=_OUT, help="Copy, link or move the sorted images.")
    ] = SortAction.copy,
    tag: Annotated[
        bool, typer.Option("--tag", rich_help_panel=_OUT, help="Also write the labels into the sidecars of the images.")
    ] = False,
    prefix: Annotated[
        str,
        typer.Option("--prefix", metavar="TEXT", rich_help_panel=_OUT, show_default=False,
                     help="Text before each keyword, as for 'clipcli tag'."),
    ] = "",
    settle: Annotated[
        float,
        typer.Option("--settle", metavar="SECONDS", min=0.1, max=3600.0, rich_help_panel="Inputs",
                     help="Time without a change after which a file is complete."),
    ] = 1.0,
    labels: options.Labels,
    classes: options.ClassesFile = None,
    model: options.Model,
    scores: options.Scores,
    exclude: options.Exclude = None,
    include_hidden: options.IncludeHidden = False,
    running: options.Running,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:  # fmt: skip
    """Classify images as they arrive in a folder.

    Each image gets one record when its file is complete. Ctrl-C or SIGTERM ends the command, and a restart continues
    where the last run ended.

    clipcli watch inbox --labels labels.txt -o results.jsonl

    clipcli watch inbox --labels labels.txt -o results.csv --sort sorted
    """
    messages = Messages(quiet=quiet, verbose=verbose)
    form = _check(folder, output, messages)
    if sort is not None and sort_action is SortAction.move and (tag or scores.tags):
        reason = "sidecars are not moved" if tag else "an image can have several labels"
        raise InputError(
            f"cannot use {'--tag' if tag else '--tags'} with --sort-action move: {reason} (use copy or link)"
        )
    from clipcli.classifier import Classifier

    classifier = Classifier(
        labels=None if classes is not None else labels.load(), classes=classes,
        **scores.parameters, **labels.prompt_parameters, **model.parameters, **running.parameters,
    )  # fmt: skip
    from clipcli.inputs.exclusion import Exclusion

    exclusion = Exclusion(tuple(exclude or ()), include_hidden)
    with ExitStack() as held:
        from clipcli.storage.locks import locked

        held.enter_context(locked(output))
        actions = _actions(classifier, output, sort, sort_action, prefix if tag else None, held)
        _follow(classifier, folder, output, form, exclusion, actions, settle, messages)


def _check(folder: Path, output: Path, messages: Messages) -> str:
    """Check the names of the folder and of the results file; return the format."""
    from clipcli.storage.atomic import is_special
    from clipcli.watching.growing import GROWING

    form = output.suffix.lower().lstrip(".")
    if form not in GROWING:
        raise OutputError(f"cannot watch into {output}: records are added to a .jsonl, .csv or .tsv file (name one)")
    if is_special(output):
        raise OutputError(f"cannot watch into {output}: it is a pipe or device (name a regular file)")
    if not folder.is_dir():
        kind = "a file, not a folder" if folder.exists() else "no such folder"
        raise InputError(f"cannot watch {folder}: {kind} (check the name)")
    messages.detail(f"watching {folder}")
    return form


def _actions(
    classifier: Classifier, output: Path, sort: Path | None, sort_action: SortAction, prefix: str | None,
    held: ExitStack,
) -> list[Action]:  # fmt: skip
    """Return what is done with each record; with logs that stay open."""
    from clipcli.watching.actions import sorting_into, tagging

    actions: list[Action] = []
    if prefix is not None:
        from clipcli.storage.locks import locked
        from clipcli.tagging.keywords import KeywordRules
        from clipcli.tagging.log import log_of, open_log
        from clipcli.tagging.xmp import lxml_or_error

        lxml_or_error()
        groups = dict(zip(classifier.classes.labels, classifier.classes.groups, strict=True))
        held.enter_context(locked(log_of(output)))
        actions.append(tagging(KeywordRules(prefix, group_of=groups.get), held.enter_context(open_log(output))))
    if sort is not None:
        actions.append(sorting_into(sort, sort_action.value))
    return actions


class _Lines:
    """Prints one line per event."""

    def __init__(self, messages: Messages) -> None:
        self._messages = messages

    def recorded(self, result: Result) -> None:
        from clipcli.pipeline.predictions import Failure
        from clipcli.text import printable

        name = printable(result.path)
        if isinstance(result, Failure):
            self._messages.error(f"{name}: {result.message}")
            return
        answer = result.label if result.labels is None else ", ".join(each.label for each in result.labels)
        self.acted(f"classified: {name}: {answer or 'no label'} ({result.probability:.1%})")

    def acted(self, line: str) -> None:
        from clipcli.text import one_line

        self._messages.note(one_line(line))


def _follow(
    classifier: Classifier, folder: Path, output: Path, form: str, exclusion: Exclusion, actions: Sequence[Action],
    settle: float, messages: Messages,
) -> None:  # fmt: skip
    from clipcli.outputs.on_disk import with_layout
    from clipcli.watching.growing import GrowingFile
    from clipcli.watching.watch import Watch, wake_ups

    wakes = wake_ups(str(folder), settle / 2)
    layout = classifier.layout(form)
    results = GrowingFile(output, layout, with_layout(classifier.settings(), layout))
    watching = Watch(str(folder), exclusion, results, classifier.classify, actions, _Lines(messages), settle)
    try:
        with results.opened():
            messages.note(f"watching {folder}; {len(results.names):,} images have records in {output}")
            watching.catch_up(output)
            watching.follow(wakes)
    except KeyboardInterrupt:
        messages.note(f"stopped; {len(results.names):,} images have records in {output}")
