"""Open a model through open_clip: device, precision, preprocessing and tokenizer.

torch is imported when a model is opened, not before.
"""

from __future__ import annotations

from dataclasses import dataclass

from clipcli.errors import ModelError
from clipcli.models._torchvision import import_torch
from clipcli.models.allocator import keep_freed_memory
from clipcli.models.build import learned_scale, load_network
from clipcli.models.encoders import ImageEncoder, TextEncoder
from clipcli.models.source import ModelSource

__all__ = [
    "PRECISIONS",
    "Model",
    "check_precision",
    "choose_device",
    "choose_precision",
    "open_model",
]

PRECISIONS = ("auto", "fp32", "bf16", "fp16")


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


def choose_device(requested: str) -> str:
    """Turn ``--device`` into a device that is there; ``auto`` takes CUDA, then MPS, then the CPU.

    Raises
    ------
    ModelError
        If the device named is not on this machine, or torch cannot be imported.
    """
    torch = import_torch()

    cuda = torch.cuda.device_count() if torch.cuda.is_available() else 0
    mps = torch.backends.mps.is_available()
    if requested == "auto":
        return "cuda" if cuda else "mps" if mps else "cpu"
    kind, _, number = requested.partition(":")
    there = (
        {"cpu": not number, "mps": mps and not number, "cuda": cuda > int(number or 0)}
        if not number or number.isdecimal()
        else {}
    )
    if there.get(kind):
        return requested
    known = ["cpu", *(["mps"] if mps else []), *(f"cuda:{index}" for index in range(cuda))]
    raise ModelError(f"--device {requested}: not on this machine; there is: auto, {', '.join(known)}")


def check_precision(requested: str) -> None:
    """Raise :class:`ModelError` unless ``requested`` is one of :data:`PRECISIONS`."""
    if requested not in PRECISIONS:
        raise ModelError(f"cannot use --precision {requested}: unknown precision (use {', '.join(PRECISIONS)})")


def choose_precision(requested: str, device: str) -> str:
    """Turn ``--precision`` into ``fp32``, ``bf16`` or ``fp16``.

    ``auto`` is fp16 on CUDA, bf16 on a processor that multiplies bf16 in hardware (AVX512-BF16 or AMX),
    else fp32.
    """
    check_precision(requested)
    if requested != "auto":
        return requested
    if device.startswith("cuda"):
        return "fp16"
    return "bf16" if device == "cpu" and _has_bf16() else "fp32"


def _has_bf16() -> bool:
    """Return whether the processor has instructions for products of bf16; without them, fp32 is faster."""
    import torch

    if hasattr(torch.cpu, "get_capabilities"):  # torch >= 2.9
        capabilities = torch.cpu.get_capabilities()
        return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))
    checks = (getattr(torch.cpu, name, None) for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"))
    return any(check() for check in checks if check is not None)


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
