"""How well do examples teach classes? Words, 1, 2, 4, 8 and 16 examples per class, by each method.

    python -m benchmarks.teaching FOLDER... --model pocket --seeds 3

Each FOLDER has one folder of images per class. Some images are drawn as examples, and the others are classified. The
classifiers are made by the code of ``clipcli teach``; the logistic regression is compared with scikit-learn called
directly on the same embeddings. The output is a Markdown table.

With ``--taught N``, only N classes, drawn at random, have examples; the others are classes by their words.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clipcli import Classifier, Label
from clipcli.errors import InputError
from clipcli.evaluation.embedding import embed_all
from clipcli.evaluation.ground_truth import classes_of, read_truth
from clipcli.evaluation.linear_probe import STRENGTH, few_shot_split
from clipcli.evaluation.metrics import expected_calibration_error
from clipcli.evaluation.vocabulary import indices_of
from clipcli.runner import SILENT
from clipcli.scoring.scores import score
from clipcli.teaching.methods import Candidate, Fitted, Material, fit
from clipcli.teaching.selection import choose

SHOTS = (1, 2, 4, 8, 16)
_TESTED = 2000  # maximum number of images that are classified


@dataclass(frozen=True)
class Row:
    """The accuracies of one set of images with a number of examples, means over the seeds."""

    name: str
    shots: int
    accuracy: dict[str, float]
    error: float
    error_of_words: float
    equal: bool


def embedded(folder: Path, model: str, template: tuple[str, ...]) -> tuple[Material, list[str]]:
    """Return the embeddings of all images of a folder of class folders, and of the classes' names."""
    labelled = read_truth(folder)
    labels = [Label(name) for name in classes_of(labelled)]
    with Classifier(model, labels, templates=template) as classifier:
        classes = classifier.classes
        images, _ = embed_all(classifier, labelled, SILENT)
    truth = np.asarray(indices_of(images.labels, labels), np.intp)
    facts = classes.facts
    return Material(classes.vectors, images.vectors, truth, facts.logit_scale, facts.logit_bias), list(classes.labels)


def measured(material: Material, fitted: Fitted, rows: NDArray[np.intp]) -> tuple[float, float]:
    """Return accuracy and calibration error on some images."""
    found = score(material.vectors[rows], fitted.vectors, fitted.scale, material.bias, fitted.head)
    hits = found.ranked.argmax(axis=1) == material.truth[rows]
    return float(hits.mean()), expected_calibration_error(found.probability.max(axis=1), hits)


def one_draw(material: Material, labels: list[str], shots: int, seed: int) -> dict[str, Any]:
    """Draw examples, make classifiers from them, and classify the other images."""
    from sklearn.linear_model import LogisticRegression

    rows, others = few_shot_split(material.truth, shots, seed, labels)
    others = np.random.default_rng(seed).permutation(others)[:_TESTED]
    examples = material.only(rows)
    by_words, words_error = measured(material, fit(examples, Candidate("text", 0.0), STRENGTH), others)
    made = {"words": by_words}
    for name in ("prototypes", "mixed", "logistic"):
        made[name], _ = measured(material, choose(examples, name).fitted, others)
    automatic = choose(examples)
    made["auto"], error = measured(material, automatic.fitted, others)
    direct = LogisticRegression(C=STRENGTH, max_iter=1000, random_state=0).fit(examples.vectors, examples.truth)
    probe = fit(examples, Candidate("logistic", 1.0), STRENGTH).logits(material.vectors[others]).argmax(axis=1)
    made["scikit-learn"] = float((direct.predict(material.vectors[others]) == material.truth[others]).mean())
    equal = bool((probe == direct.predict(material.vectors[others])).all())
    return {"accuracy": made, "error": error, "words": words_error, "equal": equal, "chosen": automatic.candidate}


def rows_of(folder: Path, model: str, seeds: int, template: tuple[str, ...], shots: tuple[int, ...]) -> Iterator[Row]:
    """Yield a row per number of examples."""
    material, labels = embedded(folder, model, template)
    for count in shots:
        try:
            draws = [one_draw(material, labels, count, seed) for seed in range(seeds)]
        except InputError:  # too few images
            return
        names = draws[0]["accuracy"]
        yield Row(
            folder.name, count,
            {name: float(np.mean([draw["accuracy"][name] for draw in draws])) for name in names},
            float(np.mean([draw["error"] for draw in draws])), float(np.mean([draw["words"] for draw in draws])),
            all(draw["equal"] for draw in draws),
        )  # fmt: skip


def partial_rows(
    folder: Path, model: str, seeds: int, template: tuple[str, ...], shots: tuple[int, ...], taught: int
) -> Iterator[tuple[int, NDArray[np.float64]]]:
    """Yield accuracies by number of examples of some classes: words and taught, on all images and on theirs."""
    material, labels = embedded(folder, model, template)
    for count in shots:
        figures = []
        for seed in range(seeds):
            rows, others = few_shot_split(material.truth, count, seed, labels)
            chosen = np.random.default_rng(seed).permutation(len(labels))[:taught]
            examples = material.only(rows[np.isin(material.truth[rows], chosen)])
            theirs = others[np.isin(material.truth[others], chosen)]
            made = fit(examples, Candidate("text", 0.0), STRENGTH), choose(examples).fitted
            figures.append([measured(material, each, some)[0] for some in (others, theirs) for each in made])
        yield count, np.mean(figures, axis=0)


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--model", default="pocket")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--template", action="append", default=[])
    parser.add_argument("--shots", type=int, nargs="+", default=list(SHOTS))
    parser.add_argument("--taught", type=int, metavar="N")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    if given.taught:
        print("| images | classes with examples | examples per class | words, all images | taught, all images "
              "| words, images of these classes | taught, images of these classes |\n" + "|---" * 7 + "|")  # fmt: skip
        for folder in given.folders:
            wanted = (folder, given.model, given.seeds, tuple(given.template), tuple(given.shots), given.taught)
            for count, figures in partial_rows(*wanted):
                print(
                    f"| {folder.name} | {given.taught} | {count} |", " | ".join(f"{each:.1%}" for each in figures), "|"
                )
        return
    columns = ("words", "prototypes", "mixed", "logistic", "auto", "scikit-learn")
    print("| images | examples per class |", " | ".join(columns), "| ECE, words | ECE, auto |")
    print("|---" * (len(columns) + 4) + "|")
    kept = []
    for folder in given.folders:
        for row in rows_of(folder, given.model, given.seeds, tuple(given.template), tuple(given.shots)):
            cells = (f"{row.accuracy[name]:.1%}" for name in columns)
            print(f"| {row.name} | {row.shots} |", " | ".join(cells), f"| {row.error_of_words:.3f} | {row.error:.3f} |",
                  "" if row.equal else "NOT EQUAL", flush=True)  # fmt: skip
            kept.append(vars(row))
    if given.json:
        given.json.write_text(json.dumps(kept, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
