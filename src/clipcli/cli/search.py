"""``clipcli search``: the images that are most similar to a text or to an example."""

from __future__ import annotations

import sys
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from clipcli.cli import options
from clipcli.cli.groups import with_groups
from clipcli.cli.messages import Messages
from clipcli.errors import InputError, OutputError

if TYPE_CHECKING:
    from clipcli.inputs.discover import Source
    from clipcli.runner import Outcome
    from clipcli.search import ImageSearch

__all__ = ["search"]

_QUERY, _OUT = "Query", "Output"
_PAGE = "html"  # chosen by the extension of -o only


class HitFormat(str, Enum):
    """How hits are written; the names of :data:`clipcli.outputs.hits.HIT_FORMATS`."""

    table = "table"
    tsv = "tsv"
    csv = "csv"
    json = "json"
    jsonl = "jsonl"


@with_groups
def search(
    *,
    query: Annotated[
        str,
        typer.Argument(metavar="QUERY", show_default=False,
                       help="A text that describes the images to find, or the path of an example image (a file of that "
                            "name is taken as the image)."),
    ],
    like: Annotated[
        list[Path] | None,
        typer.Option("--like", metavar="IMAGE", rich_help_panel=_QUERY,
                     help="A further example image, averaged with QUERY; repeat for more images."),
    ] = None,
    template: Annotated[
        list[str] | None,
        typer.Option("--template", "-t", metavar="TEXT", rich_help_panel=_QUERY,
                     help="Prompt template with {label} in place of QUERY; repeat to average over several. [default: "
                          "QUERY itself]"),
    ] = None,
    classes: Annotated[
        Path | None,
        typer.Option("--classes", metavar="FILE", rich_help_panel=_QUERY, show_default=False,
                     help="Classes file written by 'clipcli teach' or 'clipcli export text'; QUERY is the name of one "
                          "of its classes."),
    ] = None,
    top_k: Annotated[
        int, typer.Option("--top-k", "-k", metavar="N", min=1, rich_help_panel=_OUT, help="Number of images to list.")
    ] = 20,
    form: Annotated[
        HitFormat | None,
        typer.Option("--format", "-f", rich_help_panel=_OUT, show_default=False,
                     help="Output format. [default: by the extension of -o; without -o, table on a terminal, else "
                          "tsv]"),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", rich_help_panel=_OUT,
                     help="Output file instead of stdout; .html for a page with thumbnails."),
    ] = None,
    overwrite: options.Overwrite = False,
    model: options.Model,
    reading: options.Reading,
    running: options.Running,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:  # fmt: skip
    """List the images most similar to a text or to example images.

    clipcli search "a beach at sunset" photos/ -k 10

    clipcli search Chelsea photos/ --classes classes.safetensors

    Image embeddings are cached: a second search of the same images encodes only the query.
    """
    messages = Messages(quiet=quiet, verbose=verbose)
    _check_order(query, [str(each) for each in reading.files if each])
    chosen = _check_output(form, output, overwrite, [*reading.files, *(like or ()), classes, model.pretrained])
    from clipcli.cli.reporter import end
    from clipcli.search import ImageSearch, split_query

    text, examples = split_query(query) if classes is None else (query, [])
    source = reading.source()
    found = ImageSearch(
        text, like=[*examples, *(like or ())], count=top_k, templates=template or (), classes=classes,
        **model.parameters, **running.parameters,
    )  # fmt: skip
    outcome = _scan(found, source, messages)
    _write(found.hits, output, chosen, query, overwrite=overwrite)
    statistics = found.embedder.image_statistics
    if source.embedded is None:
        messages.detail(f"images: {statistics.cached} from the cache, {statistics.encoded} encoded")
    end(outcome, messages)


def _check_order(query: str, inputs: list[str]) -> None:
    """Recognise a query and inputs that were swapped.

    Raises
    ------
    InputError
        If the query is a folder, and none of the inputs exists.
    """
    from clipcli.inputs.patterns import is_pattern
    from clipcli.schemes import is_remote

    def may_exist(name: str) -> bool:
        return name == "-" or is_remote(name) or is_pattern(name) or Path(name).exists()

    if inputs and Path(query).is_dir() and not any(map(may_exist, inputs)):
        raise InputError(
            f"cannot search {inputs[0]}: no such file or folder, but {query} is a folder "
            "(the query comes first: clipcli search QUERY FOLDER)"
        )


def _check_output(form: HitFormat | None, output: Path | None, overwrite: bool, inputs: list[Any]) -> str:
    if output is None:
        return form.value if form else "table" if sys.stdout.isatty() else "tsv"
    from clipcli.outputs.destination import check_extension
    from clipcli.outputs.own_files import check_output

    suffix = output.suffix.lower().removeprefix(".")
    if form is None and suffix not in [_PAGE, *(each.value for each in HitFormat if each is not HitFormat.table)]:
        raise OutputError(
            f"cannot write {output}: unknown format {output.suffix!r} (use .tsv, .csv, .json, .jsonl or .html)"
        )
    if form is not None:
        check_extension(str(output), form.value)
    check_output(output, inputs, overwrite=overwrite)
    return form.value if form else suffix


def _scan(found: ImageSearch, source: Source, messages: Messages) -> Outcome:
    """Compare all images with the query."""
    from clipcli.cli.reporter import Readable
    from clipcli.inputs.discover import discover
    from clipcli.inputs.missing import check_some_exist
    from clipcli.runner import prefetch_first

    check_some_exist(source)
    readable = Readable(source, messages)
    for _ in readable.among(found.scan(prefetch_first(discover(source)))):
        pass
    if not found.hits:
        raise InputError("cannot search: none of the images can be read")
    return readable.outcome


def _write(hits: list[Any], output: Path | None, form: str, title: str, *, overwrite: bool) -> None:
    from clipcli.outputs.hits import write_hits

    if output is None:
        write_hits(hits, sys.stdout, form)
        return
    from clipcli.storage.atomic import replacing
    from clipcli.storage.locks import locked

    with locked(output), replacing(output, overwrite=overwrite) as temporary:
        if form == _PAGE:
            from clipcli.reports.hits_page import write_hits_page

            write_hits_page(hits, temporary, title, output)
            return
        with temporary.open("w", encoding="utf-8", newline="") as file:
            write_hits(hits, file, form)
