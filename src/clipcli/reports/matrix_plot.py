"""A chart of the image-text similarity matrix: images along one side, texts along the other."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from clipcli.errors import ImageError
from clipcli.images.decode import scaled_to
from clipcli.images.files import open_image
from clipcli.reports.matplotlib_figures import empty_figure, plain
from clipcli.reports.matrix import Matrix
from clipcli.text import printable

__all__ = ["draw_matrix", "open_pictures"]

_PICTURED, _NAMED, _VALUED = 100, 60, 14  # maximum rows or columns for images, names, numbers
_SIDE = 160  # pixels of an image
_CELL, _LEAST, _GREATEST = 0.62, 4.0, 16.0  # inches
_PICTURE = 0.8  # inches of a row with an image, if they are few
_SMALL_PICTURE = 0.45  # inches of a row with an image, if they are many


def draw_matrix(matrix: Matrix, pictures: Sequence[Any], title: str = "") -> Any:
    """Draw the matrix in cividis, which colour-blind people can read, and return a matplotlib figure.

    Parameters
    ----------
    pictures
        One Pillow image per row, or ``None``.
    """
    rows, columns = matrix.values.shape
    width, height = (float(np.clip(_CELL * count, _LEAST, _GREATEST)) for count in (columns, rows))
    row = _PICTURE if rows <= _VALUED else _SMALL_PICTURE
    if rows <= _PICTURED:
        height = max(_LEAST, row * rows)
    drawn = empty_figure(width + 3.0, height + 2.5)
    axes = drawn.subplots()
    image = axes.imshow(matrix.values, cmap="cividis", aspect="auto", interpolation="nearest")
    drawn.colorbar(image, ax=axes, shrink=0.8).set_label(matrix.unit)
    _name_columns(axes, matrix.texts)
    if rows <= _PICTURED:
        _picture_rows(axes, pictures, [printable(path) for path in matrix.paths], 0.92 * row)
    elif rows <= _NAMED:
        axes.set_yticks(range(rows), [plain(Path(printable(path)).name, 24) for path in matrix.paths], fontsize=7)
    else:
        axes.set_ylabel("image (number)")
    if max(rows, columns) <= _VALUED:
        _write_values(axes, matrix)
    if title:
        axes.set_title(plain(title, 70), fontsize="medium")
    return drawn


def _name_columns(axes: Any, texts: Sequence[str]) -> None:
    if len(texts) > _NAMED:
        axes.set_xlabel("text (number)")
        return
    axes.set_xticks(
        range(len(texts)), [plain(text, 40) for text in texts], fontsize=9 if len(texts) <= _PICTURED else 7
    )
    for name in axes.get_xticklabels():
        name.set(rotation=55, ha="right", rotation_mode="anchor")


def _picture_rows(axes: Any, pictures: Sequence[Any], names: Sequence[str], side: float) -> None:
    """Draw each image next to its row, ``side`` inches wide, or its name if it cannot be opened."""
    from matplotlib.offsetbox import AnnotationBbox, OffsetImage

    axes.set_yticks(range(len(names)), [""] * len(names))
    zoom = 72 * side / _SIDE  # matplotlib counts in points, 72 an inch
    for row, (picture, name) in enumerate(zip(pictures, names, strict=True)):
        if picture is None:
            axes.annotate(plain(Path(name).name, 16), (0, row), (-8, 0), xycoords=("axes fraction", "data"),
                          textcoords="offset points", ha="right", va="center", fontsize=7)  # fmt: skip
            continue
        box = AnnotationBbox(
            OffsetImage(np.asarray(picture), zoom=zoom), (0, row), xybox=(-8, 0), xycoords=("axes fraction", "data"),
            boxcoords="offset points", box_alignment=(1, 0.5), frameon=False, pad=0,
        )  # fmt: skip
        axes.add_artist(box)


def _write_values(axes: Any, matrix: Matrix) -> None:
    least, greatest = matrix.values.min(), matrix.values.max()
    middle = least + 0.6 * (greatest - least)
    for (row, column), value in np.ndenumerate(matrix.values):
        colour = "black" if value > middle else "white"
        axes.text(column, row, f"{value:.2f}", ha="center", va="center", color=colour, fontsize=8)


def open_pictures(files: Sequence[Path | None]) -> list[Any]:
    """Return a small square image of each file, ``None`` if it cannot be opened."""
    return [_square(file) if file is not None else None for file in files]


def _square(file: Path) -> Any:
    try:
        image = open_image(file, scaled_to(_SIDE, min))
    except ImageError:
        return None
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    return image.resize((_SIDE, _SIDE), Image.Resampling.BICUBIC, (left, top, left + side, top + side))
