"""What open_clip trains is what the CLIP paper's figure 3 says: loss and gradients, for ViT and ResNet."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from clipcli.scoring.contrastive_loss import contrastive_loss

Array = NDArray[np.float64]

TEXT = {"context_length": 12, "vocab_size": 64, "width": 16, "heads": 2, "layers": 2}
TOWERS: dict[str, dict[str, Any]] = {
    "ViT": {"image_size": 16, "layers": 2, "width": 16, "patch_size": 8, "head_width": 8},
    "ResNet": {"image_size": 32, "layers": [1, 1, 1, 1], "width": 8, "head_width": 8},
}
END, PAIRS = 63, 5  # the end-of-text token has the greatest number


def papers_loss(images: Array, texts: Array, image_weights: Array, text_weights: Array, log_scale: float) -> float:
    """Compute figure 3 of Radford et al. 2021.

    ``images`` (N, D_i) and ``texts`` (N, D_t) are what the encoders give, ``image_weights`` (D_i, D) and
    ``text_weights`` (D_t, D) the learned projections, ``log_scale`` the learned temperature parameter.
    """
    image_embeddings, text_embeddings = images @ image_weights, texts @ text_weights  # (N, D) each
    image_embeddings /= np.linalg.norm(image_embeddings, axis=1, keepdims=True)
    text_embeddings /= np.linalg.norm(text_embeddings, axis=1, keepdims=True)
    return contrastive_loss(image_embeddings @ text_embeddings.T, np.exp(log_scale))


@pytest.fixture(scope="module", params=TOWERS)
def trained(request: pytest.FixtureRequest) -> dict[str, Any]:
    """A small model in float64 after one backward pass of open_clip's loss, with what its towers gave."""
    from clipcli.models._torchvision import import_open_clip

    open_clip = import_open_clip()
    import torch

    torch.manual_seed(0)
    model = open_clip.CLIP(24, TOWERS[request.param], TEXT, output_dict=True).double()
    given: dict[str, Any] = {}
    model.ln_final.register_forward_hook(lambda *call: given.__setitem__("tokens", call[2].detach()))
    if request.param == "ViT":
        model.visual.ln_post.register_forward_hook(lambda *call: given.__setitem__("image", call[2].detach()))
        weights = model.visual.proj
    else:  # attention pooling projects by itself, so what it gives is in the shared space already
        weights = None
    side = TOWERS[request.param]["image_size"]
    images = torch.randn(PAIRS, 3, side, side, dtype=torch.float64)
    tokens = torch.randint(1, END, (PAIRS, TEXT["context_length"]))
    ends = torch.tensor([3, 5, 7, 9, 11])
    for row, end in zip(tokens, ends, strict=True):
        row[end], row[end + 1 :] = END, 0
    out = model(images, tokens)
    loss = open_clip.ClipLoss()(out["image_features"], out["text_features"], out["logit_scale"])
    loss.backward()
    read = given["tokens"][torch.arange(PAIRS), ends]
    if weights is None:
        image, projection = model.encode_image(images).detach(), np.eye(24)
    else:
        pooled = given["image"]
        image, projection = (pooled[:, 0] if pooled.dim() == 3 else pooled), weights.detach().numpy()
    return {
        "model": model, "loss": float(loss), "images": image.numpy(), "texts": read.numpy(),
        "image_weights": projection, "text_weights": model.text_projection.detach().numpy(),
        "log_scale": float(model.logit_scale),
    }  # fmt: skip


def inputs(trained: dict[str, Any]) -> dict[str, Any]:
    names = ("images", "texts", "image_weights", "text_weights", "log_scale")
    return {name: trained[name] for name in names}


def slope(trained: dict[str, Any], name: str, direction: Any) -> float:
    """Return how fast the paper's loss grows when one of its inputs is moved in a direction."""
    step, found = 1e-5, []
    for sign in (1, -1):
        moved = inputs(trained) | {name: trained[name] + sign * step * direction}
        found.append(papers_loss(**moved))
    return (found[0] - found[1]) / (2 * step)


def test_the_loss_is_the_papers_with_the_text_read_at_its_end_token(trained: dict[str, Any]) -> None:
    assert papers_loss(**inputs(trained)) == pytest.approx(trained["loss"], abs=1e-10)


def test_read_at_another_token_the_loss_would_be_another(trained: dict[str, Any]) -> None:
    elsewhere = inputs(trained) | {"texts": np.roll(trained["texts"], 1, axis=0)}
    assert abs(papers_loss(**elsewhere) - trained["loss"]) > 1e-6


def test_the_gradient_of_the_text_projection_is_the_papers(trained: dict[str, Any]) -> None:
    gradient = trained["model"].text_projection.grad.numpy()
    for seed in range(3):
        direction = np.random.default_rng(seed).normal(size=gradient.shape)
        assert slope(trained, "text_weights", direction) == pytest.approx((gradient * direction).sum(), abs=1e-5)
    assert np.abs(gradient).max() > 1e-4


def test_the_gradient_of_the_image_projection_is_the_papers(trained: dict[str, Any]) -> None:
    if getattr(trained["model"].visual, "proj", None) is None:
        gradient = trained["model"].visual.attnpool.c_proj.bias.grad.numpy()  # moves all image embeddings alike
        direction = np.random.default_rng(0).normal(size=gradient.shape)
        found = slope(trained, "images", np.tile(direction, (PAIRS, 1)))
    else:
        gradient = trained["model"].visual.proj.grad.numpy()
        direction = np.random.default_rng(0).normal(size=gradient.shape)
        found = slope(trained, "image_weights", direction)
    assert found == pytest.approx((gradient * direction).sum(), abs=1e-5)
    assert np.abs(gradient).max() > 1e-4


def test_the_gradient_of_the_logit_scale_is_the_papers(trained: dict[str, Any]) -> None:
    gradient = float(trained["model"].logit_scale.grad)
    assert slope(trained, "log_scale", 1.0) == pytest.approx(gradient, abs=1e-5)
