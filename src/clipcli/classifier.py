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
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from clipcli.embeddings import ClassEmbeddings, Encode, TextStatistics, build_class_embeddings
from clipcli.errors import EmbeddingFileError, ImageError, InputError, LabelError
from clipcli.inputs import BadInput, FileInput, Input, MemberInput, Source, discover
from clipcli.labels import Label, load_labels
from clipcli.pipeline import Block, Cached, ImageStatistics, Plan, embed_images
from clipcli.prompts import resolve_templates
from clipcli.records import Failure, Prediction, Result
from clipcli.sources import ModelSource, resolve_model
from clipcli.store import DEFAULT_LIMIT, EmbeddingStore, ModelFacts, default_folder
from clipcli.zeroshot import Thresholds, cosine_similarities, group_probabilities, probabilities, rank

if TYPE_CHECKING:
    from PIL import Image

    from clipcli.model import ImageEncoder, Model

    ImageLike = str | Path | Image.Image | Input

__all__ = ["Classifier"]

_CPU_BATCH, _GPU_BATCH = 16, 64
_TRIM_EVERY = 200  # blocks


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
    cache_limit
        Bytes that the cache may take before the oldest image embeddings are dropped.
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
        cache: bool | str | Path = True,
        cache_limit: int = DEFAULT_LIMIT,
        offline: bool = False,
        warn: Callable[[str], None] = lambda _: None,
    ) -> None:
        if (labels is None) == (text_embeddings is None):
            raise LabelError("give either labels or text_embeddings")
        self._warn = warn
        self._labels = _as_labels(labels) if labels is not None else []
        self._templates = resolve_templates(list(templates), list(prompts))
        self._text_embeddings = text_embeddings
        self._device, self._precision = device, precision
        self._batch_size, self._workers = batch_size, workers
        self.top_k, self.thresholds = top_k, thresholds or Thresholds()
        self.text_statistics: TextStatistics | None = None
        self.image_statistics = ImageStatistics()
        folder = None if cache is False else default_folder() if cache is True else Path(cache)
        self.source: ModelSource = resolve_model(model, pretrained, offline=offline, warn=warn)
        for note in self.source.notes:
            warn(note)
        self._store = EmbeddingStore(folder, warn, cache_limit)

    @cached_property
    def model(self) -> Model:
        """The opened model, loaded on first use."""
        from clipcli.model import open_model

        model = open_model(self.source, self._device, self._precision)
        self._store.keep_note(self._precision_note, model.precision)
        return model

    @property
    def is_loaded(self) -> bool:
        """Whether the model had to be loaded so far."""
        return "model" in self.__dict__

    @property
    def _precision_note(self) -> str:
        gpu = Path("/dev/nvidiactl").exists()
        return f"precision of {self._device} {self._precision} with torch {version('torch')}, gpu {gpu}"

    @property
    def precision(self) -> str:
        """What the image encoder computes in. The model is loaded to tell only where it was never before."""
        if self._precision != "auto" and not self.is_loaded:
            return self._precision
        noted = None if self.is_loaded else self._store.note(self._precision_note)
        return noted or self.model.precision

    def settings(self) -> dict[str, Any]:
        """Return all that decides what the results of a run say, by names that people know."""
        classes = self.classes
        return {
            "model": self.source.title,
            "precision": self.precision,
            "weights or preprocessing": self.image_fingerprint(),
            "labels": list(classes.labels),
            "groups": [group or "none" for group in classes.groups],
            "prompts": [prompt for prompts in classes.prompts for prompt in prompts],
            "thresholds": vars(self.thresholds),
            "batch size": self.batch_size,
        }

    def image_fingerprint(self) -> str:
        """Identify what makes the image embeddings: model, preprocessing and precision."""
        return self.source.image_fingerprint(self._store.file_sha256, self.precision)

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

        def encode(prompts: Sequence[str]) -> NDArray[np.float32]:
            cut = model.text_encoder.count_cut(prompts)
            if cut:
                prompts_are = "1 prompt is" if cut == 1 else f"{cut} prompts are"
                self._warn(f"{prompts_are} longer than {self.source.title} can read; what is too much is cut off")
            return model.text_encoder.encode(prompts)

        return self._facts(), encode

    def _facts(self) -> ModelFacts:
        model = self.model
        return ModelFacts(self.source.name, self.source.pretrained, model.dim, model.logit_scale, model.logit_bias)

    def classify(self, images: Iterable[ImageLike] | ImageLike, *, even_batches: bool = False) -> Iterator[Result]:
        """Classify images, yielding one result for each in their order.

        Parameters
        ----------
        images
            Paths of files, folders or tar archives, or Pillow images.
        even_batches
            Fill up the last batch of a run, so that the scores of an image don't depend on its neighbours
            in their last digits.

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
        for block in self.embed(images, even_batches=even_batches):
            yield from self._predictions(block, classes)

    def embed(self, images: Iterable[ImageLike] | ImageLike, *, even_batches: bool = False) -> Iterator[Block[Any]]:
        """Embed images, in blocks: from the cache where they are known, else encoded and kept there.

        Yields
        ------
        Lists of ``(input, embedding)`` in the order of the inputs. An embedding is (D,) float32 of length
        one; in its place stands an :class:`~clipcli.errors.ImageError` where the input is no image.
        """
        precision = self.precision
        cached = Cached(
            self._store, self.image_fingerprint(), half=precision != "fp32", statistics=self.image_statistics
        )

        def open_encoder() -> ImageEncoder:
            model = self.model
            fingerprint = self.image_fingerprint()
            cached.use(fingerprint, half=model.precision != "fp32")
            self._store.remember_model(fingerprint, self._facts())
            return model.image_encoder

        workers = self._workers or min(4, os.cpu_count() or 1)
        plan = Plan(self.batch_size, workers, even_batches)
        try:
            for number, block in enumerate(embed_images(_inputs(images), cached, open_encoder, plan), start=1):
                if number % _TRIM_EVERY == 0:
                    self._store.trim()
                yield block
        finally:
            self._store.trim()

    @property
    def batch_size(self) -> int:
        """Images a batch: as asked for, or as suits what the encoder computes in."""
        return self._batch_size or (_GPU_BATCH if self.precision == "fp16" else _CPU_BATCH)

    def _predictions(self, block: Block[Any], classes: ClassEmbeddings) -> Iterator[Result]:
        """Rank the labels for the images of one block, all at once."""
        vectors = [vector for _, vector in block if not isinstance(vector, ImageError)]
        stacked = np.stack(vectors) if vectors else np.empty((0, classes.facts.dim), np.float32)
        similarity = cosine_similarities(stacked, classes.vectors)  # (N, D) x (C, D) -> (N, C)
        scored = probabilities(similarity, classes.facts.logit_scale, classes.facts.logit_bias)
        rows = iter(zip(scored, similarity, strict=True))
        for item, vector in block:
            if isinstance(vector, ImageError):
                yield Failure(_name_of(item), vector.kind, str(vector))
                continue
            probability, cosines = next(rows)
            ranking = rank(classes.labels, probability, cosines, self.top_k, self.thresholds)
            groups = group_probabilities(classes.groups, probability) if any(classes.groups) else {}
            yield Prediction(
                _name_of(item), ranking.label, ranking.top, self.source.name, self.source.pretrained, groups
            )


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


def _inputs(images: Iterable[ImageLike] | ImageLike) -> Iterator[Any]:
    """Turn what the caller gave into single inputs; folders and archives are looked into."""
    if isinstance(images, str | Path) or not isinstance(images, Iterable):
        images = [images]
    for image in images:
        if isinstance(image, str | Path):
            yield from discover(Source((os.fspath(image),)))
        elif isinstance(image, FileInput | MemberInput | BadInput) or hasattr(image, "convert"):
            yield image
        else:
            raise InputError(f"cannot classify a {type(image).__name__}; give paths or Pillow images")


def _name_of(item: Any) -> str:
    return str(item.name) if isinstance(item, FileInput | MemberInput | BadInput) else getattr(item, "filename", "")
