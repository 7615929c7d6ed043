"""Open a model through open_clip: device, precision, preprocessing and tokenizer.

The two encoders come out as :class:`TextEncoder` and :class:`ImageEncoder`, which take plain values
and return normalised float32 arrays. torch is imported when a model is opened, not before.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from clipcli.errors import ModelError
from clipcli.network import load_network
from clipcli.sources import ModelSource

if TYPE_CHECKING:
    import torch
    from PIL import Image

__all__ = [
    "PRECISIONS",
    "ImageEncoder",
    "Model",
    "TextEncoder",
    "check_precision",
    "choose_device",
    "choose_precision",
    "open_model",
]

PRECISIONS = ("auto", "fp32", "bf16", "fp16")
_TEXT_BATCH = 256

FloatArray = NDArray[np.float32]
Warn = Callable[[str], None]


@dataclass(frozen=True)
class Model:
    """An opened model.

    Parameters
    ----------
    source
        Where it came from.
    device, precision
        What it runs on: ``cpu``, ``cuda:0``, ``mps``; and what the image encoder computes in.
    dim
        D, the dimensions of the shared space.
    logit_scale, logit_bias
        The model's own learned scale (the factor, not its logarithm), and the bias of a sigmoid model.
    """

    source: ModelSource
    device: str
    precision: str
    dim: int
    logit_scale: float
    logit_bias: float | None
    text_encoder: TextEncoder
    image_encoder: ImageEncoder


class TextEncoder:
    """Prompts in, embeddings out."""

    def __init__(self, network: Any, tokenizer: Any, device: str) -> None:
        self._network, self._tokenizer, self._device = network, tokenizer, device

    def count_cut(self, prompts: Sequence[str]) -> int:
        """Count the prompts that are longer than the model's context and lose their end."""
        if hasattr(self._tokenizer, "encode"):
            room = self._tokenizer.context_length - 2
            return sum(len(self._tokenizer.encode(prompt)) > room for prompt in prompts)
        cleaned = [self._tokenizer.clean_fn(prompt) for prompt in prompts]
        rows = self._tokenizer.tokenizer(cleaned, verbose=False).input_ids  # verbose: warns of long ones by itself
        return sum(len(row) > self._tokenizer.context_length for row in rows)

    def encode(self, prompts: Sequence[str]) -> FloatArray:
        """Encode P prompts into (P, D) float32, each row of length one."""
        import torch

        rows: list[FloatArray] = []
        with torch.inference_mode():
            for start in range(0, len(prompts), _TEXT_BATCH):
                tokens = self._tokenizer(list(prompts[start : start + _TEXT_BATCH])).to(self._device)  # (B, L)
                rows.append(_unit_rows(self._network.encode_text(tokens)))
        return np.concatenate(rows)


class ImageEncoder:
    """Images in, embeddings out."""

    def __init__(self, network: Any, transform: Callable[[Image.Image], torch.Tensor], device: str) -> None:
        self._network, self._transform, self._device = network, transform, device
        self._dtype = next(network.visual.parameters()).dtype
        self._largest_batch: int | None = None  # known once the device ran out of memory

    def prepare(self, image: Image.Image) -> torch.Tensor:
        """Resize, crop and normalise one RGB image as the model was trained: (3, H, W) float32."""
        return self._transform(image)

    def encode(self, prepared: Sequence[torch.Tensor], pad_to: int = 0) -> FloatArray:
        """Encode N prepared images into (N, D) float32, each row of length one.

        Where the device runs out of memory, the batch is halved, for this call and all later ones.

        Parameters
        ----------
        prepared
            From :meth:`prepare`.
        pad_to
            Fill the batch up to this size, so that the result does not depend on N in its last digits.

        Raises
        ------
        ModelError
            If not even one image fits into the device's memory.
        """
        import torch

        rows: list[FloatArray] = []
        while len(prepared):
            part = prepared[: self._largest_batch]
            size = max(len(part), min(pad_to, self._largest_batch or pad_to))  # of the filled batch
            try:
                rows.append(self._encode_batch(part, size))
            except torch.OutOfMemoryError:
                if size == 1:
                    raise ModelError("the device's memory is too small for one image; try --device cpu") from None
                self._largest_batch = size // 2
                torch.cuda.empty_cache()
                continue
            prepared = prepared[len(part) :]
        return np.concatenate(rows)

    def _encode_batch(self, prepared: Sequence[torch.Tensor], pad_to: int) -> FloatArray:
        import torch

        with torch.inference_mode():
            batch = torch.stack(list(prepared))  # (N, 3, H, W)
            missing = max(0, pad_to - len(batch))
            padded = torch.nn.functional.pad(batch, (0, 0, 0, 0, 0, 0, 0, missing)).to(self._device, self._dtype)
            return _unit_rows(self._network.encode_image(padded))[: len(batch)]


