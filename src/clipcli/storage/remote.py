"""Places behind a URL: ``s3://``, ``gs://``, ``az://`` and ``http(s)://``, through fsspec.

Who the user is, and where a store is found, each store's own library takes from where its users keep it:
``AWS_*`` variables and ``~/.aws``, Google's and Azure's logins, and fsspec's own ``FSSPEC_<PROTOCOL>``.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any, BinaryIO, TypeVar
from urllib.parse import quote

from clipcli.errors import ClipcliError, ImageError, InputError
from clipcli.images.files import MAX_BYTES, too_many_bytes
from clipcli.redaction import redacted, redacted_foreign
from clipcli.storage.locations import EXTRAS, is_remote, scheme_of
from clipcli.storage.network import check_location

__all__ = [
    "attempted",
    "filesystem",
    "is_folder_url",
    "is_remote",
    "list_url",
    "open_url",
    "path_in",
    "read_url",
    "reason_of",
]

_PAUSES = (0.2, 0.8, 3.2)  # seconds between attempts over HTTP; the stores' own libraries ask again by themselves
_REFUSED = (
    "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken", "TokenRefreshRequired",
    "InvalidClientTokenId", "UnrecognizedClientException", "AuthFailure",
)  # fmt: skip
_NOT_NAMED = (
    "NoCredentialsError", "PartialCredentialsError", "CredentialRetrievalError", "ProfileNotFound",
    "TokenRetrievalError", "UnauthorizedSSOTokenError", "DefaultCredentialsError", "RefreshError",
    "ClientAuthenticationError",
)  # fmt: skip

_SENT_AS_WRITTEN = "".join(chr(code) for code in range(33, 127) if chr(code) not in '"<>\\^`{|}')

Answer = TypeVar("Answer")


@cache
def _filesystem(scheme: str) -> Any:
    import fsspec

    options = _byte_for_byte(fsspec.config.conf.get(scheme, {})) if EXTRAS[scheme] == "http" else {}
    try:
        return fsspec.filesystem(scheme, use_listings_cache=False, **options)
    except ImportError:
        raise InputError(f"{scheme}:// needs an extra: pip install 'clipcli[{EXTRAS[scheme]}]'") from None
    except Exception as problem:  # noqa: BLE001 - each store's library has errors of its own
        raise InputError(f"{scheme}://: cannot be used ({_one_line(problem)})") from None


def _byte_for_byte(configured: dict[str, Any]) -> dict[str, Any]:
    """Return the options that keep a URL as it was given: a signature is over its very bytes, ``%2F`` included."""
    return {
        "encoded": True, "client_kwargs": {"requote_redirect_url": False, **configured.get("client_kwargs", {})},
    }  # fmt: skip


def filesystem(url: str) -> Any:
    """Return fsspec's file system for a URL; every way to a store leads through here.

    Raises
    ------
    InputError
        If the network must not be used, the package that knows this kind of place is not installed, or no user is
        named where it needs one.
    """
    check_location(url)
    return _filesystem(scheme_of(url))


def path_in(url: str) -> str:
    """Return what stands for a URL within its file system."""
    path = str(filesystem(url)._strip_protocol(url))  # noqa: SLF001 - fsspec documents it for this
    return _sendable(path) if EXTRAS[scheme_of(url)] == "http" else path


def _sendable(url: str) -> str:
    """Escape what no request can hold, spaces and letters beyond ASCII; all else is sent as it is written."""
    scheme, mark, rest = url.partition("://")
    host = re.split(r"[/?#]", rest, maxsplit=1)[0]
    tail = quote(os.fsencode(rest[len(host) :]), safe=_SENT_AS_WRITTEN)
    if not host.isascii():
        import yarl

        host = yarl.URL(f"{scheme}://{host}").raw_authority
    return f"{scheme}{mark}{host}{tail}"


def read_url(url: str) -> bytes:
    """Read an object that should be an image.

    Raises
    ------
    ImageError
        If it is not there, empty, over :data:`~clipcli.images.files.MAX_BYTES`, or cannot be read after some attempts.
    InputError
        If the store knows no such user: nothing else in it could be read either.
    """
    found = filesystem(url)
    data: bytes = attempted(lambda: found.cat_file(path_in(url), start=0, end=MAX_BYTES + 1), url)
    if not data:
        raise ImageError("empty", "the file is empty (0 bytes)")
    if len(data) > MAX_BYTES:
        raise too_many_bytes(len(data))
    return data


def open_url(url: str) -> BinaryIO:
    """Open an object to be read from front to back; the errors are those of :func:`read_url`."""
    opened: BinaryIO = attempted(lambda: filesystem(url).open(path_in(url), "rb"), url)
    return opened


def is_folder_url(url: str) -> bool:
    """Ask whether a URL stands for what lies below it, rather than for one object.

    Raises
    ------
    InputError
        If the store knows no such user, lets this one not look, or cannot be reached.
    """
    if EXTRAS[scheme_of(url)] == "http":
        return False
    if url.endswith("/"):
        return True
    try:
        return bool(attempted(lambda: filesystem(url).isdir(path_in(url)), url))
    except ImageError as problem:
        raise InputError(f"{url}: {problem}") from None


def list_url(url: str) -> Iterator[str]:
    """Yield the URLs of all objects below one, page by page, in an order that stays.

    Raises
    ------
    InputError
        If it cannot be listed.
    """
    found, scheme = filesystem(url), url.partition("://")[0]
    names = _pages_of_s3(found, url) if EXTRAS[scheme_of(url)] == "s3" else _below(found, url)
    try:
        for name in names:
            yield f"{scheme}://{name}"
    except ImageError as problem:
        raise InputError(f"{url}: cannot be listed ({reason_of(problem)})") from None


def glob_url(pattern: str) -> list[str]:
    """Return the URLs that match a pattern, in the order of names; the errors are those of :func:`list_url`."""
    scheme = pattern.partition("://")[0]
    try:
        paths = attempted(lambda: filesystem(pattern).glob(path_in(pattern)), pattern)
    except ImageError as problem:
        raise InputError(f"{pattern}: cannot be listed ({reason_of(problem)})") from None
    return sorted(f"{scheme}://{path}" for path in paths)


def _pages_of_s3(found: Any, url: str) -> Iterator[str]:
    """List a thousand keys at a time, in S3's own order, whatever "folders" their names make up."""
    bucket, _, key = path_in(url).partition("/")
    wanted: dict[str, Any] = {"Bucket": bucket, "Prefix": f"{key.rstrip('/')}/" if key.rstrip("/") else ""}
    while True:
        page = attempted(lambda: found.call_s3("list_objects_v2", **wanted), url)
        for entry in page.get("Contents", ()):
            if not entry["Key"].endswith("/"):
                yield f"{bucket}/{entry['Key']}"
        if not page.get("IsTruncated"):
            return
        wanted["ContinuationToken"] = page["NextContinuationToken"]


