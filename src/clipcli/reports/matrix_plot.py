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
from clipcli.reports.matplotlib_figures import empty_figure, ink_on, legible_size, plain, size_of
from clipcli.reports.matrix import Matrix
from clipcli.text import short_name

__all__ = ["draw_matrix", "open_pictures"]

_ROWS, _COLUMNS = 100, 120  # maximum rows and columns with names; of more, only the numbers are shown
_NAME = 28  # characters of a file name
_FEW = 14  # rows whose images are large
_SIDE = 160  # pixels of an image
_CELL, _LEAST, _GREATEST = 0.62, 4.0, 16.0  # inches
_PICTURE, _SMALL_PICTURE = 0.8, 0.45  # inches of a row with an image, if they are few or many
_SMALLEST = 6  # points of a name
_POINTS = 72  # per inch


def draw_matrix(matrix: Matrix, pictures: Sequence[Any], title: str = "") -> Any:
    """Draw the matrix in cividis, which colour-blind people can read, and return a matplotlib figure.

    The values are written into the cells if they are legible there. Up to 100 rows have an image and a file name, and
    up to 120 columns have a text; more are numbered.

    Parameters
    ----------
    pictures
        One Pillow image per row, or ``None``.
    """
    rows, columns = matrix.values.shape
    width, height = (float(np.clip(_CELL * count, _LEAST, _GREATEST)) for count in (columns, rows))
    row = _PICTURE if rows <= _FEW else _SMALL_PICTURE
    if rows <= _ROWS:
        height = max(_LEAST, row * rows)
    drawn = empty_figure(width + 4.0, height + 2.5)
    axes = drawn.subplots()
    image = axes.imshow(matrix.values, cmap="cividis", aspect="auto", interpolation="nearest")
    drawn.colorbar(image, ax=axes, shrink=min(0.8, _GREATEST / height), aspect=30).set_label(matrix.unit)
    if columns <= _COLUMNS:
        _name_columns(axes, matrix.texts, width / columns)
    else:
        _number(axes, "x", "text")
    if rows <= _ROWS:
        _name_rows(axes, pictures, [Path(path).name for path in matrix.paths], 0.92 * row)
    else:
        _number(axes, "y", "image")
    if title:
        axes.set_title(plain(title, 70), fontsize="medium")
    _write_values(axes, image, matrix)
    return drawn


def _number(axes: Any, side: str, what: str) -> None:
    """Show the numbers of the rows or the columns, from 1 as in a spreadsheet."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    axis = getattr(axes, f"{side}axis")
    axis.set_major_locator(MaxNLocator(integer=True))
    axis.set_major_formatter(FuncFormatter(lambda place, _: f"{place + 1:.0f}"))
    axis.set_label_text(f"{what} (number, in the order of the matrix)")


def _name_columns(axes: Any, texts: Sequence[str], width: float) -> None:
    size = legible_size(1.0, 0.85 * width, 1) or _SMALLEST  # 0.85: the distance of slanted lines
    axes.set_xticks(range(len(texts)), [plain(text, 40) for text in texts], fontsize=size)
    for name in axes.get_xticklabels():
        name.set(rotation=55, ha="right", rotation_mode="anchor")


def _name_rows(axes: Any, pictures: Sequence[Any], names: Sequence[str], side: float) -> None:
    """Write the file name of each row, and draw its image ``side`` inches wide between the name and the row."""
    from matplotlib.offsetbox import AnnotationBbox, OffsetImage

    axes.set_yticks(range(len(names)), [short_name(name, _NAME) for name in names], fontsize=8)
    if any(picture is not None for picture in pictures):
        axes.tick_params(axis="y", length=0, pad=_POINTS * side + 14)
    for row, picture in enumerate(pictures):
        if picture is not None:
            box = AnnotationBbox(
                OffsetImage(np.asarray(picture), zoom=_POINTS * side / _SIDE), (0, row), xybox=(-8, 0),
                xycoords=("axes fraction", "data"), boxcoords="offset points", box_alignment=(1, 0.5), frameon=False,
                pad=0,
            )  # fmt: skip
            axes.add_artist(box)


def _write_values(axes: Any, image: Any, matrix: Matrix) -> None:
    """Write the values into the cells, if they are legible there."""
    texts = [f"{value:.2f}" for value in matrix.values.flat]
    (width, height), (rows, columns) = size_of(axes), matrix.values.shape
    size = legible_size(width / columns, height / rows, max(map(len, texts)))
    if size is None:
        return
    colours = image.cmap(image.norm(matrix.values))
    for (row, column), text in zip(np.ndindex(rows, columns), texts, strict=True):
        ink = ink_on(*colours[row, column, :3])
        written = axes.text(column, row, text, ha="center", va="center", color=ink, fontsize=size)
        written.set_in_layout(False)  # inside the axes: the layout of thousands of texts takes long


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
