"""An HTML page with the hits of a search, best first; as safe as the page of results."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from clipcli.images.thumbnails import usual_side
from clipcli.outputs.hits import Found
from clipcli.outputs.readers import ReadRecord
from clipcli.reports.page import PageContent, write_page
from clipcli.reports.thumbnails_of_results import thumbnails_of
from clipcli.text import printable

__all__ = ["write_hits_page"]


def write_hits_page(hits: Sequence[Found], file: Path, title: str, target: Path | None = None) -> None:
    """Write the page; images that cannot be read have no thumbnail.

    Parameters
    ----------
    hits
        Best first.
    title
        The query.
    target
        Where the page will be, if not at ``file``: links to images are relative to it.
    """
    records = [ReadRecord(printable(hit.path), "hit", hit.similarity, None) for hit in hits]
    thumbnails = thumbnails_of([hit.path for hit in hits], Path(), usual_side(len(hits)))
    write_page(records, thumbnails, file, title, PageContent(Path(), hits=True), target=target)
