"""Label lists to measure the model with, none of them seen as a list in training."""

from __future__ import annotations

GENERAL = (
    "dog", "cat", "monkey", "bear", "bird", "snake", "lizard", "turtle", "fish", "insect",
    "vehicle", "furniture", "clothing", "musical instrument", "fruit", "vegetable", "weapon", "building",
    "home appliance", "electronic equipment",
)  # fmt: skip
COARSE = ("animal", "food", "vehicle", "clothing", "building", "furniture", "musical instrument")
DEMO = (
    "cat", "dog", "cup of coffee", "rocket", "astronaut", "motorcycle", "temple", "flower", "car", "bicycle", "bird",
    "fish", "horse", "elephant", "boat", "airplane", "train", "pizza", "tree", "chair", "laptop", "book", "clock",
    "mountain", "house", "beach", "shoe", "guitar", "person", "bridge",
)  # fmt: skip
# The general words in other words; none of these phrases is in WordNet or in everyday.txt.
REWORDED = (
    "canine companion", "pussycat at home", "monkey in the jungle", "bear in the wild", "feathered creature",
    "slithering serpent", "scaly lizard", "sea or land turtle", "underwater fish", "creepy crawly insect",
    "means of transport", "household furniture", "something to wear", "instrument for making music", "piece of fruit",
    "green vegetable", "military weapon", "large building", "household appliance", "consumer electronics",
)  # fmt: skip
EXPECTED_ON_TOP = {
    "chelsea.png": ("cat",),
    "coffee.png": ("cup of coffee",),
    "rocket.jpg": ("rocket",),
    "astronaut.png": ("astronaut", "person"),
    "motorcycle_left.png": ("motorcycle",),
    "motorcycle_right.png": ("motorcycle",),
    "china.jpg": ("temple",),
    "flower.jpg": ("flower",),
}
