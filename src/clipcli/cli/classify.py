"""``clipcli classify``: images in, ranked labels out."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from clipcli.cli import options
from clipcli.cli.destination import Destination, Format, check_output_name, is_folder
from clipcli.cli.engines import begin_parts, begun, into_parts, open_engine, take_all
from clipcli.cli.messages import Messages
from clipcli.errors import InputError, Interrupted, LabelError

if TYPE_CHECKING:
    from clipcli.classifier import Classifier
    from clipcli.inputs.discover import Source
    from clipcli.outputs.parts import PartedOutput
    from clipcli.outputs.resume import ResultFile
    from clipcli.outputs.writers import Layout
    from clipcli.pipeline.chunks import Engine
    from clipcli.pipeline.predictions import Result

__all__ = ["classify"]

_OUT, _SCORES = "Output", "Scores"


def classify(
    context: typer.Context,
    inputs: options.Inputs,
    labels: options.LabelsFile = None,
    label: options.ExtraLabels = None,
    template: options.Templates = None,
    prompts: options.PromptSets = None,
    text_embeddings: Annotated[
        Path | None,
        typer.Option("--text-embeddings", metavar="FILE", rich_help_panel="Labels and prompts",
                     help="Class embeddings from 'clipcli export text', in place of labels."),
    ] = None,
    model: options.ModelName = "auto",
    pretrained: options.Pretrained = None,
    device: options.Device = "auto",
    precision: options.Precision = "auto",
    engine: options.AnyEngine = "torch",
    offline: options.Offline = False,
    top_k: Annotated[
        int | None,
        typer.Option("--top-k", "-k", metavar="N", min=1, rich_help_panel=_SCORES, show_default=False,
                     help="How many labels to list. [default: 5; 1 for tsv and csv]"),
    ] = None,
    min_probability: Annotated[
        float | None,
        typer.Option(metavar="P", min=0.0, max=1.0, rich_help_panel=_SCORES,
                     help="Say 'unknown' below this probability."),
    ] = None,
    min_similarity: Annotated[
        float | None,
        typer.Option(metavar="COSINE", min=-1.0, max=1.0, rich_help_panel=_SCORES,
                     help="Say 'unknown' below this cosine similarity."),
    ] = None,
    min_margin: Annotated[
        float | None,
        typer.Option(metavar="P", min=0.0, max=1.0, rich_help_panel=_SCORES,
                     help="Say 'unknown' where the best leads the second by less probability."),
    ] = None,
    form: Annotated[
        Format | None,
        typer.Option("--format", "-f", rich_help_panel=_OUT, show_default=False,
                     help="How to write. [default: by the suffix of -o; else table on a terminal, tsv in a pipe]"),
    ] = None,
    output: Annotated[
        str | None,
        typer.Option("--output", "-o", metavar="FILE|FOLDER/|URL", rich_help_panel=_OUT,
                     help="Write here, not to stdout; into a folder (end its name with /) in parts."),
    ] = None,
    resume: options.Resume = False,
    overwrite: options.Overwrite = False,
    part_size: options.PartSize = 4096,
    show: Annotated[
        bool, typer.Option("--show", rich_help_panel=_OUT, help="Draw each photograph beside its bars, on a terminal.")
    ] = False,
    null_separated: options.NullSeparated = False,
    path_column: options.PathColumn = None,
    image_column: options.ImageColumn = None,
    exclude: options.Exclude = None,
    include_hidden: options.IncludeHidden = False,
    ray_address: options.RayAddress = None,
    ray_actors: options.RayActors = None,
    ray_gpus: options.RayGpus = None,
    batch_size: options.BatchSize = None,
    workers: options.Workers = None,
    cache_dir: options.CacheDir = None,
    no_cache: options.NoCache = False,
    cache_size: options.CacheSize = "4GB",
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:  # fmt: skip
    """Classify images among the labels you name.

    clipcli classify photo.jpg -l cat -l dog -l "a cup of coffee"

    clipcli classify holiday/ --labels labels.txt -o results.csv
    """
    messages = Messages(quiet=quiet, verbose=verbose)
    encoder_engine, cluster = options.cluster_or_none(engine, ray_address, ray_actors, ray_gpus, workers)
    check_output_name(output, resume=resume, overwrite=overwrite)
    if output is not None and not is_folder(output):
        from clipcli.storage.atomic import check_writable

        check_writable(Path(output), [*inputs, labels, text_embeddings, pretrained, *(prompts or ())])
    destination = Destination.choose(output, form, resume=resume, overwrite=overwrite)
    if show:
        from clipcli.cli.show import can_show

        show = can_show(destination.form.value, messages)
    if not all(inputs):
        raise InputError("an INPUT is empty; name an image file or a folder")
    if text_embeddings is not None and _set_by_variable(context, "labels"):
        labels = None  # what is named on the command line goes before a default
    if text_embeddings is not None and (labels or label or template or prompts):
        raise LabelError("--text-embeddings takes the place of labels and templates; leave those out")
    destination.check_earlier()
    from clipcli.classifier import Classifier
    from clipcli.inputs.discover import Source, discover, discover_units
    from clipcli.inputs.exclusion import Exclusion
    from clipcli.labels.files import load_labels
    from clipcli.scoring.zeroshot import Thresholds

    classifier = Classifier(
        model,
        None if text_embeddings is not None else load_labels(labels, label or ()),
        pretrained=pretrained, templates=template or (), prompts=prompts or (), text_embeddings=text_embeddings,
        device=device, precision=precision, engine=encoder_engine, batch_size=batch_size, workers=workers,
        top_k=top_k or (1 if destination.form in (Format.csv, Format.tsv) else 5),
        thresholds=Thresholds(min_probability, min_similarity, min_margin),
        cache=options.cache_setting(cache_dir, no_cache), cache_limit=options.bytes_in(cache_size),
        offline=offline,
    )  # fmt: skip
    exclusion = Exclusion(tuple(exclude or ()), include_hidden)
    source = Source(tuple(inputs), sys.stdin.buffer, null_separated, path_column, image_column, exclusion)
    found = begun((discover_units if destination.in_parts else discover)(source))
    _tell_text(classifier, messages)
    with open_engine(
        classifier, cluster, lambda precision: classifier.ranker(precision).results,
        lambda items, even_batches: classifier.classify(items, even_batches=even_batches),
    ) as working:  # fmt: skip
        done, failed = _Run(classifier, working, source, found, destination, messages).carry_out(part_size, show=show)
    if cluster is None:
        _tell_images(classifier, messages)
    if failed:
        messages.warn(f"{failed} of {done} images failed")
        raise typer.Exit(1)


def _set_by_variable(context: typer.Context, option: str) -> bool:
    source = context.get_parameter_source(option)
    return source is not None and source.name == "ENVIRONMENT"


def _tell_text(classifier: Classifier, messages: Messages) -> None:
    """With ``-v``, say what the labels took."""
    count, statistics = len(classifier.classes.labels), classifier.text_statistics
    if statistics is not None:
        messages.detail(f"text: {statistics.cached} prompts from the cache, {statistics.encoded} encoded")
    facts = classifier.classes.facts
    messages.detail(
        f"model: {classifier.source.title}, {count} label{'s' if count != 1 else ''}, "
        f"logit scale {facts.logit_scale:.4g}, images in {classifier.precision}"
    )


def _tell_images(classifier: Classifier, messages: Messages) -> None:
    """With ``-v``, say what the images took."""
    statistics = classifier.image_statistics
    where = f" on {classifier.ran_on}" if classifier.ran_on else ""
    where += "" if classifier.is_loaded else ", the model was not loaded"
    messages.detail(f"images: {statistics.cached} from the cache, {statistics.encoded} encoded{where}")


@dataclass(frozen=True)
class _Run:
    """One run: what is worked on, by what, and where the results go."""

    classifier: Classifier
    engine: Engine[Result]
    source: Source
    found: Iterator[Any]
    destination: Destination
    messages: Messages

    def carry_out(self, part_size: int, *, show: bool) -> tuple[int, int]:
        """Classify and write; return how many images there were and how many of them failed."""
        from clipcli.pipeline.predictions import Failure

        def failure(result: Result) -> tuple[str, str] | None:
            return (result.path, result.message) if isinstance(result, Failure) else None

        kept, written = self._written(part_size, show=show)
        if not self.destination.is_for_people():
            return take_all(written, failure, self.source, self.messages, kept)
        done = failed = 0
        for result in written:  # what they see tells of failures by itself
            done += 1
            failed += isinstance(result, Failure)
        return done, failed

    def _written(
        self, part_size: int, *, show: bool
    ) -> tuple[ResultFile | PartedOutput[Result] | None, Iterator[Result]]:
        """Return what knows of an earlier run, and the results, which are written as they are taken."""
        if self.destination.in_parts:
            output = self._parts(part_size)
            return output, into_parts(self.engine, self.found, output, part_size, self.messages.warn)
        if self.destination.output is None:
            results = self.engine.rows(self.found)
            if show:
                from clipcli.cli.show import show_results

                return None, show_results(results)
            from clipcli.outputs.writers import write_results

            return None, write_results(results, sys.stdout, self._layout())
        if self.destination.is_resumable():
            kept = self._kept()
            return kept, self._into_file(kept)
        return None, self._at_once()

    def _layout(self) -> Layout:
        from clipcli.outputs.writers import Layout

        classes = self.classifier.classes
        top_k = min(self.classifier.top_k, len(classes.labels))
        return Layout(self.destination.form.value, top_k, any(classes.groups))

    def _settings(self) -> dict[str, Any]:
        facts = self.engine.facts
        settings = self.classifier.settings(*((facts.precision, facts.fingerprint) if facts else ()))
        return settings | vars(self._layout())

    def _parts(self, part_size: int) -> PartedOutput[Result]:
        from clipcli.outputs.part_forms import result_parts

        settings, about = self._settings() | {"part size": part_size}, {"templates": self.classifier.templates}
        form, destination = result_parts(self._layout()), self.destination
        return begin_parts(
            str(destination.output), form, settings, about, resume=destination.resume, overwrite=destination.overwrite
        )

    def _kept(self) -> ResultFile:
        from clipcli.outputs.resume import ResultFile

        resume, overwrite = self.destination.resume, self.destination.overwrite
        return ResultFile(self.destination.file, self._layout(), self._settings(), resume=resume, overwrite=overwrite)

    def _at_once(self) -> Iterator[Result]:
        """Write a file that appears at the end or not at all, with the record of the run beside it."""
        from clipcli.outputs.run_record import RunRecord
        from clipcli.outputs.writers import write_results
        from clipcli.pipeline.predictions import Failure
        from clipcli.storage.atomic import replacing
        from clipcli.storage.locks import locked

        target, records, failures = self.destination.file, 0, 0
        with locked(target), replacing(target) as temporary:
            with temporary.open("w", encoding="utf-8", newline="") as opened:
                for result in write_results(self.engine.rows(self.found), opened, self._layout()):
                    records, failures = records + 1, failures + isinstance(result, Failure)
                    yield result
            if temporary != target:  # not a pipe or device
                RunRecord.sign(temporary, self._settings(), records, failures).write(target)

    def _into_file(self, kept: ResultFile) -> Iterator[Result]:
        """Write a file whose records are kept as they come, and go on with an interrupted one."""
        try:
            yield from kept.write(self.engine.rows(kept.rest(self.found), even_batches=True))
            if kept.is_complete:
                self.messages.warn(f"{self.destination.output}: complete already, nothing was left to do")
        except KeyboardInterrupt:
            raise Interrupted(f"interrupted: {kept.how_to_go_on()}") from None
