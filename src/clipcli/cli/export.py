"""``clipcli export``: write embeddings to files."""

from __future__ import annotations

from dataclasses import replace
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from clipcli.cli import cluster_options, options
from clipcli.cli.engines import on_cluster
from clipcli.cli.groups import with_groups
from clipcli.cli.messages import Messages
from clipcli.outputs.destination import Destination

__all__ = ["app"]

app = typer.Typer(help="Write embeddings to files.", no_args_is_help=True, rich_markup_mode=None)


OutputFile = Annotated[
    Path,
    typer.Option(
        "--output", "-o", metavar="FILE", rich_help_panel="Output", show_default=False,
        help="Output file: .npy, .npz, .safetensors, .parquet, .csv, .jsonl or .json.",
    ),
]  # fmt: skip


@app.callback()
def _group() -> None:
    pass


@app.command("text")
@with_groups
def export_text(
    *,
    output: OutputFile,
    overwrite: options.Overwrite = False,
    labels: options.Labels,
    model: options.ModelName = "auto",
    pretrained: options.Pretrained = None,
    device: options.Device = "auto",
    offline: options.Offline = False,
    cache_dir: options.CacheDir = None,
    no_cache: options.NoCache = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:  # fmt: skip
    """Write the embeddings of labels to a file.

    The file also holds the labels, the prompts, the model and its logit scale.

    clipcli export text --labels labels.txt -o labels.safetensors

    A .safetensors or .json file can take the place of labels:

    clipcli classify photo.jpg --classes labels.safetensors
    """
    messages = Messages(quiet=quiet, verbose=verbose)
    from clipcli.classifier import Classifier
    from clipcli.outputs.class_embeddings import check_suffix, files_of, save_class_embeddings
    from clipcli.outputs.own_files import check_output
    from clipcli.storage.locks import locked

    check_suffix(output)
    for file in files_of(output):
        check_output(file, [*labels.files, pretrained], overwrite=overwrite)
    classifier = Classifier(
        model, labels.load(), pretrained=pretrained, **labels.prompt_parameters, device=device,
        cache=options.cache_setting(cache_dir, no_cache), offline=offline,
    )  # fmt: skip
    with locked(output):
        classes = classifier.classes
        save_class_embeddings(classes, output, overwrite=overwrite)
    if classifier.text_statistics is not None:
        statistics = classifier.text_statistics
        messages.detail(f"text: {statistics.cached} prompts from the cache, {statistics.encoded} encoded")
    messages.detail(f"wrote {len(classes.labels)} class embeddings of {classes.facts.dim} numbers to {output}")


class Dtype(str, Enum):
    """The numbers' precision in the file; the names of :data:`clipcli.outputs.image_rows.DTYPES`."""

    float32 = "float32"
    float16 = "float16"


class PartFormat(str, Enum):
    """The format of the parts of a folder; the names of :data:`clipcli.outputs.part_forms.PART_SUFFIXES`."""

    parquet = "parquet"
    jsonl = "jsonl"


@app.command("images")
@with_groups
def export_images(
    *,
    output: Annotated[
        str,
        typer.Option(
            "--output", "-o", metavar="FILE|DIR/|URL", rich_help_panel="Output", show_default=False,
            help="Output file: .npy, .npz, .safetensors, .parquet, .csv or .jsonl; or a folder (ends with /) or URL, "
                 "written in parts.",
        ),
    ],
    dtype: Annotated[
        Dtype, typer.Option("--dtype", rich_help_panel="Output", help="Data type of the embeddings.")
    ] = Dtype.float32,
    form: Annotated[
        PartFormat | None,
        typer.Option("--format", "-f", rich_help_panel="Output", show_default=False,
                     help="Format of the parts, for output that is written in parts. [default: parquet if it is "
                          "installed (clipcli[parquet]), else jsonl]"),
    ] = None,
    resume: options.Resume = False,
    update: options.Update = False,
    drop_missing: options.DropMissing = False,
    overwrite: options.Overwrite = False,
    part_size: options.PartSize = 4096,
    model: options.ModelOnCluster,
    reading: options.Reading,
    ray: cluster_options.Cluster,
    running: options.RunningOnCluster,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:  # fmt: skip
    """Write the embeddings of images to a file or folder.

    clipcli export images photos/ -o photos.npy --dtype float16
    """
    messages = Messages(quiet=quiet, verbose=verbose)
    cluster = ray.chosen(model.engine, running.workers)
    destination = Destination.for_embeddings(
        output, form.value if form else None, inputs=[*reading.files, model.pretrained], resume=resume, update=update,
        overwrite=overwrite, part_size=part_size,
    )  # fmt: skip
    destination = replace(destination, drop_missing=drop_missing)
    from clipcli.cli.reporter import TerminalReporter, end
    from clipcli.embedder import Embedder
    from clipcli.outputs.image_rows import image_rows
    from clipcli.runner import run

    source = reading.source()
    embedder = Embedder(**model.parameters, **running.parameters)
    task = embedder.embedding_task(source, on_cluster(embedder, cluster, lambda _: image_rows))
    encoded = None if cluster or source.embedded else lambda: embedder.image_statistics.encoded
    reporter = TerminalReporter(messages, model=embedder.source.title, encoded=encoded)
    with reporter.shown():
        outcome = run(task, embedder.embedding_output(destination, dtype.value), reporter)
    messages.detail(f"wrote {outcome.records - outcome.failures} image embeddings to {output}")
    end(outcome, messages)
