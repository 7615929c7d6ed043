"""The words the text encoder learns, with their vectors and how often each is shown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from tools.pocket import teacher
from tools.pocket.classes import Classes, classes_below, read_classes
from tools.pocket.concepts import fit_concepts
from tools.pocket.everyday import read_everyday
from tools.pocket.sentences import embed_sentences
from tools.pocket.space import CONSTANT
from tools.pocket.wordnet import Noun, Nouns, read_nouns

Array = npt.NDArray[np.float32]

CONCEPT_STEPS = 2500
PHYSICAL = 1930  # WordNet's "physical entity"
BROADEST = 450  # a synset that covers more classes than this is too abstract for a picture
RARE_SENSE = 0.3  # count given to senses never seen in tagged texts
CLASS_SENSE = 4.0  # how much likelier a photo shows the sense that is an ImageNet class


@dataclass(frozen=True)
class Lexicon:
    """Words with unit vectors (N, D) float32, glosses to show in their place, and three shares."""

    words: tuple[str, ...]
    vectors: Array
    glosses: tuple[str, ...]
    class_words: npt.NDArray[np.int64]  # indices of words that name a class
    concept_words: npt.NDArray[np.int64]  # indices of words that cover several classes
    frequency: Array  # (N,) how common each word is, for the rest


@dataclass(frozen=True)
class Knowledge:
    """What words are judged by: the classes, the nouns, and vectors of synsets and everyday words."""

    classes: Classes
    nouns: Nouns
    leaves: Array  # (C, D)
    covering: dict[int, int]  # synset -> row of ``concepts``
    everyday: dict[str, int]  # word -> row of ``concepts``
    everyday_members: dict[str, npt.NDArray[np.bool_]]  # word -> its classes (C,)
    concepts: Array  # (M, D)
    slope: tuple[float, float]


def build_lexicon(wordnet: Path, work: Path, leaves: Array, *, seed: int, held_out: Iterable[str] = ()) -> Lexicon:
    """Collect every WordNet noun, every class name and every everyday word, with its vector."""
    nouns = read_nouns(wordnet)
    classes = read_classes(nouns)
    ancestors = nouns.ancestors()
    known = _learn_concepts(classes, nouns, ancestors, leaves, seed)
    words = sorted({*nouns.senses, *classes.all_names, *known.everyday})
    resemblance = _resemblance(words, classes, nouns, work)
    senses = _sense_vectors(known, ancestors, words, resemblance)
    left_out = set(held_out)
    kept = [index for index, word in enumerate(words) if word not in left_out]
    return _assemble(known, ancestors, words, kept, senses)


def _learn_concepts(
    classes: Classes, nouns: Nouns, ancestors: dict[int, dict[int, int]], leaves: Array, seed: int
) -> Knowledge:
    below = classes_below(classes, ancestors)
    broad = {offset: mask for offset, mask in below.items() if offset not in classes.offsets and mask.sum() <= BROADEST}
    curated = read_everyday(classes, nouns, below)
    members = np.stack([*broad.values(), *curated.values()]).astype(np.float32)
    unique, rows = np.unique(members, axis=0, return_inverse=True)
    concepts = fit_concepts(unique, leaves, CONSTANT, steps=CONCEPT_STEPS, seed=seed)
    several = unique.sum(axis=1) > 1
    slope = teacher.offset_slope(unique[several], leaves, concepts[several])
    names = [*broad, *curated]
    row_of = {name: int(row) for name, row in zip(names, rows.ravel(), strict=True)}
    covering = {offset: row_of[offset] for offset in broad}
    everyday = {word: row_of[word] for word in curated}
    return Knowledge(classes, nouns, leaves, covering, everyday, curated, concepts, slope)


def _resemblance(words: Sequence[str], classes: Classes, nouns: Nouns, work: Path) -> tuple[Array, Array]:
    """MiniLM embeddings of the words (N, E), and of the classes (C, E) as the mean over their names."""
    common = sorted(nouns.senses)  # a list of its own, so that new class or everyday words cost little
    others = sorted(set(words) - set(common))
    both = dict(
        zip(common + others, np.concatenate([embed_sentences(part, work) for part in (common, others)]), strict=True)
    )
    vectors = np.stack([both[word] for word in words])
    position = {word: index for index, word in enumerate(words)}
    means = []
    for name, lemmas in zip(classes.names, classes.lemmas, strict=True):
        rows = vectors[[position[text.lower()] for text in (name, name, *lemmas)]]
        means.append(rows.mean(axis=0))
    stacked = np.stack(means)
    return vectors, stacked / np.linalg.norm(stacked, axis=1, keepdims=True)


def _sense_vectors(
    known: Knowledge, ancestors: dict[int, dict[int, int]], words: Sequence[str], resemblance: tuple[Array, Array]
) -> dict[int, Array]:
    """One vector (D,) for every noun synset: class, concept, kind of a class, or what it resembles."""
    below = classes_below(known.classes, ancestors)
    class_of = {offset: index for index, offset in enumerate(known.classes.offsets)}
    depths = np.array([max(ancestors[offset].values()) for offset in known.classes.offsets], dtype=np.float32)
    position = {word: index for index, word in enumerate(words)}
    vectors: dict[int, Array] = {}
    guessed: list[int] = []
    for offset in known.nouns.by_offset:
        kinds = [class_of[ancestor] for ancestor in ancestors[offset] if ancestor in class_of]
        if offset in class_of:
            vectors[offset] = known.leaves[class_of[offset]]
        elif offset in known.covering:
            vectors[offset] = known.concepts[known.covering[offset]]
        elif kinds:
            vectors[offset] = known.leaves[kinds].mean(axis=0)
        else:
            guessed.append(offset)
    for start in range(0, len(guessed), 4096):
        part = guessed[start : start + 4096]
        nearness = np.stack([teacher.kinship(ancestors[offset], below, depths) for offset in part])
        rows = np.stack([_mean_embedding(known.nouns.by_offset[o], position, resemblance[0]) for o in part])
        mixtures = teacher.similarity_mixture(rows, resemblance[1], nearness)
        vectors.update(zip(part, teacher.mixture_vectors(mixtures, known.leaves, known.slope), strict=True))
    return vectors


def _mean_embedding(noun: Noun, position: dict[str, int], embeddings: Array) -> Array:
    mean = embeddings[[position[word.lower()] for word in noun.words if word.lower() in position]].mean(axis=0)
    return np.asarray(mean / np.linalg.norm(mean))


def _assemble(
    known: Knowledge,
    ancestors: dict[int, dict[int, int]],
    words: Sequence[str],
    kept: Sequence[int],
    senses: dict[int, Array],
) -> Lexicon:
    main, every = known.classes.main_names, known.classes.all_names
    vectors, glosses, frequency = [], [], []
    class_words, concept_words = [], []
    for row, index in enumerate(kept):
        word = words[index]
        offsets = known.nouns.senses.get(word, ())
        if word in main:
            vector = _named_vector(word, main[word], known)
            class_words.append(row)
        elif word in known.everyday:
            vector = known.concepts[known.everyday[word]]
            concept_words.append(row)
        else:
            vector = _word_vector(word, offsets, known, senses)
            if word in every:
                class_words.append(row)
            elif any(offset in known.covering for offset in offsets[:1]):
                concept_words.append(row)
        vectors.append(vector / np.linalg.norm(vector))
        glosses.append(known.nouns.by_offset[offsets[0]].gloss if offsets else "")
        frequency.append(_frequency(word, offsets, known.nouns, ancestors))
    return Lexicon(
        tuple(words[index] for index in kept),
        np.stack(vectors).astype(np.float32),
        tuple(glosses),
        np.array(class_words),
        np.array(concept_words),
        np.array(frequency, dtype=np.float32),
    )


def _named_vector(word: str, bearers: Sequence[int], known: Knowledge) -> Array:
    """Give the class's own vector, or its mean with another everyday meaning such as the animal "mouse"."""
    row = known.leaves[list(bearers)].mean(axis=0)
    concept = known.everyday.get(word)
    if concept is None or known.everyday_members[word][list(bearers)].any():
        return np.asarray(row)
    return np.asarray(row / np.linalg.norm(row) + known.concepts[concept])


