"""Where the cache is."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["default_folder"]


def default_folder() -> Path:
    """Return the user's cache folder: ``CLIPCLI_CACHE_DIR`` if it is set."""
    chosen = os.environ.get("CLIPCLI_CACHE_DIR")
    if chosen:
        return Path(chosen)
    import platformdirs

    return Path(platformdirs.user_cache_dir("clipcli", appauthor=False))
