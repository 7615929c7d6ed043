"""What clipcli wrote, given as an image by mistake."""

from __future__ import annotations

from collections.abc import Collection

from clipcli.delimited import own_kind

__all__ = ["EMBEDDINGS_HINT", "written_by_clipcli"]

EMBEDDINGS_HINT = "use embeddings of clipcli export images with --image-embeddings"
"""How a file of image embeddings is used."""


def written_by_clipcli(columns: Collection[str]) -> str | None:
    """Return what a table holds and how it is used, if clipcli wrote it; by its columns."""
    names, kind = set(columns), own_kind(columns)
    if kind == "results" or {"path", "top"} <= names or {"path", "error"} == names:
        return "results of clipcli classify, not an image (use them with clipcli report, sort or evaluate)"
    if kind == "embeddings" or {"path", "embedding"} <= names:
        return f"a table of embeddings, not an image ({EMBEDDINGS_HINT}; --path-column path reads the images again)"
    return None
