"""Write the model as an open_clip folder: configuration and half-precision weights."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from tools.pocket.head import WIDTH
from tools.pocket.image_tower import IMAGE_MEAN, IMAGE_SIZE, IMAGE_STD, TRUNK
from tools.pocket.text_tower import TEXT_CONFIG
from torch import nn
from torch.nn import functional

CONFIG: dict[str, Any] = {
    "model_cfg": {
        "embed_dim": WIDTH,
        "custom_text": True,
        "vision_cfg": {
            "timm_model_name": TRUNK,
            "timm_model_pretrained": False,
            "timm_pool": "avg",
            "timm_proj": "mlp",
            "timm_proj_bias": True,
            "image_size": IMAGE_SIZE,
        },
        "text_cfg": TEXT_CONFIG,
    },
    "preprocess_cfg": {
        "mean": list(IMAGE_MEAN),
        "std": list(IMAGE_STD),
        "interpolation": "bicubic",
        "resize_mode": "shortest",
    },
}


def export_model(folder: Path, trunk: nn.Module, head: dict[str, torch.Tensor], text: nn.Module, scale: float) -> None:
    """Write ``open_clip_config.json`` and ``open_clip_model.safetensors``, each in one step."""
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {
        f"visual.trunk.{name}": tensor
        for name, tensor in trunk.state_dict().items()
        if not name.startswith("classifier.")
    }
    tensors |= {f"visual.head.mlp.{name}": tensor for name, tensor in head.items()}
    tensors |= {f"text.{name}": tensor for name, tensor in text.state_dict().items()}
    projection = tensors["text.text_projection"]  # (width, JOINT); the other axes are not used
    tensors["text.text_projection"] = functional.pad(projection, (0, WIDTH - projection.shape[1]))
    half = {name: t.half().contiguous() if t.is_floating_point() else t for name, t in tensors.items()}
    half["logit_scale"] = torch.tensor(math.log(scale))
    unfinished = folder / "open_clip_model.safetensors.part"
    save_file(half, unfinished, metadata={"format": "pt"})
    unfinished.chmod(0o644)  # safetensors writes files that only their owner can read
    unfinished.replace(folder / "open_clip_model.safetensors")
    write_json(folder / "open_clip_config.json", CONFIG)


def write_json(path: Path, value: Any) -> None:
    """Write a JSON file in one step."""
    unfinished = path.with_suffix(".part")
    unfinished.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    unfinished.replace(path)
