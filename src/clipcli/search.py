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
from clipcli.errors import ImageError, InputError, LabelError
from clipcli.images.formats import has_image_suffix
from clipcli.inputs.given import check_count
from clipcli.inputs.items import name_of
from clipcli.labels.label import Label
from clipcli.labels.several import label_key
from clipcli.pipeline.class_embeddings import ClassEmbeddings
from clipcli.scoring.ensemble import ensemble
from clipcli.scoring.nearest import Nearest
from clipcli.text import near_matches

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
    classes
        Classes one of which the text names, as for :class:`clipcli.Classifier`: a class that was taught by examples is
        searched by what was learned of it.
    **options
        Those of :class:`clipcli.Embedder`, such as ``model``, ``device`` and ``cache``.

    Raises
    ------
    InputError
        If there is neither a text nor an example, or an example cannot be read.
    LabelError
        If the text does not name one of the classes.
    ClipcliError
        A subclass that names the model, template or file to fix.
    """

    def __init__(
        self, text: str | None = None, *, like: Sequence[Any] = (), count: int = 20, templates: Sequence[str] = (),
        classes: ClassEmbeddings | Path | None = None, **options: Any,
    ) -> None:  # fmt: skip
        check_count("count", count)
        if not (text and text.strip()) and not like:
            raise InputError("cannot search: no query (give a text, or an example image)")
        if classes is not None and (templates or not text):
            raise InputError("cannot search: with classes, the query is one of them (leave out templates)")
        self._like, self._count, self._text = like, count, text or ""
        self._nearest: Nearest[str] | None = None
        self._is_class = classes is not None
        if classes is not None:
            self.embedder: Embedder = Classifier(classes=classes, calibration=False, **options)
        elif text and text.strip():
            label = Label("query", names=(text,))
            self.embedder = Classifier(labels=[label], templates=templates or ("{label}",), **options)
        else:
            self.embedder = Embedder(**options)

    def query(self) -> NDArray[np.float32]:
        """Return the embedding of the query, (D,) float32 of length one."""
        vectors = [] if not isinstance(self.embedder, Classifier) else [self.described(self.embedder.classes)]
        for block in self.embedder.embed(self._like) if self._like else ():
            for item, vector in block:
                if isinstance(vector, ImageError):
                    raise InputError(f"cannot search for images like {name_of(item)}: {vector}")
                vectors.append(vector)
        query: NDArray[np.float32] = ensemble(np.stack(vectors), [len(vectors)])[0]
        return query

    def described(self, classes: ClassEmbeddings) -> NDArray[np.float32]:
        """Return the embedding of the text, or of the class that it names, (D,): words and examples."""
        place = 0
        if self._is_class:
            found = [index for index, label in enumerate(classes.labels) if label_key(label) == label_key(self._text)]
            if not found:
                near = near_matches(self._text, classes.labels)
                raise LabelError(f"cannot search for {self._text!r}: it is not one of the classes ({near})")
            place = found[0]
        taught = classes.taught
        # A row of a logistic head says what differs between the classes, and is not an embedding.
        is_head = taught is not None and taught.method == "logistic"
        vector: NDArray[np.float32] = taught.mixed(place) if taught is not None and is_head else classes.vectors[place]
        return vector

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
