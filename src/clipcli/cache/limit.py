"""The size that the cache may reach."""

from __future__ import annotations

__all__ = ["DEFAULT_LIMIT"]

DEFAULT_LIMIT = 4_000_000_000
"""Bytes on disk; above it, the oldest entries are deleted (:mod:`clipcli.cache.eviction`)."""
