"""Choose the sample values of a deep image for black and white.

- **Unsigned integers** of N bits: 0 to 2^N - 1, as declared. But if N is the size of a container, 16 or 32, and 99.5 %
  of the samples are in the lowest quarter, the image has fewer bits than declared (a camera's 12 bits in a file
  of 16); white is then the smallest 2^n - 1 for n of 8, 10, 12, 14 and 16 that includes them. Samples of 16 bits that
  are all multiples of 257 were made from 8 bits and are not changed.
- **Signed integers** without negative samples: like unsigned ones, of the smallest fitting n. With negative ones: the
  whole range of the type if the samples use half of it, else the range that they use.
- **Floating point**: 0 to 1, -1 to 1, 0 to 255 or 0 to 65535, if it contains all samples and they use at least a
  sixteenth of it (a quarter of the integer ranges); else the range that they use.

"The range that they use" is that between the 0.5th and 99.5th percentile, or between the lowest and highest sample if
these are at most a quarter of that range further out.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["choose_range", "smallest_depth"]

Samples = NDArray[Any]

_SHARE = 0.5  # per cent of the samples at either end that are ignored for the range
_DEPTHS = (8, 10, 12, 14, 16)


def choose_range(samples: Samples, bits: int) -> tuple[float, float]:
    """Return the values for black and white, by the rules of this module.

    Parameters
    ----------
    samples
        Valid samples, at least one; of any shape.
    bits
        Bits per sample, as declared.
    """
    low, high = _used(samples)
    if samples.dtype.kind == "f":
        return _range_of_floats(samples, low, high)
    if samples.dtype.kind == "i":
        return _range_of_signed(low, high, bits) or _stretched(samples, low, high)
    full = 2.0**bits - 1.0
    if high > full / 4 or bits not in (16, 32) or (bits == 16 and not (samples % 257).any()):
        return 0.0, full
    depth = smallest_depth(high)
    return (0.0, min(depth, full)) if depth else _stretched(samples, low, high)


def _used(samples: Samples) -> tuple[float, float]:
    """Return the 0.5th and 99.5th percentile, or lowest and highest sample if nearly all are equal."""
    exact = samples.astype(np.float32) if samples.dtype == np.float16 else samples
    low, high = np.percentile(exact, (_SHARE, 100 - _SHARE))
    if low == high:
        low, high = samples.min(), samples.max()
    return float(low), float(high)


def _stretched(samples: Samples, low: float, high: float) -> tuple[float, float]:
    """Extend a range to the lowest and highest sample, except where these are outliers."""
    reach = (high - low) / 4
    lowest, highest = float(samples.min()), float(samples.max())
    return (lowest if low - lowest <= reach else low), (highest if highest - high <= reach else high)


def smallest_depth(high: float) -> float | None:
    """Return the white of the fewest customary bits for a number; ``None`` for one over 65535."""
    return next((2.0**bits - 1.0 for bits in _DEPTHS if high < 2**bits), None)


def _range_of_signed(low: float, high: float, bits: int) -> tuple[float, float] | None:
    half = 2.0 ** (bits - 1)
    if low >= 0:
        if high > half / 4 and bits > 16:
            return 0.0, half - 1
        depth = smallest_depth(high)
        return (0.0, min(depth, half - 1)) if depth else None
    return (-half, half - 1) if low <= -half / 2 and high >= half / 2 else None


def _range_of_floats(samples: Samples, low: float, high: float) -> tuple[float, float]:
    if low >= -0.25 and 1 / 16 < high <= 1.25:
        return 0.0, 1.0
    if -1.25 <= low < -0.25 and 0.25 < high <= 1.25:
        return -1.0, 1.0
    if low >= 0 and high <= 65535 and not (samples % 1).any():  # integers stored as floats
        return choose_range(samples.clip(0, 65535).astype(np.uint16), 16)
    if low >= -16 and 64 < high <= 280:
        return 0.0, 255.0
    if low >= -4096 and 16384 < high <= 72000:
        return 0.0, 65535.0
    return _stretched(samples, low, high)
