"""``clipcli export``: write embeddings and annotation tasks to files."""

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

app = typer.Typer(help="Write embeddings and annotation tasks to files.", no_args_is_help=True, rich_markup_mode=None)


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


class Tool(str, Enum):
    """The annotation tools."""

    label_studio = "label-studio"


@app.command("annotations")
def export_annotations(
    results: Annotated[
        Path,
        typer.Argument(metavar="RESULTS", show_default=False,
                       help="Results of 'clipcli classify': a .jsonl, .json, .csv, .tsv or .parquet file, or a "
                            "folder of parts."),
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", show_default=False, help="Output file: .json.")
    ],
    tool: Annotated[Tool, typer.Option("--to", help="Annotation tool that reads the file.")] = Tool.label_studio,
    prefix: Annotated[
        str,
        typer.Option("--url-prefix", metavar="URL", help="Text before each path, which makes it the URL of the image."),
    ] = "/data/local-files/?d=",
    config: Annotated[
        Path | None,
        typer.Option("--config", metavar="FILE", show_default=False,
                     help="Also write the labelling configuration of the project to this .xml file."),
    ] = None,
    checked: options.Checked = None,
    overwrite: options.Overwrite = False,
    quiet: options.Quiet = False,
) -> None:  # fmt: skip
    """Write results as tasks of Label Studio.

    Each image is a task with its labels as a prediction to check. The labels that people choose there come back:
    export the project as JSON, and give that file to 'clipcli sort', 'tag' or 'report' (--checked), or to 'clipcli
    evaluate'.

    clipcli export annotations results.csv -o tasks.json
    """
    from clipcli.cli.sort import read_through, tell_unused
    from clipcli.errors import OutputError
    from clipcli.outputs.corrections import corrected, read_corrections
    from clipcli.outputs.label_studio import task_of, tasks_as_json
    from clipcli.outputs.own_files import check_output
    from clipcli.outputs.readers import read_results
    from clipcli.storage.atomic import replacing

    messages = Messages(quiet=quiet)
    if output.suffix.lower() != ".json":
        raise OutputError(f"cannot write {output}: tasks of {tool.value} are a .json file (name one)")
    for written in filter(None, (output, config)):
        check_output(written, [results, *([checked] if checked else [])], overwrite=overwrite)
    corrections = read_corrections(checked)
    read_through(results, corrections, "label", Path())  # no image is opened
    tell_unused(corrections, checked, messages)
    tasks = (task_of(record, prefix) for record in corrected(read_results(results), corrections))
    with replacing(output, overwrite=overwrite) as temporary, temporary.open("w", encoding="utf-8") as file:
        file.writelines(tasks_as_json(task for task in tasks if task is not None))
    if config is not None:
        _write_config(results, config, overwrite=overwrite)


def _write_config(results: Path, config: Path, *, overwrite: bool) -> None:
    from clipcli.outputs.label_studio import config_for
    from clipcli.outputs.readers import read_results
    from clipcli.outputs.recognition import labels_of_run
    from clipcli.scoring.thresholds import UNKNOWN
    from clipcli.storage.atomic import replacing

    labels = dict.fromkeys(labels_of_run(results))
    several = False
    for record in read_results(results):
        several = several or record.labels is not None
        labels |= dict.fromkeys(record.labels or ([record.label] if record.label else []))
    labels.pop(UNKNOWN, None)
    with replacing(config, overwrite=overwrite) as temporary:
        temporary.write_text(config_for(labels, several=several), "utf-8")
