"""Colours for numbers on a terminal."""

from __future__ import annotations

from clipcli.reports.matplotlib_figures import ink_on

__all__ = ["style_between"]

# Points of matplotlib's cividis (Nuñez et al. 2018), which colour-blind people see like others.
_CIVIDIS = ((0, 34, 78), (53, 69, 108), (102, 105, 112), (148, 142, 119), (200, 184, 102), (254, 232, 56))


def style_between(value: float, least: float, greatest: float) -> str:
    """Return a Rich style whose background shows where a value lies between two others."""
    share = (value - least) / (greatest - least) if greatest > least else 0.0
    place = min(max(share, 0.0), 1.0) * (len(_CIVIDIS) - 1)
    below = min(int(place), len(_CIVIDIS) - 2)
    mixed = (
        round(low + (high - low) * (place - below))
        for low, high in zip(_CIVIDIS[below], _CIVIDIS[below + 1], strict=True)
    )
    red, green, blue = mixed
    return f"{ink_on(red / 255, green / 255, blue / 255)} on rgb({red},{green},{blue})"
