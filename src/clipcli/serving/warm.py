"""An open model: images become embeddings in batches that all requests share, and sets of labels stay in memory."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clipcli.cache.images import round_as_cached
from clipcli.classifier import Classifier
from clipcli.embedder import Embedder
from clipcli.errors import ImageError
from clipcli.labels.label import Label
from clipcli.models.backend import ImageEncoder
from clipcli.pipeline.decoding import default_workers, pixels_of
from clipcli.serving.batching import Batcher
from clipcli.serving.heard import warnings_heard
from clipcli.serving.limits import Limits
from clipcli.serving.parameters import Options
from clipcli.serving.problems import RequestError
from clipcli.serving.recent import Recent
from clipcli.serving.uploads import Upload

__all__ = ["Embedded", "LabelSet", "WarmModel"]

FloatArray = NDArray[np.float32]

_BATCH_SECONDS = 0.004
_NOT_KEPT = "its embedding is no longer in memory (send the image again)"


@dataclass(frozen=True)
class Embedded:
    """The embedding of one upload.

    Parameters
    ----------
    vector
        (D,) float32 of length one, or why there is none.
    id
        The sha256 of the image file; ``None`` if there is no embedding.
    """

    vector: FloatArray | ImageError
    id: str | None = None


@dataclass(frozen=True)
class LabelSet:
    """A set of labels that is ready, and what there is to warn of."""

    classifier: Classifier
    warnings: tuple[str, ...]

    def weigh(self) -> int:
        """Return the number of its class embeddings."""
        competitors = self.classifier.classes.competitors
        return len(self.classifier.classes.labels) + (len(competitors.phrases) if competitors is not None else 0)


class WarmModel:
    """A model that is opened when it is first needed, and closed when no request needs it.

    Parameters
    ----------
    open_embedder
        Opens the model.
    given
        The parameters of :class:`clipcli.Classifier` for the labels of the server; ``None`` if it has none.
    limits
        How much stays in memory.
    """

    def __init__(self, open_embedder: Callable[[], Embedder], given: dict[str, Any] | None, limits: Limits) -> None:
        self._open_embedder, self._given, self._limits = open_embedder, given, limits
        self._opening = threading.Lock()
        self._opened: _Opened | None = None
        self.last_used = monotonic()
        self.encoded = self.batches = self.reused = 0

    @property
    def is_open(self) -> bool:
        """Whether it is in memory."""
        return self._opened is not None

    def opened(self) -> _Opened:
        """Return the open model; the first call takes as long as that does."""
        with self._opening:
            self.last_used = monotonic()
            if self._opened is None:
                self._opened = _Opened(self._open_embedder(), self._limits, self)
            return self._opened

    def close(self) -> None:
        """Finish what is queued, and free the memory; the next request opens it again."""
        with self._opening:
            opened, self._opened = self._opened, None
            if opened is not None:
                opened.close()

    def label_set(self, options: Options) -> LabelSet:
        """Return the labels of a request, or those of the server, ready to rank images.

        Raises
        ------
        LabelError, TemplateError, ModelError, EmbeddingFileError
            If they cannot be used.
        RequestError
            If neither the request nor the server has labels.
        """
        opened = self.opened()
        if (known := opened.label_sets.get(options)) is not None:
            return known
        if options.labels is not None:
            prompts = {"templates": options.templates, "prompts": options.prompts}
            chosen: dict[str, Any] = {"labels": options.labels, **prompts, **options.parameters}
        elif self._given is None:
            raise RequestError("invalid", "no labels: the server has none (send labels)")
        else:
            chosen = {**self._given, **options.parameters}
            if options.templates or options.prompts:
                if self._given.get("classes") is not None:
                    raise RequestError(
                        "invalid", "the classes file of the server takes the place of labels and templates"
                    )
                chosen |= {"templates": options.templates, "prompts": options.prompts}
        with opened.text_lock, warnings_heard() as warnings:
            classifier = Classifier(embedder=opened.embedder, **chosen)
            classifier.warn_of_single_label()  # computes the class embeddings
        found = LabelSet(classifier, tuple(dict.fromkeys(warnings)))
        opened.label_sets.put(options, found)
        return found

    def texts(self, texts: Sequence[str], templates: Sequence[str]) -> FloatArray:
        """Embed T texts into (T, D) float32; as they are, or averaged over templates.

        Raises
        ------
        LabelError, TemplateError
            If a text or a template cannot be used.
        """
        opened = self.opened()
        labels = [Label(f"text {number}", names=(text,)) for number, text in enumerate(texts, start=1)]
        with opened.text_lock, warnings_heard():
            chosen = Classifier(labels=labels, templates=templates or ("{label}",), embedder=opened.embedder)
            return chosen.class_embeddings


class _Exclusive:
    """An image encoder that several threads may use, one at a time."""

    def __init__(self, encoder: ImageEncoder) -> None:
        self._encoder, self._lock = encoder, threading.Lock()
        self.preprocessing, self.shares_processor = encoder.preprocessing, encoder.shares_processor

    def encode(self, pixels: Sequence[NDArray[np.uint8]], pad_to: int = 0) -> FloatArray:
        """Encode a batch as soon as no other is encoded."""
        with self._lock:
            return self._encoder.encode(pixels, pad_to)


class _Opened:
    """What an open model consists of.

    Attributes
    ----------
    text_lock
        Held while texts are encoded.
    """

    def __init__(self, embedder: Embedder, limits: Limits, counts: WarmModel) -> None:
        self.embedder, self._counts = embedder, counts
        self._encoder: ImageEncoder = _Exclusive(embedder.image_encoder)
        embedder.image_encoder = self._encoder  # for searches, which run at the same time as the batches
        self._half = embedder.arithmetic != "fp32"
        self.precision = embedder.precision
        self.text_lock = threading.Lock()
        self.label_sets: Recent[Options, LabelSet] = Recent(limits.kept_labels, float("inf"), LabelSet.weigh)
        self.images: Recent[str, FloatArray] = Recent(limits.kept, limits.kept_seconds)
        self._may_decode = threading.Event()
        self._may_decode.set()
        self._decoding = ThreadPoolExecutor(default_workers(), thread_name_prefix="decode")
        self._batcher: Batcher[NDArray[np.uint8], FloatArray] = Batcher(
            self._encode, embedder.batch_size, _BATCH_SECONDS
        )

    def close(self) -> None:
        self._decoding.shutdown(wait=True)
        self._batcher.close()
        self.embedder.close()

    def embed(self, upload: Upload, path: Path | None = None) -> Future[Embedded]:
        """Embed one image; damage is a value.

        Parameters
        ----------
        path
            The file to read, if the upload names one.
        """
        done: Future[Embedded] = Future()
        if upload.id is not None:
            done.set_result(self._kept(upload.id))
            return done
        self._decoding.submit(self._prepare, upload.data, path, done)
        return done

    def _kept(self, name: str) -> Embedded:
        vector = self.images.get(name)
        self._counts.reused += vector is not None
        return Embedded(ImageError("not_found", _NOT_KEPT)) if vector is None else Embedded(vector, name)

    def _prepare(self, data: bytes | None, path: Path | None, done: Future[Embedded]) -> None:
        """Read, look up and decode one image on a thread, and pass its pixels on to the encoder."""
        if not done.set_running_or_notify_cancel():
            return
        try:
            from clipcli.images.files import read_file

            content = read_file(str(path)) if path is not None else data or b""
            digest = sha256(content).hexdigest()
            known = self._kept(digest)
            if known.id is not None:
                done.set_result(known)
                return
            self._may_decode.wait()
            pixels = pixels_of(content, self._encoder.preprocessing)
        except ImageError as problem:
            done.set_result(Embedded(problem))
        except BaseException as problem:  # noqa: BLE001 - whoever waits must hear of it
            done.set_exception(problem)
        else:
            vector: Future[FloatArray] = Future()
            vector.add_done_callback(lambda found: self._finish(digest, found, done))
            self._batcher.submit(pixels, vector)

    def _finish(self, digest: str, vector: Future[FloatArray], done: Future[Embedded]) -> None:
        if (problem := vector.exception()) is not None:
            done.set_exception(problem)
            return
        row = vector.result().copy()  # not a view, which would keep its whole batch in memory
        self.images.put(digest, row)
        done.set_result(Embedded(row, digest))

    def _encode(self, pixels: list[NDArray[np.uint8]]) -> list[FloatArray]:
        """Encode a batch. On a CPU, no image is decoded meanwhile: threads that share a core slow each other down."""
        if self._encoder.shares_processor:
            self._may_decode.clear()
        try:
            self._counts.encoded, self._counts.batches = self._counts.encoded + len(pixels), self._counts.batches + 1
            return list(round_as_cached(self._encoder.encode(pixels), half=self._half))
        finally:
            self._may_decode.set()
