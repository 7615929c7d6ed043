"""What the cache drops when it exceeds its limit."""

from __future__ import annotations

import sqlite3

from clipcli.cache.sqlite import used_bytes

__all__ = ["evict_images"]

_SHARE = 0.1  # of the image embeddings, dropped at a time


def evict_images(connection: sqlite3.Connection, room: int) -> int:
    """Delete the oldest image embeddings, and the oldest files known, until the cache needs at most ``room`` bytes.

    Returns
    -------
    The number of embeddings that were deleted.
    """
    gone = 0
    while used_bytes(connection) > room:
        count = connection.execute("SELECT COUNT(*) FROM vectors WHERE kind = 'image'").fetchone()[0]
        share = max(1, int(count * _SHARE))
        oldest = "SELECT id FROM vectors WHERE kind = 'image' ORDER BY id LIMIT ?"
        dropped = connection.execute(f"DELETE FROM vectors WHERE id IN ({oldest})", (share,)).rowcount  # noqa: S608
        files = connection.execute(
            "DELETE FROM files WHERE id IN (SELECT id FROM files ORDER BY id LIMIT ?)", (share,)
        ).rowcount
        if not dropped and not files:
            break
        gone += dropped
    return gone
