"""The joint space: principal axes of the class directions, and one axis on which all images agree.

Cosine similarity has no room for a label's own offset, yet a label that covers a hundred kinds of things
needs one: its similarity to each of them is low. With a constant coordinate on the image side, the text
side's coordinate there becomes that offset. It comes from the projection's bias, so the model stays a plain
open_clip model.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from tools.pocket.image_tower import Projection, fit_projection

Array = npt.NDArray[np.float32]

DIMENSIONS = 512
CONSTANT = 0.5  # relative to the usual length of the other axes
USUAL_LENGTH = 8.2  # mean length of a projected photo on the other axes


def joint_projection(directions: Array, centre: Array) -> Projection:
    """Project features (F,) to the joint space (D,), the last axis constant."""
    axes = fit_projection(directions, centre, DIMENSIONS - 1)
    weight = np.concatenate([axes.weight, np.zeros((1, directions.shape[1]), np.float32)])
    bias = np.append(axes.bias, np.float32(CONSTANT * USUAL_LENGTH))
    return Projection(weight, bias.astype(np.float32))


def class_vectors(directions: Array, projection: Projection) -> Array:
    """Class directions (C, F) in the joint space: (C, D), unit length, offset 0."""
    vectors = directions @ projection.weight.T  # (C, F) @ (F, D) -> (C, D)
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), dtype=np.float32)
