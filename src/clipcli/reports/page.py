"""An HTML page with the results of a run: self-contained, and safe for any names and labels.

The page includes its styles, its script, the records as JSON and the thumbnails as text, and makes no network
requests: its Content-Security-Policy forbids them, and allows only its own script, identified by hash.
"""

from __future__ import annotations

import base64
import hashlib
import json
import math
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import quote

from clipcli.images.formats import has_image_suffix
from clipcli.labels.several import split
from clipcli.outputs.readers import ReadRecord
from clipcli.outputs.records import round_score
from clipcli.scoring.thresholds import UNKNOWN
from clipcli.text import name_key

__all__ = ["CHUNK", "PageContent", "PageEvaluation", "page_data", "write_page"]

CHUNK = 256
"""Thumbnails per block of the page; a block is read when one of them is displayed."""

_FOLDER = Path(__file__).parent / "page"


@dataclass(frozen=True)
class PageEvaluation:
    """The accuracy that a page shows, ready to print.

    Parameters
    ----------
    summary
        The most important figure, in a few words.
    figures
        Names and values.
    confusions
        True class, predicted label and number of images, most frequent first.
    charts
        Names, and images as ``data:`` URLs.
    """

    summary: str
    figures: tuple[tuple[str, str], ...]
    confusions: tuple[tuple[str, str, str], ...] = ()
    charts: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class PageContent:
    """What a page shows besides its records.

    Parameters
    ----------
    root
        Folder of relative paths. The page then links to the images.
    truths
        The true class of each record, as far as it is known; empty without any.
    evaluation
        Figures and charts of the accuracy.
    hits
        Whether the records are hits of a search, best first; their ``probability`` is then the similarity.
    checked
        The label that each record was given by hand before, as far as it has one; empty without any.
    labels
        All labels of the run, which the page knows besides those in the records.
    places
        The absolute paths of images that were moved after the run, by the path of the record.
    """

    root: Path | None = None
    truths: Sequence[str | None] = ()
    evaluation: PageEvaluation | None = None
    hits: bool = False
    checked: Sequence[str | None] = ()
    labels: Sequence[str] = ()
    places: Mapping[str, str] = field(default_factory=dict)


def page_data(records: Sequence[ReadRecord], content: PageContent = PageContent()) -> dict[str, Any]:
    """Return the data for the page's script: records refer to labels by number.

    A record is ``[path, label, probability, [label, probability, similarity or null, …], group, truth, linked]``, or
    ``[path, message]`` if the input failed. A number of -1 stands for no group and no known truth; ``linked`` is 1 for
    a path that the page may link to, or the path to link to instead. If the run could give an image several labels, a
    list of them follows, and the truth is a list too.
    """
    labels, groups = _Numbered(), _Numbered()
    rows: list[list[Any]] = []
    for record, truth in zip(records, content.truths or [None] * len(records), strict=True):
        if record.label is None:
            rows.append([record.path, record.error])
            continue
        ranking: list[float | None] = []
        for score in record.top:
            place = labels.number(score.label)
            similarity = None if math.isnan(score.similarity) else round_score(score.similarity)
            ranking += [place, round_score(score.probability), similarity]
        group = groups.number(record.group) if record.group else -1
        label = labels.number(record.label)
        known: int | list[int] = -1
        if truth is not None:
            named = [truth] if record.labels is None or truth == UNKNOWN else split(truth)
            numbers = [labels.number(name) for name in named]
            known = numbers[0] if record.labels is None else numbers
        is_image = content.root is not None and has_image_suffix(record.path)  # no link to a web page among images
        linked = content.places.get(record.path, 1) if is_image else 0
        rows.append([record.path, label, round_score(record.probability or 0.0), ranking, group, known, linked])
        if record.labels is not None:
            rows[-1].append([labels.number(name) for name in record.labels])
    checked = [[place, labels.number(name)] for place, name in enumerate(content.checked) if name is not None]
    for name in content.labels:
        labels.number(name)
    models = dict.fromkeys(record.model for record in records if record.model)
    return {
        "labels": labels.names, "groups": groups.names, "models": list(models), "chunk": CHUNK, "records": rows,
        "truth": any(truth is not None for truth in content.truths), "hits": content.hits,
        "tags": any(record.labels is not None for record in records),
        "checked": checked, "id": _identity(records, content.checked),
    }  # fmt: skip


