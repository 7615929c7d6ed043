"""Measure the acceptance figures through the command line, as a user gets them.

    python -m tools.pocket.through_cli --photos FOLDER --data FOLDER [--rendered FOLDER] [--model NAME] [--only PART]

Photos are classified where they are. The pictures of each other task are written to a folder of a scratch
directory, classified by ``clipcli classify``, and the JSON Lines it writes are compared with the truth. Image
embeddings are cached there between lists. ``--only`` chooses among words, sets, captions and small.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
from tools.pocket.evaluate import table
from tools.pocket.label_lists import balanced_accuracy
from tools.pocket.material import Material, Task, gather
from tools.pocket.measured_model import Item
from tools.pocket.measures import AMONG, LEAST_PHOTOS, TARGETS, Figure, caption_groups
from tools.pocket.splits import Part

PARTS = ("words", "sets", "captions", "small")


@dataclass(frozen=True)
class CommandLine:
    """The installed command, a model's name for it, and a scratch directory for pictures, lists and its cache."""

    model: str
    scratch: Path

    def classify(self, folder: Path, words: Sequence[str], top_k: int = 1) -> list[list[int]]:
        """Classify a folder's pictures: for each, in the order of the names, the places of its best words."""
        labels, results = self.scratch / "labels.txt", self.scratch / "results.jsonl"
        labels.write_text("".join(f"{word}\n" for word in words), encoding="utf-8")
        self._run("classify", str(folder), "--labels", str(labels), "--top-k", str(top_k), "-o", str(results))
        records = [json.loads(line) for line in results.read_text(encoding="utf-8").splitlines()]
        results.unlink()
        place = {word: index for index, word in enumerate(words)}
        records.sort(key=lambda record: str(record["path"]))
        return [[place[each["label"]] for each in record["top"]] for record in records]

    def similarities(self, folder: Path, texts: Sequence[str]) -> npt.NDArray[np.float64]:
        """Cosines of a folder's pictures, in the order of the names, and whole texts: (N, T)."""
        lines, output = self.scratch / "texts.txt", self.scratch / "matrix.npz"
        lines.write_text("".join(f"{text}\n" for text in texts), encoding="utf-8")
        output.unlink(missing_ok=True)
        self._run("matrix", str(folder), "--texts", str(lines), "--not-paired", "-o", str(output))
        with np.load(output) as arrays:
            return np.asarray(next(arrays[name] for name in arrays if arrays[name].ndim == 2))

    def _run(self, command: str, *arguments: str) -> None:
        options = ("--model", self.model, "--cache-dir", str(self.scratch / "cache"), "--offline", "--quiet")
        subprocess.run([sys.executable, "-m", "clipcli", command, *arguments, *options], check=True)


def write_folder(items: Sequence[Item], folder: Path) -> Path:
    """Write pictures as PNG files whose names keep their order."""
    folder.mkdir()
    for number, item in enumerate(items):
        item.open().save(folder / f"{number:05}.png", compress_level=1)
    return folder


def general_words(command: CommandLine, material: Material, photos: Path) -> Iterator[Figure]:
    """Balanced accuracy over each list of general words, and top-1 and top-5 over the 1000 class names."""
    truth, values = material.photo_classes, []
    for each in material.lists:
        chosen = np.array(command.classify(photos, each.words))[:, 0]
        value, count = balanced_accuracy(chosen, each.truth[truth], LEAST_PHOTOS)
        values.append(value)
        yield Figure(f"general words: {each.name} ({len(each.words)})", count, value, 0.85)
    yield Figure(f"general words: mean of {len(values)} lists", len(truth), float(np.mean(values)), 0.92)
    names = list(dict.fromkeys(material.classes.names))  # a label may not occur twice
    own = np.array([names.index(material.classes.names[number]) for number in truth])
    best = np.array(command.classify(photos, names, top_k=5))  # (N, 5)
    yield Figure("1000 class names, top-1", len(truth), float((best[:, 0] == own).mean()), 0.85)
    yield Figure("1000 class names, top-5", len(truth), float((best == own[:, None]).any(axis=1).mean()), 0.97)


def task_figure(
    command: CommandLine, task: Task, title: str, target: float | None, *, balanced: bool = False
) -> Figure:
    """Accuracy on one task, or the mean of its labels' recalls."""
    with tempfile.TemporaryDirectory(dir=command.scratch) as folder:
        pictures = write_folder(task.items, Path(folder) / "pictures")
        chosen = np.array(command.classify(pictures, task.words))[:, 0]
    value = balanced_accuracy(chosen, task.truth)[0] if balanced else float((chosen == task.truth).mean())
    return Figure(title, len(task.items), value, target)


def retrieval(command: CommandLine, material: Material) -> Iterator[Figure]:
    """R@1 in both directions among 200 left-out captioned photos, mean over the groups of 200."""
    items, captions = material.captioned()
    hits: dict[str, list[float]] = {"image to caption": [], "caption to image": []}
    for group in caption_groups(len(items)):
        with tempfile.TemporaryDirectory(dir=command.scratch) as folder:
            pictures = write_folder(items[group], Path(folder) / "pictures")
            first = [texts[0] for texts in captions[group]]
            square = command.similarities(pictures, first)
        for axis, found in zip((1, 0), hits.values(), strict=True):
            found.append(float((square.argmax(axis=axis) == np.arange(len(square))).mean()))
    for title, found in hits.items():
        yield Figure(f"{title}, R@1 among {min(AMONG, len(items))}", len(items), float(np.mean(found)), 0.45)


def left_out(command: CommandLine, material: Material) -> Iterator[Figure]:
    """Accuracy on left-out pictures of trained labels, and on labels left out altogether."""
    for name in material.labelled:
        targets = TARGETS.get(name, (None, None))
        parts: tuple[tuple[Part, str, float | None], ...] = (
            ("heldout", "pictures", targets[0]),
            ("heldout_label", "labels", targets[1]),
        )
        for part, what, target in parts:
            task = material.heldout(name, part)
            yield task_figure(command, task, f"{name}, left-out {what} (of {len(task.words)})", target)


def small(command: CommandLine, material: Material) -> Iterator[Figure]:
    """Balanced accuracy on the small lists; drawings are counted as they come."""
    for task in material.small:
        drawings = task.name.startswith("drawings")
        yield task_figure(command, task, task.name, 0.60 if drawings else 0.85, balanced=not drawings)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print, each figure when it is known and all in a table at the end."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--rendered", type=Path)
    parser.add_argument("--model", default="pocket", help="as clipcli has it")
    parser.add_argument("--wordnet", type=Path, default=Path("/usr/share/wordnet"))
    parser.add_argument("--only", choices=PARTS, action="append", help="may be repeated")
    given = parser.parse_args(arguments)
    material = gather(given.data, given.photos, given.wordnet, given.rendered)
    with tempfile.TemporaryDirectory(prefix="pocket-acceptance-") as scratch:
        command, figures = CommandLine(given.model, Path(scratch)), []
        parts: dict[str, Callable[[CommandLine, Material], Iterator[Figure]]] = {
            "words": partial(general_words, photos=given.photos),
            "sets": left_out,
            "captions": retrieval,
            "small": small,
        }
        for figure in (figure for name in given.only or PARTS for figure in parts[name](command, material)):
            print(f"{figure.name}: {100 * figure.value:.1f}", file=sys.stderr, flush=True)
            figures.append(figure)
    print("\n".join(table([given.model], [figures])))


if __name__ == "__main__":
    main()
