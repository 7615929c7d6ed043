"""Draw label lists with pictures that answer them: the very use that the model is trained for.

Each exercise is a handful of pictures, a list of texts, and for each picture a distribution over the list.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

import numpy as np
import torch
from tools.pocket.bank import Pictures, Seen, together
from tools.pocket.general import BoolArray, Concepts, list_distribution, list_sizes
from tools.pocket.moved import Mover
from tools.pocket.phrasebook import Book, Phrasebook
from tools.pocket.sources import LabelledSet, TaggedSet

GROUP = 64  # pictures of a labelled set that share a list
TAGGED = 48  # pictures with tags that do
GENERAL, REAL = 32, 3  # pictures of a list of general words; one in three is a real one where one shows the word
NAMED = 48  # real pictures of an exercise on class names
FOREIGN_CHANCE = 0.3  # of a list of a picture set to get words of other sets
ALIKE = 0.42  # MiniLM's cosine from which a word is too near a shown one to be wrong
CONFIDENT = 0.35  # probability from which a real picture is taken to show its best class
SHOWN = 0.2  # probability that a list of class names must hold for a real picture to count
SOFTNESS = 1.5  # what logits are divided by for a softened posterior
NOTHING_CHANCE = 0.12  # of a moved picture to be of any class, mostly of none in the list
PERSON_CHANCE = 0.15  # of a list of general words to get a word for people, who are none of the classes
PEOPLE = ("person", "people", "human", "man", "woman", "child")


@dataclass(frozen=True)
class Exercise:
    """What is seen of B pictures, rows of texts (L,), wanted distributions (B, L); below 0 an entry takes no part."""

    seen: Seen
    texts: list[int]
    wanted: torch.Tensor


class Teacher:
    """What ImageNet's classifier knows, and real pictures to move towards its classes.

    Parameters
    ----------
    names
        Names of the C classes.
    base
        Real pictures.
    personal : (C,)
        Classes whose photographs may show a person.
    """

    def __init__(
        self, concepts: Concepts, names: tuple[str, ...], mover: Mover, base: Pictures, personal: BoolArray
    ) -> None:
        self.concepts, self.names, self.mover, self.base, self._personal = concepts, names, mover, base, personal
        chance, best = torch.softmax(base.logits[0], dim=1).max(dim=1)
        self._shown: dict[int, list[int]] = {}  # a class's real pictures
        for row in torch.nonzero(chance > CONFIDENT)[:, 0].tolist():
            self._shown.setdefault(int(best[row]), []).append(row)

    def with_concepts(self, concepts: Concepts) -> Teacher:
        """Teach other words."""
        return Teacher(concepts, self.names, self.mover, self.base, self._personal)

    def moved(self, classes: list[int], generator: torch.Generator) -> Seen:
        """Pictures that the classifier takes for these classes.

        The free units see another picture than the classes' units: moved features lie off the real ones in ways that
        a free unit would learn by heart.
        """
        rows = torch.randint(self.base.logits.shape[1], (2, len(classes)), generator=generator)
        logits = self.mover.move(self.base.logits[0, rows[0]], torch.tensor(classes), generator)
        return Seen(self.base.draw(rows[1], generator).coordinates, logits)

    def general(self, book: Book, draw: random.Random, generator: torch.Generator) -> Exercise:
        """Draw a list of general words, and pictures of each word's classes alike, some of none."""
        chosen = self.concepts.draw_list(draw, list_sizes(draw, 1)[0])
        masks = self.concepts.masks[chosen]  # (L, C)
        texts = book.words([self.concepts.words[index] for index in chosen], draw)
        person = draw.random() < PERSON_CHANCE
        real, classes = self._asked(masks, person, draw)
        seen = self.moved(classes, generator)
        if real:
            seen = together([seen, self.base.draw(real, generator)])
        if person:
            texts.append(book.word(draw.choice(PEOPLE), draw))
            masks = np.concatenate([masks, np.zeros((1, masks.shape[1]), dtype=np.bool_)])
        posterior = torch.softmax(seen.logits, dim=1).numpy()
        return Exercise(seen, texts, torch.from_numpy(list_distribution(posterior, masks)))

    def _asked(self, masks: BoolArray, person: bool, draw: random.Random) -> tuple[list[int], list[int]]:
        """Draw rows of real pictures, and classes to move others to; both show the words of a list."""
        real, classes = [], []
        for number in range(GENERAL):
            mask = masks[draw.randrange(len(masks))]
            known = [c for c in np.flatnonzero(mask).tolist() if c in self._shown]
            if known and number % REAL == 0 and not person:
                real.append(draw.choice(self._shown[draw.choice(known)]))
            else:
                classes.append(self._class_for(mask, person, draw))
        return real, classes

    def _class_for(self, mask: BoolArray, person: bool, draw: random.Random) -> int:
        wide = draw.random() < NOTHING_CHANCE
        classes = range(len(mask)) if wide else np.flatnonzero(mask).tolist()
        for _ in range(8):
            chosen = int(draw.choice(classes))
            if not (person and self._personal[chosen]):
                break
        return chosen

    def class_names(
        self, book: Phrasebook, draw: random.Random, generator: torch.Generator, size: int, names: int
    ) -> Exercise:
        """Class names among ``names`` others, as sure as the classifier is."""
        columns = sorted(draw.sample(range(len(self.names)), names))
        real = [draw.choice(self._shown[number]) for number in draw.sample(sorted(self._shown), NAMED)]
        seen = together([self.moved(draw.choices(columns, k=size), generator), self.base.draw(real, generator)])
        part = torch.softmax(seen.logits, dim=1)[:, columns]
        known = part.sum(dim=1)
        counted = known > SHOWN
        wanted = part + (1.0 - known)[:, None] / names
        texts = book.words([self.names[column] for column in columns], draw)
        return Exercise(seen.where(counted), texts, wanted[counted])

    def all_names(
        self, book: Phrasebook, draw: random.Random, generator: torch.Generator, moved: int, real: int
    ) -> Exercise:
        """All class names, for moved pictures and for any real ones: those at a softened posterior.

        A class that the classifier finds only weakly likely counts there, as it hardly passes the classes' units.
        """
        classes = draw.choices(range(len(self.names)), k=moved)
        rows = torch.randint(self.base.logits.shape[1], (real,), generator=generator)
        seen = together([self.moved(classes, generator), self.base.draw(rows, generator)])
        softness = torch.tensor([1.0] * moved + [SOFTNESS] * real)[:, None]
        return Exercise(seen, book.words(self.names, draw), torch.softmax(seen.logits / softness, dim=1))


