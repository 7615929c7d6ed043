"""``clipcli models``: list and download models."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import Annotated, Any

import typer

from clipcli.cli import options
from clipcli.cli.messages import Messages

__all__ = ["app"]

app = typer.Typer(help="List and download models.", no_args_is_help=True, rich_markup_mode=None)


@app.command("list")
def list_models(
    pattern: Annotated[
        str,
        typer.Argument(metavar="TEXT", help="Only list models whose name or tag contains this.", show_default=False),
    ] = "",
    everything: Annotated[
        bool,
        typer.Option("--all", "-a", help="List all models and tags of open_clip, not only the recommended ones."),
    ] = False,
    on_disk: Annotated[bool, typer.Option("--on-disk", help="Only list models that are on this machine.")] = False,
) -> None:  # fmt: skip
    """List models and whether they are on disk."""
    from clipcli.models import registry, resolve

    rows = [("pocket", "", "built in")]
    wide = everything or on_disk or bool(pattern)
    for name in registry.architecture_names():
        tags = registry.pretrained_tags(name) if wide else [registry.RECOMMENDED.get(name, "")]
        rows.extend((name, tag, "on disk" if resolve.is_on_disk(name, tag) else "") for tag in filter(None, tags))
    wanted = pattern.lower()
    rows = [row for row in rows if wanted in f"{row[0]} {row[1]}".lower() and (row[2] or not on_disk)]
    if not rows:
        Messages().warn(f"no model name or tag contains {pattern!r}")
    print_table(("model", "pretrained", "where"), rows)


@app.command("show")
def show_model(
    name: Annotated[
        str, typer.Argument(metavar="MODEL", help="Model: pocket, or an open_clip name.", show_default=False)
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
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

    config = registry.architecture(name)
    tags = registry.pretrained_tags(name)
    vision, text = config["vision_cfg"], config["text_cfg"]
    return {
        "model": name,
        "image size": vision.get("image_size", 224),
        "embedding dimensions": config["embed_dim"],
        "context length": text.get("context_length", 77),
        "tokenizer": text.get("hf_tokenizer_name") or "open_clip",
        "scores": "sigmoid" if "init_logit_bias" in config else "softmax",
        "pretrained": list(tags),
        "on disk": [tag for tag in tags if resolve.is_on_disk(name, tag)],
    }


@app.command("download")
def download_model(
    name: Annotated[
        str,
        typer.Argument(metavar="MODEL", help="Model: an open_clip name, or hf-hub:ORG/REPO.", show_default=False),
    ],
    pretrained: options.Pretrained = None,
    offline: options.Offline = False,
    quiet: options.Quiet = False,
) -> None:
    """Download a model. Later runs load it from disk, without network."""
    from clipcli.models.hub import quiet_hub
    from clipcli.models.resolve import resolve_model

    Messages(quiet=quiet)  # prints what the library logs
    with quiet_hub(quiet=quiet):
        source = resolve_model(name, pretrained, offline=offline)
    typer.echo(str(source.checkpoint))


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
