"""All kinds of rendered pictures by name, and the calls that render them."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from tools.pocket.rendered import (
    charts,
    coloured,
    counts,
    desktops,
    documents,
    documents_held,
    forms,
    marks,
    scenes,
    screens,
    screens_held,
    signs,
    webpages,
)
from tools.pocket.rendered.album import DATA, album
from tools.pocket.rendered.picture import Rendered
from tools.pocket.rendered.studio import Kind, Studio
from tools.pocket.rendered.surfaces import reduced

KINDS: dict[str, Kind] = {
    "document": Kind((*documents.TEMPLATES, *forms.TEMPLATES), documents_held.TEMPLATES),
    "screenshot": Kind((*screens.TEMPLATES, *desktops.TEMPLATES, *webpages.TEMPLATES), screens_held.TEMPLATES),
    "colour": Kind(coloured.TEMPLATES),
    "coloured car": Kind(coloured.CAR_TEMPLATES),
    "sign": Kind(signs.TEMPLATES),
    "chart": Kind(charts.TEMPLATES),
    "mark": Kind(marks.TEMPLATES),
    "count": Kind(counts.TEMPLATES),
    "photo": scenes.PHOTO,
    "drawing": scenes.DRAWING,
    "sketch": scenes.SKETCH,
    "painting": scenes.PAINTING,
    "cartoon": scenes.CARTOON,
    "night": scenes.NIGHT,
    "day": scenes.DAY,
    "dusk": scenes.DUSK,
    "weather": scenes.WEATHER,
    "tone": scenes.TONE,
}


class RenderedPicture(NamedTuple):
    """One picture of the iterator, with the kind and seed that make it again."""

    kind: str
    seed: int
    rendered: Rendered


def render(kind: str, seed: int, *, held: bool = False, data: Path = DATA) -> Rendered:
    """Render one picture. The same kind, seed, part, archives and fonts give the same picture.

    Parameters
    ----------
    kind
        A key of ``KINDS``.
    seed
        Any integer.
    held
        Use only the templates, fonts and pictures that are kept for measuring.
    data
        The folder of archives whose pictures are transformed.

    Returns
    -------
    Rendered
        The picture in RGB with at most 288 px on its shorter side, captions, and label lists with their answers.

    Raises
    ------
    KeyError
        If there is no such kind.
    FileNotFoundError
        If there are no archives, or no fonts.
    """
    rng = random.Random(f"{kind} {'held' if held else 'train'} {seed}")
    studio = Studio(rng, album(data, held), held)
    made = KINDS[kind].choose(studio)(studio)
    return Rendered(reduced(made.image.convert("RGB")), made.captions, made.questions)


def rendered_pictures(
    count_per_kind: int | dict[str, int], seed: int = 0, *, kinds: Sequence[str] | None = None, data: Path = DATA
) -> Iterator[RenderedPicture]:
    """Render that many training pictures of each kind, in turn; seeds are ``seed``, ``seed + 1`` and so on."""
    chosen = tuple(kinds or KINDS)
    counts = count_per_kind if isinstance(count_per_kind, dict) else dict.fromkeys(chosen, count_per_kind)
    for step in range(max(counts.values(), default=0)):
        for kind in chosen:
            if step < counts.get(kind, 0):
                yield RenderedPicture(kind, seed + step, render(kind, seed + step, data=data))
