"""What kind of processor this is."""

from __future__ import annotations

import hashlib
import platform

__all__ = ["processor_kind"]


def processor_kind() -> str:
    """Identify the kind of processor: a cache on a shared disk may be met by several."""
    try:
        with open("/proc/cpuinfo", "rb") as file:  # noqa: PTH123
            first = file.read(1 << 13).split(b"\n\n")[0]
    except OSError:
        return platform.processor()
    flags = [line for line in first.splitlines() if line.startswith((b"flags", b"Features", b"model name"))]
    return hashlib.sha256(b"\n".join(flags)).hexdigest()[:8]
