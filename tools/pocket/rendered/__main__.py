"""Write the labelled folders that measure, or contact sheets to look at.

python -m tools.pocket.rendered --out FOLDER --count 40
python -m tools.pocket.rendered --out FOLDER --sheets
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageOps
from tools.pocket.rendered.album import DATA
from tools.pocket.rendered.measure import write_folders
from tools.pocket.rendered.registry import KINDS, render

_CELL, _COLUMNS, _ROWS = 190, 8, 5


def contact_sheet(kind: str, data: Path = DATA, *, held: bool = False) -> Image.Image:
    """Show forty pictures of a kind side by side."""
    sheet = Image.new("RGB", (_CELL * _COLUMNS, _CELL * _ROWS), "grey")
    for index in range(_COLUMNS * _ROWS):
        picture = ImageOps.contain(render(kind, index, held=held, data=data).image, (_CELL - 4, _CELL - 4))
        sheet.paste(picture, (index % _COLUMNS * _CELL + 2, index // _COLUMNS * _CELL + 2))
    return sheet


def main(arguments: Sequence[str] | None = None) -> None:
    """Parse the options and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder to write to")
    parser.add_argument("--data", type=Path, default=DATA, help="folder of archives (default: %(default)s)")
    parser.add_argument("--count", type=int, default=40, help="pictures of each class (default: %(default)s)")
    parser.add_argument("--sheets", action="store_true", help="write contact sheets of the training kinds instead")
    given = parser.parse_args(arguments)
    if given.sheets:
        given.out.mkdir(parents=True, exist_ok=True)
        for kind in KINDS:
            contact_sheet(kind, given.data).save(given.out / f"{kind}.png")
        return
    for name, count in write_folders(given.out, given.count, data=given.data).items():
        print(f"{name}: {count} pictures")


if __name__ == "__main__":
    main()
