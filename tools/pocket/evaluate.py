"""Measure a model folder on labelled photographs and on the demo pictures of two Python packages.

    python -m tools.pocket.evaluate --photos FOLDER [--card]

Photos are named ``<WordNet id>_<class name>.JPEG``, each of one ImageNet class.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import skimage
import sklearn
import torch
from PIL import Image
from tools.pocket.card import write_card
from tools.pocket.classes import Classes, classes_below, read_classes, synset_ids
from tools.pocket.label_sets import COARSE, DEMO, EXPECTED_ON_TOP, GENERAL, REWORDED
from tools.pocket.phrases import with_article
from tools.pocket.wordnet import Nouns, read_nouns

from clipcli._torchvision import import_open_clip

Array = npt.NDArray[np.float32]
BoolArray = npt.NDArray[np.bool_]

FORMS = {"bare": "{}", "a photo of a {}": "a photo of {a}"}
CUT_DEPTHS = (5, 6, 7, 8)


class Model:
    """The two encoders of an open_clip folder, from paths and texts to unit vectors."""

    def __init__(self, folder: Path) -> None:
        open_clip = import_open_clip()
        self._model, _, self._preprocess = open_clip.create_model_and_transforms(f"local-dir:{folder.resolve()}")
        self._tokenize = open_clip.get_tokenizer(f"local-dir:{folder.resolve()}")
        self._model.eval()
        self.scale = float(self._model.logit_scale.detach().exp())

    @torch.inference_mode()
    def images(self, paths: Sequence[Path]) -> Array:
        """Encode images: (N, D) float32 of unit length."""
        parts = []
        for start in range(0, len(paths), 25):
            pictures = [Image.open(path).convert("RGB") for path in paths[start : start + 25]]
            batch = torch.stack([self._preprocess(picture) for picture in pictures])  # (B, 3, 260, 260)
            parts.append(self._model.encode_image(batch, normalize=True))
        return np.asarray(torch.cat(parts).numpy())

    @torch.inference_mode()
    def texts(self, words: Sequence[str], form: str = FORMS["a photo of a {}"]) -> Array:
        """Encode words in a prompt: (N, D) float32 of unit length."""
        prompts = [form.replace("{a}", with_article(word)).replace("{}", word) for word in words]
        parts = [
            self._model.encode_text(self._tokenize(prompts[start : start + 256]), normalize=True)
            for start in range(0, len(prompts), 256)
        ]
        return np.asarray(torch.cat(parts).numpy())


def class_name_accuracy(model: Model, images: Array, truth: npt.NDArray[np.int64], classes: Classes) -> dict[str, Any]:
    """Top-1 and top-5 over 1000 class names, for each list of names and each prompt."""
    lists = {"OpenAI names": classes.names, "WordNet first lemmas": [lemmas[0] for lemmas in classes.lemmas]}
    figures: dict[str, Any] = {}
    for title, names in lists.items():
        for label, form in FORMS.items():
            order = np.argsort(-images @ model.texts(names, form).T, axis=1)  # (N, C)
            top1 = float((order[:, 0] == truth).mean())
            top5 = float((order[:, :5] == truth[:, None]).any(axis=1).mean())
            figures[f"{title}, {label}"] = {"top1": round(top1, 3), "top5": round(top5, 3)}
    return figures


def word_accuracy(
    model: Model, images: Array, truth: npt.NDArray[np.int64], words: Sequence[str], covers: BoolArray
) -> Any:
    """Top-1 over general words, on the photos that at least one of them covers.

    Parameters
    ----------
    covers : (W, C) bool, whether a word covers a class
    """
    right = covers[:, truth].T  # (N, W)
    counted = right.any(axis=1)
    best = (images @ model.texts(words).T).argmax(axis=1)
    hits = right[np.arange(len(images)), best][counted]
    return {"photos": int(counted.sum()), "labels": len(words), "top1": round(float(hits.mean()), 3)}


def masks_of(words: Sequence[str], nouns: Nouns, below: dict[int, BoolArray]) -> BoolArray:
    """For each word the classes below its first sense that has any: (W, C) bool."""
    return np.stack([next(below[o] for o in nouns.senses[word] if o in below) for word in words])


def level_cut(
    depth: int, classes: Classes, ancestors: dict[int, dict[int, int]], nouns: Nouns
) -> tuple[list[str], list[int]]:
    """Name every class by its ancestor at one depth of WordNet: the distinct words and their synsets."""
    chosen = {
        o for c in classes.offsets for o, d in ancestors[c].items() if d == min(depth, max(ancestors[c].values()))
    }
    named = {nouns.by_offset[offset].words[0].lower(): offset for offset in sorted(chosen)}
    return list(named), list(named.values())


def calibrated_scale(model: Model, images: Array, truth: npt.NDArray[np.int64], classes: Classes) -> float:
    """Find the logit scale with the least cross-entropy over the 1000 names."""
    cosines = torch.from_numpy(images @ model.texts(classes.names).T)  # (N, C)
    wanted = torch.from_numpy(truth)
    scales = [float(scale) for scale in np.arange(5.0, 60.0, 0.5)]
    return min(scales, key=lambda scale: float(torch.nn.functional.cross_entropy(scale * cosines, wanted)))


def demo_rankings(model: Model) -> dict[str, list[str]]:
    """Give the three best labels of each demo picture."""
    folders = [Path(skimage.__file__).parent / "data", Path(sklearn.__file__).parent / "datasets" / "images"]
    paths = [folder / name for name in EXPECTED_ON_TOP for folder in folders if (folder / name).exists()]
    logits = model.scale * model.images(paths) @ model.texts(DEMO).T  # (N, W)
    chances = torch.softmax(torch.from_numpy(logits), dim=1)
    best = torch.topk(chances, 3, dim=1)
    return {
        path.name: [f"{DEMO[i]} {p:.2f}" for p, i in zip(row.tolist(), columns.tolist(), strict=True)]
        for path, row, columns in zip(paths, best.values, best.indices, strict=True)
    }


def measure(model: Model, photos: Path, wordnet: Path) -> dict[str, Any]:
    """Collect all figures of one model."""
    nouns = read_nouns(wordnet)
    classes, ancestors = read_classes(nouns), nouns.ancestors()
    below = classes_below(classes, ancestors)
    paths = sorted(photos.glob("n*.JPEG"))
    ids = synset_ids()
    truth = np.array([ids.index(path.name.split("_")[0]) for path in paths])
    images = model.images(paths)
    figures: dict[str, Any] = {"1000 class names": class_name_accuracy(model, images, truth, classes)}
    for title, words in (("20 general words", GENERAL), ("7 coarse words", COARSE)):
        figures[title] = word_accuracy(model, images, truth, words, masks_of(words, nouns, below))
    covers = masks_of(GENERAL, nouns, below)
    figures["20 general words, reworded"] = word_accuracy(model, images, truth, REWORDED, covers)
    for depth in CUT_DEPTHS:
        words, offsets = level_cut(depth, classes, ancestors, nouns)
        covers = np.stack([below[offset] for offset in offsets])
        figures[f"WordNet cut at depth {depth}"] = word_accuracy(model, images, truth, words, covers)
    figures["best logit scale"] = calibrated_scale(model, images, truth, classes)
    return figures


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print; with ``--card`` also write ``card.json`` beside the weights."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=Path, required=True)
    parser.add_argument("--model", type=Path, default=Path("src/clipcli/pocket"))
    parser.add_argument("--wordnet", type=Path, default=Path("/usr/share/wordnet"))
    parser.add_argument("--card", action="store_true", help="write the figures to the model folder's card.json")
    given = parser.parse_args(arguments)
    model = Model(given.model)
    figures = measure(model, given.photos, given.wordnet)
    for title, value in figures.items():
        print(title, value)
    for name, labels in demo_rankings(model).items():
        print(name, labels)
    if given.card:
        write_card(given.model, figures)


if __name__ == "__main__":
    main()
