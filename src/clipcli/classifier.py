"""The public Python interface: a model and a set of labels, ready to classify images.

>>> from clipcli import Classifier
>>> classifier = Classifier("pocket", labels=["cat", "dog", "a cup of coffee"])   # doctest: +SKIP
>>> [result.label for result in classifier.classify(["photo.jpg"])]               # doctest: +SKIP
['cat']
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from clipcli.embeddings import ClassEmbeddings, Encode, TextStatistics, build_class_embeddings
from clipcli.errors import EmbeddingFileError, ImageError, InputError, LabelError
from clipcli.images import find_images, open_image, to_rgb
from clipcli.labels import Label, load_labels
from clipcli.pipeline import encode_in_batches, map_ahead
from clipcli.prompts import resolve_templates
from clipcli.records import Failure, Prediction, Result
from clipcli.sources import ModelSource, resolve_model
from clipcli.store import EmbeddingStore, ModelFacts, default_folder
from clipcli.zeroshot import Thresholds, cosine_similarities, group_probabilities, probabilities, rank

if TYPE_CHECKING:
    import torch
    from PIL import Image

    from clipcli.model import Model

    ImageLike = str | Path | Image.Image

__all__ = ["Classifier"]

_CPU_BATCH, _GPU_BATCH = 16, 64


class Classifier:
    """Classify images among labels that are given in words.

    Nothing heavy happens before it is needed: class embeddings are made (or read from the cache) when
    they are first asked for, and the model is loaded when the first prompt or image must be encoded.

    Parameters
    ----------
    model
        ``auto``, ``pocket``, an open_clip name, ``hf-hub:org/repo`` or ``local-dir:PATH``.
    labels
        Label texts or :class:`~clipcli.labels.Label` values, or the path of a label file. May be left
        out where ``text_embeddings`` is given.
    pretrained
        For an open_clip name: a tag or a checkpoint file.
    templates, prompts
        Prompt templates; names or files of template sets. The default is ``a photo of a {label}``.
    text_embeddings
        Class embeddings exported before, in place of labels.
    device, precision
        ``auto``, or as the command line has them.
    batch_size, workers
        Images a batch; decoding threads. Chosen for the machine where not given.
    top_k
        How many labels a prediction lists.
    thresholds
        When to answer ``unknown``.
    cache
        ``False`` keeps nothing on disk; a path keeps it there rather than in the user's cache folder.
    offline
        Never open a socket.
    warn
        Called with one line for people where something is worth knowing.

    Raises
    ------
    ClipcliError
        A subclass that names the label, template, model or file to put right.
    """

    def __init__(
        self,
        model: str = "auto",
        labels: Iterable[str | Label] | Path | None = None,
        *,
        pretrained: str | None = None,
        templates: Sequence[str] = (),
        prompts: Sequence[str] = (),
        text_embeddings: Path | None = None,
        device: str = "auto",
        precision: str = "auto",
        batch_size: int | None = None,
        workers: int | None = None,
        top_k: int = 5,
        thresholds: Thresholds | None = None,
        cache: bool | Path = True,
        offline: bool = False,
        warn: Callable[[str], None] = lambda _: None,
    ) -> None:
        if (labels is None) == (text_embeddings is None):
            raise LabelError("give either labels or text_embeddings")
        if offline:
            from clipcli.hub import forbid_network

            forbid_network()
        self._warn = warn
        self._labels = _as_labels(labels) if labels is not None else []
        self._templates = resolve_templates(list(templates), list(prompts))
        self._text_embeddings = text_embeddings
        self._device, self._precision = device, precision
        self._batch_size, self._workers = batch_size, workers
        self.top_k, self.thresholds = top_k, thresholds or Thresholds()
        self.text_statistics: TextStatistics | None = None
        folder = cache if isinstance(cache, Path) else default_folder() if cache else None
        self.source: ModelSource = resolve_model(model, pretrained, offline=offline, warn=warn)
        for note in self.source.notes:
            warn(note)
        self._store = EmbeddingStore(folder, warn)

    @cached_property
    def model(self) -> Model:
        """The opened model, loaded on first use."""
        from clipcli.model import open_model

        return open_model(self.source, self._device, self._precision)

    @cached_property
    def classes(self) -> ClassEmbeddings:
        """The class embeddings of all labels with what belongs to them."""
        if self._text_embeddings is not None:
            return self._from_file(self._text_embeddings)
        classes, self.text_statistics = build_class_embeddings(
            self._labels, self._templates, self.source, self._store, self._open_text_encoder
        )
        return classes

    @property
    def class_embeddings(self) -> NDArray[np.float32]:
        """(C, D) float32, a row of length one for each label."""
        return self.classes.vectors

    def _from_file(self, path: Path) -> ClassEmbeddings:
        from clipcli.export import load_class_embeddings

        classes = load_class_embeddings(path)
        fingerprint = self.source.fingerprint(self._store.file_sha256)
        if classes.fingerprint != fingerprint:
            made_by = " ".join(filter(None, (classes.facts.name, classes.facts.pretrained)))
            raise EmbeddingFileError(
                f"{path}: made by {made_by} ({classes.fingerprint[:8]}), which is not the model in use, "
                f"{self.source.title} ({fingerprint[:8]}); export it again or choose the other --model"
            )
        return classes

    def _open_text_encoder(self) -> tuple[ModelFacts, Encode]:
        model = self.model
        facts = ModelFacts(self.source.name, self.source.pretrained, model.dim, model.logit_scale, model.logit_bias)

        def encode(prompts: Sequence[str]) -> NDArray[np.float32]:
            cut = model.text_encoder.count_cut(prompts)
            if cut:
                self._warn(f"{cut} prompts are longer than {self.source.title} can read; their ends are cut off")
            return model.text_encoder.encode(prompts)

        return facts, encode

    def classify(self, images: Iterable[ImageLike] | ImageLike) -> Iterator[Result]:
        """Classify images, yielding one result for each in their order.

        Parameters
        ----------
        images
            Paths of files or folders, or Pillow images.

        Yields
        ------
        Prediction or Failure
            A file that is no readable image yields a :class:`Failure`; the others go on.

        Raises
        ------
        InputError
            If a folder holds no images.
        """
        classes = self.classes
        encoder = self.model.image_encoder

        def prepare(item: tuple[str, ImageLike]) -> torch.Tensor:
            image = item[1]
            return encoder.prepare(open_image(Path(image)) if isinstance(image, str | Path) else to_rgb(image))

        workers = self._workers or min(4, os.cpu_count() or 1)
        batch_size = self._batch_size or (_CPU_BATCH if self.model.device == "cpu" else _GPU_BATCH)
        stream = map_ahead(prepare, _named(images), workers, ahead=batch_size + workers)
        for (name, _), vector in encode_in_batches(stream, encoder.encode, batch_size):
            if isinstance(vector, ImageError):
                yield Failure(name, vector.kind, str(vector))
            else:
                yield self._predict(name, vector, classes)

    def _predict(self, name: str, vector: NDArray[np.float32], classes: ClassEmbeddings) -> Prediction:
        similarity = cosine_similarities(vector[None], classes.vectors)  # (1, D) x (C, D) -> (1, C)
        probability = probabilities(similarity, classes.facts.logit_scale, classes.facts.logit_bias)
        ranking = rank(classes.labels, probability[0], similarity[0], self.top_k, self.thresholds)
        groups = group_probabilities(classes.groups, probability[0])
        return Prediction(name, ranking.label, ranking.top, self.source.name, self.source.pretrained, groups)


def _as_labels(labels: Iterable[str | Label] | Path) -> list[Label]:
    if isinstance(labels, Path):
        return load_labels(labels)
    if isinstance(labels, str):
        raise LabelError("labels must be a list of texts or a Path, not one text")
    given = [label if isinstance(label, Label) else Label(label.strip()) for label in labels]
    names = [label.name for label in given]
    if not all(names):
        raise LabelError("a label is empty")
    double = next((name for name in names if names.count(name) > 1), None) if len(set(names)) < len(names) else None
    if double is not None:
        raise LabelError(f"the label {double!r} stands twice")
    if not given:
        raise LabelError("no labels")
    return given


def _named(images: Iterable[ImageLike] | ImageLike) -> Iterator[tuple[str, ImageLike]]:
    """Pair each image with the name its result carries; folders are walked."""
    if isinstance(images, str | Path) or not isinstance(images, Iterable):
        images = [images]
    for image in images:
        if isinstance(image, str | Path) and Path(image).is_dir():
            yield from ((str(path), path) for path in find_images([Path(image)]))
        elif isinstance(image, str | Path):
            yield os.fspath(image), image
        elif hasattr(image, "convert"):
            yield getattr(image, "filename", ""), image
        else:
            raise InputError(f"cannot classify a {type(image).__name__}; give paths or Pillow images")
