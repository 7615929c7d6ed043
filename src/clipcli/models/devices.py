"""The device and the precision that a model runs with.

torch is imported when one of them is chosen, not before.
"""

from __future__ import annotations

from clipcli.errors import ModelError

__all__ = ["PRECISIONS", "check_precision", "choose_device", "choose_precision"]

PRECISIONS = ("auto", "fp32", "bf16", "fp16")


def choose_device(requested: str) -> str:
    """Turn ``--device`` into a device that is there; ``auto`` takes CUDA, then MPS, then the CPU.

    Raises
    ------
    ModelError
        If the device named is not on this machine, or torch cannot be imported.
    """
    from clipcli.models._torchvision import import_torch

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
