"""Compute image embeddings, or read them from the cache; the model is loaded when an image must be encoded."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clipcli.cache.embeddings import EmbeddingStore, ModelFacts
from clipcli.cache.folder import default_folder
from clipcli.cache.limit import DEFAULT_LIMIT
from clipcli.inputs.discover import Input, Source
from clipcli.inputs.given import check_count, inputs_from, source_of
from clipcli.log import LOG
from clipcli.models.backend import Backend, ImageEncoder, Opening
from clipcli.models.devices import check_precision
from clipcli.models.engines import AUTOMATIC, DEFAULT_ENGINE, EngineEntry, check_engine, engine_named, opened_if_able
from clipcli.models.processor import processor_kind
from clipcli.models.resolve import resolve_model
from clipcli.models.source import ModelSource
from clipcli.outputs.destination import Destination
from clipcli.outputs.image_rows import EmbeddingKind, ImageRow, failure_of, image_rows
from clipcli.outputs.output import Output
from clipcli.pipeline.chunks import EncoderFacts, LocalEngine
from clipcli.pipeline.decoding import default_workers
from clipcli.pipeline.given import GivenEmbeddings, are_given
from clipcli.pipeline.stream import Block, Cached, ImageStatistics, Plan, embed_images
from clipcli.runner import SILENT, OpenEngine, Outcome, Reporter, Task, run
from clipcli.storage.network_policy import steps_without_network

if TYPE_CHECKING:
    from typing_extensions import Self

    from clipcli.inputs.given import ImageLike, Names
    from clipcli.models.model import Model

__all__ = ["Embedder"]

_BATCH = {"fp32": 16, "bf16": 32, "fp16": 64}  # each the fastest on devices where that precision is the default
_TRIM_EVERY = 200  # blocks


class Embedder:
    """Compute embeddings of images.

    Parameters
    ----------
    model
        ``auto``, ``pocket``, an open_clip name, ``hf-hub:org/repo`` or ``local-dir:PATH``.
    pretrained
        For an open_clip name: a tag or a checkpoint file.
    device
        ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``.
    precision
        ``auto``, ``fp32``, ``bf16`` or ``fp16``, for the image encoder.
    engine
        ``torch``; ``openvino``, for CPUs; or ``auto`` to choose for the machine and model.
    batch_size
        Images per batch. The default depends on the precision.
    workers
        Number of decoding threads. The default depends on the machine.
    cache
        ``False`` for no cache; a folder; or ``True`` for that of ``CLIPCLI_CACHE_DIR``, else the user's cache folder.
    cache_limit
        Maximum size of the cache in bytes; above it, the oldest image embeddings are removed.
    offline
        Never open a socket.

    Attributes
    ----------
    options
        The keywords that open the same model in another process.

    Raises
    ------
    ModelError
        A subclass that names the model, device or file to fix.
    """

    def __init__(
        self,
        model: str = "auto",
        *,
        pretrained: str | None = None,
        device: str = "auto",
        precision: str = "auto",
        engine: str = "auto",
        batch_size: int | None = None,
        workers: int | None = None,
        cache: bool | str | Path = True,
        cache_limit: int = DEFAULT_LIMIT,
        offline: bool = False,
    ) -> None:
        check_precision(precision)
        self._suited, self._is_automatic = check_engine(engine, device, precision), engine == AUTOMATIC
        for name, count in (("batch_size", batch_size), ("workers", workers), ("cache_limit", cache_limit)):
            check_count(name, count)
        self._device, self._precision, self.image_statistics = device, precision, ImageStatistics()
        self._batch_size, self._workers, self._offline = batch_size, workers, offline
        folder = None if cache is False else default_folder() if cache is True else Path(cache)
        self.source: ModelSource = resolve_model(model, pretrained, offline=offline)
        for note in self.source.notes:
            LOG.warning(note)
        self._store = EmbeddingStore(folder, cache_limit, dim=int(self.source.config["embed_dim"]))
        self.options: dict[str, Any] = {
            # not "auto" again: another machine might choose another model
            "model": self.source.name if model == "auto" else model,
            "pretrained": self.source.pretrained if model == "auto" else pretrained,
            "device": device, "precision": precision, "engine": engine, "batch_size": batch_size, "offline": offline,
        }  # fmt: skip

    def close(self) -> None:
        """Close the cache; later embeddings are not cached. A ``with`` block does so at its end."""
        self._store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *problem: object) -> None:
        self.close()

    @cached_property
    def _engine(self) -> EngineEntry:
        """The engine; for ``auto``, whether the one that suits the machine can run the model is noted in the cache."""
        suited, default = self._suited, engine_named(DEFAULT_ENGINE)
        if not self._is_automatic or suited == default:
            return suited
        name = f"engine for {self.source.fingerprint(self._store.file_sha256)}"
        noted = self._store.note(name)
        if noted == suited.name:
            return suited
        unable = f"{default.name}, not {suited.name} {suited.version}"  # another release may be able to
        if noted == unable:
            return default
        backend = opened_if_able(suited, self._opening())
        self._store.keep_note(name, unable if backend is None else suited.name)
        if backend is None:
            return default
        self.__dict__["_backend"] = backend
        return suited

    def _opening(self) -> Opening:
        folder = self._store.path.parent if self._store.path is not None else None
        return Opening(self.source, self._device, self._precision, folder, self._store.file_sha256)

    @cached_property
    def _backend(self) -> Backend:
        engine = self._engine  # opens it too, where that is to be found out
        known: Backend | None = self.__dict__.get("_backend")
        return known if known is not None else engine.open(self._opening())

    @property
    def model(self) -> Model:
        """The model as torch has it, opened on first use."""
        return self._backend.model

    @property
    def is_loaded(self) -> bool:
        """Whether torch's model had to be opened so far."""
        return "_backend" in self.__dict__ and self._backend.is_loaded

    @cached_property
    def image_encoder(self) -> ImageEncoder:
        """What encodes images, opened on first use; most engines need no model that they converted before."""
        return self._backend.image_encoder()

    @property
    def ran_on(self) -> str | None:
        """Device of the image encoder: ``cpu``, ``cuda:0``, ``cpu with OpenVINO``; ``None`` before its first use."""
        return self._backend.device if "image_encoder" in self.__dict__ else None

    @cached_property
    def arithmetic(self) -> str:
        """What the image encoder computes in: ``fp32``, ``bf16`` or ``fp16``.

        The precision chosen for ``auto`` is saved in the cache, because choosing it needs torch or OpenVINO.
        """
        if self._precision != "auto":
            return self._backend.arithmetic()
        gpu, visible = Path("/dev/nvidiactl").exists(), os.environ.get("CUDA_VISIBLE_DEVICES", "all")
        name = (
            f"precision of {self._device} {self._precision} with {self._engine.name}, "
            f"processor {processor_kind()}, gpu {gpu}, seen {visible}"
        )
        noted = self._store.note(name)
        if noted is None:
            noted = self._backend.arithmetic()
            self._store.keep_note(name, noted)
        return noted

    @property
    def precision(self) -> str:
        """What records and the cache call the arithmetic: ``bf16``, or ``openvino-bf16`` for another engine."""
        return self._engine.precision(self.arithmetic)

    def image_fingerprint(self) -> str:
        """Return the fingerprint of the image encoder: model, preprocessing and precision."""
        return self.source.image_fingerprint(self._store.file_sha256, self.precision)

    def facts(self) -> ModelFacts:
        """Return the model's name, dimensions and learned scale, from the cache if it contains them."""
        if not self.is_loaded:
            text = self._engine.text_key(self.source.fingerprint(self._store.file_sha256))
            known = next(filter(None, map(self._store.model_facts, (self.image_fingerprint(), text))), None)
            if known:
                return replace(known, name=self.source.name, pretrained=self.source.pretrained)
        scale, bias = self._backend.scale()
        return ModelFacts(self.source.name, self.source.pretrained, int(self.source.config["embed_dim"]), scale, bias)

    def embed(self, images: Iterable[ImageLike] | ImageLike, *, even_batches: bool = False) -> Iterator[Block[Any]]:
        """Embed images in blocks; embeddings come from the cache, or are computed and cached.

        Yields
        ------
        Lists of ``(input, embedding)`` in the order of the inputs. An embedding is (D,) float32 of length one, or an
        :class:`~clipcli.errors.ImageError` if the input cannot be read as an image.
        """
        given, items = are_given(inputs_from(images))
        if given:
            return (yield from self.given.blocks(items))
        cached = Cached(
            self._store, self.image_fingerprint(), half=self.arithmetic != "fp32", statistics=self.image_statistics
        )

        def open_encoder() -> ImageEncoder:
            encoder = self.image_encoder
            fingerprint = self.image_fingerprint()
            cached.use(fingerprint, half=self.arithmetic != "fp32")
            self._store.remember_model(fingerprint, self.facts())
            return encoder

        plan = Plan(self.batch_size, self._workers or default_workers(), even_batches)
        blocks = embed_images(items, cached, open_encoder, plan)
        try:
            for number, block in enumerate(steps_without_network(blocks, forbidden=self._offline), start=1):
                if number % _TRIM_EVERY == 0:
                    self._store.trim()
                yield block
        finally:
            self._store.trim()

    def embed_to(
        self, output: str | Path, inputs: Names, *, file_format: str | None = None, dtype: str = "float32",
        resume: bool = False, overwrite: bool = False, update: bool = False, part_size: int = 4096,
        reporter: Reporter = SILENT,
    ) -> Outcome:  # fmt: skip
        """Write the embeddings of images to a file, or to a folder of parts.

        Parameters
        ----------
        output
            A ``.npy``, ``.npz``, ``.safetensors``, ``.parquet``, ``.csv`` or ``.jsonl`` file; a folder where the name
            ends with a slash or is the URL of an object store. Only a folder can be resumed.
        dtype
            ``float32`` or ``float16``.
        inputs, file_format, resume, overwrite, update, part_size, reporter
            As for :meth:`clipcli.Classifier.classify_to`, which also has the errors.
        """
        source = source_of(inputs)
        how: dict[str, Any] = {"resume": resume, "overwrite": overwrite, "update": update, "part_size": part_size}
        destination = Destination.for_embeddings(str(output), file_format, inputs=source.names, **how)
        return run(self.embedding_task(source), self.embedding_output(destination, dtype), reporter)

    def embedding_task(self, source: Source, open_engine: OpenEngine[ImageRow] | None = None) -> Task[ImageRow]:
        """Return the work of embedding all inputs, here or by another engine; see :mod:`clipcli.runner`."""

        def rows(items: Iterable[Input], even_batches: bool) -> Iterator[ImageRow]:
            for block in self.embed(items, even_batches=even_batches):
                yield from image_rows(block)

        facts = self.given.facts(source)
        return Task(source, open_engine or (lambda: nullcontext(LocalEngine(rows, facts))), failure_of)

    def embedding_output(self, destination: Destination, dtype: str) -> Output[ImageRow]:
        """Return the output that embeddings are written to."""
        from clipcli.outputs import on_disk

        def kind(facts: EncoderFacts | None, dtype: str) -> EmbeddingKind:
            return EmbeddingKind.of(self.facts(), facts.fingerprint if facts else self.image_fingerprint(), dtype)

        return on_disk.embedding_output(destination, dtype, kind, lambda: self.encoder_settings)

    @property
    def encoder_settings(self) -> dict[str, Any]:
        """What decides the embeddings that are computed here, for the settings of a run."""
        return {"precision": self.precision, "fingerprint": self.image_fingerprint(), "batch_size": self.batch_size}

    @cached_property
    def given(self) -> GivenEmbeddings:
        """Checks embeddings that are read from a file."""
        return GivenEmbeddings(self.source, self._store.file_sha256)

    @property
    def batch_size(self) -> int:
        """Images per batch: the given number, or a default for the encoder's precision."""
        return self._batch_size or _BATCH[self.arithmetic]
