"""Turn words into the phrases that people write in label files and prompts."""

from __future__ import annotations

import random
from dataclasses import dataclass
from functools import cache

import inflect

MOST_USED = "a photo of {a}"
# "{a}" takes the word with its article, "{}" the bare word. Written for this model, in the manner of the
# prompt ensembles of Radford et al. 2021.
TEMPLATES = (
    "a photo of the {}", "a photo of {}", "a photo of one {}", "a photo of my {}", "a photo of a small {}",
    "a photo of a large {}", "a close-up photo of {a}", "a bright photo of {a}", "a dark photo of {a}",
    "a blurry photo of {a}", "a cropped photo of {a}", "a good photo of {a}", "a bad photo of {a}",
    "a snapshot of {a}", "a picture of {a}", "a good picture of {a}", "a low resolution picture of {a}",
    "an image of {a}", "itap of {a}", "a photograph of {a}", "the {}", "one {}", "{a}", "some {}", "this is {a}",
    "there is {a} in the scene", "a type of {}", "a kind of {}", "a photo of {a}, a type of animal",
    "a photo of {a}, a type of pet", "a photo of {a}, a type of food", "a photo of {a}, a type of flower",
    "a photo of {a}, a type of vehicle", "a photo of {a}, a type of object", "a sketch of {a}",
    "a pencil sketch of {a}", "a drawing of {a}", "a line drawing of {a}", "a black and white photo of {a}",
    "a doodle of {a}", "a rough sketch of the {}", "an ink drawing of {a}", "a cartoon of {a}",
    "a painting of {a}", "a rendering of {a}", "a toy {}", "a satellite image of {}", "a satellite photo of {}",
    "an aerial photo of {}", "an aerial view of {}", "an overhead view of {}", "a top-down view of {a}",
    "a photo of {a} texture", "a photo of {a} pattern", "a photo of {a} surface", "a close-up of {a}",
    "a close-up of {a} material", "a photo of something {}", "a {} thing", "the word {}", "the text {} on a page",
    "a sign that says {}", "a person with {a}", "a photo of a person {}", "a video frame of {}",
    "an example of {a}", "a demonstration of {}", "a photo of the nice {}", "a photo of the weird {}",
    "a photo of many {}", "a photo of the clean {}", "a photo of the dirty {}", "art of the {}", "{} photo",
    "{} image", "a scene of {a}", "a photo of {a} outdoors", "a photo of {a} indoors", "a centered image of {a}",
)  # fmt: skip
ADJECTIVES = (
    "red", "blue", "green", "yellow", "black", "white", "brown", "grey", "orange", "pink", "purple", "golden",
    "silver", "small", "big", "large", "little", "tiny", "huge", "old", "young", "new", "modern", "ancient",
    "vintage", "wooden", "metal", "plastic", "glass", "stone", "leather", "wet", "dry", "dirty", "clean", "broken",
    "shiny", "colorful", "dark", "bright", "cute", "beautiful", "ugly", "happy", "sleeping", "running", "sitting",
    "standing", "flying", "wild", "domestic", "tall", "short", "long", "round", "square", "fresh", "ripe", "cooked",
    "fried", "hot", "cold", "empty", "full", "open", "closed", "parked", "striped", "spotted", "fluffy", "furry",
    "baby", "adult", "male", "female", "common", "European", "American", "Asian", "African", "Japanese", "typical",
)  # fmt: skip
PAIRS = (("{} and {}", 0.5), ("{} with {}", 0.65), ("{} on {}", 0.65), ("{} in {}", 0.6), ("{} next to {}", 0.55))
_engine = inflect.engine()


@dataclass(frozen=True)
class Mix:
    """How often each kind of phrase is drawn."""

    bare: float = 0.4
    most_used: float = 0.2
    plural: float = 0.12
    adjective: float = 0.1
    full_stop: float = 0.15


@cache
def with_article(word: str) -> str:
    """Put "a" or "an" before a word."""
    return str(_engine.a(word))


@cache
def plural(word: str) -> str:
    """Give a noun's plural."""
    return str(_engine.plural_noun(word))


def phrase(word: str, draw: random.Random, mix: Mix = Mix()) -> str:
    """Write a word as a label or a prompt, at random. The tokenizer ignores case, so case does not vary."""
    several = draw.random() < mix.plural
    text = plural(word) if several else word
    if not several and draw.random() < mix.adjective:
        text = f"{draw.choice(ADJECTIVES)} {word}"
    if draw.random() >= mix.bare:
        template = MOST_USED if draw.random() < mix.most_used / (1.0 - mix.bare) else draw.choice(TEMPLATES)
        text = template.replace("{a}", text if several else with_article(text)).replace("{}", text)
    return text + "." if draw.random() < mix.full_stop else text


def pair(first: str, second: str, draw: random.Random) -> tuple[str, float]:
    """Write two words as one phrase, and say how much of it the first one is."""
    pattern, share = draw.choice(PAIRS)
    words = (with_article(first), with_article(second)) if draw.random() < 0.6 else (first, second)
    text = pattern.format(*words)
    return (f"a photo of {text}" if draw.random() < 0.5 else text), share
