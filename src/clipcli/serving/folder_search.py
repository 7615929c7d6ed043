"""Search the folder that the server was given: its images, and nothing that a link in it leads to."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clipcli.embedder import Embedder
from clipcli.errors import InputError
from clipcli.inputs.discover import Input, NoImagesError, Source, discover
from clipcli.inputs.items import FileInput
from clipcli.outputs.records import round_score
from clipcli.scoring.nearest import Nearest
from clipcli.search import compare
from clipcli.serving.problems import RequestError
from clipcli.serving.security import below
from clipcli.text import printable

__all__ = ["search_folder"]


def search_folder(
    embedder: Embedder, query: NDArray[np.float32], root: Path, folder: str, count: int
) -> dict[str, Any]:
    """Return the images of a folder that are most similar to a query, best first, and the number of unreadable ones.

    Parameters
    ----------
    query
        (D,) float32 of length one.
    folder
        Relative to the root folder; empty for all of it.

    Raises
    ------
    RequestError
        If the folder is not below the root folder, or there is none.
    """
    place = below(root, folder)
    if not place.is_dir():
        raise RequestError("not_found", f"no such folder below the root folder: {folder[:80]}")
    nearest, base, failed = Nearest[str](query, count), root.resolve(), 0
    try:
        for _, problem in compare(embedder, _inside(base, place), nearest):
            failed += problem is not None
    except NoImagesError:
        return {"hits": [], "failed": 0}
    except InputError:  # its message would name the root folder
        raise RequestError("invalid", "cannot search the folder: an input in it cannot be used") from None
    hits = [
        {"path": printable(os.path.relpath(path, base)), "similarity": round_score(similarity)}
        for path, similarity in nearest.best()
    ]
    return {"hits": hits, "failed": failed}


def _inside(base: Path, place: Path) -> Iterator[Input]:
    """Yield the inputs in a folder, without those that a link takes from elsewhere."""
    for item in discover(Source((str(place),))):
        if not isinstance(item, FileInput) or Path(item.path).resolve().is_relative_to(base):
            yield item
