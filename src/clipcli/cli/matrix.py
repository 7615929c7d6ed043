"""``clipcli matrix``: compute the image-text similarity matrix."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from clipcli.cli import options
from clipcli.cli.groups import with_groups
from clipcli.cli.messages import Messages
from clipcli.errors import InputError, LabelError, OutputError

if TYPE_CHECKING:
    from clipcli.classifier import Classifier
    from clipcli.pipeline.class_embeddings import ClassEmbeddings
    from clipcli.reports.matrix import Matrix
    from clipcli.runner import Outcome
    from clipcli.scoring.scores import Scores

__all__ = ["matrix"]

_OUT, _TEXTS = "Output", "Texts"
_CELL = 7  # characters of a cell on a terminal
_NAME, _LEAST_NAME = 28, 10  # characters of a file name


@with_groups
def matrix(
    *,
    context: typer.Context,
    texts_file: Annotated[
        Path | None,
        typer.Option("--texts", metavar="FILE", rich_help_panel=_TEXTS,
                     help="File with one text per line, or a .csv or .tsv table with a column text, caption, title "
                          "or label."),
    ] = None,
    text: Annotated[
        list[str] | None,
        typer.Option("--text", "-x", metavar="TEXT", rich_help_panel=_TEXTS, help="A text; repeat for more texts."),
    ] = None,
    classes: Annotated[
        Path | None,
        typer.Option("--classes", metavar="FILE", rich_help_panel=_TEXTS,
                     help="Classes file (.safetensors or .json), written by 'clipcli teach' or 'clipcli export text', "
                          "in place of texts."),
    ] = None,
    template: Annotated[
        list[str] | None,
        typer.Option("--template", "-t", metavar="TEXT", rich_help_panel=_TEXTS,
                     help="Prompt template with {label} in place of the text; repeat to average over several. "
                          "[default: the text itself]"),
    ] = None,
    logits: Annotated[
        bool,
        typer.Option("--logits", rich_help_panel=_OUT,
                     help="Output logits (similarity times the model's logit scale) instead of cosine similarities."),
    ] = False,
    paired: Annotated[
        bool | None,
        typer.Option("--paired/--not-paired", rich_help_panel=_OUT, show_default=False,
                     help="Whether the images and texts are pairs, in the order given. [default: paired if there are "
                          "as many images as texts]"),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", rich_help_panel=_OUT,
                     help="Output file instead of stdout: .csv, .tsv, .npz or .json."),
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option("--plot", metavar="FILE", rich_help_panel=_OUT, help="Draw the matrix into a .png or .svg file."),
    ] = None,
    overwrite: options.Overwrite = False,
    model: options.Model,
    reading: options.Reading,
    running: options.Running,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:  # fmt: skip
    """Compute the image-text similarity matrix.

    clipcli matrix photos/ -x "a cat" -x "a rocket at night" --plot matrix.png

    If there are as many texts as images, they are treated as pairs, in the order given: retrieval accuracy and
    contrastive loss are printed too.
    """
    messages = Messages(quiet=quiet, verbose=verbose)
    _check_outputs(output, plot, [*reading.files, texts_file, classes, model.pretrained], overwrite=overwrite)
    from clipcli.storage.locks import locked

    context.with_resource(locked(output, plot))
    from clipcli.classifier import Classifier
    from clipcli.cli.reporter import end
    from clipcli.reports.matrix import save_matrix, texts_as_labels, write_tsv

    given: dict[str, Any] = {"classes": classes}
    if classes is None:
        texts = _texts(texts_file, text or ())
        given = {"labels": texts_as_labels(texts), "templates": template or ("{label}",)}
    source = replace(reading.source(), distinct=False)  # one image can have several texts
    classifier = Classifier(**given, **model.parameters, **running.parameters)
    if classes is not None:
        texts, paired = list(classifier.classes.labels), False
    files, scores, outcome = _scores(classifier, source, messages)
    cosines = scores.similarity
    _tell_pairing(cosines, paired, classifier.classes, outcome.failures, messages)
    if paired is None and cosines.shape[0] == cosines.shape[1] > 1 and not outcome.failures:
        _explain_pairing(files[0], texts[0], messages)
    made = _made(
        files, texts, scores.logits + (scores.bias or 0.0) if logits else cosines, "logit" if logits else "cosine"
    )
    if output is not None:
        save_matrix(made, output, overwrite=overwrite)
    if plot is not None:
        _draw(made, files, plot, classifier.source.title, overwrite=overwrite)
    if output is None:  # last: the reader may close the pipe early
        _print_table(made) if sys.stdout.isatty() else write_tsv(made, sys.stdout)
    end(outcome, messages)


def _texts(file: Path | None, given: Sequence[str]) -> list[str]:
    from clipcli.reports.matrix import read_texts

    texts = [*(read_texts(file) if file is not None else ()), *given]
    if not texts or not all(each.strip() for each in texts):
        raise LabelError(
            "cannot compute the matrix: no texts, or an empty one (give texts with --texts FILE or -x TEXT)"
        )
    return texts


def _check_outputs(output: Path | None, plot: Path | None, inputs: list[Any], *, overwrite: bool) -> None:
    from clipcli.outputs.own_files import check_output

    if output is not None:
        from clipcli.reports.matrix import check_suffix

        check_suffix(output)
        check_output(output, inputs, overwrite=overwrite)
    if plot is not None:
        from importlib.util import find_spec

        if plot.suffix.lower() not in (".png", ".svg"):
            raise OutputError(f"cannot draw {plot}: unknown extension (use .png or .svg)")
        if find_spec("matplotlib") is None:
            raise OutputError("cannot use --plot: it needs an extra (pip install 'clipcli[evaluate]')")
        check_output(plot, inputs, overwrite=overwrite)


def _scores(classifier: Classifier, source: Any, messages: Messages) -> tuple[list[Any], Scores, Outcome]:
    """Return the readable inputs, their scores (N, M), and how many inputs there are and failed."""
    import numpy as np

    from clipcli.cli.reporter import Readable
    from clipcli.inputs.discover import discover
    from clipcli.inputs.missing import check_some_exist
    from clipcli.runner import prefetch_first

    check_some_exist(source)
    readable = Readable(source, messages)
    items = (pair for block in classifier.embed(prefetch_first(discover(source))) for pair in block)
    read = list(readable.among(items))
    if not read:
        raise InputError("cannot compute the matrix: none of the images can be read")
    files, vectors = zip(*read, strict=True)
    return list(files), classifier.classes.score(np.stack(vectors)), readable.outcome


def _explain_pairing(first: Any, text: str, messages: Messages) -> None:
    """Print that images and texts are taken as pairs because of their numbers, which may be an accident."""
    from clipcli.inputs.items import name_of
    from clipcli.text import one_line, printable

    messages.note(
        "they are taken as pairs in their order because there are as many texts as images: the first is "
        f"{one_line(printable(name_of(first)))} with {one_line(text)!r} (use --not-paired if that is wrong)"
    )


def _tell_pairing(cosines: Any, paired: bool | None, classes: ClassEmbeddings, failed: int, messages: Messages) -> None:
    """Print on stderr how well the pairs match."""
    from clipcli.scoring.retrieval import pairing

    images, texts = cosines.shape
    if paired and (images != texts or failed):
        raise InputError(
            f"cannot use --paired: {images} readable images but {texts} texts (give as many images as texts)"
        )
    if paired is False or images != texts or failed or images == 1:
        return
    found = pairing(cosines, classes.facts.logit_scale, classes.facts.logit_bias)
    messages.note(
        f"pairs: {found.images} of {found.pairs} images match their text best, {found.texts} of {found.pairs} texts "
        f"match their image best; contrastive loss {found.loss:.4f}"
    )


def _made(files: list[Any], texts: list[str], values: Any, unit: str) -> Matrix:
    from clipcli.inputs.items import name_of
    from clipcli.reports.matrix import Matrix

    return Matrix(tuple(map(name_of, files)), tuple(texts), values, unit)


def _draw(made: Matrix, files: list[Any], plot: Path, title: str, *, overwrite: bool) -> None:
    from clipcli.inputs.items import EmbeddedInput, FileInput
    from clipcli.reports.matplotlib_figures import save_as
    from clipcli.reports.matrix_plot import draw_matrix, open_pictures

    names = (item.path if isinstance(item, FileInput) else item.name if isinstance(item, EmbeddedInput) else None
             for item in files)  # fmt: skip
    paths = [None if name is None else Path(name) for name in names]
    save_as(draw_matrix(made, open_pictures(paths), title), plot, overwrite=overwrite)


def _print_table(made: Matrix) -> None:
    """Print a coloured table with as many columns as fit on the terminal."""
    from rich.table import Table
    from rich.text import Text

    from clipcli.cli.colours import style_between
    from clipcli.terminal import console as open_console
    from clipcli.text import one_line, short_name

    console = open_console()
    longest = max(len(short_name(Path(path).name, _NAME)) for path in made.paths)
    room = max(1, (console.width - min(longest, max(_LEAST_NAME, console.width // 3))) // (_CELL + 1))
    room = min(room, len(made.texts))
    names = [short_name(Path(path).name, min(longest, console.width - room * (_CELL + 1))) for path in made.paths]
    shown = made.texts[:room]
    for number, text in enumerate(shown, start=1):
        console.print(f"{number:>3}  {one_line(text)}", markup=False, overflow="fold")
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("", no_wrap=True, overflow="ellipsis")
    for number in range(1, len(shown) + 1):
        table.add_column(str(number), justify="right", no_wrap=True, min_width=_CELL)
    least, greatest = made.values.min(), made.values.max()
    for name, row in zip(names, made.values, strict=True):
        cells = (
            Text(f"{value:.3f}".rjust(_CELL), style=style_between(value, least, greatest))
            for value in row[: len(shown)]
        )
        table.add_row(Text(name), *cells)
    console.print(table)
    if len(shown) < len(made.texts):
        console.print(
            f"texts that do not fit here: {len(made.texts) - len(shown)} (-o FILE writes all of them)", style="dim"
        )
