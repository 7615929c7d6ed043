"""The pictures that the measurements use, with their truth: nothing here depends on a model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image
from tools.pocket.classes import Classes, read_classes, synset_ids
from tools.pocket.label_lists import LabelList, resolve_label_lists
from tools.pocket.measured_model import Item
from tools.pocket.small_lists import small_lists
from tools.pocket.splits import LABELLED, Part, Picture, PictureSet, read_sets
from tools.pocket.wordnet import read_nouns

IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Task:
    """Pictures, a label list and each picture's right label."""

    name: str
    words: tuple[str, ...]
    items: tuple[Item, ...]
    truth: IntArray


@dataclass(frozen=True)
class Material:
    """All that models are measured on."""

    sets: dict[str, PictureSet]
    photos: tuple[Item, ...]  # of ImageNet's classes
    photo_classes: IntArray
    classes: Classes
    lists: tuple[LabelList, ...]
    small: tuple[Task, ...]

    def heldout(self, name: str, part: Part) -> Task:
        """Make a task of one part of a labelled set, among the labels of that part.

        The labels are those of all trained pictures for left-out pictures of them.
        """
        pictures = self.sets[name]
        words = pictures.labels("train" if part == "heldout" else part)
        return self._task(f"{name}, {part}", words, name, part)

    def trained(self, name: str) -> Task:
        """Make a task of the pictures that training may use, for a linear probe."""
        return self._task(f"{name}, train", self.sets[name].labels("train"), name, "train")

    def captioned(self, name: str = "flickr8k") -> tuple[list[Item], list[tuple[str, ...]]]:
        """Left-out captioned photos, and the captions of each."""
        pictures = self.sets[name].of("heldout")
        return [archive_item(self.sets[name], picture) for picture in pictures], [picture.texts for picture in pictures]

    def _task(self, title: str, words: Sequence[str], name: str, part: Part) -> Task:
        pictures = self.sets[name].of(part)
        items = tuple(archive_item(self.sets[name], picture) for picture in pictures)
        return Task(title, tuple(words), items, np.array([words.index(picture.label) for picture in pictures]))

    @property
    def labelled(self) -> list[str]:
        """The labelled sets that are there."""
        return [name for name in LABELLED if name in self.sets]


def archive_item(pictures: PictureSet, picture: Picture) -> Item:
    """Name a picture of an archive so that its features can be cached."""
    return Item(f"{picture.set}/{picture.file}", partial(pictures.image, picture))


def file_item(path: Path) -> Item:
    """Name a picture file so that its features can be cached: by its place, size and time."""
    facts = path.stat()
    return Item(f"{path.resolve()}:{facts.st_size}:{facts.st_mtime_ns}", partial(open_file, path))


def open_file(path: Path) -> Image.Image:
    """Decode a picture file in RGB."""
    with Image.open(path) as image:
        return image.convert("RGB")


def gather(data: Path, photos: Path, wordnet: Path, rendered: Path | None) -> Material:
    """Collect the material.

    Parameters
    ----------
    data
        The folder of archives that teach and measure the model.
    photos
        A folder of photos ``<WordNet id>_<class name>.JPEG``.
    wordnet
        WordNet 3.0's database.
    rendered
        A folder ``LIST/LABEL/*`` of pictures to classify among the labels of each list.
    """
    nouns = read_nouns(wordnet)
    classes = read_classes(nouns)
    lists = resolve_label_lists(classes, nouns)
    paths, ids = sorted(photos.glob("n*.JPEG")), synset_ids()
    numbers = [ids.index(path.name.split("_")[0]) for path in paths]
    sets = read_sets(data)
    small = []
    for name, examples in small_lists(sets, list(zip(paths, numbers, strict=True)), lists, rendered).items():
        words = sorted({example.label for example in examples})
        items = tuple(
            file_item(source) if isinstance(source := example.source, Path) else archive_item(sets[source.set], source)
            for example in examples
        )
        small.append(Task(name, tuple(words), items, np.array([words.index(example.label) for example in examples])))
    return Material(sets, tuple(map(file_item, paths)), np.array(numbers), classes, tuple(lists), tuple(small))