def _below(found: Any, url: str) -> Iterator[str]:
    """Walk folder by folder, depth first, in the order of names."""
    waiting = [path_in(url)]
    while waiting:
        folder = waiting.pop()
        entries = attempted(lambda folder=folder: found.ls(folder, detail=True), url)  # type: ignore[misc]
        entries = sorted(entries, key=lambda entry: str(entry["name"]))
        yield from (str(entry["name"]) for entry in entries if entry["type"] != "directory")
        waiting += [str(entry["name"]) for entry in reversed(entries) if entry["type"] == "directory"]


def attempted(ask: Callable[[], Answer], url: str) -> Answer:
    """Ask a store, again where the connection failed, and tell what stays wrong in our own errors."""
    for pause in (*(_PAUSES if EXTRAS[scheme_of(url)] == "http" else ()), None):
        try:
            return ask()
        except ClipcliError:
            raise
        except Exception as problem:  # noqa: BLE001 - each store's library has errors of its own
            if pause is None or not _may_pass(problem):
                raise _told(problem, url) from None
        time.sleep(pause)
    raise AssertionError


def _may_pass(problem: BaseException) -> bool:
    """Tell whether asking a web server again can help: yes where the connection failed, or it is out of order."""
    if isinstance(problem, FileNotFoundError | PermissionError | NotImplementedError | ValueError):
        return False
    status = getattr(problem, "status", None)
    return not isinstance(status, int) or status in (429, 500, 502, 503, 504)


def _told(problem: BaseException, url: str) -> ClipcliError:
    place, code = re.sub(r"^([^/]+//[^/?#]*).*$", r"\1", redacted(url)), _code(problem)
    if code in _REFUSED:
        return InputError(f"{place}: the credentials were refused ({code}); give valid ones, as the store's tools do")
    if type(problem).__name__ in _NOT_NAMED:
        hint = "; for a public bucket set FSSPEC_S3='{\"anon\": true}'" if EXTRAS[scheme_of(url)] == "s3" else ""
        return InputError(f"{place}: no credentials ({_one_line(problem)}){hint}")
    if isinstance(problem, FileNotFoundError):
        return ImageError("not_found", "no such bucket" if code == "NoSuchBucket" else "no such file")
    status = getattr(problem, "status", None)
    if isinstance(problem, PermissionError) or status in (401, 403):
        return ImageError("unreadable", f"access denied ({code or status or _one_line(problem)})")
    if code == "InvalidRange" or status == 416:
        return ImageError("empty", "the file is empty (0 bytes)")
    return ImageError("unreadable", f"cannot be read ({_one_line(problem)})")


def reason_of(problem: ImageError) -> str:
    """Return what is behind an error of :func:`attempted`, to be told of something else than reading."""
    return str(problem).removeprefix("cannot be read (").removesuffix(")" if "cannot be read (" in str(problem) else "")


def _code(problem: BaseException) -> str:
    """Return what S3 calls an error; botocore has it, also below what s3fs makes of it."""
    for each in (problem, problem.__cause__):
        response = getattr(each, "response", None)
        if isinstance(response, dict):
            return str(response.get("Error", {}).get("Code", ""))
    return ""


def _one_line(problem: BaseException) -> str:
    return redacted_foreign(" ".join(str(problem).split()))[:200] or type(problem).__name__
