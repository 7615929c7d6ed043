"""From the headers, the query and the body of a request to its images and options; nothing here waits or reads files.

There are three ways to send images: as the raw body, as the files of a form, or in JSON.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from clipcli.serving.limits import Limits
from clipcli.serving.multipart import parse_multipart, split_header
from clipcli.serving.parameters import options_of_fields, parsed_json
from clipcli.serving.problems import RequestError, bad_request
from clipcli.serving.schemas import Schema, check, closed

__all__ = ["Upload", "images_schema", "parse_body", "parse_object"]

_LONGEST_NAME = 4096
_FORM, _JSON = "multipart/form-data", "application/json"
_DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Upload:
    """One image of a request; it has one of ``data``, ``id`` and ``path``.

    Parameters
    ----------
    name
        The ``path`` of its record.
    data
        Its encoded bytes.
    id
        The sha256 of an image whose embedding the server may have.
    path
        Where it is below the root folder of the server.
    """

    name: str
    data: bytes | None = field(default=None, repr=False)
    id: str | None = None
    path: str | None = None


def images_schema(limits: Limits) -> Schema:
    """Return the schema of ``images`` in JSON."""
    text = {"type": "string", "maxLength": _LONGEST_NAME}
    return {
        "type": "array",
        "maxItems": limits.images,
        "description": "Images, each with one of data (base64), id and path.",
        "items": closed(
            {
                "name": {**text, "description": "The path of its record."},
                "data": {
                    "type": "string", "minLength": 1, "maxLength": -(-limits.request_bytes // 3) * 4,
                    "contentEncoding": "base64", "description": "The bytes of the image file in base64.",
                },
                "id": {**text, "description": "The id of an earlier answer, or the sha256 of the image file."},
                "path": {**text, "minLength": 1, "description": "A file below the root folder of the server."},
            }
        ),
    }  # fmt: skip


def parse_body(
    content_type: str, query: Sequence[tuple[str, str]], body: bytes, schemas: Mapping[str, Schema], limits: Limits
) -> tuple[list[Upload], dict[str, Any]]:
    """Return the images of a request and its options, not yet checked.

    Parameters
    ----------
    content_type
        The header, which decides how the body is read.
    query
        The fields of the query string; options may be there if the body is a form or an image.
    schemas
        Those of the options.

    Raises
    ------
    RequestError
        If the body is malformed or has too many images, or the media type is of another kind.
    """
    kind = split_header(content_type)[0]
    if kind == _JSON:
        if query:
            raise bad_request("options belong into the JSON body, not into the query string")
        return parse_object(body, images_schema(limits))
    options = options_of_fields([each for each in query if each[0] != "name"], schemas, "the query string")
    if kind == _FORM:
        parts = parse_multipart(body, content_type, limits.images, limits.labels + 1000)
        fields = [(part.name, part.text) for part in parts if not part.is_image]
        images = [Upload(_name(part.filename or ""), bytes(part.data)) for part in parts if part.is_image]
        return images, {**options, **options_of_fields(fields, schemas)}
    if kind.startswith("image/") or kind == "application/octet-stream":
        return [Upload(_name(dict(query).get("name", "")), body)], options
    raise RequestError(
        "unsupported_media_type",
        f"cannot read a body of type {kind[:60] or 'unknown'} (send image/*, {_FORM} or {_JSON})",
    )


def _name(text: str) -> str:
    """Return the name of an upload as it can be written: NUL and what is not Unicode are replaced."""
    return text[:_LONGEST_NAME].replace("\0", "\ufffd").encode("utf-8", "replace").decode()


def parse_object(body: bytes, images: Schema) -> tuple[list[Upload], dict[str, Any]]:
    """Return the images in a JSON object, and its other entries.

    Raises
    ------
    RequestError
        If it is malformed.
    """
    values = parsed_json(body, "the body")
    if not isinstance(values, dict):
        raise bad_request("the body: expected an object")
    given = values.pop("images", [])
    check(given, images, "images")
    return [_from_json(each, f"images: entry {number}") for number, each in enumerate(given, start=1)], values


def _from_json(value: Mapping[str, str], where: str) -> Upload:
    kinds = [name for name in ("data", "id", "path") if name in value]
    if len(kinds) != 1:
        raise bad_request(f"{where}: give one of data, id and path")
    name = _name(value.get("name", value.get("path", "")))
    if kinds[0] == "id":
        if not _DIGEST.fullmatch(value["id"]):
            raise bad_request(f"{where}: id: expected 64 hexadecimal digits")
        return Upload(name, id=value["id"])
    if kinds[0] == "path":
        return Upload(name, path=value["path"])
    try:
        return Upload(name, base64.b64decode(value["data"], validate=True))
    except (binascii.Error, ValueError):
        raise bad_request(f"{where}: data: not valid base64") from None
