"""Measure model folders, side by side, on pictures and label lists that training never uses.

    python -m tools.pocket.evaluate --photos FOLDER --data FOLDER [--rendered FOLDER] [--model DIR] [--probe] [--card]

``--photos`` holds photos named ``<WordNet id>_<class name>.JPEG``, each of one ImageNet class; ``--data`` the
archives of ``splits.py``; ``--rendered`` pictures in ``LIST/LABEL/*``. All figures are of the fp32 model on the CPU.
"""

from __future__ import annotations

import argparse
import gc
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import skimage
import sklearn
import torch
from tools.pocket import measures
from tools.pocket.card import write_card
from tools.pocket.label_sets import DEMO, EXPECTED_ON_TOP
from tools.pocket.material import Material, file_item, gather
from tools.pocket.measured_model import MeasuredModel
from tools.pocket.measures import Figure

POCKET = Path("src/clipcli/models/pocket")
WORK = Path("tools/pocket/work")
MEASURES: tuple[Callable[[MeasuredModel, Material], Iterator[Figure]], ...] = (
    measures.class_names,
    measures.general_words,
    measures.left_out,
    measures.retrieval,
    measures.small,
    measures.calibrated,
)


def best_scale(model: MeasuredModel, material: Material) -> float:
    """Find the logit scale with the least cross-entropy over the 1000 names."""
    cosines = torch.from_numpy(model.images(material.photos) @ model.labels(material.classes.names).T)  # (N, C)
    wanted = torch.from_numpy(material.photo_classes)
    scales = [float(scale) for scale in np.arange(5.0, 100.0, 0.5)]
    return min(scales, key=lambda scale: float(torch.nn.functional.cross_entropy(scale * cosines, wanted)))


def demo_rankings(model: MeasuredModel) -> dict[str, list[str]]:
    """Give the three best labels of each demo picture."""
    folders = [Path(skimage.__file__).parent / "data", Path(sklearn.__file__).parent / "datasets" / "images"]
    paths = [folder / name for name in EXPECTED_ON_TOP for folder in folders if (folder / name).exists()]
    logits = model.scale * model.images([file_item(path) for path in paths]) @ model.labels(DEMO).T  # (N, W)
    chances = torch.softmax(torch.from_numpy(logits), dim=1)
    best = torch.topk(chances, 3, dim=1)
    return {
        path.name: [f"{DEMO[i]} {p:.2f}" for p, i in zip(row.tolist(), columns.tolist(), strict=True)]
        for path, row, columns in zip(paths, best.values, best.indices, strict=True)
    }


def measure(folder: Path, work: Path, material: Material, *, probe: bool) -> list[Figure]:
    """Collect all figures of one model, and print the demo pictures' labels."""
    model = MeasuredModel(folder, work)
    steps = (*MEASURES, measures.probes) if probe else MEASURES
    figures = [figure for step in steps for figure in step(model, material)]
    print(f"{folder}: logit scale {model.scale:.1f}, best for the class names {best_scale(model, material):.1f}")
    for name, labels in demo_rankings(model).items():
        print(f"  {name}: {', '.join(labels)}")
    return figures


def table(models: Sequence[str], figures: Sequence[Sequence[Figure]]) -> Iterator[str]:
    """Lay the figures of the models side by side: name, pictures, one column for each model, target."""
    names = [figure.name for column in figures for figure in column]
    width = max(map(len, names))
    yield f"{'':{width}}  {'n':>6}  {'  '.join(f'{name[-12:]:>12}' for name in models)}  target"
    by_name = [{figure.name: figure for figure in column} for column in figures]
    for name in dict.fromkeys(names):
        found = [column.get(name) for column in by_name]
        first = next(figure for figure in found if figure)
        cells = "  ".join(f"{_cell(figure):>12}" for figure in found)
        sign = "≤" if first.at_most else "≥"
        target = f"{sign} {100 * first.target:.0f}" if first.target is not None else ""
        yield f"{name:{width}}  {first.count:6}  {cells}  {target}"


def _cell(figure: Figure | None) -> str:
    if figure is None:
        return ""
    missed = figure.target is not None and (figure.value - figure.target) * (-1 if figure.at_most else 1) < 0
    return f"{'* ' if missed else ''}{100 * figure.value:.1f}"


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print; with ``--card`` also write ``card.json`` beside the last model's weights."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--rendered", type=Path)
    parser.add_argument("--model", type=Path, action="append", help="may be repeated; the default is the built-in one")
    parser.add_argument("--wordnet", type=Path, default=Path("/usr/share/wordnet"))
    parser.add_argument("--work", type=Path, default=WORK, help="where image features are cached")
    parser.add_argument("--probe", action="store_true", help="fit linear probes on the image features as well")
    parser.add_argument("--card", action="store_true", help="write the figures to the model folder's card.json")
    given = parser.parse_args(arguments)
    material = gather(given.data, given.photos, given.wordnet, given.rendered)
    models = given.model or [POCKET]
    figures = []
    for folder in models:
        figures.append(measure(folder, given.work, material, probe=given.probe))
        gc.collect()  # a model's network, before the next is loaded
    print("\n".join(table([str(folder) for folder in models], figures)))
    print("* below the target")
    if given.card:
        write_card(models[-1], {figure.name: round(figure.value, 3) for figure in figures[-1]})


if __name__ == "__main__":
    main()
