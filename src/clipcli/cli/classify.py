"""``clipcli classify``: images in, ranked labels out."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from clipcli.cli import cluster_options, options, server_options
from clipcli.cli.engines import on_cluster
from clipcli.cli.groups import with_groups
from clipcli.cli.messages import Messages
from clipcli.errors import InputError, OutputError
from clipcli.outputs.destination import Destination, Format, check_compact

if TYPE_CHECKING:
    from clipcli.classifier import Classifier
    from clipcli.distributed.cluster import RayOptions
    from clipcli.inputs.discover import Source
    from clipcli.outputs.output import Output
    from clipcli.pipeline.predictions import Result
    from clipcli.runner import Outcome, Task
    from clipcli.serving.remote import RemoteClassifier

__all__ = ["classify"]

_OUT = "Output"


@with_groups
def classify(
    *,
    context: typer.Context,
    labels: options.Labels,
    classes: options.ClassesFile = None,
    model: options.ModelOnCluster,
    scores: options.Scores,
    form: Annotated[
        Format | None,
        typer.Option("--format", "-f", rich_help_panel=_OUT, show_default=False,
                     help="Output format. [default: by the extension of -o; without -o, table on a terminal, else "
                          "tsv]"),
    ] = None,
    output: Annotated[
        str | None,
        typer.Option("--output", "-o", metavar="FILE|DIR/|URL", rich_help_panel=_OUT,
                     help="Output file instead of stdout; or a folder (ends with /) or URL, written in parts."),
    ] = None,
    compact: Annotated[
        bool,
        typer.Option("--compact", rich_help_panel=_OUT,
                     help="Leave out the columns of similarities and of the model; for csv, tsv and parquet."),
    ] = False,
    resume: options.Resume = False,
    update: options.Update = False,
    drop_missing: options.DropMissing = False,
    overwrite: options.Overwrite = False,
    part_size: options.PartSize = 4096,
    show: Annotated[
        bool,
        typer.Option("--show", rich_help_panel=_OUT, help="Display each image next to its scores in the terminal."),
    ] = False,
    server: server_options.Server,
    reading: options.Reading,
    ray: cluster_options.Cluster,
    running: options.RunningOnCluster,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:  # fmt: skip
    """Classify images with the labels you give.

    Give labels with --label, --labels or --classes.

    clipcli classify photo.jpg -l cat -l dog -l "a cup of coffee"

    clipcli classify holiday/ --labels labels.txt -o results.csv
    """
    messages = Messages(quiet=quiet, verbose=verbose)
    cluster = ray.chosen(model.engine, running.workers)
    if not all(reading.inputs or ()):
        raise InputError("an INPUT is empty; name an image file or a folder")
    target = _Target.choose(
        output, form.value if form else None,
        [*reading.files, *labels.files, classes, scores.calibration, model.pretrained],
        resume=resume, update=update, overwrite=overwrite, part_size=part_size, compact=compact, show=show,
        messages=messages,
    ).dropping(missing=drop_missing)  # fmt: skip
    if server.server:
        return _run_on_server(server.classifier(labels, model, scores), reading.source(), target, messages)
    if classes is not None:
        labels.check_unused(context)
    from clipcli.classifier import Classifier
    from clipcli.cli.reporter import end

    source = reading.source()
    classifier = Classifier(
        labels=None if classes is not None else labels.load(), classes=classes,
        **scores.parameters, **labels.prompt_parameters, **model.parameters, **running.parameters,
    )  # fmt: skip
    outcome = _run(classifier, source, cluster, target, messages)
    if not cluster and source.embedded is None:
        _tell_images(classifier, messages)
    end(outcome, messages)
    return None


def _run_on_server(classifier: RemoteClassifier, source: Source, target: _Target, messages: Messages) -> None:
    """Let a server do the work; it says what is wrong with labels and options before an image is read."""
    from clipcli.cli.reporter import end

    outcome = _followed(
        classifier.task(source), target.output(classifier), target, messages, classifier.begin, "the server"
    )
    messages.detail(f"images: {classifier.sent} sent to {classifier.url}")
    end(outcome, messages)


def _run(
    classifier: Classifier, source: Source, cluster: RayOptions | None, target: _Target, messages: Messages
) -> Outcome:
    engine = on_cluster(classifier, cluster, lambda precision: classifier.ranker(precision).results)
    task, output = classifier.task(source, engine), target.output(classifier)
    given = classifier.given.facts(source)

    def begin() -> None:
        _tell_text(classifier, messages, given.precision if given else None)

    encoded = None if cluster or given else lambda: classifier.image_statistics.encoded
    return _followed(task, output, target, messages, begin, classifier.source.title, encoded)


def _followed(
    task: Task[Result], output: Output[Result], target: _Target, messages: Messages, begin: Callable[[], None],
    model: str, encoded: Callable[[], int] | None = None,
) -> Outcome:  # fmt: skip
    """Do the work and report its progress."""
    from clipcli.cli.reporter import PlainReporter, TerminalReporter
    from clipcli.runner import run

    if target.is_for_people:
        return run(task, output, PlainReporter(messages, begin))
    reporter = TerminalReporter(messages, begin, model=model, work="classifying", encoded=encoded)
    with reporter.shown():
        outcome = run(task, output, reporter)
    reporter.sum_up(target.next_command)
    return outcome


@dataclass(frozen=True)
class _Target:
    """The destination of results, ``None`` for standard output, and the format."""

    destination: Destination | None
    form: str
    compact: bool
    show: bool

    @classmethod
    def choose(
        cls, output: str | None, form: str | None, inputs: list[Any], *, resume: bool, update: bool, overwrite: bool,
        part_size: int, compact: bool, show: bool, messages: Messages,
    ) -> _Target:  # fmt: skip
        if output is not None:
            destination = Destination.for_results(
                output, form, inputs=inputs, resume=resume, update=update, overwrite=overwrite, part_size=part_size,
                compact=compact,
            )  # fmt: skip
            return cls(destination, destination.form, compact, show and _can_show(destination.form, messages))
        if resume and overwrite:
            raise OutputError("cannot use --resume with --overwrite (leave one out)")
        if resume:
            raise OutputError("cannot use --resume without an output file (name it with -o FILE)")
        if form == Format.parquet.value:
            from clipcli.extras import pyarrow_or_error

            pyarrow_or_error()
            raise OutputError("cannot write Parquet to stdout: it needs a file (name one with -o FILE)")
        form = form or (Format.table if sys.stdout.isatty() else Format.tsv).value
        check_compact(form, compact=compact)
        return cls(None, form, compact, show and _can_show(form, messages))

    def dropping(self, *, missing: bool) -> _Target:
        """Return the same, where the records of files that were deleted are removed or not."""
        if self.destination is None:
            return self
        return replace(self, destination=replace(self.destination, drop_missing=missing))

    @property
    def is_for_people(self) -> bool:
        """Whether tables go to a terminal, which show failures by themselves."""
        return self.destination is None and self.form == Format.table.value and sys.stdout.isatty()

    @property
    def next_command(self) -> str | None:
        """The command that shows the results, if they are on disk."""
        if self.destination is None or "://" in self.destination.output:
            return None
        results = self.destination.output
        page = Path(results.rstrip("/")).with_suffix(".html")
        return f"clipcli report {shlex.quote(results)} -o {shlex.quote(str(page))}"

    def output(self, classifier: Classifier | RemoteClassifier) -> Output[Result]:
        if self.destination is not None:
            return classifier.result_output(self.destination)
        from clipcli.outputs.output import stream_output

        if self.show:
            from clipcli.cli.show import show_results

            return stream_output(show_results)
        from clipcli.outputs.text_formats import write_results

        def write(results: Iterator[Result]) -> Iterator[Result]:
            return write_results(results, sys.stdout, replace(classifier.layout(self.form), compact=self.compact))

        return stream_output(write)


def _can_show(form: str, messages: Messages) -> bool:
    from clipcli.cli.show import can_show

    return can_show(form, messages)


def _tell_text(classifier: Classifier, messages: Messages, given: str | None) -> None:
    """With ``-v``, print statistics of the labels."""
    count, statistics = len(classifier.classes.labels), classifier.text_statistics
    if statistics is not None:
        messages.detail(f"text: {statistics.cached} prompts from the cache, {statistics.encoded} encoded")
    messages.detail(
        f"model: {classifier.source.title}, {count} label{'s' if count != 1 else ''}, "
        f"logit scale {classifier.classes.logit_scale:.4g}, images in {given or classifier.precision}"
    )


def _tell_images(classifier: Classifier, messages: Messages) -> None:
    """With ``-v``, print statistics of the images."""
    statistics = classifier.image_statistics
    where = f" on {classifier.ran_on}" if classifier.ran_on else ""
    where += "" if classifier.is_loaded else ", the model was not loaded"
    messages.detail(f"images: {statistics.cached} from the cache, {statistics.encoded} encoded{where}")
