"""Write ``card.json``: the facts about the model that programs show."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from safetensors import safe_open
from tools.pocket.export import write_json

FACTS: dict[str, Any] = {
    "name": "pocket",
    "description": "Small built-in model: ImageNet image encoder, a head and a text encoder tuned to it (LiT).",
    "license": "Apache-2.0",
    "image_encoder": "tf_efficientnet_lite2, 260 px, ImageNet-1k",
    "text_encoder": "causal transformer, width 256, 4 layers, 49,408 tokens, 32 positions",
    "sources": [
        {"name": "EfficientNet-Lite2 ImageNet-1k weights", "license": "Apache-2.0"},
        {"name": "all-MiniLM-L6-v2 sentence embeddings (teacher)", "license": "Apache-2.0"},
        {"name": "WordNet 3.0 (teacher)", "license": "WordNet 3.0 license"},
        {"name": "Flickr8k photographs and captions (training)", "license": "research and education only"},
        {"name": "MIT Places, IdenProf (training)", "license": "unclear"},
        {"name": "AID aerial photographs (training)", "license": "academic use"},
        {"name": "100 sports (training)", "license": "CC0, as its publisher says"},
        {"name": "TrashNet (training)", "license": "MIT"},
        {"name": "Open Clip Art (training)", "license": "public domain"},
        {"name": "Noto Emoji (training)", "license": "Apache-2.0 / OFL"},
    ],
}
STATISTICS = ("running_mean", "running_var", "num_batches_tracked")


def write_card(folder: Path, figures: dict[str, Any]) -> None:
    """Put together the model's facts, its size and what was measured."""
    weights = folder / "open_clip_model.safetensors"
    with safe_open(weights, framework="pt") as tensors:
        sizes = {name: math.prod(tensors.get_slice(name).get_shape()) for name in tensors.keys()}  # noqa: SIM118
    trained = {name: size for name, size in sizes.items() if not name.endswith(STATISTICS)}
    size = {"parameters": sum(trained.values()), "bytes": weights.stat().st_size}
    write_json(folder / "card.json", {**FACTS, **size, "figures": figures})
