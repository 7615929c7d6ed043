"""Choose a method by cross-validation on the examples, and make its probabilities honest."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from clipcli.evaluation.linear_probe import STRENGTH
from clipcli.evaluation.metrics import (
    Indices,
    Interval,
    Scores,
    accuracy_interval,
    fit_temperature,
)
from clipcli.scoring.zeroshot import cosine_similarities
from clipcli.teaching.methods import Candidate, Fitted, Material, class_weights, fit, mix, weight_with

__all__ = ["Choice", "Trial", "candidates", "choose", "folds_of"]

WEIGHTS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
LOGISTIC_WEIGHTS = (0.5, 0.75, 1.0)
_ONE_EACH = 0.1, 1.0  # least and greatest weight, measured like that of classes without examples


@dataclass(frozen=True)
class Trial:
    """A method, tried on examples that were left out.

    Parameters
    ----------
    candidate
        The method, and the weight of the examples that was best for it.
    accuracy
        Top-1 accuracy with its 95 % interval.
    loss
        The mean negative log-likelihood of the true class, after temperature scaling.
    """

    candidate: Candidate
    accuracy: Interval
    loss: float


@dataclass(frozen=True)
class Choice:
    """The chosen method, what was tried, and the final classifier."""

    candidate: Candidate
    trials: tuple[Trial, ...]
    fitted: Fitted

    @property
    def accuracy(self) -> float | None:
        """Accuracy of the chosen method on left-out examples; ``None`` without cross-validation."""
        return next((each.accuracy.value for each in self.trials if each.candidate == self.candidate), None)


def candidates(method: str) -> list[Candidate]:
    """Return what is tried for a method, or for ``auto``; the first are preferred among equals."""
    found = [Candidate("text", 0.0), *(Candidate("mixed", weight) for weight in WEIGHTS), Candidate("prototypes", 1.0)]
    found += [Candidate("logistic", weight) for weight in LOGISTIC_WEIGHTS]
    return [each for each in found if method in ("auto", each.method)]


def folds_of(truth: Indices, folds: int, seed: int) -> Iterator[tuple[Indices, Indices]]:
    """Yield the examples to fit on and those left out, for each fold; none if no class has two examples.

    The only example of a class is never left out. If the other classes have fewer examples than there are folds, there
    are as many folds as the smallest of them has, so that each class is fitted on in each fold.
    """
    from sklearn.model_selection import StratifiedKFold

    counts = np.bincount(truth)
    several = np.flatnonzero(counts[truth] > 1)
    if not len(several):
        return
    single = np.flatnonzero(counts[truth] == 1)
    number = min(folds, int(counts[counts > 1].min()))
    for fitted, left_out in StratifiedKFold(number, shuffle=True, random_state=seed).split(several, truth[several]):
        yield np.sort(np.concatenate([several[fitted], single])), several[left_out]


def choose(material: Material, method: str = "auto", folds: int = 5, seed: int = 0) -> Choice:
    """Choose a method and a weight by cross-validation, and fit it on all examples.

    The method with the greatest likelihood of the left-out examples' classes is chosen: that differs less from
    sample to sample than the accuracy. The temperature is that of the left-out examples.
    """
    splits = list(folds_of(material.truth, folds, seed))
    if not splits or (material.counts == 0).any():
        return _by_default(material, method)
    tried = candidates(method)
    rows = np.concatenate([left_out for _, left_out in splits])
    truth = material.truth[rows]
    logits = _all_left_out(material, tried, splits)
    trials = [_trial(each, found, truth) for each, found in logits.items()]
    best = min(trials, key=lambda trial: trial.loss)
    factor, offset = _calibration(logits[best.candidate], truth, is_sigmoid=material.bias is not None)
    fitted = fit(material, best.candidate, STRENGTH).rescaled(factor, offset)
    return Choice(best.candidate, tuple(_best_of_each(trials)), fitted)


def _by_default(material: Material, method: str) -> Choice:
    """Return what is used without cross-validation: classes have one example each, or some have none.

    Words and examples are mixed. The words did not see the examples, so the more of these they find, the smaller is the
    weight of the examples.
    """
    if method not in ("auto", "mixed"):
        chosen = Candidate(method, float(method != "text"))
        return Choice(chosen, (), fit(material, chosen, STRENGTH))
    if (material.counts == 0).any():
        weights = class_weights(material)
        return Choice(Candidate("mixed", float(weights[weights > 0].mean())), (), mix(material, weights))
    right = cosine_similarities(material.vectors, material.text).argmax(axis=1) == material.truth
    chosen = Candidate("mixed", float(weight_with(right.mean(), *_ONE_EACH)))
    return Choice(chosen, (), fit(material, chosen, STRENGTH))


def _all_left_out(
    material: Material, tried: Sequence[Candidate], splits: Sequence[tuple[Indices, Indices]]
) -> dict[Candidate, Scores]:
    """Return the logits of the left-out examples by candidate; the logistic regression is fitted once per fold."""
    found = {each: _left_out(material, each, splits) for each in tried if each.method != "logistic"}
    if averaged := [each for each in tried if each.method == "logistic"]:
        words, whole = (_left_out(material, Candidate(*each), splits) for each in (("text", 0.0), ("logistic", 1.0)))
        found |= {each: (1 - each.weight) * words + each.weight * whole for each in averaged}
    return found


def _left_out(material: Material, candidate: Candidate, splits: Sequence[tuple[Indices, Indices]]) -> Scores:
    """Return the logits of the left-out examples, fold after fold."""
    return np.concatenate(
        [
            fit(material.only(fitted), candidate, STRENGTH).logits(material.vectors[left_out])
            for fitted, left_out in splits
        ]
    )


def _trial(candidate: Candidate, logits: Scores, truth: Indices) -> Trial:
    from scipy.special import log_softmax

    hits = logits.argmax(axis=1) == truth
    scaled = logits if hits.all() else logits / fit_temperature(logits, truth)
    loss = -float(log_softmax(scaled, axis=1)[np.arange(len(truth)), truth].mean())
    return Trial(candidate, accuracy_interval(hits), loss)


def _best_of_each(trials: Sequence[Trial]) -> Iterator[Trial]:
    """Yield the best weight of each method."""
    for method in dict.fromkeys(trial.candidate.method for trial in trials):
        yield min((trial for trial in trials if trial.candidate.method == method), key=lambda trial: trial.loss)


def _calibration(logits: Scores, truth: Indices, *, is_sigmoid: bool) -> tuple[float, float | None]:
    """Return the factor and the offset of logits that make their probabilities those of left-out examples.

    A temperature (Guo et al. 2017); for a sigmoid model, whose classes are judged one by one, the scale and bias of
    Platt (1999). If every example is right, a temperature has no optimum, and that of the model stays.
    """
    if is_sigmoid:
        return _platt(logits, truth)
    if (logits.argmax(axis=1) == truth).all():
        return 1.0, None
    return 1.0 / fit_temperature(logits, truth), None


def _platt(logits: Scores, truth: Indices) -> tuple[float, float | None]:
    from sklearn.linear_model import LogisticRegression

    right: NDArray[np.bool_] = truth[:, None] == np.arange(logits.shape[1])
    model = LogisticRegression(C=1e3).fit(logits.reshape(-1, 1), right.ravel())
    factor = float(model.coef_[0, 0])
    return (factor, float(model.intercept_[0])) if factor > 0 else (1.0, 0.0)
