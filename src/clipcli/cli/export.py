"""``clipcli export``: embeddings out of the cache and into files."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from clipcli.cli import options
from clipcli.cli.destination import check_output_name, is_folder
from clipcli.cli.engines import begin_parts, begun, into_parts, open_engine, take_all
from clipcli.cli.messages import Messages
from clipcli.errors import ImageError, OutputError

if TYPE_CHECKING:
    from clipcli.cache.embeddings import ModelFacts
    from clipcli.embedder import Embedder
    from clipcli.inputs.discover import Input, Source
    from clipcli.outputs.image_embeddings import ImageRow
    from clipcli.outputs.parts import PartedOutput
    from clipcli.pipeline.chunks import Engine

__all__ = ["app"]

app = typer.Typer(help="Write embeddings to files.", no_args_is_help=True, rich_markup_mode=None)


OutputFile = Annotated[
    Path,
    typer.Option(
        "--output", "-o", metavar="FILE", show_default=False,
        help="Where to: .npy, .npz, .safetensors, .parquet, .csv or .jsonl.",
    ),
]  # fmt: skip


_Resume = Annotated[
    bool,
    typer.Option(
        "--resume", rich_help_panel="Output",
        help="Continue an interrupted run into a folder; single files are written whole or not at all.",
    ),
]  # fmt: skip
_Overwrite = Annotated[
    bool, typer.Option("--overwrite", rich_help_panel="Output", help="Replace an earlier run into a folder.")
]


@app.callback()
def _group() -> None:
    pass


@app.command("text")
def export_text(
    output: OutputFile,
    labels: options.LabelsFile = None,
    label: options.ExtraLabels = None,
    template: options.Templates = None,
    prompts: options.PromptSets = None,
    model: options.ModelName = "auto",
    pretrained: options.Pretrained = None,
    device: options.Device = "auto",
    offline: options.Offline = False,
    cache_dir: options.CacheDir = None,
    no_cache: options.NoCache = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:  # fmt: skip
    """Write the class embeddings of labels.

    Beside the vectors the file holds labels, prompts, the model and its logit scale.

    clipcli export text --labels labels.txt -o labels.safetensors

    The file can stand in for the labels: clipcli classify photo.jpg --text-embeddings labels.safetensors
    """
    messages = Messages(quiet=quiet, verbose=verbose)
    from clipcli.classifier import Classifier
    from clipcli.labels.files import load_labels
    from clipcli.outputs.class_embeddings import check_suffix, save_class_embeddings
    from clipcli.storage.atomic import check_writable
    from clipcli.storage.locks import locked

    check_suffix(output)
    check_writable(output, [labels, pretrained, *(prompts or ())])
    classifier = Classifier(
        model, load_labels(labels, label or ()), pretrained=pretrained, templates=template or (), prompts=prompts or (),
        device=device, cache=options.cache_setting(cache_dir, no_cache), offline=offline,
    )  # fmt: skip
    with locked(output):
        classes = classifier.classes
        save_class_embeddings(classes, output)
    if classifier.text_statistics is not None:
        statistics = classifier.text_statistics
        messages.detail(f"text: {statistics.cached} prompts from the cache, {statistics.encoded} encoded")
    messages.detail(f"wrote {len(classes.labels)} class embeddings of {classes.facts.dim} numbers to {output}")


class Dtype(str, Enum):
    """The numbers' precision in the file; the names of :data:`clipcli.outputs.image_embeddings.DTYPES`."""

    float32 = "float32"
    float16 = "float16"


class PartFormat(str, Enum):
    """The form of the parts of a folder; the names of :data:`clipcli.outputs.part_forms.PART_SUFFIXES`."""

    parquet = "parquet"
    jsonl = "jsonl"


