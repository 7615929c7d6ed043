"""A linear probe: a classifier on embeddings of a few images per class (Radford et al. 2021, section 3.1)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clipcli.errors import InputError
from clipcli.evaluation.evaluate import Evaluation
from clipcli.evaluation.metrics import Indices, Interval, accuracy_interval, difference_interval

__all__ = ["STRENGTH", "ProbeResult", "few_shot_split", "fit_probe", "linear_probe", "probe", "probes_as_json"]

# The paper's code has 0.316 for embeddings of length about ten; here they have length one.
STRENGTH = 31.6
_ITERATIONS = 1000


@dataclass(frozen=True)
class ProbeResult:
    """The accuracy of a linear probe and of zero-shot classification, on the images it was not fitted on.

    Parameters
    ----------
    name, shots, tested
        The model, the number of images per class for fitting, and the number of test images.
    accuracy, zero_shot
        Top-1 accuracy on the test images: of the probe, and of zero-shot classification with the first templates.
    gain
        Their difference, paired.
    """

    name: str
    shots: int
    tested: int
    accuracy: Interval
    zero_shot: Interval
    gain: Interval


def few_shot_split(truth: Indices, shots: int, seed: int, labels: Sequence[str]) -> tuple[Indices, Indices]:
    """Draw ``shots`` images per class. (N,) -> indices to fit on, indices to test on.

    Raises
    ------
    InputError
        If a class has no image left for testing, or there is only one class.
    """
    random = np.random.default_rng(seed)
    classes, counts = np.unique(truth, return_counts=True)
    if len(classes) < 2:
        raise InputError("cannot use --few-shot: it needs images of at least two classes")
    poor = [labels[place] for place, count in zip(classes, counts, strict=True) if count <= shots]
    if poor:
        raise InputError(
            f"cannot use --few-shot {shots}: it needs at least {shots + 1} images per class; too few of {poor[0]!r}"
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
        (N,) classes; only those of ``fitted`` are used.
    fitted, tested
        Indices of the images to fit on and to predict.
    strength
        scikit-learn's ``C``, the inverse regularisation strength.

    Returns
    -------
    (len(tested),) classes.
    """
    return np.asarray(fit_probe(vectors[fitted], truth[fitted], strength).predict(vectors[tested]), dtype=np.intp)


def fit_probe(vectors: NDArray[np.float32], truth: Indices, strength: float = STRENGTH) -> Any:
    """Fit scikit-learn's ``LogisticRegression`` on the embeddings (N, D) of images and their classes (N,)."""
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(C=strength, max_iter=_ITERATIONS, random_state=0).fit(vectors, truth)


def probe(
    name: str, vectors: NDArray[np.float32], zero_shot: Evaluation, shots: int, strength: float, seed: int
) -> ProbeResult:
    """Fit on ``shots`` images per class, test on the others, and compare with zero-shot classification of these.

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
    """Return all metrics as plain values, for ``--json``."""
    return [asdict(each) for each in probes]
