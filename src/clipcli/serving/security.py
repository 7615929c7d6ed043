"""Who may ask what: the address to listen on, Host and Origin, the token, and paths below the root folder."""

from __future__ import annotations

import ipaddress
import secrets
from dataclasses import dataclass, field
from pathlib import Path

from clipcli.errors import InputError
from clipcli.serving.problems import RequestError

__all__ = ["Access", "below", "check_address", "is_loopback", "read_token"]

_SHORTEST_TOKEN = 16


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return None


def is_loopback(host: str) -> bool:
    """Return whether only programs on this machine can reach a host."""
    address = _address(host)
    return host == "localhost" if address is None else address.is_loopback


def check_address(host: str, token: str | None, *, insecure: bool) -> None:
    """Raise :class:`InputError` if other machines could use the server without a token."""
    if token is None and not insecure and not is_loopback(host):
        raise InputError(
            f"cannot listen on {host} without a token: other machines could use the server (give --token-file FILE, "
            "or --insecure if only trusted machines can reach it)"
        )


def read_token(token: str | None, file: Path | None) -> str | None:
    """Return the token of the options; ``None`` if there is none.

    Raises
    ------
    InputError
        If the file cannot be read, or the token is short or cannot be sent in a header.
    """
    if file is not None:
        try:
            token = file.read_text("utf-8").strip()
        except (OSError, UnicodeDecodeError) as problem:
            reason = getattr(problem, "strerror", None) or "not text"
            raise InputError(f"cannot read the token file {file}: {reason}") from None
    if token is None:
        return None
    if len(token) < _SHORTEST_TOKEN:
        raise InputError(f"cannot use the token: it has fewer than {_SHORTEST_TOKEN} characters (use a random one)")
    if not token.isascii() or not token.isprintable() or " " in token:
        raise InputError("cannot use the token: it has other characters than ASCII letters, digits and signs")
    return token


@dataclass(frozen=True)
class Access:
    """Which requests are answered.

    Parameters
    ----------
    host
        The address that the server listens on.
    token
        What a request for the API must know; ``None`` if it need not know anything.
    names
        Further names by which the server may be called.
    """

    host: str
    token: str | None = field(default=None, repr=False)
    names: tuple[str, ...] = ()

    def check_host(self, header: str | None) -> None:
        """Raise :class:`RequestError` if a request calls the server by a name that is not its own.

        A page of another site could otherwise let its own name stand for this machine (DNS rebinding).
        """
        name = _host_of(header or "")
        address, own = _address(name), _address(self.host)
        if address is not None and (own is None or own.is_unspecified or address == own or address.is_loopback):
            return
        if name not in {"localhost", self.host.lower(), *(each.lower() for each in self.names)}:
            raise RequestError("forbidden", f"unknown host {name[:80]!r} (start the server with --allow-host NAME)")

    def check_origin(self, origin: str | None, host: str | None, site: str | None) -> None:
        """Raise :class:`RequestError` if a page of another site sent the request.

        Parameters
        ----------
        origin, host, site
            The headers ``Origin``, ``Host`` and ``Sec-Fetch-Site``, which browsers send.
        """
        is_own = origin is None or origin.partition("://")[2].lower() == (host or "").lower()
        if not is_own or site in ("cross-site", "same-site"):
            raise RequestError("forbidden", "the request comes from a page of another site")

    def check_token(self, header: str | None) -> None:
        """Raise :class:`RequestError` if a request does not know the token."""
        if self.token is None:
            return
        kind, _, given = (header or "").partition(" ")
        known = secrets.compare_digest(given.strip().encode("utf-8", "replace"), self.token.encode())
        if kind.lower() != "bearer" or not known:
            raise RequestError(
                "unauthorized", "the token is missing or wrong (send the header Authorization: Bearer TOKEN)"
            )


def _host_of(header: str) -> str:
    """Return the host of a ``Host`` header, in lower case and without its port."""
    host = header.strip().lower()
    if host.startswith("["):
        return host.partition("]")[0] + "]"
    return host.rpartition(":")[0] if ":" in host else host


def below(root: Path | None, path: str) -> Path:
    """Return a file or folder below the root folder; links that lead out of it are not followed.

    Raises
    ------
    RequestError
        If the server has no root folder, or the path leads out of it. The message does not say whether there is a file.
    """
    if root is None:
        raise RequestError("forbidden", "the server reads no files (start it with --root FOLDER)")
    try:
        base = root.resolve()
        found = (base / path).resolve()
    except (OSError, ValueError, RuntimeError):  # a NUL, a name that is too long, a loop of links
        raise RequestError("forbidden", "the path is not below the root folder") from None
    if not found.is_relative_to(base):
        raise RequestError("forbidden", "the path is not below the root folder")
    return found
