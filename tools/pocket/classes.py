"""The 1000 ImageNet classes: WordNet synsets, the names people give them, and the hierarchy above."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from timm.data.imagenet_info import ImageNetInfo
from tools.pocket.wordnet import Nouns

from clipcli.models._torchvision import import_open_clip

BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Classes:
    """ImageNet's classes in the order of the classifier's rows."""

    offsets: tuple[int, ...]  # WordNet synset of each class
    names: tuple[str, ...]  # one short name each, as CLIP's authors wrote them
    lemmas: tuple[tuple[str, ...], ...]  # WordNet's words for each
    glosses: tuple[str, ...]

    @property
    def main_names(self) -> dict[str, list[int]]:
        """Lower-case short names and first lemmas with the classes that bear them."""
        found: dict[str, list[int]] = {}
        for index, (name, lemmas) in enumerate(zip(self.names, self.lemmas, strict=True)):
            for text in {name.lower(), lemmas[0].lower()}:
                found.setdefault(text, []).append(index)
        return found

    @property
    def all_names(self) -> dict[str, list[int]]:
        """As ``main_names``, with every further lemma."""
        found = self.main_names
        for index, lemmas in enumerate(self.lemmas):
            for lemma in lemmas[1:]:
                bearers = found.setdefault(lemma.lower(), [])
                if index not in bearers:
                    bearers.append(index)
        return found


def synset_ids() -> list[str]:
    """Give the 1000 WordNet ids (``n01440764``, ...) in class order."""
    return list(ImageNetInfo().label_names())


def read_classes(nouns: Nouns) -> Classes:
    """Gather ids, names, lemmas and glosses of the classes."""
    offsets = tuple(int(name[1:]) for name in synset_ids())
    names = tuple(import_open_clip().IMAGENET_CLASSNAMES)
    synsets = [nouns.by_offset[offset] for offset in offsets]
    return Classes(offsets, names, tuple(s.words for s in synsets), tuple(s.gloss for s in synsets))


def classes_below(classes: Classes, ancestors: dict[int, dict[int, int]]) -> dict[int, BoolArray]:
    """For each synset above (or at) some class, a mask (1000,) of the classes it covers."""
    below: dict[int, BoolArray] = {}
    for index, offset in enumerate(classes.offsets):
        for ancestor in ancestors[offset]:
            below.setdefault(ancestor, np.zeros(len(classes.offsets), dtype=np.bool_))[index] = True
    return below
