"""Small label lists that people try first, with pictures whose truth their names decide.

Pictures come from the parts of the archives that training never sees, from photos of ImageNet's classes, from
scikit-image's data and from a folder of rendered pictures, ``FOLDER/LIST/LABEL/*``, whose lists are added to these.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import skimage
from tools.pocket.label_lists import LabelList
from tools.pocket.splits import DRAWN, Picture, PictureSet, drawn_words

INDOORS = (
    "airport terminal", "art gallery", "assembly line", "auditorium", "bakery", "ballroom", "banquet hall", "bar",
    "bathroom", "beauty salon", "bedroom", "bookstore", "bowling alley", "boxing ring", "bus interior",
    "butcher's shop", "candy store", "classroom", "clothing store", "coffee shop", "conference room", "corridor",
    "dining room", "food court", "hospital room", "indoor museum", "indoor stage", "kindergarten classroom", "kitchen",
    "laundromat", "living room", "lobby", "locker room", "martial arts gym", "office", "restaurant", "shower",
    "subway station platform", "supermarket",
)  # fmt: skip
UNDECIDED = (
    "aquarium",
    "cockpit",
    "fire station",
    "phone booth",
    "staircase",
)  # both, or neither; the rest is outdoors

# Miniplaces' scenes that show one of the four: a volcano is a mountain, and of the four a coast is nearest to a beach.
PLACES = {
    "beach": ("coast",),
    "mountain": ("mountain", "volcano"),
    "city": ("skyscraper",),
    "forest": ("rainforest", "bamboo forest"),
}
PLACE_WORDS = {
    "beach": r"\bbeach",
    "mountain": r"\bmountain",
    "city": r"\bcity|\bdowntown",
    "forest": r"\bforest|\bwoods",
}
AGREEING = 3  # of the five captions must name what a picture shows, and none what it doesn't
NIGHT = r"\bnight|fireworks|\bin the dark\b"
DAY = r"\bgrass|\bfield\b|\bbeach|\bsnow"  # what captions name by daylight
NOT_DAY = r"\bnight|\bdark\b|sunset|sunrise|\bdusk|evening|\bindoors?\b|silhouette"
THINGS = ("cat", "bird", "apple", "ball", "hat", "guitar", "house", "flower", "car", "computer")  # ten to be drawn
PAGES = ("page.png", "text.png")  # scikit-image's: a scanned page, and a photographed one


@dataclass(frozen=True)
class Example:
    """A picture that answers a small list: of an archive, or a file."""

    source: Picture | Path
    label: str


def small_lists(
    sets: Mapping[str, PictureSet],
    photos: Sequence[tuple[Path, int]],
    lists: Sequence[LabelList],
    rendered: Path | None,
) -> dict[str, list[Example]]:
    """Gather the examples of each small list, by the list's name.

    Parameters
    ----------
    photos
        Files with their ImageNet class.
    rendered
        A folder ``LIST/LABEL/*``; a list of the same name as one of these gets more examples.
    """
    unseen = {name: [p for p in each.pictures if p.part != "train"] for name, each in sets.items()}
    found = {
        "indoor-outdoor": list(_indoor_outdoor(unseen["miniplaces"])),
        "day-night": list(_day_night(unseen["flickr8k"])),
        "person-animal-vehicle-food": list(_kinds(unseen["idenprof"], photos, lists)),
        "photo-drawing-document-screenshot": list(_media(unseen, photos)),
        "beach-mountain-city-forest": list(_places(unseen)),
        "drawings of 10 things": list(_drawings(unseen)),
    }
    for folder in sorted(rendered.iterdir()) if rendered else []:
        files = [path for path in sorted(folder.glob("*/*")) if path.is_file()]
        found.setdefault(folder.name, []).extend(Example(path, path.parent.name.replace("_", " ")) for path in files)
    return {name: examples for name, examples in found.items() if examples}


def _indoor_outdoor(scenes: Sequence[Picture]) -> Iterator[Example]:
    for scene in scenes:
        if scene.label not in UNDECIDED:
            yield Example(scene, "indoor" if scene.label in INDOORS else "outdoor")


def _day_night(captioned: Sequence[Picture]) -> Iterator[Example]:
    for picture in captioned:
        if _saying(NIGHT, picture) >= AGREEING:
            yield Example(picture, "night")
        elif _saying(DAY, picture) >= AGREEING and not _saying(NOT_DAY, picture):
            yield Example(picture, "day")


def _kinds(
    professions: Sequence[Picture], photos: Sequence[tuple[Path, int]], lists: Sequence[LabelList]
) -> Iterator[Example]:
    yield from (Example(picture, "person") for picture in professions)
    by_name = {each.name: each for each in lists}
    for name, kept in (("animal, food, vehicle, building", ("animal", "food", "vehicle")),):
        for path, number in photos:
            word = by_name[name].truth[number]
            if word >= 0 and by_name[name].words[word] in kept:
                yield Example(path, by_name[name].words[word])


def _media(unseen: Mapping[str, Sequence[Picture]], photos: Sequence[tuple[Path, int]]) -> Iterator[Example]:
    yield from (Example(path, "photo") for path, _ in photos)
    yield from (Example(picture, "drawing") for name in DRAWN for picture in unseen.get(name, ()))
    data = Path(skimage.__file__).parent / "data"
    yield from (Example(data / name, "document") for name in PAGES)


def _places(unseen: Mapping[str, Sequence[Picture]]) -> Iterator[Example]:
    for place, scenes in PLACES.items():
        yield from (Example(picture, place) for picture in unseen["miniplaces"] if picture.label in scenes)
    for picture in unseen["flickr8k"]:
        counts = {place: _saying(words, picture) for place, words in PLACE_WORDS.items()}
        named = [place for place, count in counts.items() if count]
        if len(named) == 1 and counts[named[0]] >= AGREEING:
            yield Example(picture, named[0])


def _drawings(unseen: Mapping[str, Sequence[Picture]]) -> Iterator[Example]:
    for name in DRAWN:
        for picture in unseen.get(name, ()):
            shown = drawn_words(picture) & set(THINGS)
            if len(shown) == 1:
                yield Example(picture, shown.pop())


def _saying(words: str, picture: Picture) -> int:
    matches: Callable[[str], object] = re.compile(words, re.IGNORECASE).search
    return sum(bool(matches(text)) for text in picture.texts)