def _unit_rows(features: torch.Tensor) -> FloatArray:
    import torch

    unit = torch.nn.functional.normalize(features.float(), dim=-1)
    rows: FloatArray = unit.cpu().numpy()
    return rows


def choose_device(wish: str) -> str:
    """Turn ``--device`` into a device that is there; ``auto`` takes CUDA, then MPS, then the CPU.

    Raises
    ------
    ModelError
        If the device named is not on this machine.
    """
    import torch

    cuda = torch.cuda.device_count() if torch.cuda.is_available() else 0
    mps = torch.backends.mps.is_available()
    if wish == "auto":
        return "cuda" if cuda else "mps" if mps else "cpu"
    kind, _, number = wish.partition(":")
    there = (
        {"cpu": not number, "mps": mps and not number, "cuda": cuda > int(number or 0)}
        if not number or number.isdecimal()
        else {}
    )
    if there.get(kind):
        return wish
    known = ["cpu", *(["mps"] if mps else []), *(f"cuda:{index}" for index in range(cuda))]
    raise ModelError(f"--device {wish}: not on this machine; there is: auto, {', '.join(known)}")


def check_precision(wish: str) -> None:
    """Raise :class:`ModelError` unless ``wish`` is one of :data:`PRECISIONS`."""
    if wish not in PRECISIONS:
        raise ModelError(f"--precision {wish}: choose one of {', '.join(PRECISIONS)}")


def choose_precision(wish: str, device: str) -> str:
    """Turn ``--precision`` into ``fp32``, ``bf16`` or ``fp16``; ``auto`` is fp16 on CUDA, else fp32."""
    check_precision(wish)
    if wish == "auto":
        return "fp16" if device.startswith("cuda") else "fp32"
    return wish


def _dtype(precision: str) -> torch.dtype:
    import torch

    return {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[precision]


def open_model(source: ModelSource, device: str = "auto", precision: str = "auto") -> Model:
    """Build the architecture, load the weights and make both encoders ready.

    Parameters
    ----------
    source
        From :func:`clipcli.sources.resolve_model`.
    device, precision
        As the options of the same names.

    Raises
    ------
    CheckpointError
        If the weights are damaged, would run code, or belong to another architecture.
    ModelError
        If a device, precision or a needed extra is not there.
    """
    device = choose_device(device)
    precision = choose_precision(precision, device)
    network, transform, tokenizer = load_network(source)
    network.to(device)
    # Text stays in fp32: it is encoded once, and its cached embeddings then serve every precision.
    network.visual.to(_dtype(precision))
    bias = getattr(network, "logit_bias", None)
    return Model(
        source=source, device=device, precision=precision, dim=int(source.config["embed_dim"]),
        logit_scale=float(network.logit_scale.detach().float().exp()),
        logit_bias=None if bias is None else float(bias.detach().float()),
        text_encoder=TextEncoder(network, tokenizer, device), image_encoder=ImageEncoder(network, transform, device),
    )  # fmt: skip
