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

    from clipcli.cache.embeddings import EmbeddingStore

__all__ = ["app"]

_PATIENCE = 2.0  # seconds

app = typer.Typer(help="Look after the cache of embeddings.", no_args_is_help=True, rich_markup_mode=None)


def _open(cache_dir: Path | None) -> EmbeddingStore:
    """Open a cache that exists, for a look or to clear it; nothing is created, and a locked one is not waited for."""
    from clipcli.cache.embeddings import EmbeddingStore, default_folder

    folder = cache_dir or default_folder()
    above = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not above.is_dir():
        raise CacheError(
            f"cannot use the cache {folder}: {above} is not a folder (choose another one with --cache-dir)"
        )
    return EmbeddingStore(folder, patience=_PATIENCE, create=False, strict=True)


@app.command("info")
def show_info(cache_dir: options.CacheDir = None) -> None:
    """Show where it is and what it holds."""
    with _open(cache_dir) as store:
        info = store.info()
    if info is None:
        raise CacheError("the cache cannot be read")
    typer.echo(f"{info.path}\t{info.size:,} bytes")
    rows = [(name, kind, str(count)) for name, kind, count in info.entries]
    if info.graphs:
        rows.append(("OpenVINO", "converted encoder", str(info.graphs)))
    print_table(("model", "kind", "embeddings"), rows)


@app.command("clear")
def clear(cache_dir: options.CacheDir = None) -> None:
    """Forget all embeddings and converted encoders. They are made again when next needed."""
    from clipcli.models.openvino_graphs import clear_graphs

    with _open(cache_dir) as store:
        place = store.path
        embeddings = store.clear()  # first: where another process has locked it, nothing is removed
        graphs = clear_graphs(place.parent) if place else 0
    converted = f", {graphs} converted encoder{'s' if graphs != 1 else ''} too" if graphs else ""
    typer.echo(f"{embeddings} embeddings removed{converted}")
    if not store.is_shrunk:
        Messages().warn(f"{place}: not made smaller yet, as another process is using it")


@app.command("check")
def check(cache_dir: options.CacheDir = None) -> None:
    """Report what is damaged. Reads the whole cache; exit code 1 if anything is wrong."""
    with _open(cache_dir) as store:
        problems = store.check()
    for problem in problems:
        typer.echo(problem)
    if problems:
        Messages().warn("damaged entries are not used, and are made again when next needed")
        raise typer.Exit(1)
    typer.echo("the cache is sound")
