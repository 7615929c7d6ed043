"""What an engine provides: a model opened by it, with an image encoder and a text encoder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from clipcli.images.preprocess import Preprocessing
from clipcli.models.source import ModelSource

if TYPE_CHECKING:
    from clipcli.models.model import Model

__all__ = ["Backend", "ImageEncoder", "Opening", "TextEncoder"]

FloatArray = NDArray[np.float32]


class ImageEncoder(Protocol):
    """Pixels in, embeddings out."""

    @property
    def preprocessing(self) -> Preprocessing:
        """Its preprocessing: how images are resized and cropped."""

    @property
    def shares_processor(self) -> bool:
        """Whether it shares the CPU cores with decoding; the two then alternate."""

    def encode(self, pixels: Sequence[NDArray[np.uint8]], pad_to: int = 0) -> FloatArray:
        """Encode N images, each (H, W, 3), into (N, D) float32, each row of length one.

        ``pad_to`` fills the batch up to that size, so that the result does not depend on N in its last digits.
        """


class TextEncoder(Protocol):
    """Prompts in, embeddings out."""

    def cut(self, prompts: Sequence[str]) -> list[bool]:
        """Return which prompts are longer than the model's context, and truncated."""

    def encode(self, prompts: Sequence[str]) -> FloatArray:
        """Encode P prompts into (P, D) float32, each row of length one."""


@dataclass(frozen=True)
class Opening:
    """What an engine is given to open a model with.

    Parameters
    ----------
    source
        The model's files.
    device, precision
        As the user asked for them; both may be ``auto``.
    cache
        The folder where an engine may keep what it made of the model; ``None`` to keep nothing.
    sha256_of
        Returns the sha256 of a file, from memory where it is known.
    """

    source: ModelSource
    device: str
    precision: str
    cache: Path | None
    sha256_of: Callable[[Path], str]


class Backend(Protocol):
    """One model run by one engine. Nothing heavy happens before a method asks for it."""

    def __init__(self, opening: Opening) -> None: ...

    @property
    def model(self) -> Model:
        """The model as torch has it, opened on first use; what other engines convert."""

    @property
    def is_loaded(self) -> bool:
        """Whether torch's model had to be opened so far."""

    @property
    def device(self) -> str:
        """Where images are encoded, for people: ``cpu``, ``cuda:0``, ``cpu with OpenVINO``."""

    def arithmetic(self) -> str:
        """Return what the image encoder computes in: ``fp32``, ``bf16`` or ``fp16``.

        Raises
        ------
        ModelError
            If it cannot compute in what was asked for.
        """

    def scale(self) -> tuple[float, float | None]:
        """Return the model's learned scale (the factor, not its logarithm), and the bias of a sigmoid model."""

    def image_encoder(self) -> ImageEncoder:
        """Open the image encoder.

        Raises
        ------
        CheckpointError, ModelError
            If the weights are damaged or belong to another architecture, or the engine cannot run the model.
        """

    def text_encoder(self) -> TextEncoder:
        """Open the text encoder; raises as :meth:`image_encoder` does."""
