"""Libraries that come with an extra of clipcli, imported when they are needed."""

from __future__ import annotations

from typing import Any

from clipcli.errors import OutputError

__all__ = ["pyarrow_or_error"]


def pyarrow_or_error() -> Any:
    """Import pyarrow, or raise :class:`OutputError` with the name of the extra."""
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise OutputError("cannot use Parquet: it needs an extra (pip install 'clipcli[parquet]')") from None
    return pyarrow
