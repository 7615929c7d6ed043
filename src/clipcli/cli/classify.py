"""``clipcli classify``: images in, ranked labels out."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from clipcli.cli import cluster_options, options
from clipcli.cli.engines import on_cluster
from clipcli.cli.groups import with_groups
from clipcli.cli.messages import Messages
from clipcli.errors import InputError, LabelError, OutputError
from clipcli.outputs.destination import Destination, Format, check_compact

if TYPE_CHECKING:
    from clipcli.classifier import Classifier
    from clipcli.distributed.cluster import RayOptions
    from clipcli.inputs.discover import Source
    from clipcli.outputs.output import Output
    from clipcli.pipeline.predictions import Result
    from clipcli.runner import Outcome

__all__ = ["classify"]

_OUT, _SCORES = "Output", "Scores"


@with_groups
def classify(
    *,
    context: typer.Context,
    inputs: options.Inputs,
    labels: options.LabelsFile = None,
    label: options.ExtraLabels = None,
    template: options.Templates = None,
    prompts: options.PromptSets = None,
    text_embeddings: Annotated[
        Path | None,
        typer.Option("--text-embeddings", metavar="FILE", rich_help_panel="Labels and prompts",
                     help="Class embeddings written by 'clipcli export text', instead of labels."),
    ] = None,
    model: options.ModelName = "auto",
    pretrained: options.Pretrained = None,
    device: options.Device = "auto",
    precision: options.Precision = "auto",
    engine: options.AnyEngine = "torch",
    offline: options.Offline = False,
    top_k: Annotated[
        int,
        typer.Option("--top-k", "-k", metavar="N", min=1, rich_help_panel=_SCORES, help="Number of labels to list."),
    ] = 5,
    min_probability: Annotated[
        float | None,
        typer.Option(metavar="P", min=0.0, max=1.0, rich_help_panel=_SCORES,
                     help="Answer 'unknown' if the best probability is below P."),
    ] = None,
    min_similarity: Annotated[
        float | None,
        typer.Option(metavar="COSINE", min=-1.0, max=1.0, rich_help_panel=_SCORES,
                     help="Answer 'unknown' if the best cosine similarity is below COSINE."),
    ] = None,
    min_margin: Annotated[
        float | None,
        typer.Option(metavar="P", min=0.0, max=1.0, rich_help_panel=_SCORES,
                     help="Answer 'unknown' if the two best probabilities differ by less than P."),
    ] = None,
    form: Annotated[
        Format | None,
        typer.Option("--format", "-f", rich_help_panel=_OUT, show_default=False,
                     help="Output format. [default: by the extension of -o, else table on a terminal, tsv in a pipe]"),
    ] = None,
    output: Annotated[
        str | None,
        typer.Option("--output", "-o", metavar="FILE|FOLDER/|URL", rich_help_panel=_OUT,
                     help="Output file instead of stdout, or a folder (name ends with /) that is written in parts."),
    ] = None,
    compact: Annotated[
        bool,
        typer.Option("--compact", rich_help_panel=_OUT,
                     help="Leave out similarities and the model, to read csv, tsv or parquet in a spreadsheet."),
    ] = False,
    resume: options.Resume = False,
    overwrite: options.Overwrite = False,
    part_size: options.PartSize = 4096,
    show: Annotated[
        bool, typer.Option("--show", rich_help_panel=_OUT, help="Display each image next to its scores, on a terminal.")
    ] = False,
    reading: options.Reading,
    ray_address: cluster_options.RayAddress = None,
    ray_actors: cluster_options.RayActors = None,
    ray_gpus: cluster_options.RayGpus = None,
    running: options.Running,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:  # fmt: skip
    """Classify images with the labels you give.

    clipcli classify photo.jpg -l cat -l dog -l "a cup of coffee"

    clipcli classify holiday/ --labels labels.txt -o results.csv
    """
    messages = Messages(quiet=quiet, verbose=verbose)
    encoder_engine, cluster = cluster_options.cluster_or_none(
        engine, ray_address, ray_actors, ray_gpus, running.workers
    )
    if not all(inputs):
        raise InputError("an INPUT is empty; name an image file or a folder")
    target = _Target.choose(
        output, form.value if form else None, [*inputs, labels, text_embeddings, pretrained, *(prompts or ())],
        resume=resume, overwrite=overwrite, part_size=part_size, compact=compact, show=show, messages=messages,
    )  # fmt: skip
    if text_embeddings is not None and _set_by_variable(context, "labels"):
        labels = None  # what is named on the command line goes before a default
    if text_embeddings is not None and (labels or label or template or prompts):
        raise LabelError("--text-embeddings takes the place of labels and templates; leave those out")
    from clipcli.classifier import Classifier
    from clipcli.labels.files import load_labels
    from clipcli.scoring.thresholds import Thresholds

    classifier = Classifier(
        model,
        None if text_embeddings is not None else load_labels(labels, label or ()),
        pretrained=pretrained, templates=template or (), prompts=prompts or (), text_embeddings=text_embeddings,
        device=device, precision=precision, engine=encoder_engine, **running.model_options,
        top_k=top_k,
        thresholds=Thresholds(min_probability, min_similarity, min_margin),
        offline=offline,
    )  # fmt: skip
    source = reading.source(inputs)
    outcome = _run(classifier, source, cluster, target, messages)
    if not cluster:
        _tell_images(classifier, messages)
    from clipcli.cli.reporter import end

    end(outcome, messages)


def _set_by_variable(context: typer.Context, option: str) -> bool:
    source = context.get_parameter_source(option)
    return source is not None and source.name == "ENVIRONMENT"


def _run(
    classifier: Classifier, source: Source, cluster: RayOptions | None, target: _Target, messages: Messages
) -> Outcome:
    from clipcli.cli.reporter import PlainReporter, TerminalReporter
    from clipcli.runner import run

    kind = PlainReporter if target.is_for_people else TerminalReporter
    reporter = kind(messages, lambda: _tell_text(classifier, messages))
    engine = on_cluster(classifier, cluster, lambda precision: classifier.ranker(precision).results)
    return run(classifier.task(source, engine), target.output(classifier), reporter)


@dataclass(frozen=True)
class _Target:
    """The destination of results, ``None`` for standard output, and the format."""

    destination: Destination | None
    form: str
    compact: bool
    show: bool

    @classmethod
    def choose(
        cls, output: str | None, form: str | None, inputs: list[Any], *, resume: bool, overwrite: bool,
        part_size: int, compact: bool, show: bool, messages: Messages,
    ) -> _Target:  # fmt: skip
        if output is not None:
            destination = Destination.for_results(
                output, form, inputs=inputs, resume=resume, overwrite=overwrite, part_size=part_size,
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

    @property
    def is_for_people(self) -> bool:
        """Whether tables go to a terminal, which show failures by themselves."""
        return self.destination is None and self.form == Format.table.value and sys.stdout.isatty()

    def output(self, classifier: Classifier) -> Output[Result]:
        if self.destination is not None:
            return classifier.result_output(self.destination)
        from clipcli.outputs.output import stream_output

        if self.show:
            from clipcli.cli.show import show_results

            return stream_output(show_results)
        from clipcli.outputs.text_formats import write_results

        layout = partial(classifier.layout, self.form, compact=self.compact)
        return stream_output(lambda results: write_results(results, sys.stdout, layout()))


def _can_show(form: str, messages: Messages) -> bool:
    from clipcli.cli.show import can_show

    return can_show(form, messages)


def _tell_text(classifier: Classifier, messages: Messages) -> None:
    """With ``-v``, print statistics of the labels."""
    count, statistics = len(classifier.classes.labels), classifier.text_statistics
    if statistics is not None:
        messages.detail(f"text: {statistics.cached} prompts from the cache, {statistics.encoded} encoded")
    facts = classifier.classes.facts
    messages.detail(
        f"model: {classifier.source.title}, {count} label{'s' if count != 1 else ''}, "
        f"logit scale {facts.logit_scale:.4g}, images in {classifier.precision}"
    )


def _tell_images(classifier: Classifier, messages: Messages) -> None:
    """With ``-v``, print statistics of the images."""
    statistics = classifier.image_statistics
    where = f" on {classifier.ran_on}" if classifier.ran_on else ""
    where += "" if classifier.is_loaded else ", the model was not loaded"
    messages.detail(f"images: {statistics.cached} from the cache, {statistics.encoded} encoded{where}")
