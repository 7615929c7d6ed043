"""``clipcli models``: list and download models."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from clipcli.cli import options
from clipcli.cli.messages import Messages
from clipcli.errors import InputError

if TYPE_CHECKING:
    from clipcli.models.recommended import Recommendation

__all__ = ["app"]

app = typer.Typer(help="List, download and delete models.", no_args_is_help=True, rich_markup_mode=None)


_HubModel = Annotated[
    str, typer.Argument(metavar="MODEL", help="Model: an open_clip name, or hf-hub:ORG/REPO.", show_default=False)
]


_Tag = Annotated[
    str | None,
    typer.Option("--pretrained", metavar="TAG", envvar="CLIPCLI_PRETRAINED", show_default=False,
                 help="Tag of the weights of an open_clip model. [default: the recommended tag]"),
]  # fmt: skip


@app.command("list")
def list_models(
    pattern: Annotated[
        str,
        typer.Argument(metavar="TEXT", help="Only list models whose name, tag or purpose contains this text.",
                       show_default=False),
    ] = "",
    everything: Annotated[
        bool,
        typer.Option("--all", "-a", help="List all models and tags of open_clip, not only the recommended ones."),
    ] = False,
    on_disk: Annotated[bool, typer.Option("--on-disk", help="Only list models that are on this machine.")] = False,
) -> None:  # fmt: skip
    """List models and what each is good for."""
    from clipcli.models import registry, resolve
    from clipcli.models.recommended import MODELS, recommendation

    if everything or on_disk or pattern:
        names = [("pocket", "")]
        names += [(name, tag) for name in registry.architecture_names() for tag in registry.pretrained_tags(name)]
        names += [(each.name, each.tag) for each in MODELS if (each.name, each.tag) not in names]
    else:
        names = [(each.name, each.tag) for each in MODELS]
    wanted, rows = pattern.lower(), []
    for name, tag in names:
        known = recommendation(name, tag)
        place = resolve.place_of(name, tag)
        words = f"{name} {tag} {known.good_for if known else ''}".lower()
        if wanted in words and (place or not on_disk):
            rows.append((name, tag, *_choice(known), place))
    if not rows:
        Messages().warn(f"no model name, tag or purpose contains {pattern!r}")
    print_table(
        ("model", "pretrained", "good for", "speed", "million parameters", "ImageNet %", "licence", "where"), rows
    )


def _choice(known: Recommendation | None) -> tuple[str, str, str, str, str]:
    """Return what helps to choose a model, with empty cells for what is not known."""
    if known is None:
        return ("", "", "", "", "")
    parameters, accuracy = (str(value) if value is not None else "" for value in (known.parameters, known.imagenet))
    return (known.good_for, known.speed, parameters, accuracy, known.licence)


@app.command("show")
def show_model(
    name: Annotated[
        str,
        typer.Argument(
            metavar="MODEL", help="Model: pocket, an open_clip name, or hf-hub:ORG/REPO.", show_default=False
        ),
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print the details as JSON.")] = False,
) -> None:
    """Show the details of a model."""
    facts = _pocket_facts() if name == "pocket" else _catalogue_facts(name)
    if as_json:
        typer.echo(json.dumps(facts, ensure_ascii=False, indent=2))
        return
    for line in _as_lines(facts):
        typer.echo(line)


def _as_lines(facts: dict[str, Any], indent: str = "") -> Iterator[str]:
    """Yield ``key: value`` lines; a dict of a few plain values gets one line, any other is indented below its key."""
    for key, value in facts.items():
        name = f"{indent}{key.replace('_', ' ')}:"
        if isinstance(value, dict) and (len(value) > 4 or any(isinstance(inner, dict) for inner in value.values())):
            yield name
            yield from _as_lines(value, indent + "  ")
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


def _pocket_facts() -> dict[str, Any]:
    from clipcli.models.resolve import POCKET_FOLDER

    facts: dict[str, Any] = json.loads((POCKET_FOLDER / "card.json").read_text("utf-8"))
    return facts


def _catalogue_facts(name: str) -> dict[str, Any]:
    from clipcli.models import registry, resolve
    from clipcli.models.recommended import recommendation

    name = name.replace("/", "-") if name.replace("/", "-") in registry.architecture_names() else name
    if name.startswith("hf-hub:"):
        return _hub_facts(name)
    config = registry.architecture(name)
    tags = registry.pretrained_tags(name)
    vision, text = config["vision_cfg"], config["text_cfg"]
    known = recommendation(name)
    facts = {} if known is None else {key: value for key, value in vars(known).items() if value and key != "name"}
    return {
        "model": name,
        **{_FACTS.get(key, key): value for key, value in facts.items()},
        "image size": vision.get("image_size", 224),
        "embedding dimensions": config["embed_dim"],
        "context length": text.get("context_length", 77),
        "tokenizer": text.get("hf_tokenizer_name") or "open_clip",
        "scores": "sigmoid" if "init_logit_bias" in config else "softmax",
        "pretrained": list(tags),
        "on disk": [tag for tag in tags if resolve.is_on_disk(name, tag)],
    }


_FACTS = {
    "tag": "recommended pretrained", "good_for": "good for", "parameters": "million parameters",
    "imagenet": "ImageNet top-1 in percent, zero-shot",
}  # fmt: skip


def _hub_facts(name: str) -> dict[str, Any]:
    from clipcli.models.config import read_model_config
    from clipcli.models.hub import cached_file
    from clipcli.models.recommended import recommendation
    from clipcli.models.source import CONFIG_NAME

    known, config = recommendation(name), cached_file(name.removeprefix("hf-hub:"), CONFIG_NAME)
    facts = {} if known is None else {key: value for key, value in vars(known).items() if value and key != "name"}
    shown: dict[str, Any] = {"model": name, **{_FACTS.get(key, key): value for key, value in facts.items()}}
    if config is not None:
        model = read_model_config(config)["model_cfg"]
        shown |= {"image size": model["vision_cfg"].get("image_size", 224), "embedding dimensions": model["embed_dim"]}
    return shown | {
        "on disk": config is not None,
        "model card": f"https://huggingface.co/{name.removeprefix('hf-hub:')}",
    }


@app.command("download")
def download_model(
    name: _HubModel,
    pretrained: _Tag = None,
    offline: options.Offline = False,
    quiet: options.Quiet = False,
) -> None:
    """Download a model. Later runs load it from disk, without using the network."""
    from clipcli.models.hub import quiet_hub
    from clipcli.models.resolve import resolve_model

    Messages(quiet=quiet)  # prints what the library logs
    with quiet_hub(quiet=quiet):
        source = resolve_model(name, pretrained, offline=offline)
    typer.echo(str(source.checkpoint))


@app.command("delete")
def delete_model(
    name: _HubModel,
    pretrained: _Tag = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")] = False,
    quiet: options.Quiet = False,
) -> None:
    """Delete a downloaded model.

    The model is deleted from the cache folder of the Hugging Face hub, which other programs use too.
    """
    from clipcli.models.hub import delete_repository
    from clipcli.models.resolve import repository_of

    messages = Messages(quiet=quiet)

    def confirm(folder: Path, size: int) -> bool:
        if yes:
            return True
        if not sys.stdin.isatty():
            raise InputError(f"cannot delete {folder}: stdin is not a terminal, so it cannot be confirmed (use --yes)")
        return typer.confirm(f"Delete {folder} ({size / 1e6:,.0f} MB)?", err=True)

    repository = repository_of(name, pretrained)
    if delete_repository(repository, confirm=confirm):
        messages.note(f"deleted {repository}")


def print_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print rows as a table on a terminal, as TSV with a header in a pipe."""
    if not sys.stdout.isatty():
        for row in (header, *rows):
            typer.echo("\t".join(row))
        return
    from rich.table import Table
    from rich.text import Text

    from clipcli.terminal import console
    from clipcli.text import one_line

    table = Table(*header, box=None, pad_edge=False, header_style="bold")
    for row in rows:
        table.add_row(*(Text(one_line(cell)) for cell in row))
    console().print(table)
