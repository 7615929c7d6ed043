"""Open a model through open_clip: its two encoders, with preprocessing and tokenizer.

torch is imported when a model is opened, not before.
"""

from __future__ import annotations

from dataclasses import dataclass

from clipcli.models.allocator import keep_freed_memory
from clipcli.models.build import learned_scale, load_network
from clipcli.models.devices import choose_device, choose_precision
from clipcli.models.encoders import ImageEncoder, TextEncoder
from clipcli.models.source import ModelSource

__all__ = ["Model", "open_model"]


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


def open_model(source: ModelSource, device: str = "auto", precision: str = "auto") -> Model:
    """Build the architecture, load the weights and make both encoders ready.

    Parameters
    ----------
    source
        From :func:`clipcli.models.resolve.resolve_model`.
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
    # Text stays in fp32: it is encoded once, and its cached embeddings then serve every precision.
    network, preprocessing, tokenizer = load_network(source, precision)
    network.to(device)
    if device == "cpu":
        keep_freed_memory()
    logit_scale, logit_bias = learned_scale(network)
    return Model(
        source=source, device=device, precision=precision, dim=int(source.config["embed_dim"]),
        logit_scale=logit_scale, logit_bias=logit_bias,
        text_encoder=TextEncoder(network, tokenizer, device),
        image_encoder=ImageEncoder(network, preprocessing, device),
    )  # fmt: skip