def labelled_exercise(
    source: LabelledSet, teacher: Teacher, book: Phrasebook, draw: random.Random, generator: torch.Generator
) -> Exercise:
    """Draw some of a set's labels, or general words for them, at times with words of quite other things."""
    if draw.random() < 0.6:
        most = len(source.labels)
        size = draw.choice((min(most, 8), min(most, 24), most, most))
        chosen = draw.sample(range(most), size)
        words, masks = [source.labels[index] for index in chosen], np.eye(most, dtype=bool)[chosen]
    else:
        chosen = source.words.draw_list(draw, draw.choice((2, 2, 3, 4, 6)))
        words, masks = [source.words.words[index] for index in chosen], source.words.masks[chosen]
    fitting = np.flatnonzero(np.any(masks, axis=0)[source.truth.numpy()])
    rows = torch.tensor(draw.choices(fitting.tolist(), k=GROUP))
    one_hot = np.eye(len(source.labels), dtype=np.float32)[source.truth[rows].numpy()]
    wanted = torch.from_numpy(list_distribution(one_hot, masks))
    exercise = Exercise(source.pictures.draw(rows, generator), book.words(words, draw), wanted)
    if draw.random() < FOREIGN_CHANCE or len(words) == 1:
        return _with_foreign(exercise, teacher, book, draw)
    return exercise


def _with_foreign(exercise: Exercise, teacher: Teacher, book: Phrasebook, draw: random.Random) -> Exercise:
    """Add words of ImageNet's that the classifier does not see in these pictures."""
    concepts = teacher.concepts
    chosen = concepts.draw_list(draw, draw.choice((1, 2, 3, 5)))
    covered = torch.from_numpy(concepts.masks[chosen].any(axis=0)).float()
    clear = torch.softmax(exercise.seen.logits, dim=1) @ covered < 0.1
    if clear.sum() < GROUP // 4:
        return exercise
    none = torch.zeros(int(clear.sum()), len(chosen))
    words = book.words([concepts.words[index] for index in chosen], draw)
    wanted = torch.cat([exercise.wanted[clear], none], dim=1)
    return Exercise(exercise.seen.where(clear), [*exercise.texts, *words], wanted)


def tagged_exercise(
    source: TaggedSet, near: torch.Tensor, book: Phrasebook, draw: random.Random, generator: torch.Generator
) -> Exercise:
    """Words of captions: each picture shows one of them or several, and none of the others.

    Parameters
    ----------
    near : (W, W) float32
        MiniLM's cosines between the words: what is near a shown word is not counted as wrong.
    """
    size = draw.choice((4, 8, 16, 30))
    chosen = draw.sample(range(len(source.words)), min(size, len(source.words)))
    shown, possible = source.shown[:, chosen], source.possible[:, chosen]
    rows = draw.choices(np.flatnonzero(shown.any(axis=1)).tolist(), k=TAGGED)
    right = torch.from_numpy(shown[rows]).float()  # (B, L)
    unclear = torch.from_numpy(possible[rows]) & (right == 0)
    alike = (torch.from_numpy(source.shown[rows]).float() @ (near[:, chosen] > ALIKE).float() > 0) & (right == 0)
    wanted = right / right.sum(dim=1, keepdim=True)
    wanted = torch.where(unclear | alike, torch.full_like(wanted, -1.0), wanted)
    seen = source.pictures.draw(rows, generator)
    return Exercise(seen, book.words([source.words[index] for index in chosen], draw), wanted)
