"""``clipcli export``: embeddings out of the cache and into files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from clipcli.cli import options
from clipcli.cli.messages import Messages

__all__ = ["app"]

app = typer.Typer(help="Write embeddings to files.", no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def _group() -> None:
    pass


@app.command("text")
def export_text(
    output: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="FILE",
                     help="Where to: .npy, .npz, .safetensors, .parquet, .csv or .jsonl.", show_default=False),
    ],
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
    from clipcli.labels import load_labels

    check_suffix(output)
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
