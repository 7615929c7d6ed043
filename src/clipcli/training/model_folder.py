"""Write the model folder of a run: open_clip's ``local-dir`` layout, for open_clip and clipcli."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from clipcli._version import __version__
from clipcli.errors import OutputError
from clipcli.storage.atomic import replacing
from clipcli.text import one_line
from clipcli.training.base_model import Start
from clipcli.training.validation import MEASURES

__all__ = ["interpolated", "model_card", "plain_weights", "write_model"]


def plain_weights(network: Any) -> dict[str, Any]:
    """Return a copy of a network's weights on the CPU, contiguous as safetensors requires."""
    return {name: tensor.detach().cpu().contiguous().clone() for name, tensor in network.state_dict().items()}


def interpolated(start: Mapping[str, Any], trained: Mapping[str, Any], share: float) -> dict[str, Any]:
    """Return ``(1 - share) * start + share * trained``, weight by weight.

    WiSE-FT (Wortsman et al. 2022, *Robust fine-tuning of zero-shot models*): between the two, the network regains more
    of its initial accuracy than it loses of the fine-tuned one.
    """
    return {
        name: tensor if not tensor.is_floating_point() else start[name].lerp(tensor, share).contiguous()
        for name, tensor in trained.items()
    }


def write_model(root: Path, start: Start, weights: Mapping[str, Any], card: str) -> None:
    """Write config with preprocessing, weights, tokenizer and model card, each file atomically.

    The config is written last: without it the folder is not a model.
    """
    from open_clip.push_to_hf_hub import save_config_for_hf
    from safetensors.torch import save_file

    _write_tokenizer(root, start.tokenizer)
    with replacing(root / "open_clip_model.safetensors") as temporary:
        save_file(dict(weights), temporary, metadata={"format": "pt"})
    with replacing(root / "README.md") as temporary:
        temporary.write_text(card, encoding="utf-8")
    with replacing(root / "open_clip_config.json") as temporary:
        save_config_for_hf(start.network, temporary, start.model_config)


def _write_tokenizer(root: Path, tokenizer: Any) -> None:
    """Write the files of a Hugging Face tokenizer, or those of open_clip's byte-pair tokenizer.

    open_clip and clipcli do not need the latter, but other programs do.
    """
    try:
        if hasattr(tokenizer, "save_pretrained"):
            tokenizer.save_pretrained(root)
            return
        ranks = sorted(tokenizer.bpe_ranks, key=tokenizer.bpe_ranks.__getitem__)
        settings = {"tokenizer_class": "CLIPTokenizer", "model_max_length": tokenizer.context_length}
        special = dict.fromkeys(("eos_token", "unk_token", "pad_token"), "<end_of_text>")
        settings |= {"bos_token": "<start_of_text>", **special}
        (root / "vocab.json").write_text(json.dumps(tokenizer.encoder, ensure_ascii=False), encoding="utf-8")
        merges = "".join(f"{first} {second}\n" for first, second in ranks)
        (root / "merges.txt").write_text(f"#version: 0.2\n{merges}", encoding="utf-8")
        (root / "tokenizer_config.json").write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")
    except OSError as problem:
        raise OutputError(f"cannot write {root}: {problem.strerror or problem}") from None


def model_card(record: Mapping[str, Any], outcome: Sequence[tuple[str, Mapping[str, float]]]) -> str:
    """Return the model card: Markdown with the metadata header of the Hugging Face hub.

    Parameters
    ----------
    record
        The record of the run, as in ``training/settings.json``.
    outcome
        Names of weights (``start``, ``epoch 3``, ``saved``) and their measures on the held-out pairs.
    """
    how = "Trained from scratch as" if record["from_scratch"] else "Fine-tuned from"
    lines = [
        "---",
        "library_name: open_clip",
        "pipeline_tag: zero-shot-image-classification",
        "tags: [clip, clipcli]",
        "---",
        "",
        "# A contrastive image-text model",
        "",
        f"{how} {_code(record['model'])} with clipcli {__version__}, on {record['train']} images of "
        f"{', '.join(map(_code, record['pairs']))}; {record['validation']} more were held out for validation.",
        "",
        "```",
        "clipcli classify photo.jpg --labels labels.txt --model local-dir:THIS_FOLDER",
        "```",
        "",
        "## Settings",
        "",
        *_table(("setting", "value"), [(name, _code(value)) for name, value in record["settings"].items()]),
    ]
    if record["templates"]:
        lines += [
            "",
            "Prompt templates of the labels:",
            "",
            *(f"- {_code(template)}" for template in record["templates"]),
        ]
    if outcome:
        measures = [name for name in MEASURES if name in outcome[0][1]]
        rows = [(MEASURES[name], *(_number(name, values[name]) for _, values in outcome)) for name in measures]
        heads = ("measure", *(name for name, _ in outcome))
        lines += ["", f"## Measures on {record['validation']} held-out pairs", "", *_table(heads, rows)]
    return "\n".join(lines) + "\n"


def _number(name: str, value: float) -> str:
    return f"{value:.4f}" if name == "loss" else f"{value:.1%}"


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(row)} |" for row in (heads, ["---"] * len(heads), *rows)]


def _code(value: object) -> str:
    """Return a value as Markdown code that cannot end early, break a line or split a table cell."""
    text = one_line(str(value)).replace("|", "¦").replace("`", "'")
    return f"`{text}`"
