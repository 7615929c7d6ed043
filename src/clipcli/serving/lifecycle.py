"""Run the server: listen, answer until a signal comes, finish what was accepted, and stop."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
from collections.abc import Callable, Iterator
from time import monotonic
from types import FrameType
from typing import Any

from clipcli.errors import InputError, OutputError
from clipcli.serving.limits import Limits
from clipcli.serving.service import Service
from clipcli.signals import POLITE

__all__ = ["check_extra", "listen", "serve_app", "unload_idle"]

_HEAD_BYTES = 32 << 10
_KEEP_ALIVE = 20  # seconds that a connection may be idle between requests
_BACKLOG = 512
_LOOK_EVERY = 1.0  # seconds


def check_extra() -> None:
    """Raise :class:`InputError` if the libraries of the server are missing."""
    try:
        import python_multipart
        import starlette
        import uvicorn

        _ = python_multipart, starlette, uvicorn
    except ImportError:
        raise InputError("cannot serve: it needs an extra (pip install 'clipcli[serve]')") from None


def listen(host: str, port: int) -> socket.socket:
    """Open the socket of the server, before a model is loaded for nothing.

    Raises
    ------
    OutputError
        If the address cannot be used.
    """
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host.strip("[]"), port), family=family, backlog=_BACKLOG)
    except (OSError, OverflowError, UnicodeError) as problem:
        reason = getattr(problem, "strerror", None) or str(problem)
        raise OutputError(f"cannot listen on {host}:{port}: {reason} (choose --host and --port)") from None


async def unload_idle(service: Service, seconds: float) -> None:
    """Close models that were not used for some time; runs until it is cancelled."""
    while True:
        await asyncio.sleep(min(_LOOK_EVERY, seconds))
        for name, model in service.models.items():
            if model.is_open and service.is_idle(name) and monotonic() - model.last_used > seconds:
                await asyncio.to_thread(model.close)
                _give_back_memory()


def _give_back_memory() -> None:
    """Return freed memory to the system, where the C library keeps it."""
    import ctypes
    import gc

    gc.collect()
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


def serve_app(
    app: Any, listening: socket.socket, limits: Limits, *, ready: Callable[[], None],
    stopping: Callable[[], None], idle: Callable[[], Any] | None = None,
) -> None:  # fmt: skip
    """Answer requests until SIGINT, SIGTERM or SIGHUP; those that were accepted are answered first.

    Parameters
    ----------
    ready
        Called when requests are answered, and signals are heeded.
    stopping
        Called when the signal has come.
    idle
        Returns a coroutine that runs along with the requests.
    """
    import uvicorn

    for name in ("uvicorn", "uvicorn.error", "uvicorn.access", "asyncio"):
        logging.getLogger(name).setLevel(logging.CRITICAL)  # damaged requests are not worth a line each
    config = uvicorn.Config(
        app, http=_protocol(limits), ws="none", lifespan="off", log_config=None, access_log=False,
        server_header=False, proxy_headers=False, h11_max_incomplete_event_size=_HEAD_BYTES,
        timeout_keep_alive=_KEEP_ALIVE, timeout_graceful_shutdown=int(limits.body_seconds + limits.answer_seconds),
        backlog=_BACKLOG,
    )  # fmt: skip

    class Server(uvicorn.Server):
        @contextlib.contextmanager
        def capture_signals(self) -> Iterator[None]:
            """Stop at the first signal; a second one does not wait for requests."""
            numbers = [signal.SIGINT, *POLITE]
            try:
                before = {number: signal.signal(number, self.handle_exit) for number in numbers}
            except ValueError:  # not on the main thread
                before = {}
            try:
                yield
            finally:
                for number, handler in before.items():
                    signal.signal(number, handler)

        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            ready()

        def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002
            stopping()
            self.force_exit, self.should_exit = self.should_exit, True

    async def run() -> None:
        beside = asyncio.ensure_future(idle()) if idle is not None else None
        try:
            await Server(config).serve(sockets=[listening])
        finally:
            if beside is not None:
                beside.cancel()

    asyncio.run(run())


def _protocol(limits: Limits) -> Any:
    """Return uvicorn's protocol, with a limit for the time in which the head of a request must arrive."""
    from uvicorn.protocols.http.h11_impl import H11Protocol

    class Protocol(H11Protocol):
        _heading: asyncio.TimerHandle | None = None

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            self._expect_head()

        def data_received(self, data: bytes) -> None:
            before, is_between = self.cycle, self.cycle is None or self.cycle.response_complete
            if is_between and self._heading is None:
                self._expect_head()
            super().data_received(data)
            if self.cycle is not before:
                self._stop_timer()

        def connection_lost(self, exc: Exception | None) -> None:
            self._stop_timer()
            super().connection_lost(exc)

        def _expect_head(self) -> None:
            self._heading = self.loop.call_later(limits.head_seconds, self.transport.close)

        def _stop_timer(self) -> None:
            if self._heading is not None:
                self._heading.cancel()
                self._heading = None

    return Protocol
