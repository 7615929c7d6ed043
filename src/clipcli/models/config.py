"""The settings that an ``open_clip_config.json`` may carry, checked before any of them is passed on.

A model folder comes from others. open_clip, timm and transformers take its settings as keyword arguments,
and some of those fetch files, read paths or run code. So every setting has to be named here, with the
values that it may take; whatever is not named is refused.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from clipcli.errors import CheckpointError
from clipcli.images.preprocess import LARGEST_SIDE
from clipcli.text import near_matches

__all__ = ["CLEANERS", "check_model_config", "is_repository", "read_model_config"]

CLEANERS = ("canonicalize", "lower", "whitespace")
"""open_clip's ways to tidy a text before it is cut into tokens."""

_LARGEST = 1_000_000  # bytes of a file

Check = Callable[[Any], bool]

_REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]{0,95}(?:/[A-Za-z0-9][\w.-]{0,95})?", re.ASCII)
_TIMM_NAME = re.compile(r"[a-z][a-z0-9_]{0,99}(?:\.[a-z0-9_]{1,99})?", re.ASCII)
_LANGUAGE = re.compile(r"[A-Za-z]{2,8}(?:[_-][A-Za-z]{2,8})?", re.ASCII)


def is_repository(name: object) -> bool:
    """Return whether a name can only be a repository on the Hugging Face hub: not a path, not a URL."""
    return isinstance(name, str) and bool(_REPOSITORY.fullmatch(name)) and ".." not in name and "--" not in name


def _whole(least: int, most: int) -> Check:
    return lambda value: type(value) is int and least <= value <= most


def _number(least: float, most: float) -> Check:
    return lambda value: type(value) in (int, float) and math.isfinite(value) and least <= value <= most


def _flag(value: Any) -> bool:
    return type(value) is bool


def _one_of(*values: str | bool) -> Check:
    return lambda value: any(type(value) is type(each) and value == each for each in values)


def _matches(pattern: re.Pattern[str]) -> Check:
    return lambda value: isinstance(value, str) and bool(pattern.fullmatch(value))


def _or_null(check: Check) -> Check:
    return lambda value: value is None or check(value)


def _each(check: Check, *counts: int) -> Check:
    return lambda value: isinstance(value, list) and len(value) in counts and all(map(check, value))


def _any_of(*checks: Check) -> Check:
    return lambda value: any(check(value) for check in checks)


def _section(checks: Mapping[str, Check]) -> Check:
    return lambda value: (
        isinstance(value, dict) and all(name in checks and checks[name](each) for name, each in value.items())
    )


_SIDE, _WIDTH, _DEPTH = _whole(1, LARGEST_SIDE), _whole(1, 16_384), _whole(1, 256)
_SHARE = _number(0.0, 1.0)
_SIZE = _any_of(_SIDE, _each(_SIDE, 2))
_SCALE = _number(1e-12, 1e3)
_CHANNELS = _any_of(_number(-1e3, 1e3), _each(_number(-1e3, 1e3), 3))
_DEVIATIONS = _any_of(_SCALE, _each(_SCALE, 3))

