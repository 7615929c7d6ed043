"""What ``clipcli models show`` says of a model."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from clipcli.errors import ModelNotFoundError

__all__ = ["facts_as_lines", "facts_of", "figures_of", "without_details"]

_ENGLISH, _MANY = "English", "many (multilingual text encoder)"
_UNKNOWN = "unknown"
_MAIN = ("top-1", "mean of")  # of the figures


def facts_of(name: str, pretrained: str | None = None) -> dict[str, Any]:
    """Return what is known of a model, by title.

    Raises
    ------
    ModelNotFoundError
        If there is no model or pretrained tag of that name.
    """
    if name == "pocket":
        return _pocket()
    return _hub_model(name) if name.startswith("hf-hub:") else _open_clip_model(name, pretrained)


def figures_of(name: str, tag: str) -> tuple[float | None, float | None]:
    """Return the millions of parameters of a model and its accuracy on ImageNet; ``None`` for what is not known."""
    from clipcli.models.published import imagenet_accuracy, million_parameters
    from clipcli.models.recommended import recommendation

    known = recommendation(name, tag)
    counted, measured = million_parameters(name), imagenet_accuracy(name, tag)
    return (
        counted if counted is not None else known.parameters if known else None,
        known.imagenet if known and known.imagenet is not None else measured,
    )


def _pocket() -> dict[str, Any]:
    from clipcli.models.recommended import recommendation
    from clipcli.models.resolve import POCKET_FOLDER
    from clipcli.models.source import CONFIG_NAME

    card: dict[str, Any] = json.loads((POCKET_FOLDER / "card.json").read_text("utf-8"))
    config = json.loads((POCKET_FOLDER / CONFIG_NAME).read_text("utf-8"))["model_cfg"]
    known, figures, sources = recommendation("pocket"), card.pop("figures"), card.pop("sources")
    good_for = {} if known is None else {"good for": known.good_for, "speed": known.speed, "note": known.note}
    return {
        **card, **good_for, "languages": _ENGLISH, **_shapes(config),
        "weights": f"built in, {card['bytes'] / 1e6:.0f} MB", "use": "--model pocket",
        "sources": sources, "figures": figures,
    }  # fmt: skip


def without_details(facts: dict[str, Any]) -> dict[str, Any]:
    """Return facts for people: of many figures the most important ones."""
    figures = facts.get("figures", {})
    main = {name: value for name, value in figures.items() if any(word in name for word in _MAIN)}
    return facts if not main else {**facts, "figures": main, "all figures": "clipcli models show pocket --json"}


def _shapes(config: dict[str, Any]) -> dict[str, Any]:
    text = config["text_cfg"]
    return {
        "image size": config["vision_cfg"].get("image_size", 224),
        "embedding dimensions": config["embed_dim"],
        "context length": text.get("context_length", 77),
    }


def _open_clip_model(name: str, pretrained: str | None) -> dict[str, Any]:
    from clipcli.models import registry
    from clipcli.models.languages import reads_other_languages
    from clipcli.models.recommended import hub_hint
    from clipcli.text import near_matches

    name = name.replace("/", "-") if name.replace("/", "-") in registry.architecture_names() else name
    if (hint := hub_hint(name)) is not None:
        raise ModelNotFoundError(f"no model {name!r}; this is the name of a hub repository (use {hint})")
    config, tags = registry.architecture(name), registry.pretrained_tags(name)
    if pretrained is not None and pretrained not in tags:
        raise ModelNotFoundError(f"{name} has no pretrained tag {pretrained!r}; {near_matches(pretrained, tags)}")
    text = config["text_cfg"]
    tag = pretrained or _usual_tag(name)
    return {
        "model": name,
        "pretrained": tag or ("choose one of those below" if tags else "none (give a checkpoint file)"),
        **_known(name, tag),
        "languages": _MANY if reads_other_languages(name, text) else _ENGLISH,
        **_shapes(config),
        "tokenizer": text.get("hf_tokenizer_name") or "open_clip",
        "scores": "sigmoid" if "init_logit_bias" in config else "softmax",
        **(_weights(name, tag) if tag else {}),
        "pretrained tags": [_tag_facts(name, each) for each in tags] or "none",
    }


def _tag_facts(name: str, tag: str) -> dict[str, str]:
    from clipcli.models.resolve import is_on_disk

    accuracy = figures_of(name, tag)[1]
    facts = {"tag": tag}
    if accuracy is not None:
        facts["ImageNet"] = f"{accuracy:.1f} %"
    return {**facts, "weights": "on disk"} if is_on_disk(name, tag) else facts


def _usual_tag(name: str) -> str:
    """Return the tag that is used without ``--pretrained``; empty if it has to be chosen."""
    from clipcli.errors import ModelError
    from clipcli.models.registry import usual_tag

    try:
        return usual_tag(name)
    except ModelError:
        return ""


def _known(name: str, tag: str) -> dict[str, Any]:
    from clipcli.models.recommended import recommendation

    known = recommendation(name, tag) if tag or name.startswith("hf-hub:") else None
    parameters, accuracy = figures_of(name, tag)
    facts: dict[str, Any] = {}
    if known is not None:
        facts |= {"good for": known.good_for, "speed": known.speed}
    facts["million parameters"] = parameters if parameters is not None else _UNKNOWN
    if parameters is not None:
        facts["download"] = f"about {_size(parameters)} (4 bytes per parameter)"
    facts["ImageNet top-1 in percent, zero-shot"] = _UNKNOWN if accuracy is None else f"{accuracy:.1f}"
    facts["licence"] = (known.licence if known else "") or ("see the model card" if tag else _UNKNOWN)
    return {**facts, "note": known.note} if known is not None and known.note else facts


def _size(million_parameters: float) -> str:
    megabytes = 4 * million_parameters
    return f"{megabytes / 1000:.1f} GB" if megabytes >= 1000 else f"{megabytes:.0f} MB"


def _weights(name: str, tag: str) -> dict[str, Any]:
    """Return where the weights are, and how they are downloaded and used."""
    from clipcli.errors import ModelError
    from clipcli.models.resolve import place_of, repository_of

    options = f"{name} --pretrained {tag}" if tag else name
    try:
        card = f"https://huggingface.co/{repository_of(name, tag or None)}"
    except ModelError:
        return {"weights": "not on the Hugging Face hub", "use": f"--model {options}"}
    is_here = place_of(name, tag) == "on disk"
    return {
        "model card": card,
        "weights": "on disk" if is_here else f"not on this machine (clipcli models download {options})",
        "use": f"--model {options}",
    }


def _hub_model(name: str) -> dict[str, Any]:
    from clipcli.models.config import read_model_config
    from clipcli.models.hub import cached_file
    from clipcli.models.languages import reads_other_languages
    from clipcli.models.source import CONFIG_NAME

    shown: dict[str, Any] = {"model": name, **_known(name, "")}
    config = cached_file(name.removeprefix("hf-hub:"), CONFIG_NAME)
    if config is not None:
        model = read_model_config(config)["model_cfg"]
        languages = _MANY if reads_other_languages(name, model["text_cfg"]) else _ENGLISH
        shown |= {"languages": languages, **_shapes(model)}
    return shown | _weights(name, "")


def facts_as_lines(facts: dict[str, Any], indent: str = "") -> Iterator[str]:
    """Yield ``key: value`` lines; a dict of a few plain values gets one line, any other is indented below its key."""
    for key, value in facts.items():
        name = f"{indent}{key.replace('_', ' ')}:"
        if isinstance(value, dict) and (len(value) > 4 or any(isinstance(inner, dict) for inner in value.values())):
            yield name
            yield from facts_as_lines(value, indent + "  ")
        elif isinstance(value, list) and any(isinstance(item, dict) for item in value):
            yield name
            yield from (f"{indent}  {_on_one_line(item)}" for item in value)
        else:
            yield f"{name} {_on_one_line(value)}".rstrip()


def _on_one_line(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_on_one_line(inner)}" for key, inner in value.items())
    if isinstance(value, list):
        return ", ".join(map(_on_one_line, value))
    return f"{value:,}" if isinstance(value, int) else str(value)
