"""Make a Hugging Face tokenizer from a folder of others without passing on what they wrote unseen.

transformers passes what ``tokenizer_config.json`` and ``special_tokens_map.json`` hold on as keyword
arguments, imports modules that they name, and reads other files in the same folder. So the folder is
copied first: its vocabulary as it is, and of its settings those that are known, of the types they have.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from clipcli.errors import CheckpointError, ModelError
from clipcli.text import near_matches

__all__ = ["check_text_model", "copy_tokenizer", "hub_cleaner_of", "load_tokenizer"]

_VOCABULARIES = (
    "tokenizer.json", "vocab.json", "merges.txt", "vocab.txt", "tokenizer.model", "spiece.model",
    "sentencepiece.bpe.model",
)  # fmt: skip
_LARGEST = 512_000_000  # bytes of a vocabulary
_CLASSES = frozenset({
    "Albert", "Bert", "CLIP", "DebertaV2", "DistilBert", "Electra", "GPT2", "Gemma", "LayoutXLM", "Llama", "M2M100",
    "MBart", "MBart50", "MPNet", "MT5", "Nllb", "Qwen2", "Roberta", "Siglip", "Siglip2", "T5", "XLMRoberta",
})  # fmt: skip
_GENERAL_CLASSES = ("PreTrainedTokenizer", "PreTrainedTokenizerFast", "TokenizersBackend")  # by version of transformers
_TOKEN_FIELDS = {"content", "lstrip", "rstrip", "single_word", "normalized", "special", "__type"}
_MODEL_TYPES = ("bert", "m2m_100", "mt5", "roberta", "t5", "xlm-roberta")  # text encoders that open_clip knows


def _text(value: Any) -> bool:
    return value is None or isinstance(value, str)


def _flag(value: Any) -> bool:
    return value is None or isinstance(value, bool)


def _number(value: Any) -> bool:
    return value is None or type(value) in (int, float)


def _token(value: Any) -> bool:
    if isinstance(value, dict):
        kinds = all(isinstance(each, str | bool) for each in value.values())
        return kinds and set(value) <= _TOKEN_FIELDS and isinstance(value.get("content"), str)
    return _text(value)


def _tokens(value: Any) -> bool:
    return value is None or (isinstance(value, list) and all(map(_token, value)))


def _numbered_tokens(value: Any) -> bool:
    return isinstance(value, dict) and all(key.isdecimal() and _token(each) for key, each in value.items())


def _named_tokens(value: Any) -> bool:
    return _tokens(value) or (isinstance(value, dict) and all(map(_token, value.values())))


def _texts(value: Any) -> bool:
    return value is None or (isinstance(value, list) and all(isinstance(each, str) for each in value))


def _class(value: Any) -> bool:
    known = {f"{name}Tokenizer{suffix}" for name in _CLASSES for suffix in ("", "Fast")}
    return value is None or (isinstance(value, str) and value in {*known, *_GENERAL_CLASSES})


def _empty(value: Any) -> bool:
    return not value


Check = Callable[[Any], bool]

_SPECIAL: dict[str, Check] = {
    **dict.fromkeys(
        ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token", "image_token",
         "boi_token", "eoi_token"), _token,
    ),
    "additional_special_tokens": _tokens, "extra_special_tokens": _named_tokens,
}  # fmt: skip
_SETTINGS: dict[str, Check] = {
    **_SPECIAL, "added_tokens_decoder": _numbered_tokens, "tokenizer_class": _class, "sp_model_kwargs": _empty,
    "init_inputs": _empty, "model_input_names": _texts,
    **dict.fromkeys(
        ("model_max_length", "max_length", "max_len", "stride", "extra_ids", "pad_to_multiple_of",
         "pad_token_type_id"), _number,
    ),
    **dict.fromkeys(
        ("padding_side", "truncation_side", "truncation_strategy", "errors", "src_lang", "tgt_lang",
         "language_codes", "vocab_type"), _text,
    ),
    **dict.fromkeys(
        ("add_bos_token", "add_eos_token", "add_prefix_space", "clean_up_tokenization_spaces", "do_basic_tokenize",
         "do_lower_case", "from_slow", "keep_accents", "legacy", "legacy_behaviour", "lowercase", "padding",
         "remove_space", "spaces_between_special_tokens", "split_by_punct", "split_special_tokens", "strip_accents",
         "tokenize_chinese_chars", "trim_offsets"), _flag,
    ),
}  # fmt: skip
_LEFT_OUT = frozenset({
    "_commit_hash", "_from_auto", "adapter", "backend", "chat_template", "device_map", "name_or_path", "never_split",
    "processor_class", "special_tokens_map_file", "tokenizer_file", "transformers_version", "use_default_system_prompt",
    "is_local", "local_files_only", "pad_token_id", "use_fast",
})  # fmt: skip
"""What says nothing about tokens, or where files were on another machine: not passed on."""


def load_tokenizer(open_clip: Any, folder: Path, text: Mapping[str, Any], title: str) -> Any:
    """Make the tokenizer in a folder.

    Parameters
    ----------
    open_clip
        The module.
    folder
        With at least one file of a vocabulary.
    text
        The model's ``text_cfg``, already checked.
    title
        What to call the model in errors.

    Raises
    ------
    CheckpointError
        If the folder holds a setting that is not passed on.
    ModelError
        If it cannot be loaded, or an extra is missing.
    """
    settings = {**(text.get("tokenizer_kwargs") or {}), "clean": hub_cleaner_of(text)}
    with tempfile.TemporaryDirectory(prefix="clipcli-") as temporary:
        copy_tokenizer(folder, Path(temporary))
        try:
            tokenizer = open_clip.tokenizer.HFTokenizer(
                temporary, context_length=text.get("context_length", 77), tokenizer_mode=text.get("tokenizer_mode"),
                trust_remote_code=False, **settings,
            )  # fmt: skip
        except ImportError:
            raise ModelError(f"{title}: its tokenizer needs an extra: pip install 'clipcli[siglip]'") from None
        except (KeyboardInterrupt, SystemExit, MemoryError):
            raise
        except BaseException as problem:  # what Rust panics with derives from it alone
            raise ModelError(f"{title}: its tokenizer cannot be loaded ({_one_line(problem)})") from problem
    tokenizer.tokenizer.name_or_path = str(folder)
    return tokenizer


def hub_cleaner_of(text: Mapping[str, Any]) -> str:
    """Return how texts are tidied, by a model's ``text_cfg``: ``canonicalize``, ``lower`` or ``whitespace``."""
    # SigLIP was trained on lower case without punctuation.
    usual = "canonicalize" if "siglip" in str(text.get("hf_tokenizer_name")).lower() else "whitespace"
    return str((text.get("tokenizer_kwargs") or {}).get("clean", usual))


