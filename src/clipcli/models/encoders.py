"""The two encoders of an opened model: plain values in, normalised float32 arrays out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from clipcli.errors import ModelError
from clipcli.images.preprocess import Preprocessing
from clipcli.models.allocator import is_out_of_memory

if TYPE_CHECKING:
    import torch

__all__ = ["CausalTower", "ImageEncoder", "TextEncoder"]

_TEXT_BATCH = 256

FloatArray = NDArray[np.float32]


class TextEncoder:
    """Prompts in, embeddings out."""

    def __init__(self, network: Any, tokenizer: Any, device: str) -> None:
        self.tokenizer, self._device = tokenizer, device
        self._tower = CausalTower.of(network)
        self._encode_text = network.encode_text

    def cut(self, prompts: Sequence[str]) -> list[bool]:
        """Return which prompts are longer than the model's context, and truncated."""
        if hasattr(self.tokenizer, "encode"):
            room = self.tokenizer.context_length - 2
            return [len(self.tokenizer.encode(prompt)) > room for prompt in prompts]
        cleaned = [self.tokenizer.clean_fn(prompt) for prompt in prompts]
        rows = self.tokenizer.tokenizer(cleaned, verbose=False).input_ids  # verbose: warns of long ones by itself
        return [len(row) > self.tokenizer.context_length for row in rows]

    def encode(self, prompts: Sequence[str]) -> FloatArray:
        """Encode P prompts into (P, D) float32, each row of length one.

        Prompts of like length go together, and where the text encoder is causal, each batch is cut after its
        last end-of-text token: what comes after it cannot reach it, so the result is the same.
        """
        import torch

        tokens = self.tokenizer(list(prompts))  # (P, L)
        lengths = self._tower.lengths(tokens) if self._tower else torch.full((len(prompts),), tokens.shape[1])
        order = torch.argsort(lengths, stable=True)
        rows: NDArray[np.float32] | None = None
        with _explained("its tokens"), torch.inference_mode():
            for start in range(0, len(prompts), _TEXT_BATCH):
                chosen = order[start : start + _TEXT_BATCH]
                batch = tokens[chosen, : int(lengths[chosen].max())].to(self._device)
                features = self._tower.encode(batch) if self._tower else self._encode_text(batch)
                unit = _unit_rows(features)
                rows = np.empty((len(prompts), unit.shape[1]), np.float32) if rows is None else rows
                rows[chosen.numpy()] = unit
        assert rows is not None  # noqa: S101 - there is at least one prompt
        return rows


class CausalTower:
    """A text encoder that reads left to right and is read out at its end-of-text token."""

    def __init__(self, network: Any, tower: Any, eos: int | None) -> None:
        self._network, self._tower, self._eos = network, tower, eos

    @classmethod
    def of(cls, network: Any) -> CausalTower | None:
        """Return the network's text encoder if it is of this kind; ``None`` for SigLIP's, CoCa's and BERTs."""
        tower = getattr(network, "text", network)
        pooling = getattr(tower, "pool_type", getattr(tower, "text_pool_type", None))
        mask = getattr(tower, "attn_mask", None)
        if pooling not in ("argmax", "eos") or mask is None or getattr(tower, "cls_emb", None) is not None:
            return None
        return cls(network, tower, getattr(tower, "eos_id", getattr(tower, "text_eos_id", None)))

    def lengths(self, tokens: torch.Tensor) -> torch.Tensor:
        """Return (P,) how many tokens of each prompt count: those up to the one that is read out."""
        scores = tokens.eq(self._eos or 0).int() if self.read_out == "eos" else tokens
        return scores.argmax(dim=-1) + 1

    @property
    def read_out(self) -> str:
        """Where the encoder is read out: at the token ``argmax``, or at the first ``eos``."""
        return str(getattr(self._tower, "pool_type", getattr(self._tower, "text_pool_type", None)))

    @property
    def eos(self) -> int | None:
        """The end-of-text token, for ``eos``."""
        return self._eos

    def encode_traced(self, tokens: torch.Tensor) -> torch.Tensor:
        """Encode as :meth:`encode` does, in a way that ``torch.jit.trace`` can follow."""
        tower, length = self._tower, tokens.shape[1]
        mask, positions = tower.attn_mask, tower.positional_embedding
        tower._buffers["attn_mask"] = mask[:length, :length]  # noqa: SLF001 - functional_call refuses to be traced
        tower._parameters["positional_embedding"] = positions[:length]  # noqa: SLF001
        try:
            features: torch.Tensor = self._network.encode_text(tokens)
            return features
        finally:
            tower._buffers["attn_mask"] = mask  # noqa: SLF001
            tower._parameters["positional_embedding"] = positions  # noqa: SLF001

    def encode(self, tokens: torch.Tensor) -> torch.Tensor:
        """Encode (B, L) tokens with L up to the context length into (B, D)."""
        from torch.func import functional_call

        length = tokens.shape[1]
        # open_clip cuts neither of the two to the batch by itself.
        shorter = {
            "attn_mask": self._tower.attn_mask[:length, :length],
            "positional_embedding": self._tower.positional_embedding[:length],
        }
        features: torch.Tensor
        if self._tower is not self._network:
            features = functional_call(self._tower, shorter, (tokens,))
            return features
        output = functional_call(self._network, shorter, (None, tokens))
        features = output["text_features"] if isinstance(output, dict) else output[1]
        return features