def _word_vector(word: str, offsets: Sequence[int], known: Knowledge, senses: dict[int, Array]) -> Array:
    """Mean of a word's senses, weighted by how often texts use each and whether photos can show it."""
    weights = []
    for rank, offset in enumerate(offsets):
        noun = known.nouns.by_offset[offset]
        weight = (_count(word, noun) + RARE_SENSE) / (1 + rank)
        weight *= CLASS_SENSE if offset in known.classes.offsets else 1.0
        weights.append(weight)
    total = np.tensordot(np.array(weights), np.stack([senses[offset] for offset in offsets]), axes=1)
    return np.asarray(total, dtype=np.float32)


def _count(word: str, noun: Noun) -> int:
    return sum(count for other, count in zip(noun.words, noun.counts, strict=True) if other.lower() == word)


def _frequency(word: str, offsets: Sequence[int], nouns: Nouns, ancestors: dict[int, dict[int, int]]) -> float:
    """How often to show a word: common ones more, names of persons and places and abstract words less."""
    seen = sum(_count(word, nouns.by_offset[offset]) for offset in offsets)
    particular = bool(offsets) and all(nouns.by_offset[offset].is_instance for offset in offsets)
    visible = not offsets or any(PHYSICAL in ancestors[offset] for offset in offsets)
    return (0.2 if particular else 1.0) * (1.0 if visible else 0.25) * (1.0 + seen) ** 0.6
