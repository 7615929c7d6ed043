"""Receive the body of a request into memory, within the limits of size and time."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from clipcli.serving.deadlines import deadline
from clipcli.serving.limits import Limits
from clipcli.serving.problems import RequestError, bad_request

if TYPE_CHECKING:
    from starlette.requests import Request

__all__ = ["Bodies"]


class Bodies:
    """The bodies of all requests that are received or answered now.

    Attributes
    ----------
    held
        Their bytes.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self.held = 0

    @asynccontextmanager
    async def of(self, request: Request) -> AsyncIterator[bytes]:
        """Receive a body, and hold it during a block.

        Raises
        ------
        RequestError
            If it is too large, comes too slowly, or the bodies of others need too much memory.
        """
        announced = _announced(request.headers.get("content-length"))
        self._check(announced)
        taken = 0
        body = bytearray()
        try:
            async with deadline(self._limits.body_seconds, "timeout", "the request did not arrive"):
                async for chunk in request.stream():
                    self._check(len(body) + len(chunk), len(chunk))
                    body += chunk
                    self.held, taken = self.held + len(chunk), taken + len(chunk)
            yield bytes(body)
        finally:
            self.held -= taken

    def _check(self, size: int, new: int | None = None) -> None:
        most = self._limits.request_bytes
        if size > most:
            raise RequestError("too_large", f"the request has over {most / 2**20:g} MiB (send fewer images at once)")
        if self.held + (size if new is None else new) > self._limits.held_bytes:
            raise RequestError("busy", "other requests need the memory (try again later)")


def _announced(header: str | None) -> int:
    try:
        return int(header or 0)
    except ValueError:
        raise bad_request("Content-Length: not a number") from None
