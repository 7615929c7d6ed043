"""``clipcli models``: list and download models."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from clipcli.cli import options
from clipcli.cli.confirmation import Yes, confirmed
from clipcli.cli.listing import print_table
from clipcli.cli.messages import Messages

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
            rows.append((name, tag, *_choice(name, tag, known), place))
    if not rows:
        Messages().warn(f"no model name, tag or purpose contains {pattern!r}")
    header = ("model", "pretrained", "good for", "speed", "million parameters", "ImageNet %", "licence", "where")
    print_table(header, rows, names=2)


def _choice(name: str, tag: str, known: Recommendation | None) -> tuple[str, str, str, str, str]:
    """Return what helps to choose a model, with empty cells for what is not known."""
    from clipcli.cli.model_facts import figures_of

    parameters, accuracy = figures_of(name, tag)
    size = "" if parameters is None else f"{parameters:.0f}"
    figure = "" if accuracy is None else f"{accuracy:.1f}"
    return (known.good_for, known.speed, size, figure, known.licence) if known else ("", "", size, figure, "")


@app.command("show")
def show_model(
    name: Annotated[
        str,
        typer.Argument(
            metavar="MODEL", help="Model: pocket, an open_clip name, or hf-hub:ORG/REPO.", show_default=False
        ),
    ],
    pretrained: options.Pretrained = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the details as JSON.")] = False,
) -> None:
    """Show the details of a model, such as size, accuracy and licence."""
    from clipcli.cli.model_facts import facts_as_lines, facts_of, without_details

    facts = facts_of(name, pretrained)
    if as_json:
        typer.echo(json.dumps(facts, ensure_ascii=False, indent=2))
        return
    for line in facts_as_lines(without_details(facts)):
        typer.echo(line)


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
    yes: Yes = False,
    quiet: options.Quiet = False,
) -> None:
    """Delete a downloaded model.

    The model is deleted from the cache folder of the Hugging Face hub, which other programs use too.
    """
    from clipcli.models.hub import delete_repository
    from clipcli.models.resolve import repository_of

    messages = Messages(quiet=quiet)

    def confirm(folder: Path, size: int) -> bool:
        return confirmed(str(folder), f"{size / 1e6:,.0f} MB", yes=yes)

    repository = repository_of(name, pretrained)
    if delete_repository(repository, confirm=confirm):
        messages.note(f"deleted {repository}")
