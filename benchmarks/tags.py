"""Measure tags on captioned photos: which words of a list of 30 occur in the captions.

    clipcli export images PHOTOS -m pocket -o photos.npy
    python -m benchmarks.tags MANIFEST photos.npy

MANIFEST is a table without a header, separated by tabs: a file name and one of its captions per line. The labels are
those of ``WORDS``; an image has a label if one of its words is in one of its captions, so the ground truth lacks what
no caption mentions.
"""

from __future__ import annotations

import argparse
import re
from collections import defaultdict
from pathlib import Path

import numpy as np

from clipcli import Classifier, ImageEmbeddings
from clipcli.errors import ImageError
from clipcli.evaluation.calibrating import Goal, fit_calibration
from clipcli.evaluation.evaluate import Embedded
from clipcli.evaluation.metrics import expected_calibration_error
from clipcli.evaluation.tags import evaluate_tags, tag_truth
from clipcli.labels.label import Label
from clipcli.labels.several import joined
from clipcli.pipeline.scorer import score_labels
from clipcli.scoring.thresholds import UNKNOWN

WORDS = {
    "man": "man men guy guys", "woman": "woman women lady ladies", "baby": "baby babies infant",
    "child": "child children kid kids toddler toddlers boy boys girl girls", "dog": "dog dogs puppy puppies",
    "horse": "horse horses", "bird": "bird birds", "bicycle": "bicycle bicycles bike bikes biker bicyclist cyclist",
    "motorcycle": "motorcycle motorcycles motorbike motorcyclist", "car": "car cars",
    "boat": "boat boats kayak canoe", "skateboard": "skateboard skateboarder skateboarding skateboards",
    "snow": "snow snowy", "grass": "grass grassy lawn", "beach": "beach", "ocean": "ocean sea waves wave",
    "swimming pool": "pool", "tree": "tree trees", "mountain": "mountain mountains", "rock": "rock rocks rocky",
    "street": "street road sidewalk", "ball": "ball balls", "soccer": "soccer", "basketball": "basketball",
    "football player": "football", "swing": "swing swings swinging", "sunglasses": "sunglasses",
    "hat": "hat hats cap", "climbing": "climbing climber climbs", "surfing": "surfing surfer surfboard surfs",
}  # fmt: skip
LABELS = [Label(name) for name in WORDS]


def labelled(manifest: Path, embeddings: Path) -> Embedded:
    """Return the images of both files, with their labels by the words of the captions."""
    captions: dict[str, list[str]] = defaultdict(list)
    for line in manifest.read_text("utf-8").splitlines():
        name, caption, *_ = line.split("\t")
        captions[name].append(caption)
    paths, labels, vectors = [], [], []
    for row in ImageEmbeddings(embeddings).rows():
        if isinstance(row.vector, ImageError):
            continue
        words = set(re.findall(r"[a-z]+", " ".join(captions[Path(row.path).name]).lower()))
        paths.append(row.path)
        labels.append(joined(name for name, some in WORDS.items() if words & set(some.split())) or UNKNOWN)
        vectors.append(row.vector)
    return Embedded(tuple(paths), tuple(labels), np.stack(vectors))


def half(images: Embedded, seed: int) -> tuple[Embedded, Embedded]:
    """Divide images into two halves at random."""
    order = np.random.default_rng(seed).permutation(len(images.paths))
    middle = len(order) // 2
    first, second = (
        Embedded(tuple(images.paths[i] for i in some), tuple(images.labels[i] for i in some), images.vectors[some])
        for some in (order[:middle], order[middle:])
    )
    return first, second


def main() -> None:
    """Print the tables of docs/measurements/accuracy.md."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("manifest", type=Path)
    parser.add_argument("embeddings", type=Path)
    parser.add_argument("--model", default="pocket")
    given = parser.parse_args()
    images = labelled(given.manifest, given.embeddings)
    print("| score | mAP | precision | recall | tags per photo |\n|---|---|---|---|---|")
    for score in ("contrast", "softmax"):
        classifier = Classifier(given.model, LABELS, tags=True, score=score)
        assert classifier.tagging is not None
        found = evaluate_tags(score, images, LABELS, classifier.classes, classifier.tagging)
        print(
            f"| `{score}` | {found.mean_average_precision:.3f} | {found.micro.precision:.1%} "
            f"| {found.micro.recall:.1%} | {found.predicted.sum(axis=1).mean():.2f} |"
        )
    classifier = Classifier(given.model, LABELS, tags=True)
    print("\n| wanted | measured on | precision | recall | ECE before | after |\n|---|---|---|---|---|---|")
    for precision in (0.7, 0.8, 0.9):
        for seed in range(3):
            judge(classifier, precision, *half(images, seed), f"half {seed + 1}")


def judge(classifier: Classifier, precision: float, first: Embedded, second: Embedded, name: str) -> None:
    """Fit thresholds for a precision on some images, and print what they give on others."""
    tagging = classifier.tagging
    assert tagging is not None
    fitted = fit_calibration(first, LABELS, classifier.classes, tagging, Goal(precision))
    truth = tag_truth(second.labels, LABELS)
    before = score_labels(second.vectors, classifier.classes, tagging).probability
    after = score_labels(second.vectors, classifier.classes, tagging, fitted.correction).probability
    chosen = after >= np.array(fitted.thresholds)
    right = (chosen & truth).sum()
    errors = (expected_calibration_error(each.ravel(), truth.ravel()) for each in (before, after))
    print(
        f"| {precision:.0%} | {name} | {right / max(chosen.sum(), 1):.1%} | {right / truth.sum():.1%} | "
        + " | ".join(f"{error:.3f}" for error in errors)
        + " |"
    )


if __name__ == "__main__":
    main()
