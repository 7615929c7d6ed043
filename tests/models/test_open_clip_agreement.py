"""clipcli computes what open_clip computes: class embeddings and probabilities to 1e-5 in fp32."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from clipcli import Classifier
from clipcli.models._torchvision import import_open_clip
from tests.conftest import predictions

LABELS = ["cat", "cup of coffee", "rocket", "astronaut", "temple", "yellow flower"]
TEMPLATES = ["a photo of a {}", "a blurry picture of the {}", "{} in the wild"]


def reference(network: Any, transform: Any, tokenizer: Any, images: list[Path]) -> tuple[np.ndarray, np.ndarray]:
    """Compute class embeddings and probabilities the way open_clip's README does."""
    import torch

    open_clip = import_open_clip()
    network.eval()
    with torch.no_grad():
        weights = open_clip.build_zero_shot_classifier(network, tokenizer, LABELS, TEMPLATES)  # (D, C)
        pixels = torch.stack([transform(Image.open(path).convert("RGB")) for path in images])
        features = network.encode_image(pixels)
        features /= features.norm(dim=-1, keepdim=True)
        logits = network.logit_scale.exp() * features @ weights
        if network.logit_bias is not None:
            return weights.T.numpy(), torch.sigmoid(logits + network.logit_bias).numpy()
        return weights.T.numpy(), logits.softmax(dim=-1).numpy()


def assert_agreement(classifier: Classifier, expected: tuple[np.ndarray, np.ndarray], images: list[Path]) -> None:
    embeddings, probabilities = expected
    np.testing.assert_allclose(classifier.class_embeddings, embeddings, atol=1e-5)
    for result, row in zip(predictions(classifier.classify(images)), probabilities, strict=True):
        found = {score.label: score.probability for score in result.top}
        np.testing.assert_allclose([found[label] for label in LABELS], row, atol=1e-5)


@pytest.mark.parametrize("name", ["ViT-B-32", "RN50"])
def test_a_checkpoint_file_gives_what_open_clip_gives(name: str, tmp_path: Path, photos: dict[str, Path]) -> None:
    open_clip = import_open_clip()
    import torch

    torch.manual_seed(1)
    network, _, transform = open_clip.create_model_and_transforms(name)
    checkpoint = tmp_path / "weights.pt"
    torch.save(network.state_dict(), checkpoint)
    images = list(photos.values())
    expected = reference(network, transform, open_clip.get_tokenizer(name), images)
    classifier = Classifier(
        name, LABELS, pretrained=str(checkpoint), templates=TEMPLATES, cache=tmp_path / "cache", top_k=6,
        device="cpu", precision="fp32", offline=True,
    )  # fmt: skip
    assert_agreement(classifier, expected, images)


def test_a_siglip_folder_gives_what_open_clip_gives(tiny_siglip: Path, tmp_path: Path, photos: dict[str, Path]) -> None:
    open_clip = import_open_clip()
    network, _, transform = open_clip.create_model_and_transforms(f"local-dir:{tiny_siglip}")
    images = list(photos.values())
    expected = reference(network, transform, open_clip.get_tokenizer(f"local-dir:{tiny_siglip}"), images)
    classifier = Classifier(
        f"local-dir:{tiny_siglip}",
        LABELS,
        templates=TEMPLATES,
        cache=tmp_path,
        top_k=6,
        device="cpu",
        precision="fp32",
        offline=True,
    )
    assert_agreement(classifier, expected, images)
    assert classifier.model.logit_bias == pytest.approx(-10)


def test_the_cache_changes_nothing(tiny_clip: Path, tmp_path: Path) -> None:
    first = Classifier(f"local-dir:{tiny_clip}", LABELS, templates=TEMPLATES, cache=tmp_path, offline=True)
    again = Classifier(f"local-dir:{tiny_clip}", LABELS[::-1], templates=TEMPLATES, cache=tmp_path, offline=True)
    np.testing.assert_array_equal(first.class_embeddings, again.class_embeddings[::-1])
    assert again.text_statistics is not None
    assert again.text_statistics.encoded == 0
