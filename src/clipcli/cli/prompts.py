"""``clipcli prompts``: the built-in template sets."""

from __future__ import annotations

from typing import Annotated

import typer

from clipcli.cli.listing import print_table

__all__ = ["app"]

app = typer.Typer(
    help="List and show the built-in sets of prompt templates.", no_args_is_help=True, rich_markup_mode=None
)


@app.command("list")
def list_sets() -> None:
    """List the built-in sets: name, number of templates and purpose."""
    from clipcli.labels.templates import builtin_set_names, builtin_set_path, load_templates

    rows = []
    for name in builtin_set_names():
        first_line = builtin_set_path(name).read_text("utf-8").partition("\n")[0]
        rows.append((name, str(len(load_templates(name))), first_line.lstrip("# ")))
    print_table(("name", "templates", "for"), rows)


@app.command("show")
def show_set(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME|FILE",
            help="Name of a built-in set, or a file with one template per line.",
            show_default=False,
        ),
    ],
) -> None:
    """Print the templates of a set, one per line."""
    from clipcli.labels.templates import load_templates

    for template in load_templates(name):
        typer.echo(template.text)
