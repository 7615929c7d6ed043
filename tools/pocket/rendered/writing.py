"""Words, sentences, names and numbers to fill pages with: WordNet's words and glosses, seeded."""

from __future__ import annotations

import random
from functools import cache
from pathlib import Path

from tools.pocket.wordnet import read_nouns

WORDNET = Path("/usr/share/wordnet")
_FEW_WORDS = [
    "time",
    "year",
    "people",
    "way",
    "day",
    "man",
    "thing",
    "woman",
    "life",
    "child",
    "world",
    "school",
    "state",
    "family",
    "student",
    "group",
    "country",
    "problem",
    "hand",
    "part",
    "place",
    "case",
    "week",
    "company",
    "system",
    "program",
    "question",
    "work",
    "government",
    "number",
    "night",
    "point",
    "home",
    "water",
    "room",
    "mother",
    "area",
    "money",
    "story",
    "fact",
    "month",
    "lot",
    "right",
    "study",
    "book",
    "eye",
    "job",
    "word",
    "business",
    "issue",
    "side",
    "kind",
    "head",
    "house",
    "service",
    "friend",
]
_FEW_SENTENCES = (
    "The meeting starts at nine and ends before noon",
    "All goods remain our property until they are paid in full",
    "She walked along the river and looked at the boats",
    "Results are given as the mean of three measurements",
    "Please read these instructions before you use the device",
)
FIRST_NAMES = [
    "Anna",
    "Ben",
    "Carla",
    "David",
    "Elena",
    "Frank",
    "Grace",
    "Hugo",
    "Ines",
    "Jack",
    "Kira",
    "Liam",
    "Maria",
    "Noah",
    "Olga",
    "Paul",
    "Rosa",
    "Sam",
    "Tina",
    "Viktor",
]
LAST_NAMES = [
    "Adams",
    "Baker",
    "Costa",
    "Diaz",
    "Evans",
    "Fischer",
    "Garcia",
    "Hansen",
    "Ivanov",
    "Jones",
    "Kim",
    "Lopez",
    "Meyer",
    "Novak",
    "Okafor",
    "Patel",
    "Rossi",
]
STREETS = ("High Street", "Station Road", "Park Avenue", "Mill Lane", "Main Street", "Church Road", "Oak Drive")
CITIES = [
    "London",
    "Berlin",
    "Boston",
    "Madrid",
    "Oslo",
    "Chicago",
    "Dublin",
    "Vienna",
    "Toronto",
    "Sydney",
    "Lisbon",
    "Prague",
    "Denver",
    "Leeds",
]
MONTHS = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
]


@cache
def _lexicon() -> tuple[list[str], list[str]]:
    """All nouns that occur in tagged texts, and all glosses; a few built-in ones if WordNet is not installed."""
    if not (WORDNET / "data.noun").exists():
        return _FEW_WORDS, list(_FEW_SENTENCES)
    nouns = read_nouns(WORDNET).by_offset.values()
    words = sorted({word.lower() for noun in nouns if sum(noun.counts) > 0 for word in noun.words if word.isalpha()})
    return words, [noun.gloss[0].upper() + noun.gloss[1:] for noun in nouns if len(noun.gloss) > 20]


def word(rng: random.Random) -> str:
    """Return a lower-case noun."""
    return rng.choice(_lexicon()[0])


def title(rng: random.Random, most: int = 4) -> str:
    """Return a heading of one to ``most`` words."""
    return " ".join(word(rng) for _ in range(rng.randint(1, most))).title()


def sentence(rng: random.Random) -> str:
    """Return a sentence."""
    return rng.choice(_lexicon()[1]) + "."


def paragraph(rng: random.Random, characters: int) -> str:
    """Return sentences of at least that many characters together."""
    text = sentence(rng)
    while len(text) < characters:
        text += " " + sentence(rng)
    return text


def person(rng: random.Random) -> str:
    """Return a first and last name."""
    return f"{rng.choice(FIRST_NAMES)} {rng.choice(LAST_NAMES)}"


def address(rng: random.Random) -> list[str]:
    """Return the lines of a postal address, without the name."""
    return [f"{rng.randint(1, 250)} {rng.choice(STREETS)}", f"{rng.randint(10000, 99999)} {rng.choice(CITIES)}"]


def date(rng: random.Random) -> str:
    """Return a date in one of four forms."""
    day, month, year = rng.randint(1, 28), rng.randint(1, 12), rng.randint(1950, 2026)
    name = MONTHS[month - 1]
    return rng.choice(
        [
            f"{day} {name} {year}",
            f"{name} {day}, {year}",
            f"{year}-{month:02d}-{day:02d}",
            f"{day:02d}.{month:02d}.{year}",
        ]
    )


def money(rng: random.Random) -> str:
    """Return a price."""
    return f"{rng.choice(['$', '€', '£', ''])}{rng.choice([rng.uniform(1, 60), rng.uniform(20, 4000)]):,.2f}"