def _identity(records: Sequence[ReadRecord], checked: Sequence[str | None]) -> str:
    """Return what identifies a page of these results, so that a browser finds the labels that were checked in it."""
    values = [[record.path, record.label] for record in records], [name for name in checked if name is not None]
    return hashlib.sha256(json.dumps(values).encode()).hexdigest()[:24]


def _addresses(content: PageContent, file: Path) -> dict[str, str]:
    """Return the addresses, relative to the page, of the folder of relative paths and of the file system's root."""
    if content.root is None:
        return {}
    folder, root = file.resolve().parent, content.root.resolve()
    try:
        return {
            "root": quote(Path(os.path.relpath(root, folder)).as_posix()),
            "top": quote(Path(os.path.relpath(root.anchor, folder)).as_posix()),
        }
    except ValueError:  # another drive
        return {"root": root.as_uri(), "top": Path(root.anchor).as_uri()}


class _Numbered:
    """Numbers distinct names; names that differ only in Unicode composition are equal."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self._numbers: dict[str, int] = {}

    def number(self, name: str) -> int:
        """Return the number of a name."""
        number = self._numbers.setdefault(name_key(name), len(self.names))
        if number == len(self.names):
            self.names.append(name)
        return number


def write_page(
    records: Sequence[ReadRecord],
    thumbnails: Iterable[str],
    file: Path,
    title: str,
    content: PageContent = PageContent(),
    *,
    target: Path | None = None,
) -> None:
    """Write the page in pieces.

    Parameters
    ----------
    records
        The results of a run, from :func:`clipcli.outputs.readers.read_results`.
    thumbnails
        One thumbnail per record, in order, as base64, or an empty text; consumed lazily.
    file
        The file to write; for atomic writing see :func:`clipcli.storage.atomic.replacing`.
    title
        The title of the page.
    content
        What the page shows besides.
    target
        Where the page will be, if not at ``file``: links to images are relative to it.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    style, script = ((_FOLDER / name).read_text("utf-8") for name in ("page.css", "page.js"))
    data = page_data(records, content) | _addresses(content, target or file)
    environment = Environment(loader=FileSystemLoader(_FOLDER), autoescape=True, undefined=StrictUndefined)
    pieces = environment.get_template("page.html").stream(
        title=title,
        policy=_policy(style, script),
        style=Markup(style),  # noqa: S704 - our own
        script=Markup(script),  # noqa: S704 - our own
        data=Markup(_harmless(json.dumps(data, ensure_ascii=False, separators=(",", ":")))),  # noqa: S704
        evaluation=content.evaluation,
        blocks=map(Markup, _blocks(thumbnails)),
    )
    with file.open("w", encoding="utf-8", errors="backslashreplace", newline="\n") as page:
        page.writelines(pieces)


def _policy(style: str, script: str) -> str:
    """Return a Content-Security-Policy that allows this style, this script and embedded images only."""
    style_hash, script_hash = (
        base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in (style, script)
    )
    return (
        f"default-src 'none'; img-src data:; style-src 'sha256-{style_hash}'; script-src 'sha256-{script_hash}'; "
        "base-uri 'none'; form-action 'none'"
    )


def _harmless(text: str) -> str:
    """Return JSON that can neither end the HTML element that contains it nor start another."""
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _blocks(thumbnails: Iterable[str]) -> Iterator[str]:
    """Join thumbnails into blocks, one per line; base64 needs no escaping in HTML."""
    stream = iter(thumbnails)
    while some := list(islice(stream, CHUNK)):
        yield "\n".join(some)
