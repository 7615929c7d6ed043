"""The contrastive objective agrees with the papers' pseudocode worked by hand, and with open_clip's losses."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from clipcli.scoring.contrastive_loss import contrastive_loss, sigmoid_loss
from clipcli.scoring.retrieval import pairing
from clipcli.scoring.zeroshot import normalise


def batch(pairs: int, seed: int = 0) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    random = np.random.default_rng(seed)
    images = normalise(random.normal(size=(pairs, 16)).astype(np.float32))
    return images, normalise(images + 0.5 * random.normal(size=(pairs, 16)).astype(np.float32))


def test_the_loss_of_two_pairs_by_hand() -> None:
    """Logits 2 and 0 above 1 and 3: rows give log(1 + e^-2) each; columns log(1 + e^-1) and log(1 + e^-3)."""
    rows = [np.log1p(np.exp(-2)), np.log1p(np.exp(-2))]
    columns = [np.log1p(np.exp(-1)), np.log1p(np.exp(-3))]
    expected = (np.mean(rows) + np.mean(columns)) / 2
    assert contrastive_loss([[0.2, 0.0], [0.1, 0.3]], 10.0) == pytest.approx(expected, abs=1e-12)


def test_pairs_that_cannot_be_told_apart_cost_the_logarithm_of_their_number() -> None:
    assert contrastive_loss(np.full((8, 8), 0.3), 100.0) == pytest.approx(np.log(8))


def test_a_large_scale_overflows_nothing() -> None:
    assert contrastive_loss(np.eye(4), 1e6) == pytest.approx(0.0, abs=1e-12)
    assert contrastive_loss(1 - np.eye(4), 1e6) > 1e5


@pytest.mark.parametrize("pairs", [1, 2, 17])
def test_clips_loss_is_open_clips(pairs: int) -> None:
    from clipcli.models._torchvision import import_open_clip

    open_clip = import_open_clip()
    import torch

    images, texts = batch(pairs)
    theirs = open_clip.ClipLoss()(*map(torch.from_numpy, (images, texts)), torch.tensor(20.0))
    assert contrastive_loss(images @ texts.T, 20.0) == pytest.approx(float(theirs), abs=1e-6)


@pytest.mark.parametrize("pairs", [1, 2, 17])
def test_siglips_loss_is_open_clips(pairs: int) -> None:
    from clipcli.models._torchvision import import_open_clip

    import_open_clip()
    import torch
    from open_clip.loss import SigLipLoss

    images, texts = batch(pairs)
    scale, bias = torch.tensor(10.0), torch.tensor(-10.0)
    theirs = SigLipLoss()(*map(torch.from_numpy, (images, texts)), scale, bias)
    assert sigmoid_loss(images @ texts.T, 10.0, -10.0) == pytest.approx(float(theirs), rel=1e-6, abs=1e-6)


def test_a_pairing_counts_who_finds_whom() -> None:
    found = pairing([[0.9, 0.1, 0.2], [0.3, 0.2, 0.1], [0.0, 0.1, 0.5]], 10.0)
    assert (found.pairs, found.images, found.texts) == (3, 2, 3)
    assert found.loss == contrastive_loss([[0.9, 0.1, 0.2], [0.3, 0.2, 0.1], [0.0, 0.1, 0.5]], 10.0)


def test_a_tie_is_won_by_nobody() -> None:
    found = pairing([[0.5, 0.5], [0.1, 0.5]], 10.0)
    assert (found.images, found.texts) == (1, 1)


def test_a_sigmoid_model_is_measured_by_its_own_objective() -> None:
    assert pairing(np.eye(3), 10.0, -10.0).loss == sigmoid_loss(np.eye(3), 10.0, -10.0)
