"""The errors that requests are answered with: a status, a kind for programs, and one line for people."""

from __future__ import annotations

from typing import Any

from clipcli.errors import ClipcliError
from clipcli.message_names import naming_parameters
from clipcli.text import one_line

__all__ = ["STATUSES", "RequestError", "bad_request", "problem_of"]

STATUSES = {
    "bad_request": 400,
    "unauthorized": 401,
    "forbidden": 403,
    "not_found": 404,
    "method_not_allowed": 405,
    "timeout": 408,
    "too_large": 413,
    "unsupported_media_type": 415,
    "invalid": 422,
    "busy": 429,
    "internal": 500,
    "stopping": 503,
    "overdue": 504,
}
"""The status of each kind of error."""

_LONGEST = 500  # characters: messages quote what was sent
_RETRY_AFTER = {"busy": 1, "stopping": 5}  # seconds


class RequestError(Exception):
    """Why a request is not answered.

    Parameters
    ----------
    kind
        One of :data:`STATUSES`.
    message
        One line for people.
    """

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(kind, message)
        self.kind, self.message = kind, message

    @property
    def status(self) -> int:
        """The HTTP status."""
        return STATUSES[self.kind]

    @property
    def headers(self) -> dict[str, str]:
        """Headers of the answer."""
        if self.kind == "unauthorized":
            return {"WWW-Authenticate": "Bearer"}
        return {"Retry-After": str(_RETRY_AFTER[self.kind])} if self.kind in _RETRY_AFTER else {}

    @property
    def as_json(self) -> dict[str, Any]:
        """The body of the answer."""
        line = one_line(self.message).encode("utf-8", "backslashreplace").decode()
        line = line if len(line) <= _LONGEST else f"{line[: _LONGEST - 3]}..."
        return {"error": {"type": self.kind, "message": line}}


def bad_request(message: str) -> RequestError:
    """Return the problem of a request that is malformed."""
    return RequestError("bad_request", message)


def problem_of(error: ClipcliError) -> RequestError:
    """Return the problem that an error of clipcli is for the one who sent labels, templates or options."""
    return RequestError("invalid", naming_parameters(str(error)))
