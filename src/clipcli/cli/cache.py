"""``clipcli cache``: look after the embeddings kept on disk."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from clipcli.cli import options
from clipcli.cli.messages import Messages
from clipcli.cli.models import print_table
from clipcli.errors import CacheError

if TYPE_CHECKING:
    from pathlib import Path

    from clipcli.store import EmbeddingStore

__all__ = ["app"]

app = typer.Typer(help="Look after the cache of embeddings.", no_args_is_help=True, rich_markup_mode=None)


def _open(cache_dir: Path | None) -> EmbeddingStore:
    from clipcli.store import EmbeddingStore, default_folder

    told: list[str] = []
    store = EmbeddingStore(cache_dir or default_folder(), told.append)
    if store.path is None:
        reason = told[-1].removeprefix("going on without a cache: ") if told else "no cache folder"
        raise CacheError(f"{reason}; name a usable folder with --cache-dir")
    for line in told:
        Messages().warn(line)
    return store


@app.command("info")
def show_info(cache_dir: options.CacheDir = None) -> None:
    """Show where it is and what it holds."""
    info = _open(cache_dir).info()
    if info is None:
        raise CacheError("the cache cannot be read")
    typer.echo(f"{info.path}\t{info.size:,} bytes")
    print_table(("model", "kind", "embeddings"), [(name, kind, str(count)) for name, kind, count in info.entries])


@app.command("clear")
def clear(cache_dir: options.CacheDir = None) -> None:
    """Forget all embeddings and converted encoders. They are made again when next needed."""
    from clipcli.openvino_engine import clear_graphs

    store = _open(cache_dir)
    graphs = clear_graphs(store.path.parent) if store.path else 0
    converted = f", {graphs} converted encoder{'s' if graphs != 1 else ''} too" if graphs else ""
    typer.echo(f"{store.clear()} embeddings removed{converted}")


@app.command("check")
def check(cache_dir: options.CacheDir = None) -> None:
    """Report what is damaged. Reads the whole cache; exit code 1 if anything is wrong."""
    problems = _open(cache_dir).check()
    for problem in problems:
        typer.echo(problem)
    if problems:
        raise typer.Exit(1)
    typer.echo("the cache is sound")
