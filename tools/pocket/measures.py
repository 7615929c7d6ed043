"""The measurements of one model: each function gives figures with the number of pictures they are from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from tools.pocket import calibration
from tools.pocket.calibration import Draws, Embedded, Floor
from tools.pocket.label_lists import balanced_accuracy
from tools.pocket.material import Material, Task
from tools.pocket.measured_model import MeasuredModel

from clipcli.evaluation.linear_probe import linear_probe
from clipcli.scoring.zeroshot import normalise

Array = npt.NDArray[np.float32]

LEAST_PHOTOS = 2  # of a word, from which on its recall counts
AMONG = 200  # photos that a caption is sought among
DRAWS = 4000  # label lists of each source
FLOORS = (0.3, 0.4, 0.5, 0.6, 0.7)
PROBE_FOLDS = 4
SCENES, SPORTS, AERIAL = "miniplaces", "sports100", "aid"
TARGETS = {  # of left-out pictures of trained labels, and of left-out labels
    SCENES: (0.60, 0.65),
    SPORTS: (0.75, 0.65),
    AERIAL: (0.75, 0.55),
}


@dataclass(frozen=True)
class Figure:
    """One measurement: a share between 0 and 1, from ``count`` pictures; ``at_most`` is for errors."""

    name: str
    count: int
    value: float
    target: float | None = None
    at_most: bool = False


def general_words(model: MeasuredModel, material: Material) -> Iterator[Figure]:
    """Balanced accuracy over each list of general words, in trained and in held-out words."""
    images = model.images(material.photos)
    for title, target in (("", 0.85), (", held-out words", None)):
        values, counts = [], []
        for each in material.lists:
            labels = model.labels(each.reworded if title else each.words)
            chosen = (images @ labels.T).argmax(axis=1)  # (N, D) @ (D, W) -> (N, W)
            value, count = balanced_accuracy(chosen, each.truth[material.photo_classes], LEAST_PHOTOS)
            values.append(value)
            counts.append(count)
            yield Figure(f"general words: {each.name} ({len(each.words)}){title}", count, value, target)
        mean = float(np.mean(values))
        yield Figure(f"general words: mean of {len(values)} lists{title}", sum(counts), mean, 0.92 if target else None)


def class_names(model: MeasuredModel, material: Material) -> Iterator[Figure]:
    """Top-1 and top-5 among the 1000 class names."""
    similarities = model.images(material.photos) @ model.labels(material.classes.names).T  # (N, C)
    order = np.argsort(-similarities, axis=1)
    truth = material.photo_classes
    for k, target in ((1, 0.85), (5, 0.97)):
        hits = (order[:, :k] == truth[:, None]).any(axis=1)
        yield Figure(f"1000 class names, top-{k}", len(truth), float(hits.mean()), target)


def task_accuracy(model: MeasuredModel, task: Task, *, balanced: bool = False) -> float:
    """Share of a task's pictures that get their label, or the mean of the labels' recalls."""
    chosen = (model.images(task.items) @ model.labels(task.words).T).argmax(axis=1)
    return balanced_accuracy(chosen, task.truth)[0] if balanced else float((chosen == task.truth).mean())


def left_out(model: MeasuredModel, material: Material) -> Iterator[Figure]:
    """Accuracy on each labelled set: left-out pictures of trained labels, and labels left out altogether."""
    for name in material.labelled:
        targets = TARGETS.get(name, (None, None))
        pairs = ((material.heldout(name, "heldout"), "pictures"), (material.heldout(name, "heldout_label"), "labels"))
        for (task, what), target in zip(pairs, targets, strict=True):
            title = f"{name}, left-out {what} (of {len(task.words)})"
            yield Figure(title, len(task.items), task_accuracy(model, task), target)


def small(model: MeasuredModel, material: Material) -> Iterator[Figure]:
    """Balanced accuracy on the small lists; drawings are counted as they come."""
    for task in material.small:
        drawings = task.name.startswith("drawings")
        value = task_accuracy(model, task, balanced=not drawings)
        counts = ", ".join(f"{word} {(task.truth == k).sum()}" for k, word in enumerate(task.words))
        yield Figure(f"{task.name} ({counts})", len(task.items), value, 0.60 if drawings else 0.85)


def caption_groups(count: int) -> list[slice]:
    """Split captioned photos into groups of 200, leaving out the rest; fewer photos make one group."""
    size = min(AMONG, count)
    return [slice(start, start + size) for start in range(0, count - size + 1, size)]


def retrieval(model: MeasuredModel, material: Material) -> Iterator[Figure]:
    """Find the caption of a photo and the photo of a caption: among 200 by first captions, among all by all."""
    items, captions = material.captioned()
    images = model.images(items)
    first = model.texts([texts[0] for texts in captions])
    groups = caption_groups(len(items))
    squares = [images[group] @ first[group].T for group in groups]  # (200, 200) each
    for axis, title in ((1, "image to caption"), (0, "caption to image")):
        hits = [float((square.argmax(axis=axis) == np.arange(len(square))).mean()) for square in squares]
        yield Figure(f"{title}, R@1 among {len(squares[0])}", len(items), float(np.mean(hits)), 0.45)
    owner = np.repeat(np.arange(len(items)), [len(texts) for texts in captions])
    everything = images @ model.texts([text for texts in captions for text in texts]).T  # (N, T)
    title = f"among {len(items)}, all captions"
    yield Figure(
        f"image to caption, R@1 {title}",
        len(items),
        float((owner[everything.argmax(1)] == np.arange(len(items))).mean()),
    )
    yield Figure(f"caption to image, R@1 {title}", len(owner), float((everything.argmax(0) == owner).mean()))


def probes(model: MeasuredModel, material: Material) -> Iterator[Figure]:
    """Accuracy of a linear probe on the features before the head: how much the image network knows.

    Left-out pictures: fitted on the pictures that training may use. Left-out labels and small lists: cross-fitted.
    """
    for name in material.labelled:
        known, asked = material.trained(name), material.heldout(name, "heldout")
        features = normalise(model.features([*known.items, *asked.items]))
        truth = np.concatenate([known.truth, asked.truth])
        fitted, tested = np.arange(len(known.items)), np.arange(len(known.items), len(truth))
        value = float((linear_probe(features, truth, fitted, tested) == truth[tested]).mean())
        yield Figure(f"probe: {name}, left-out pictures (of {len(known.words)})", len(tested), value)
        yield _cross_fitted(model, material.heldout(name, "heldout_label"), f"{name}, left-out labels")
    for task in material.small:
        yield _cross_fitted(model, task, task.name)


def _cross_fitted(model: MeasuredModel, task: Task, title: str) -> Figure:
    features = normalise(model.features(task.items))
    fold = np.random.default_rng(0).permutation(len(task.items)) % PROBE_FOLDS
    chosen = np.empty_like(task.truth)
    for number in range(PROBE_FOLDS):
        fitted, tested = np.flatnonzero(fold != number), np.flatnonzero(fold == number)
        chosen[tested] = linear_probe(features, task.truth, fitted, tested)
    value, count = balanced_accuracy(chosen, task.truth)
    return Figure(f"probe: {title} (of {len(task.words)})", count, value)


def calibrated(model: MeasuredModel, material: Material) -> Iterator[Figure]:
    """ECE over many label lists, and what floors reject: right answers, and answers where none is right."""
    sources = _sources(model, material)
    present = {name: _draws(model, parts, absent=False) for name, parts in sources.items()}
    absent = calibration.pooled([_draws(model, parts, absent=True) for parts in sources.values()])
    every = calibration.pooled(list(present.values()))
    for name, draws in {**present, "all": every}.items():
        target = 0.05 if name == "all" else None
        error = calibration.calibration_error(draws)
        yield Figure(f"ECE: {name}", len(draws.right), error, target, at_most=True)
        yield Figure(f"accuracy of those lists: {name}", len(draws.right), float(draws.right.mean()))
    for floor in FLOORS:
        counted = calibration.at_floor(every.probability, every.right, absent.probability, floor)
        yield from _floor_figures(f"probability floor {floor}", counted, len(every.right))
    for name, here, there in (
        ("probability", every.probability, absent.probability),
        ("similarity", every.similarity, absent.similarity),
    ):
        counted = calibration.floor_at_rate(here, every.right, there)
        yield Figure(f"{name} floor that rejects 5 % of right answers", len(every.right), counted.floor)
        yield Figure(f"misfits caught there by {name}", len(every.right), counted.caught)


def _floor_figures(title: str, counted: Floor, count: int) -> Iterator[Figure]:
    yield Figure(f"{title}: right answers rejected", count, counted.wrong_rejections)
    yield Figure(f"{title}: misfits caught", count, counted.caught)


def _sources(model: MeasuredModel, material: Material) -> dict[str, list[Embedded]]:
    photos, numbers = model.images(material.photos), material.photo_classes
    lists = [each for each in material.lists if len(each.words) > 2]
    words = [Embedded(photos, model.labels(each.words), each.truth[numbers]) for each in lists]
    reworded = [Embedded(photos, model.labels(each.reworded), each.truth[numbers]) for each in lists]
    tasks = [material.heldout(name, part) for name in material.labelled for part in ("heldout", "heldout_label")]
    tasks += [task for task in material.small if len(task.words) > 2]
    return {
        "general words": words,
        "held-out words": reworded,
        "class names": [Embedded(photos, model.labels(material.classes.names), numbers)],
        "other sets": [
            Embedded(model.images(task.items), model.labels(task.words), task.truth)
            for task in tasks
            if len(task.words) > 2
        ],
    }


def _draws(model: MeasuredModel, parts: Sequence[Embedded], *, absent: bool) -> Draws:
    each = DRAWS // len(parts)
    return calibration.pooled(
        [calibration.draw_lists(part, model.scale, each, seed, absent=absent) for seed, part in enumerate(parts)]
    )
