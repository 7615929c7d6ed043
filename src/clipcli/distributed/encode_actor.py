"""An actor: holds the model, encodes batches, and turns embeddings into rows."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import ray

from clipcli.distributed.messages import Batch, Rows
from clipcli.embedder import Embedder
from clipcli.errors import ModelError
from clipcli.images.preprocess import Preprocessing
from clipcli.pipeline.stream import Block, round_as_cached

__all__ = ["Encode", "EncoderFacts", "EncoderOptions", "facts_of"]

Finish = Callable[[Block[Any]], list[Any]]


@dataclass(frozen=True)
class EncoderOptions:
    """The options with which each actor opens the model, and the current folder of the driver."""

    options: dict[str, Any]
    folder: str

    def open(self, precision: str | None = None) -> Embedder:
        """Make ready to open the model here; weights are looked for as on the driver's machine."""
        with suppress(OSError):  # on another machine there may be no such folder
            os.chdir(self.folder)
        changes = {} if precision is None else {"precision": precision}
        return Embedder(**{**self.options, **changes}, cache=False)


@dataclass(frozen=True)
class EncoderFacts:
    """What a model turned out to be where it was opened.

    Parameters
    ----------
    preprocessing
        Its preprocessing: how images are resized and cropped.
    arithmetic, precision
        What the image encoder computes in, and how records call that.
    fingerprint
        The fingerprint of the image encoder.
    device
        The device of the image encoder.
    batch_size
        Images per batch.
    """

    preprocessing: Preprocessing
    arithmetic: str
    precision: str
    fingerprint: str
    device: str
    batch_size: int

    @property
    def settings(self) -> dict[str, Any]:
        """What decides the embeddings, for the settings of a run."""
        return {"precision": self.precision, "fingerprint": self.fingerprint, "batch_size": self.batch_size}


def facts_of(embedder: Embedder) -> EncoderFacts:
    """Open the model and return its facts."""
    preprocessing = embedder.image_encoder.preprocessing
    return EncoderFacts(
        preprocessing,
        embedder.arithmetic,
        embedder.precision,
        embedder.image_fingerprint(),
        str(embedder.ran_on),
        embedder.batch_size,
    )


class Encode:
    """An actor of Ray Data, a function of one batch's table.

    Parameters
    ----------
    options
        How to open the model.
    facts
        What it must turn out to be.
    finish
        Turns embeddings into rows; an object in Ray's store, which all actors share.

    Raises
    ------
    ModelError
        If this machine holds other weights than the driver's.
    """

    def __init__(self, options: EncoderOptions, facts: EncoderFacts, finish: ray.ObjectRef[Finish]) -> None:
        self._facts = facts
        embedder = options.open(facts.arithmetic)
        self._encoder = embedder.image_encoder
        fingerprint = embedder.image_fingerprint()
        if fingerprint != facts.fingerprint:
            raise ModelError(
                f"{embedder.source.title}: a machine of the cluster ({platform.node()}) holds other weights "
                f"({fingerprint[:8]}, not {facts.fingerprint[:8]}); give all of them the same"
            )
        self._finish: Finish = ray.get(finish)

    def __call__(self, table: pa.Table) -> pa.Table:
        """Encode one batch."""
        batch = Batch.unpacked(table)
        vectors: Any = ()
        if len(batch.pixels):
            vectors = self._encoder.encode(list(batch.pixels), self._facts.batch_size)
            vectors = round_as_cached(vectors, half=self._facts.arithmetic != "fp32")
        block = batch.block(vectors)
        return Rows(batch.index, batch.offset, batch.is_last, self._finish(block)).packed()
