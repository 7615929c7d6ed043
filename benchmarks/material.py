"""What all contenders work on: the same photographs, the same labels, the same random weights in each one's form."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from clipcli.models._torchvision import import_open_clip

ARCHITECTURE = "ViT-B-32"
TEMPLATE = "a photo of a {}"


def labels(count: int) -> list[str]:
    """Return up to a thousand names, each once: ImageNet's, of which two stand twice there, and two more."""
    import_open_clip()
    from open_clip import IMAGENET_CLASSNAMES

    return list(dict.fromkeys([*(name.lower() for name in IMAGENET_CLASSNAMES), "bonfire", "giraffe"]))[:count]


def shipped_photographs() -> list[Image.Image]:
    """Return the colour photographs that scikit-image and scikit-learn ship."""
    import skimage
    import sklearn

    photos, images = Path(skimage.__file__).parent / "data", Path(sklearn.__file__).parent / "datasets" / "images"
    names = ["astronaut.png", "chelsea.png", "coffee.png", "rocket.jpg", "motorcycle_left.png", "retina.jpg"]
    paths = [photos / name for name in names] + [images / "china.jpg", images / "flower.jpg"]
    return [Image.open(path).convert("RGB") for path in paths]


def make_photos(folder: Path, count: int, longest: int) -> list[Path]:
    """Cut ``count`` different JPEGs, 4:3, out of real photographs, with a camera's noise."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{number:04}.jpg" for number in range(count)]
    if all(path.exists() for path in paths):
        return paths
    random = np.random.default_rng(longest)
    originals = shipped_photographs()
    size = (longest, longest * 3 // 4)
    for number, path in enumerate(paths):
        whole = originals[number % len(originals)]
        width = int(min(whole.width, whole.height * 4 / 3) * random.uniform(0.5, 0.95))
        height = width * 3 // 4
        left, top = (int(random.integers(0, room + 1)) for room in (whole.width - width, whole.height - height))
        part = whole.resize(size, Image.Resampling.BICUBIC, (left, top, left + width, top + height))
        noisy = np.asarray(part, np.int16) + random.integers(-5, 6, (size[1], size[0], 1), np.int16)
        Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(path, quality=90)
    return paths


def make_weights(folder: Path) -> None:
    """Save one random network as open_clip's file, as transformers' folder and as an ONNX image encoder."""
    import torch
    from safetensors.torch import save_file

    if (folder / "encoder.onnx").exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)
    network = import_open_clip().create_model(ARCHITECTURE).eval()
    save_file(network.state_dict(), folder / "open_clip.safetensors")
    _save_for_transformers(network, folder / "transformers")
    torch.onnx.export(
        network.visual, (torch.zeros(2, 3, 224, 224),), str(folder / "encoder.onnx"), dynamo=False, opset_version=17,
        input_names=["pixels"], output_names=["features"], dynamic_axes={"pixels": {0: "B"}, "features": {0: "B"}},
    )  # fmt: skip


def _save_for_transformers(network: Any, folder: Path) -> None:
    import torch
    from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel, CLIPTokenizer

    text = {"hidden_act": "gelu", "eos_token_id": 49407, "bos_token_id": 49406, "vocab_size": 49408}
    model = CLIPModel(CLIPConfig(text_config=text, vision_config={"hidden_act": "gelu", "patch_size": 32}))
    weights = {
        "logit_scale": network.logit_scale,
        "text_model.embeddings.token_embedding.weight": network.token_embedding.weight,
        "text_model.embeddings.position_embedding.weight": network.positional_embedding,
        "text_projection.weight": network.text_projection.T,
        "vision_model.embeddings.class_embedding": network.visual.class_embedding,
        "vision_model.embeddings.patch_embedding.weight": network.visual.conv1.weight,
        "vision_model.embeddings.position_embedding.weight": network.visual.positional_embedding,
        "visual_projection.weight": network.visual.proj.T,
        **_norm("text_model.final_layer_norm", network.ln_final),
        **_norm("vision_model.pre_layrnorm", network.visual.ln_pre),
        **_norm("vision_model.post_layernorm", network.visual.ln_post),
    }
    for side, blocks in (("text", network.transformer.resblocks), ("vision", network.visual.transformer.resblocks)):
        for number, block in enumerate(blocks):
            weights |= _block(f"{side}_model.encoder.layers.{number}", block)
    with torch.no_grad():
        missing = model.load_state_dict(weights, strict=False).missing_keys
    assert not [name for name in missing if not name.endswith("position_ids")], missing
    model.save_pretrained(folder)
    CLIPImageProcessor().save_pretrained(folder)
    _save_vocabulary(folder)
    CLIPTokenizer.from_pretrained(str(folder)).save_pretrained(folder)


def _norm(name: str, module: Any) -> dict[str, Any]:
    return {f"{name}.weight": module.weight, f"{name}.bias": module.bias}


def _block(name: str, block: Any) -> dict[str, Any]:
    """Name one residual block's weights as transformers does; it keeps query, key and value apart."""
    weights = {**_norm(f"{name}.layer_norm1", block.ln_1), **_norm(f"{name}.layer_norm2", block.ln_2)}
    for kind in ("weight", "bias"):
        parts = getattr(block.attn, f"in_proj_{kind}").chunk(3)
        weights |= {f"{name}.self_attn.{which}_proj.{kind}": part for which, part in zip("qkv", parts, strict=True)}
        weights[f"{name}.self_attn.out_proj.{kind}"] = getattr(block.attn.out_proj, kind)
        weights[f"{name}.mlp.fc1.{kind}"] = getattr(block.mlp.c_fc, kind)
        weights[f"{name}.mlp.fc2.{kind}"] = getattr(block.mlp.c_proj, kind)
    return weights


def _save_vocabulary(folder: Path) -> None:
    """Write open_clip's byte-pair merges as the two files that transformers' tokenizer reads."""
    import open_clip

    tokenizer = open_clip.tokenizer.SimpleTokenizer()
    vocabulary = {
        name.replace("<start_of_text>", "<|startoftext|>").replace("<end_of_text>", "<|endoftext|>"): number
        for name, number in tokenizer.encoder.items()
    }
    (folder / "vocab.json").write_text(json.dumps(vocabulary), "utf-8")
    merges_file = Path(open_clip.__file__).parent / "bpe_simple_vocab_16e6.txt.gz"
    merges = gzip.decompress(merges_file.read_bytes()).decode("utf-8").split("\n")[1 : 49152 - 256 - 2 + 1]
    (folder / "merges.txt").write_text("#version: 0.2\n" + "\n".join(merges) + "\n", "utf-8")
