"""A linear probe on embeddings: what a few labelled images a class would give (Radford et al. 2021, section 3.1)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clipcli.errors import InputError
from clipcli.evaluation.evaluate import Evaluation
from clipcli.evaluation.metrics import Indices, Interval, accuracy_interval, difference_interval

__all__ = ["STRENGTH", "ProbeResult", "few_shot_split", "linear_probe", "probe", "probes_as_json"]

# The paper's code has 0.316 for embeddings about ten long; ours have length one.
STRENGTH = 31.6
_ITERATIONS = 1000


@dataclass(frozen=True)
class ProbeResult:
    """How a linear probe did beside zero-shot classification, on the images it was not fitted on.

    Parameters
    ----------
    name, shots, tested
        The model, how many images of each class were fitted on, and how many were tested.
    accuracy, zero_shot
        Top-1 of the probe, and of the first templates without any images, on the tested ones.
    gain
        The former less the latter, paired.
    """

    name: str
    shots: int
    tested: int
    accuracy: Interval
    zero_shot: Interval
    gain: Interval


def few_shot_split(truth: Indices, shots: int, seed: int, labels: Sequence[str]) -> tuple[Indices, Indices]:
    """Draw ``shots`` images of each class that occurs, and leave the rest. (N,) -> places to fit on, to test on.

    Raises
    ------
    InputError
        If a class has no image left to test on, or there is only one class.
    """
    random = np.random.default_rng(seed)
    classes, counts = np.unique(truth, return_counts=True)
    if len(classes) < 2:
        raise InputError("--few-shot needs images of two classes at least")
    poor = [labels[place] for place, count in zip(classes, counts, strict=True) if count <= shots]
    if poor:
        raise InputError(
            f"--few-shot {shots} needs {shots + 1} images of each class at least; too few of {poor[0]!r}"
            + (f" and {len(poor) - 1} more" if len(poor) > 1 else "")
        )
    drawn = [random.permutation(np.flatnonzero(truth == place))[:shots] for place in classes]
    fitted = np.sort(np.concatenate(drawn))
    return fitted, np.setdiff1d(np.arange(len(truth)), fitted)


def linear_probe(
    vectors: NDArray[np.float32], truth: Indices, fitted: Indices, tested: Indices, strength: float = STRENGTH
) -> Indices:
    """Fit a logistic regression (scikit-learn) on some images and return its classes for others.

    Parameters
    ----------
    vectors
        (N, D) embeddings of length one.
    truth
        (N,) classes; only those of ``fitted`` are looked at.
    fitted, tested
        Places of the images to fit on and to predict.
    strength
        scikit-learn's ``C``: the greater, the less the weights are held back.

    Returns
    -------
    (len(tested),) classes.
    """
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=strength, max_iter=_ITERATIONS, random_state=0)
    model.fit(vectors[fitted], truth[fitted])
    return np.asarray(model.predict(vectors[tested]), dtype=np.intp)


def probe(
    name: str, vectors: NDArray[np.float32], zero_shot: Evaluation, shots: int, strength: float, seed: int
) -> ProbeResult:
    """Fit on ``shots`` images of each class and test on the others, beside zero-shot classification of these.

    Parameters
    ----------
    vectors
        (N, D) embeddings of the images that ``zero_shot`` evaluated.
    """
    fitted, tested = few_shot_split(zero_shot.truth, shots, seed, zero_shot.labels)
    hits = linear_probe(vectors, zero_shot.truth, fitted, tested, strength) == zero_shot.truth[tested]
    before = zero_shot.hits[tested]
    return ProbeResult(
        name, shots, len(tested), accuracy_interval(hits), accuracy_interval(before), difference_interval(before, hits)
    )


def probes_as_json(probes: Sequence[ProbeResult]) -> list[dict[str, Any]]:
    """Return all that is known as plain values, for ``--json``."""
    return [asdict(each) for each in probes]