_LAYERS: dict[str, Check] = {
    "width": _WIDTH, "mlp_ratio": _number(0.01, 64), "ls_init_value": _or_null(_number(-1e3, 1e3)),
    "act_kwargs": _or_null(_section({"approximate": _one_of("none", "tanh")})),
    "norm_kwargs": _or_null(_section({"eps": _number(1e-12, 1.0)})),
    "block_type": _or_null(_one_of("default", "custom")), "output_tokens": _flag, "final_ln_after_pool": _flag,
    **dict.fromkeys(("qk_norm", "scaled_cosine_attn", "scale_heads", "scale_attn_inner", "scale_attn", "scale_fc"),
                    _flag),
}  # fmt: skip
_VISION: dict[str, Check] = {
    **_LAYERS, "layers": _any_of(_DEPTH, _each(_DEPTH, 4)), "head_width": _WIDTH, "image_size": _SIZE,
    "patch_size": _or_null(_any_of(_SIDE, _each(_SIDE, 2))), "patch_dropout": _SHARE, "no_ln_pre": _flag,
    "attentional_pool": _one_of(True, False, "parallel", "cascade"), "attn_pooler_queries": _WIDTH,
    "attn_pooler_heads": _WIDTH, "pos_embed_type": _one_of("learnable", "sin_cos_2d"),
    "pool_type": _one_of("tok", "avg", "none"), "timm_model_name": _or_null(_matches(_TIMM_NAME)),
    "timm_model_pretrained": _flag, "timm_pool": _matches(re.compile(r"[a-z_]{0,20}")),
    "timm_proj": _or_null(_one_of("", "linear", "mlp", "none")), "timm_proj_bias": _flag, "timm_drop": _SHARE,
    "timm_drop_path": _or_null(_SHARE),
}  # fmt: skip
_WORDS: dict[str, Check] = {
    **_LAYERS, "context_length": _whole(1, 16_384), "vocab_size": _whole(1, 4_000_000), "heads": _WIDTH,
    "layers": _DEPTH, "embed_cls": _flag, "pad_id": _whole(0, 4_000_000), "eos_id": _whole(0, 4_000_000),
    "no_causal_mask": _flag, "pool_type": _one_of("first", "last", "argmax", "eos", "none"), "proj_bias": _flag,
    "proj_type": _one_of("linear", "none"),
}  # fmt: skip
_TOKENIZER: dict[str, Check] = {
    "clean": _one_of(*CLEANERS), "strip_sep_token": _flag, "language": _or_null(_matches(_LANGUAGE)),
    "reduction_mask": _one_of("", "simple"),
}  # fmt: skip
_TEXT: dict[str, Check] = {
    **_WORDS, "hf_tokenizer_name": _or_null(_any_of(_one_of(""), is_repository)),
    "tokenizer_mode": _or_null(_one_of("", "clips")), "hf_model_name": _or_null(is_repository),
    "hf_model_pretrained": _flag, "hf_proj_type": _or_null(_one_of("linear", "mlp", "none")),
    "hf_pooler_type": _or_null(_one_of("mean_pooler", "max_pooler", "cls_pooler", "cls_last_hidden_state_pooler")),
}  # fmt: skip
_MODEL: dict[str, Check] = {
    "embed_dim": _WIDTH, "quick_gelu": _flag, "custom_text": _flag, "init_logit_scale": _number(-1e3, 1e3),
    "init_logit_bias": _or_null(_number(-1e3, 1e3)), "nonscalar_logit_scale": _flag, "output_dict": _flag,
    "pad_id": _whole(0, 4_000_000),
}  # fmt: skip
_PREPROCESS: dict[str, Check] = {
    "size": _any_of(_SIDE, _each(_SIDE, 2), _each(_SIDE, 3)), "mode": _one_of("RGB"), "mean": _CHANNELS,
    "std": _DEVIATIONS, "interpolation": _one_of("bicubic", "bilinear", "random", ""),
    "resize_mode": _one_of("shortest", "longest", "squash", ""), "fill_color": _or_null(_number(0, 255)),
}  # fmt: skip
_SECTIONS: dict[tuple[str, ...], dict[str, Check]] = {
    ("model_cfg",): _MODEL,
    ("model_cfg", "vision_cfg"): _VISION,
    ("model_cfg", "text_cfg"): _TEXT,
    ("model_cfg", "text_cfg", "tokenizer_kwargs"): _TOKENIZER,
    ("model_cfg", "multimodal_cfg"): {
        **_WORDS, "dim_head": _WIDTH, "n_queries": _WIDTH, "attn_pooler_heads": _WIDTH,
    },
    ("preprocess_cfg",): _PREPROCESS,
}  # fmt: skip
_NEEDED = {"embed_dim": int, "vision_cfg": dict, "text_cfg": dict}


def check_model_config(config: Any, where: str) -> dict[str, Any]:
    """Check the content of an ``open_clip_config.json``.

    Parameters
    ----------
    config
        What JSON made of the file.
    where
        What to call the file in an error.

    Returns
    -------
    The same content.

    Raises
    ------
    CheckpointError
        If it is not a model's configuration, or holds a setting that is not known or a value that the
        setting may not take; the message names both.
    """
    model = config.get("model_cfg") if isinstance(config, dict) else None
    if not isinstance(model, dict) or not all(isinstance(model.get(key), kind) for key, kind in _NEEDED.items()):
        raise CheckpointError(f"{where}: lacks model_cfg with embed_dim, vision_cfg and text_cfg")
    assert isinstance(config, dict)  # noqa: S101 - or it had no model_cfg
    _check_section(config, (), {}, where)
    return config


def read_model_config(path: Path) -> dict[str, Any]:
    """Read and check an ``open_clip_config.json``.

    Raises
    ------
    CheckpointError
        If it is not there, is not JSON, or as :func:`check_model_config` raises it.
    """
    try:
        if path.stat().st_size > _LARGEST:
            raise CheckpointError(f"cannot use {path}: larger than any model's configuration")
        config = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise CheckpointError(f"{path.parent}: no {path.name} in it; not an open_clip model folder") from None
    except (OSError, ValueError, RecursionError) as problem:
        raise CheckpointError(f"{path}: cannot be read as JSON ({problem})") from None
    return check_model_config(config, str(path))


def _check_section(section: Any, path: tuple[str, ...], checks: Mapping[str, Check], where: str) -> None:
    if section is None and path[-1:] == ("tokenizer_kwargs",):
        return
    if not isinstance(section, dict):
        raise CheckpointError(f"cannot use {where}: {'.'.join(path)} is not an object")
    for name, value in section.items():
        inner = (*path, name)
        title = ".".join(inner)
        if inner in _SECTIONS:
            _check_section(value, inner, _SECTIONS[inner], where)
        elif name not in checks:
            known = [*checks, *(each[-1] for each in _SECTIONS if each[:-1] == path)]
            raise CheckpointError(
                f"cannot use {where}: refused setting {title!r}, which clipcli does not pass on "
                f"({near_matches(name, known)})"
            )
        elif not checks[name](value):
            raise CheckpointError(f"cannot use {where}: {title} may not be {_shown(value)}")


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:80]}…"
