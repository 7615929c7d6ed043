"""Search images by a text, by example images, or by both: classification turned round, one text among many images."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clipcli.classifier import Classifier
from clipcli.embedder import Embedder
from clipcli.errors import ImageError, InputError
from clipcli.images.formats import has_image_suffix
from clipcli.inputs.given import check_count
from clipcli.inputs.items import name_of
from clipcli.labels.files import Label
from clipcli.scoring.ensemble import ensemble
from clipcli.scoring.nearest import Nearest

__all__ = ["Hit", "ImageSearch", "compare", "split_query"]


@dataclass(frozen=True)
class Hit:
    """An image that was found: its path, and its cosine similarity to the query, between -1 and 1."""

    path: str
    similarity: float


def split_query(query: str) -> tuple[str | None, list[Path]]:
    """Return a query's text, or the example image that it is the path of.

    Raises
    ------
    InputError
        If it has the extension of an image, and there is no such file.
    """
    if not has_image_suffix(query):
        return query, []
    path = Path(query)
    if not path.is_file():
        raise InputError(f"cannot search for images like {query}: there is no such file (name a file, or give a text)")
    return None, [path]


def compare(
    embedder: Embedder, images: Iterable[Any] | Any, nearest: Nearest[str]
) -> Iterator[tuple[str, ImageError | None]]:
    """Compare images with a query, in their order, and add them to those that are nearest to it.

    Yields
    ------
    The path of each image, with the error if it cannot be read.
    """
    for block in embedder.embed(images):
        read = [(name_of(item), vector) for item, vector in block if not isinstance(vector, ImageError)]
        if read:
            nearest.add([path for path, _ in read], np.stack([vector for _, vector in read]))
        for item, vector in block:
            yield name_of(item), vector if isinstance(vector, ImageError) else None


class ImageSearch:
    """Find the images that are most similar to a query.

    Parameters
    ----------
    text
        What the images show: ``a beach at sunset``. Embedded as it is, unless ``templates`` are given.
    like
        Example images. Their embeddings and that of the text are averaged with equal weights.
    count
        How many images to return.
    templates
        Prompt templates with ``{label}`` in them, filled with the text and averaged.
    **options
        Those of :class:`clipcli.Embedder`, such as ``model``, ``device`` and ``cache``.

    Raises
    ------
    InputError
        If there is neither a text nor an example, or an example cannot be read.
    ClipcliError
        A subclass that names the model, template or file to fix.
    """

    def __init__(
        self, text: str | None = None, *, like: Sequence[Any] = (), count: int = 20, templates: Sequence[str] = (),
        **options: Any,
    ) -> None:  # fmt: skip
        check_count("count", count)
        if not (text and text.strip()) and not like:
            raise InputError("cannot search: no query (give a text, or an example image)")
        self._like, self._count = like, count
        self._nearest: Nearest[str] | None = None
        if text and text.strip():
            label = Label("query", names=(text,))
            self.embedder: Embedder = Classifier(labels=[label], templates=templates or ("{label}",), **options)
        else:
            self.embedder = Embedder(**options)

    def query(self) -> NDArray[np.float32]:
        """Return the embedding of the query, (D,) float32 of length one."""
        vectors = [] if not isinstance(self.embedder, Classifier) else [self.embedder.class_embeddings[0]]
        for block in self.embedder.embed(self._like) if self._like else ():
            for item, vector in block:
                if isinstance(vector, ImageError):
                    raise InputError(f"cannot search for images like {name_of(item)}: {vector}")
                vectors.append(vector)
        query: NDArray[np.float32] = ensemble(np.stack(vectors), [len(vectors)])[0]
        return query

    def scan(self, images: Iterable[Any] | Any) -> Iterator[tuple[str, ImageError | None]]:
        """Compare images with the query, in their order; folders and archives are searched.

        Yields
        ------
        The path of each image, with the error if it cannot be read. :attr:`hits` are the best up to there.
        """
        self._nearest = Nearest[str](self.query(), self._count)
        yield from compare(self.embedder, images, self._nearest)

    @property
    def hits(self) -> list[Hit]:
        """The images of the last search that are most similar to the query, best first."""
        return [Hit(path, similarity) for path, similarity in self._nearest.best()] if self._nearest else []

    def search(self, images: Iterable[Any] | Any) -> list[Hit]:
        """Return the images most similar to the query, best first; images that cannot be read are left out."""
        for _ in self.scan(images):
            pass
        return self.hits