class ImageEncoder:
    """Images in, embeddings out.

    Parameters
    ----------
    network
        open_clip's model, on its device and in its precision.
    preprocessing
        Its preprocessing: how images are resized and cropped.
    device
        ``cpu``, ``cuda:0``, ``mps``.
    """

    def __init__(self, network: Any, preprocessing: Preprocessing, device: str) -> None:
        import torch

        self.network, self.preprocessing, self._device = network, preprocessing, device
        self.shares_processor = device == "cpu"
        convolutions = (parameter for parameter in network.visual.parameters() if parameter.dim() > 1)
        self._dtype = next(convolutions).dtype
        factor, offset = preprocessing.scale_and_shift()
        pixels = preprocessing.height * preprocessing.width
        self._factor, self._offset = (torch.from_numpy(row).repeat(pixels).to(device) for row in (factor, offset))
        self._largest_batch: int | None = None  # known once the device ran out of memory

    def encode(self, pixels: Sequence[NDArray[np.uint8]], pad_to: int = 0) -> FloatArray:
        """Encode N images into (N, D) float32, each row of length one.

        Where the device runs out of memory, the batch is halved, for this call and all later ones.

        Parameters
        ----------
        pixels
            N arrays (H, W, 3), from :meth:`~clipcli.images.preprocess.Preprocessing.pixels`.
        pad_to
            Fill the batch up to this size, so that the result does not depend on N in its last digits.

        Raises
        ------
        ModelError
            If not even one image fits into the device's memory, the network does not take such images, or what
            it computes is not a number.
        MemoryError
            If this machine's memory is too small for the batch.
        """
        import torch

        rows: list[FloatArray] = []
        while len(pixels):
            part = pixels[: self._largest_batch]
            size = max(len(part), min(pad_to, self._largest_batch or pad_to))  # of the filled batch
            try:
                rows.append(self._encode_batch(part, size))
            except torch.OutOfMemoryError:
                if size == 1:
                    raise ModelError("the device's memory is too small for one image; try --device cpu") from None
                self._largest_batch = size // 2
                torch.cuda.empty_cache()
                continue
            pixels = pixels[len(part) :]
        return np.concatenate(rows)

    def _encode_batch(self, pixels: Sequence[NDArray[np.uint8]], size: int) -> FloatArray:
        import torch

        with _explained("its images"), torch.inference_mode():
            batch = torch.zeros((size, *pixels[0].shape), dtype=torch.uint8, pin_memory=self._device.startswith("cuda"))
            np.stack(pixels, out=batch[: len(pixels)].numpy())
            return _unit_rows(self.network.encode_image(self._normalised(batch)))[: len(pixels)]

    def _normalised(self, batch: torch.Tensor) -> torch.Tensor:
        """Turn (B, H, W, 3) bytes into what the network takes: (B, 3, H, W), channels last in memory."""
        import torch

        flat = batch.flatten(1)
        if self._device == "cpu":  # image by image: what is worked on stays in the processor's cache
            out = torch.empty(flat.shape, dtype=self._dtype)
            for row, pixels in zip(out, flat, strict=True):
                row.copy_(torch.addcmul(self._offset, pixels.float(), self._factor))
        else:
            on_device = flat.to(self._device, non_blocking=True).float()
            out = torch.addcmul(self._offset, on_device, self._factor).to(self._dtype)
        return out.view(batch.shape).permute(0, 3, 1, 2)


def _unit_rows(features: torch.Tensor) -> FloatArray:
    import torch

    unit = torch.nn.functional.normalize(features.float(), dim=-1)
    rows: FloatArray = unit.cpu().numpy()
    if not np.isfinite(rows).all():
        raise ModelError(
            "cannot embed: the model computes what is not a number (damaged weights? try --precision fp32)"
        )
    return rows


@contextmanager
def _explained(what: str) -> Iterator[None]:
    """Turn what torch raises where a network does not fit its settings into one line."""
    import torch

    try:
        yield
    except torch.OutOfMemoryError:
        raise
    except (RuntimeError, IndexError, AssertionError, ValueError) as problem:
        if is_out_of_memory(problem):
            raise MemoryError(str(problem).splitlines()[0]) from None
        lines = str(problem).strip().splitlines() or [type(problem).__name__]
        raise ModelError(f"cannot embed: the model's settings do not fit {what} ({lines[0][:200]})") from problem