def copy_tokenizer(folder: Path, target: Path) -> None:
    """Copy a tokenizer's vocabulary and those of its settings that are known.

    Raises
    ------
    CheckpointError
        If there is a setting that is not known, or a value that it may not have.
    """
    for name in _VOCABULARIES:
        path = folder / name
        if path.is_file():
            if path.stat().st_size > _LARGEST:
                raise CheckpointError(f"cannot use {path}: larger than any tokenizer ({path.stat().st_size:,} bytes)")
            shutil.copyfile(path, target / name)
    for name, checks in (("tokenizer_config.json", _SETTINGS), ("special_tokens_map.json", _SPECIAL)):
        settings = _read_object(folder / name)
        if settings is not None:
            known = {key: value for key, value in settings.items() if key not in _LEFT_OUT}
            _check(known, checks, folder / name)
            (target / name).write_text(json.dumps(known), encoding="utf-8")
    added = _read_object(folder / "added_tokens.json")
    if added is not None:
        _check(added, dict.fromkeys(added, lambda value: type(value) is int), folder / "added_tokens.json")
        (target / "added_tokens.json").write_text(json.dumps(added), encoding="utf-8")
    model_type = (_read_object(folder / "config.json") or {}).get("model_type")
    if model_type in (*_MODEL_TYPES, "clip", "siglip", "siglip2"):  # it helps to choose the tokenizer's class
        (target / "config.json").write_text(json.dumps({"model_type": model_type}), encoding="utf-8")


def check_text_model(name: str, config: Path | None, title: str) -> None:
    """Check a Hugging Face text encoder that a model is built with: its configuration runs no code.

    Parameters
    ----------
    name
        Its repository on the hub.
    config
        Its ``config.json``, where that is on this machine.
    title
        What to call the model in errors.

    Raises
    ------
    ModelError, CheckpointError
        If a folder could be taken for it, or it names code or an architecture that open_clip does not know.
    """
    if Path(name).exists():
        raise ModelError(
            f"cannot build {title}: its text encoder {name!r} is also a file or folder here, which would be read "
            "in its place (run clipcli in another folder)"
        )
    settings = _read_object(config) if config is not None else None
    if settings is None:
        return
    forbidden = [
        key for key in settings if key == "auto_map" or key.endswith(("implementation", "quantization_config"))
    ]
    if forbidden:
        raise CheckpointError(f"cannot use {config}: refused setting {forbidden[0]!r}, which may name code")
    if settings.get("model_type") not in _MODEL_TYPES:
        raise CheckpointError(f"cannot use {config}: model_type may not be {str(settings.get('model_type'))[:80]!r}")


def _read_object(path: Path) -> dict[str, Any] | None:
    if not path.is_file():
        return None
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as problem:
        raise CheckpointError(f"cannot read {path}: it is not JSON ({_one_line(problem)})") from None
    if not isinstance(value, dict):
        raise CheckpointError(f"cannot use {path}: it is not an object")
    return value


def _check(settings: Mapping[str, Any], checks: Mapping[str, Check], where: Path) -> None:
    for name, value in settings.items():
        if name not in checks:
            raise CheckpointError(
                f"cannot use {where}: refused setting {name!r}, which clipcli does not pass on "
                f"({near_matches(name, checks)})"
            )
        if not checks[name](value):
            raise CheckpointError(f"cannot use {where}: {name} may not be {repr(value)[:80]}")


def _one_line(problem: BaseException) -> str:
    lines = str(problem).strip().splitlines()
    return lines[0][:200] if lines else type(problem).__name__
