"""``clipcli export``: embeddings out of the cache and into files."""

from __future__ import annotations

import sys
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from clipcli.cli import options
from clipcli.cli.messages import Messages
from clipcli.cli.progress import with_progress

__all__ = ["app"]

app = typer.Typer(help="Write embeddings to files.", no_args_is_help=True, rich_markup_mode=None)


OutputFile = Annotated[
    Path,
    typer.Option(
        "--output", "-o", metavar="FILE", show_default=False,
        help="Where to: .npy, .npz, .safetensors, .parquet, .csv or .jsonl.",
    ),
]  # fmt: skip


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
    from clipcli.export import check_suffix, save_class_embeddings
    from clipcli.files import check_writable
    from clipcli.labels import load_labels

    check_suffix(output)
    check_writable(output, [labels, pretrained, *(prompts or ())])
    classifier = Classifier(
        model, load_labels(labels, label or ()), pretrained=pretrained, templates=template or (), prompts=prompts or (),
        device=device, cache=options.cache_setting(cache_dir, no_cache), offline=offline, warn=messages.warn,
    )  # fmt: skip
    classes = classifier.classes
    save_class_embeddings(classes, output)
    if classifier.text_statistics is not None:
        statistics = classifier.text_statistics
        messages.detail(f"text: {statistics.cached} prompts from the cache, {statistics.encoded} encoded")
    messages.detail(f"wrote {len(classes.labels)} class embeddings of {classes.facts.dim} numbers to {output}")


class Dtype(str, Enum):
    """The numbers' precision in the file; the names of :data:`clipcli.export_images.DTYPES`."""

    float32 = "float32"
    float16 = "float16"


@app.command("images")
def export_images(
    inputs: options.Inputs,
    output: OutputFile,
    dtype: Annotated[Dtype, typer.Option("--dtype", help="Numbers of four bytes or of two.")] = Dtype.float32,
    model: options.ModelName = "auto",
    pretrained: options.Pretrained = None,
    device: options.Device = "auto",
    precision: options.Precision = "auto",
    engine: options.Engine = "torch",
    offline: options.Offline = False,
    null_separated: options.NullSeparated = False,
    path_column: options.PathColumn = None,
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
    from clipcli.errors import ImageError
    from clipcli.export import check_suffix
    from clipcli.export_images import ImageRow, write_image_embeddings
    from clipcli.files import check_writable
    from clipcli.inputs import Source, count_files, discover
    from clipcli.items import name_of
    from clipcli.records import printable

    check_suffix(output)
    check_writable(output, [*inputs, pretrained])
    embedder = Embedder(
        model, pretrained=pretrained, device=device, precision=precision, engine=engine,
        batch_size=batch_size, workers=workers, cache=options.cache_setting(cache_dir, no_cache),
        cache_limit=options.bytes_in(cache_size), offline=offline, warn=messages.warn,
    )  # fmt: skip
    source = Source(tuple(inputs), sys.stdin.buffer, null_separated, path_column)
    blocks = embedder.embed(discover(source, messages.warn))
    rows = (ImageRow(name_of(item), vector) for block in blocks for item, vector in block)
    written = write_image_embeddings(rows, output, embedder.facts(), embedder.image_fingerprint(), dtype.value)
    done = failed = 0
    for row in with_progress(written, lambda: count_files(source), messages):
        done += 1
        if isinstance(row.vector, ImageError):
            failed += 1
            messages.error(f"{printable(row.path)}: {row.vector}")
    messages.detail(f"wrote {done - failed} image embeddings to {output}")
    if failed:
        messages.warn(f"{failed} of {done} images failed")
        raise typer.Exit(1)
