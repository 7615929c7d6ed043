"""The trained loss is that of :mod:`clipcli.scoring.contrastive_loss`, repeats too; and nothing locked is trained."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from clipcli.models._torchvision import import_open_clip
from clipcli.scoring.contrastive_loss import contrastive_loss, sigmoid_loss

open_clip = import_open_clip()
import torch  # noqa: E402

from clipcli.training.loss import GroupedLoss, TwoTowers  # noqa: E402
from clipcli.training.model_folder import interpolated  # noqa: E402

CONFIG: dict[str, Any] = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 32, "layers": [1, 1, 1, 1], "width": 8, "head_width": 8},
    "text_cfg": {"context_length": 12, "vocab_size": 64, "width": 16, "heads": 2, "layers": 1},
}


def features(count: int) -> tuple[Any, Any]:
    generator = torch.Generator().manual_seed(0)
    images, texts = (torch.randn(count, 8, generator=generator, dtype=torch.float64) for _ in range(2))
    found = [torch.nn.functional.normalize(each, dim=1).requires_grad_() for each in (images, texts)]
    return found[0], found[1]


@pytest.mark.parametrize("groups", [[1, 2, 3, 4, 5, 6], [1, 1, 2, 3, 3, 3], [9, 9, 9, 9, 9, 9]])
@pytest.mark.parametrize("bias", [None, -3.0])
def test_the_loss_and_its_gradient_agree_with_numpy_where_captions_repeat(
    groups: list[int], bias: float | None
) -> None:
    images, texts = features(6)
    scale = torch.tensor(12.0, dtype=torch.float64, requires_grad=True)
    offset = None if bias is None else torch.tensor(bias, dtype=torch.float64)
    loss = GroupedLoss()(images, texts, scale, offset, torch.tensor(groups))
    loss.backward()

    def reference(factor: float) -> float:
        cosines = (images @ texts.T).detach().numpy()
        if bias is None:
            return contrastive_loss(cosines, factor, groups)
        return sigmoid_loss(cosines, factor, bias, groups)

    assert loss.item() == pytest.approx(reference(12.0), abs=1e-9)
    slope = (reference(12.0 + 1e-4) - reference(12.0 - 1e-4)) / 2e-4
    assert scale.grad is not None
    assert scale.grad.item() == pytest.approx(slope, abs=1e-6)


def test_without_repeats_it_is_the_loss_that_open_clip_trains() -> None:
    images, texts = features(6)
    scale, bias = torch.tensor(12.0, dtype=torch.float64), torch.tensor(-3.0, dtype=torch.float64)
    groups = torch.arange(6)
    assert GroupedLoss()(images, texts, scale, None, groups).item() == pytest.approx(
        open_clip.ClipLoss()(images, texts, scale).item(), abs=1e-12
    )
    assert GroupedLoss()(images, texts, scale, bias, groups).item() == pytest.approx(
        open_clip.loss.SigLipLoss()(images, texts, scale, bias).item(), abs=1e-9
    )


def test_two_images_of_one_class_do_not_push_each_other_away() -> None:
    """With CLIP's own loss a second image with the same caption is a negative; here it is a positive."""
    image = torch.nn.functional.normalize(torch.ones(2, 4), dim=1)
    perfect = GroupedLoss()(image, image, torch.tensor(50.0), None, torch.tensor([1, 1]))
    with_other = torch.eye(4)[:2]
    apart = GroupedLoss()(with_other, with_other, torch.tensor(50.0), None, torch.tensor([1, 2]))
    assert perfect.item() == pytest.approx(np.log(2), abs=1e-5)  # the least there can be: the target is shared
    assert apart.item() == pytest.approx(0.0, abs=1e-5)


def test_fine_tuning_keeps_the_statistics_of_batch_normalisation_and_training_from_scratch_does_not() -> None:
    for keep in (True, False):
        torch.manual_seed(0)
        network = open_clip.CLIP(**CONFIG, output_dict=True)
        before = network.visual.bn1.running_mean.clone()
        towers = TwoTowers(network, keep_statistics=keep).train()
        towers(torch.randn(4, 3, 32, 32), torch.randint(1, 60, (4, 13)))
        assert torch.equal(network.visual.bn1.running_mean, before) is keep
        assert network.visual.bn1.weight.requires_grad


def test_the_towers_pass_the_groups_on() -> None:
    network = open_clip.CLIP(**CONFIG)  # gives a tuple, not a mapping
    rows = torch.randint(1, 60, (3, 13))
    output = TwoTowers(network, keep_statistics=True).eval()(torch.randn(3, 3, 32, 32), rows)
    assert torch.equal(output["groups"], rows[:, -1])
    assert set(output) == {"image_features", "text_features", "logit_scale", "groups"}


def test_interpolation_moves_weights_and_leaves_counters() -> None:
    start = {"w": torch.zeros(2), "n": torch.tensor(3)}
    trained = {"w": torch.tensor([1.0, 2.0]), "n": torch.tensor(9)}
    mixed = interpolated(start, trained, 0.25)
    assert mixed["w"].tolist() == [0.25, 0.5]
    assert mixed["n"] == 9
