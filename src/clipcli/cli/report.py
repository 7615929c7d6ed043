"""``clipcli report``: write results as an HTML page."""

from __future__ import annotations

import webbrowser
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from clipcli.cli import options
from clipcli.cli.messages import Messages
from clipcli.cli.progress import with_progress
from clipcli.cli.sort import tell_unused
from clipcli.errors import InputError, OutputError

if TYPE_CHECKING:
    from clipcli.outputs.readers import ReadRecord
    from clipcli.reports.page import PageContent

__all__ = ["report"]


def report(
    results: Annotated[
        Path,
        typer.Argument(metavar="RESULTS", show_default=False,
                       help="Results of 'clipcli classify': a .jsonl, .json, .csv, .tsv or .parquet file, or a "
                            "folder of parts."),
    ],
    output: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="FILE", rich_help_panel="Output", show_default=False,
                     help="The .html file to write."),
    ],
    overwrite: options.Overwrite = False,
    root: Annotated[
        Path | None, typer.Option("--root", metavar="DIR", show_default=False,
                                  help="Folder that the paths in RESULTS are relative to, or that 'clipcli sort' moved "
                                       "the images into. [default: the current folder, or the folder of RESULTS if "
                                       "the images are there]"),
    ] = None,
    thumbnail: Annotated[
        int | None,
        typer.Option("--thumbnail", metavar="PIXELS", min=0, max=1024, show_default=False,
                     help="Length of the longer side of thumbnails; 0 for no thumbnails. [default: 256, or 160 for "
                          "more than 5,000 images]"),
    ] = None,
    truth: Annotated[
        Path | None,
        typer.Option("--truth", metavar="DIR|FILE", show_default=False,
                     help="Ground truth as for 'clipcli evaluate'; adds the accuracy and likely mistakes to the page."),
    ] = None,
    labels: Annotated[
        Path | None,
        typer.Option("--labels", "-L", metavar="FILE", envvar="CLIPCLI_LABELS", show_default=False,
                     help="Label file of the run, if the classes in --truth are not its labels but groups or folders. "
                          "[default: the class names]"),
    ] = None,
    path_column: options.TruthPath = None,
    label_column: options.TruthLabel = None,
    checked: options.Checked = None,
    title: Annotated[
        str | None, typer.Option("--title", metavar="TEXT", show_default=False,
                                 help="Title of the page. [default: name of the results file]"),
    ] = None,
    open_it: Annotated[bool, typer.Option("--open", help="Open the page in the browser.")] = False,
    workers: options.Workers = None,
    quiet: options.Quiet = False,
) -> None:  # fmt: skip
    """Write results as one HTML page with thumbnails.

    clipcli report results.csv -o page.html --open

    The page needs no network and no other files. On it, you can filter and search the results and correct labels.
    Save the checked labels as a table: for --checked of 'clipcli sort' or of this command, for 'clipcli evaluate' as
    ground truth, or for 'clipcli teach'.
    """
    messages = Messages(quiet=quiet)
    _check_output(output, [results, checked], overwrite=overwrite)
    from clipcli.sorting.moved import is_sorted_folder, moved_places
    from clipcli.storage.locks import locked
    from clipcli.text import printable

    records = _read(results)
    is_sorted = is_sorted_folder(root)
    folder = _folder_of(records, results) if root is None or is_sorted else root
    content = _content(records, results, folder, truth, (path_column, label_column), labels)
    if root is not None and is_sorted:
        places = moved_places([record.path for record in records], root, [folder, results.parent, Path()])
        content = replace(content, places=places)
    content = _with_checked(content, records, checked, messages)
    title = title or printable(results.name)
    with locked(output):
        missing = _write(output, records, content, title, thumbnail, workers, messages, overwrite=overwrite)
    if missing:
        messages.warn(
            f"{missing} of {len(records)} images have no thumbnail: not found under {folder}, not readable, or "
            "behind a URL (if clipcli sort moved them, name the folder that they were sorted into with --root)"
        )
    if open_it:
        webbrowser.open(output.resolve().as_uri())


def _check_output(output: Path, inputs: Sequence[Path | None], *, overwrite: bool) -> None:
    from clipcli.outputs.own_files import check_output

    if output.suffix.lower() not in (".html", ".htm"):
        raise OutputError(f"cannot write {output}: the page is HTML (use the extension .html)")
    check_output(output, inputs, overwrite=overwrite)


def _read(results: Path) -> list[ReadRecord]:
    from clipcli.outputs.readers import read_results

    records = list(read_results(results))
    if not records:
        raise InputError(f"cannot make a report of {results}: it holds no results")
    return records


def _folder_of(records: Sequence[ReadRecord], results: Path) -> Path:
    """Return the folder that relative paths of records refer to."""
    from clipcli.inputs.path_base import PathBase

    base = PathBase(str(results), own=True)
    for record in records:
        base.look_for(record.path)
    return base.folder


def _with_checked(
    content: PageContent, records: Sequence[ReadRecord], checked: Path | None, messages: Messages
) -> PageContent:
    from clipcli.outputs.corrections import read_corrections

    corrections = read_corrections(checked)
    labels = [corrections.of(record.path) for record in records]
    tell_unused(corrections, checked, messages)
    return replace(content, checked=labels)


def _content(
    records: Sequence[ReadRecord],
    results: Path,
    folder: Path,
    truth: Path | None,
    columns: tuple[str | None, str | None],
    labels: Path | None,
) -> PageContent:
    from clipcli.outputs.recognition import labels_of_run
    from clipcli.reports.page import PageContent

    content = PageContent(folder, labels=labels_of_run(results))
    if truth is None:
        return content
    from clipcli.cli.evaluate import check_extra
    from clipcli.evaluation.for_page import evaluation_for_page
    from clipcli.evaluation.ground_truth import TruthColumns, read_truth
    from clipcli.labels.files import load_labels

    check_extra()
    known = load_labels(labels) if labels is not None else None
    labelled = read_truth(truth, columns=TruthColumns(*columns), results=results)
    truths, evaluation = evaluation_for_page(records, results, labelled, known, folder)
    return replace(content, truths=truths, evaluation=evaluation)


def _write(
    output: Path, records: Sequence[ReadRecord], content: PageContent, title: str, thumbnail: int | None,
    workers: int | None, messages: Messages, *, overwrite: bool,
) -> int:  # fmt: skip
    """Write the page, and return the number of images whose thumbnails are missing."""
    from clipcli.images.thumbnails import usual_side
    from clipcli.reports.page import write_page
    from clipcli.reports.thumbnails_of_results import thumbnails_of
    from clipcli.storage.atomic import replacing

    missing = 0

    def counted(thumbnails: Iterator[str]) -> Iterator[str]:
        nonlocal missing
        for record, thumbnail in zip(records, thumbnails, strict=True):
            missing += not thumbnail and record.error is None
            yield thumbnail

    side = usual_side(len(records)) if thumbnail is None else thumbnail
    wanted = [content.places.get(record.path, record.path) if record.error is None else "" for record in records]
    thumbnails = thumbnails_of(wanted, content.root or Path(), side, workers)
    if side:
        thumbnails = with_progress(counted(thumbnails), lambda: len(records), messages)
    with replacing(output, overwrite=overwrite) as temporary:
        write_page(records, thumbnails, temporary, title, content, target=output)
    return missing
