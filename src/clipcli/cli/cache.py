"""``clipcli cache``: manage the embedding cache."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from clipcli.cli import options
from clipcli.cli.confirmation import Yes, confirmed
from clipcli.cli.exit_codes import SOME_FAILED
from clipcli.cli.listing import print_table
from clipcli.cli.messages import Messages
from clipcli.errors import CacheError

if TYPE_CHECKING:
    from pathlib import Path

    from clipcli.cache.embeddings import EmbeddingStore

__all__ = ["app"]

_PATIENCE = 2.0  # seconds

app = typer.Typer(help="Manage the embedding cache.", no_args_is_help=True, rich_markup_mode=None)


def _open(cache_dir: Path | None) -> EmbeddingStore:
    """Open an existing cache; nothing is created, and the wait for a locked one is short."""
    from clipcli.cache.embeddings import EmbeddingStore
    from clipcli.cache.folder import default_folder

    folder = cache_dir or default_folder()
    above = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not above.is_dir():
        raise CacheError(
            f"cannot use the cache {folder}: {above} is not a folder (name another folder with --cache-dir)"
        )
    return EmbeddingStore(folder, patience=_PATIENCE, create=False, strict=True)


@app.command("info")
def show_info(cache_dir: options.CacheDir = None) -> None:
    """Show the location, size and content of the cache."""
    with _open(cache_dir) as store:
        info = store.info()
    if info is None:
        raise CacheError("cannot read the cache")
    typer.echo(f"{info.path}\t{info.size:,} bytes")
    rows = [(name, kind, str(count)) for name, kind, count in info.entries]
    if info.graphs:
        rows.append(("OpenVINO", "converted encoder", str(info.graphs)))
    print_table(("model", "kind", "embeddings"), rows)


@app.command("clear")
def clear(cache_dir: options.CacheDir = None, yes: Yes = False) -> None:
    """Delete all cached embeddings and encoders converted for OpenVINO. They are recomputed when needed."""
    from clipcli.models.openvino_graphs import clear_graphs

    with _open(cache_dir) as store:
        place, info = store.path, store.info()
        if info is not None and (info.entries or info.graphs):
            count = sum(count for *_, count in info.entries)
            if not confirmed(f"the cache {place}", f"{count:,} embeddings, {info.size / 1e6:,.0f} MB", yes=yes):
                return
        embeddings = store.clear()  # first: if another process has locked the cache, nothing is removed
        graphs = clear_graphs(place.parent) if place else 0
    converted = f", {graphs} converted encoder{'s' if graphs != 1 else ''}" if graphs else ""
    typer.echo(f"deleted {embeddings} embeddings{converted}")
    if not store.is_shrunk:
        Messages().warn(f"{place}: not made smaller yet, as another process is using it")


@app.command("check")
def check(cache_dir: options.CacheDir = None) -> None:
    """Check the whole cache for damage. The exit code is 1 if an entry is damaged."""
    with _open(cache_dir) as store:
        problems = store.check()
    for problem in problems:
        typer.echo(problem)
    if problems:
        Messages().warn("damaged entries are not used; they are recomputed when needed")
        raise typer.Exit(SOME_FAILED)
    typer.echo("no damage found")