@app.command("images")
def export_images(
    inputs: options.Inputs,
    output: Annotated[
        str,
        typer.Option(
            "--output", "-o", metavar="FILE|FOLDER/|URL", show_default=False,
            help="Where to: .npy, .npz, .safetensors, .parquet, .csv or .jsonl; or a folder (end its name with /).",
        ),
    ],
    dtype: Annotated[Dtype, typer.Option("--dtype", help="Numbers of four bytes or of two.")] = Dtype.float32,
    form: Annotated[
        PartFormat | None,
        typer.Option("--format", "-f", help="The parts of a folder. [default: parquet]", show_default=False),
    ] = None,
    resume: _Resume = False,
    overwrite: _Overwrite = False,
    part_size: options.PartSize = 4096,
    model: options.ModelName = "auto",
    pretrained: options.Pretrained = None,
    device: options.Device = "auto",
    precision: options.Precision = "auto",
    engine: options.AnyEngine = "torch",
    offline: options.Offline = False,
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
    """Write the embeddings of images, with their paths beside them.

    clipcli export images photos/ -o photos.npy --dtype float16
    """
    messages = Messages(quiet=quiet, verbose=verbose)
    from clipcli.embedder import Embedder
    from clipcli.inputs.discover import Source
    from clipcli.inputs.exclusion import Exclusion
    from clipcli.outputs.image_embeddings import image_rows
    from clipcli.storage.locks import locked

    encoder_engine, cluster = options.cluster_or_none(engine, ray_address, ray_actors, ray_gpus, workers)
    check_output_name(output, resume=resume, overwrite=overwrite)
    suffix = _check_output(output, form, [*inputs, pretrained], resume=resume, overwrite=overwrite)
    embedder = Embedder(
        model, pretrained=pretrained, device=device, precision=precision, engine=encoder_engine,
        batch_size=batch_size, workers=workers, cache=options.cache_setting(cache_dir, no_cache),
        cache_limit=options.bytes_in(cache_size), offline=offline,
    )  # fmt: skip
    exclusion = Exclusion(tuple(exclude or ()), include_hidden)
    source = Source(tuple(inputs), sys.stdin.buffer, null_separated, path_column, image_column, exclusion)
    with (
        locked(None if suffix else Path(output)),
        open_engine(
            embedder, cluster, lambda _: image_rows, lambda items, even: _rows(embedder, items, even)
        ) as working,
    ):
        run = _Run(embedder, working, source, output, dtype.value, messages)
        rows, kept = run.into_folder(suffix, part_size, resume, overwrite) if suffix else (run.into_file(), None)
        done, failed = take_all(rows, _failure, source, messages, kept)
    messages.detail(f"wrote {done - failed} image embeddings to {output}")
    if failed:
        messages.warn(f"{failed} of {done} images failed")
        raise typer.Exit(1)


def _check_output(
    output: str, form: PartFormat | None, inputs: Sequence[str | None], *, resume: bool, overwrite: bool
) -> str | None:
    """Return the form of the parts where it is a folder; ``None`` where it is a file that can be written."""
    from clipcli.outputs.class_embeddings import check_suffix
    from clipcli.outputs.part_forms import check_part_suffix
    from clipcli.outputs.parts import check_folder
    from clipcli.storage.atomic import check_writable, is_special
    from clipcli.storage.folders import folder_at

    if is_folder(output):
        suffix = check_part_suffix(output, form.value if form else None)
        check_folder(folder_at(output), resume=resume, overwrite=overwrite)
        return suffix
    check_suffix(Path(output))
    check_writable(Path(output), inputs)
    suffix = Path(output).suffix.lower()
    if is_special(Path(output)) and suffix not in (".csv", ".jsonl"):
        raise OutputError(f"cannot write {output}: {suffix} needs a file, not a pipe or device (use .csv or .jsonl)")
    return None


def _rows(embedder: Embedder, items: Iterable[Input], even_batches: bool) -> Iterator[ImageRow]:
    from clipcli.outputs.image_embeddings import image_rows

    for block in embedder.embed(items, even_batches=even_batches):
        yield from image_rows(block)


@dataclass(frozen=True)
class _Run:
    """One run of ``export images``."""

    embedder: Embedder
    engine: Engine[ImageRow]
    source: Source
    output: str
    dtype: str
    messages: Messages

    def into_file(self) -> Iterator[ImageRow]:
        """Write one file, as its suffix says."""
        from clipcli.inputs.discover import discover
        from clipcli.outputs.image_embeddings import write_image_embeddings

        items = begun(discover(self.source))
        facts, fingerprint = self._model()
        rows = self.engine.rows(items)
        return write_image_embeddings(rows, Path(self.output), facts, fingerprint, self.dtype)

    def into_folder(
        self, suffix: str, size: int, resume: bool, overwrite: bool
    ) -> tuple[Iterator[ImageRow], PartedOutput[ImageRow]]:
        """Write parts."""
        from clipcli.inputs.discover import discover_units
        from clipcli.outputs.image_embeddings import EmbeddingKind
        from clipcli.outputs.part_forms import embedding_parts

        units = begun(discover_units(self.source))
        facts, fingerprint = self._model()
        kind = EmbeddingKind.of(facts, fingerprint, self.dtype)
        settings = {**kind.metadata(), "part size": size, "batch size": self.embedder.batch_size}
        kept = begin_parts(self.output, embedding_parts(suffix, kind), settings, {}, resume=resume, overwrite=overwrite)
        return into_parts(self.engine, units, kept, size, self.messages.warn), kept

    def _model(self) -> tuple[ModelFacts, str]:
        elsewhere = self.engine.facts
        fingerprint = elsewhere.fingerprint if elsewhere else self.embedder.image_fingerprint()
        return self.embedder.facts(), fingerprint


def _failure(row: ImageRow) -> tuple[str, str] | None:
    return (row.path, str(row.vector)) if isinstance(row.vector, ImageError) else None
