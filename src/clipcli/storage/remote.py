"""Remote files: ``s3://``, ``gs://``, ``az://`` and ``http(s)://``, through fsspec.

The library of each object store reads credentials and endpoints from the usual places:
``AWS_*`` variables and ``~/.aws``, Google's and Azure's logins, and fsspec's own ``FSSPEC_<PROTOCOL>``.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO, TypeVar
from urllib.parse import quote

from clipcli.errors import ClipcliError, ImageError, InputError, StorageError
from clipcli.images.limits import MAX_BYTES, too_many_bytes
from clipcli.redaction import redacted, redacted_foreign
from clipcli.schemes import EXTRAS, is_remote, scheme_of
from clipcli.storage.network_policy import check_location
from clipcli.storage.slow_answers import warn_if_slow

__all__ = [
    "attempted",
    "filesystem",
    "is_folder_url",
    "is_remote",
    "list_url",
    "open_location",
    "open_url",
    "path_in",
    "read_url",
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

_KINDS = {"denied": "unreadable", "failed": "unreadable"}  # of images; others are the same

Answer = TypeVar("Answer")


@cache
def _filesystem(scheme: str) -> Any:
    import fsspec

    options = _byte_for_byte(fsspec.config.conf.get(scheme, {})) if EXTRAS[scheme] == "http" else {}
    try:
        return fsspec.filesystem(scheme, use_listings_cache=False, **options)
    except ImportError:
        raise InputError(
            f"cannot use {scheme}://: it needs an extra (pip install 'clipcli[{EXTRAS[scheme]}]')"
        ) from None
    except Exception as problem:  # noqa: BLE001 - each store's library has its own errors
        raise InputError(f"cannot use {scheme}://: {_one_line(problem)}") from None


def _byte_for_byte(configured: dict[str, Any]) -> dict[str, Any]:
    """Return the options that leave a URL unchanged: a signature covers its exact bytes, including ``%2F``."""
    return {
        "encoded": True, "client_kwargs": {"requote_redirect_url": False, **configured.get("client_kwargs", {})},
    }  # fmt: skip


def filesystem(url: str) -> Any:
    """Return fsspec's file system for a URL; all access to object stores goes through here.

    Raises
    ------
    InputError
        If the network is forbidden, the package for this scheme is not installed, or it needs credentials and finds
        none.
    """
    check_location(url)
    return _filesystem(scheme_of(url))


def path_in(url: str) -> str:
    """Return the path of a URL within its file system."""
    path = str(filesystem(url)._strip_protocol(url))  # noqa: SLF001 - fsspec documents it for this
    return _sendable(path) if EXTRAS[scheme_of(url)] == "http" else path


def _sendable(url: str) -> str:
    """Escape spaces and non-ASCII characters, which no request can contain; leave the rest unchanged."""
    scheme, mark, rest = url.partition("://")
    host = re.split(r"[/?#]", rest, maxsplit=1)[0]
    tail = quote(os.fsencode(rest[len(host) :]), safe=_SENT_AS_WRITTEN)
    if not host.isascii():
        import yarl

        host = yarl.URL(f"{scheme}://{host}").raw_authority
    return f"{scheme}{mark}{host}{tail}"


def read_url(url: str) -> bytes:
    """Read an object that is expected to be an image.

    Raises
    ------
    ImageError
        If it does not exist, is empty, exceeds :data:`~clipcli.images.limits.MAX_BYTES`, or retries fail.
    InputError
        If the credentials are refused or there is no such bucket: nothing else could be read either.
    """
    found = filesystem(url)
    with _as_image_error(url):
        data: bytes = attempted(lambda: found.cat_file(path_in(url), start=0, end=MAX_BYTES + 1), url)
    if not data:
        raise ImageError("empty", "the file is empty (0 bytes)")
    if len(data) > MAX_BYTES:
        raise too_many_bytes(len(data))
    return data


def open_url(url: str) -> BinaryIO:
    """Open an object for sequential reading; the errors are those of :func:`read_url`."""
    with _as_image_error(url):
        opened: BinaryIO = attempted(lambda: filesystem(url).open(path_in(url), "rb"), url)
    return opened


def open_location(location: str) -> BinaryIO:
    """Open a file on disk or an object to be read from front to back.

    Raises
    ------
    OSError
        If a file cannot be opened.
    ImageError, InputError
        If an object cannot be; as for :func:`read_url`.
    """
    return open_url(location) if is_remote(location) else Path(location).open("rb")


@contextmanager
def _as_image_error(url: str) -> Iterator[None]:
    """Turn what a store cannot do into the error of one input, except a missing bucket, which all its inputs lack."""
    try:
        yield
    except StorageError as problem:
        if problem.kind == "no_bucket":
            raise InputError(f"cannot use {_place(url)}: {problem} (check the name)") from None
        raise ImageError(_KINDS.get(problem.kind, problem.kind), _reading(problem)) from None


def _reading(problem: StorageError) -> str:
    return f"cannot be read ({problem})" if problem.kind == "failed" else str(problem)


def is_folder_url(url: str) -> bool:
    """Return whether a URL is a prefix of objects, rather than one object.

    Raises
    ------
    InputError
        If the credentials are refused, listing is not permitted, or the store cannot be reached.
    """
    if EXTRAS[scheme_of(url)] == "http":
        return False
    if url.endswith("/"):
        return True
    try:
        return bool(attempted(lambda: filesystem(url).isdir(path_in(url)), url))
    except StorageError as problem:
        raise InputError(f"{url}: {_reading(problem)}") from None


def list_url(url: str) -> Iterator[str]:
    """Yield the URLs of all objects under a URL, page by page, in a stable order.

    Raises
    ------
    InputError
        If the URL cannot be listed.
    """
    found, scheme = filesystem(url), url.partition("://")[0]
    names = _pages_of_s3(found, url) if EXTRAS[scheme_of(url)] == "s3" else _below(found, url)
    try:
        for name in names:
            yield f"{scheme}://{name}"
    except StorageError as problem:
        raise InputError(f"{url}: cannot be listed ({problem})") from None


def glob_url(pattern: str) -> list[str]:
    """Return the URLs that match a pattern, in the order of names; the errors are those of :func:`list_url`."""
    scheme = pattern.partition("://")[0]
    try:
        paths = attempted(lambda: filesystem(pattern).glob(path_in(pattern)), pattern)
    except StorageError as problem:
        raise InputError(f"{pattern}: cannot be listed ({problem})") from None
    return sorted(f"{scheme}://{path}" for path in paths)


def _pages_of_s3(found: Any, url: str) -> Iterator[str]:
    """List a thousand keys per request, in the order of S3, regardless of slashes in their names."""
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
    """List folder by folder, depth first, sorted by name."""
    waiting = [path_in(url)]
    while waiting:
        folder = waiting.pop()
        entries = attempted(lambda folder=folder: found.ls(folder, detail=True), url)  # type: ignore[misc]
        entries = sorted(entries, key=lambda entry: str(entry["name"]))
        yield from (str(entry["name"]) for entry in entries if entry["type"] != "directory")
        waiting += [str(entry["name"]) for entry in reversed(entries) if entry["type"] == "directory"]


def attempted(ask: Callable[[], Answer], url: str) -> Answer:
    """Call an object store, retry if the connection fails, and translate the remaining errors."""
    with warn_if_slow(_place(url)):
        return _attempted(ask, url)


def _attempted(ask: Callable[[], Answer], url: str) -> Answer:
    for pause in (*(_PAUSES if EXTRAS[scheme_of(url)] == "http" else ()), None):
        try:
            return ask()
        except ClipcliError:
            raise
        except Exception as problem:  # noqa: BLE001 - each store's library has its own errors
            if pause is None or not _may_pass(problem):
                raise _told(problem, url) from None
        time.sleep(pause)
    raise AssertionError


def _may_pass(problem: BaseException) -> bool:
    """Return whether to retry a web server: if the connection failed, or the server had an error."""
    if isinstance(problem, FileNotFoundError | PermissionError | NotImplementedError | ValueError):
        return False
    status = getattr(problem, "status", None)
    return not isinstance(status, int) or status in (429, 500, 502, 503, 504)


def _told(problem: BaseException, url: str) -> ClipcliError:
    place, code = _place(url), _code(problem)
    if code in _REFUSED:
        return InputError(
            f"cannot use {place}: the credentials were refused ({code}); set valid ones as for the store's own tools"
        )
    if type(problem).__name__ in _NOT_NAMED:
        hint = "; for a public bucket set FSSPEC_S3='{\"anon\": true}'" if EXTRAS[scheme_of(url)] == "s3" else ""
        return InputError(f"cannot use {place}: no credentials ({_one_line(problem)}){hint}")
    if isinstance(problem, FileNotFoundError):
        no_bucket = code == "NoSuchBucket"
        return StorageError("no_bucket", "no such bucket") if no_bucket else StorageError("not_found", "no such file")
    status = getattr(problem, "status", None)
    if isinstance(problem, PermissionError) or status in (401, 403):
        return StorageError("denied", f"access denied ({code or status or _one_line(problem)})")
    if code == "InvalidRange" or status == 416:
        return StorageError("empty", "the file is empty (0 bytes)")
    return StorageError("failed", _one_line(problem))


def _place(url: str) -> str:
    """Return the scheme and the bucket or host of a URL."""
    return re.sub(r"^([^/]+//[^/?#]*).*$", r"\1", redacted(url))


def _code(problem: BaseException) -> str:
    """Return the error code of S3, which botocore stores, also in the cause of an s3fs error."""
    for each in (problem, problem.__cause__):
        response = getattr(each, "response", None)
        if isinstance(response, dict):
            return str(response.get("Error", {}).get("Code", ""))
    return ""


def _one_line(problem: BaseException) -> str:
    return redacted_foreign(" ".join(str(problem).split()))[:200] or type(problem).__name__
