"""The description of the API, made of the schemas that requests are checked with: OpenAPI, and a page for people."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from clipcli._version import __version__
from clipcli.serving.limits import Limits
from clipcli.serving.parameters import model_schema, option_schemas
from clipcli.serving.problems import STATUSES
from clipcli.serving.schemas import Schema, closed
from clipcli.serving.uploads import images_schema

__all__ = ["docs_page", "openapi", "route_schemas"]

_TEXT: Schema = {"type": "string", "minLength": 1, "maxLength": 1000}
_NUMBER, _STRING = {"type": "number"}, {"type": "string"}
_TEMPLATES: Schema = {"type": "array", "items": _TEXT, "maxItems": 200}


def route_schemas(limits: Limits) -> dict[str, dict[str, Any]]:
    """Return the schema of the JSON body of each route, without its images."""
    return {
        "/v1/classify": closed(option_schemas(limits)),
        "/v1/embed/image": closed({"model": model_schema()}),
        "/v1/embed/text": closed(
            {
                "texts": {"type": "array", "items": _TEXT, "maxItems": limits.texts},
                "templates": _TEMPLATES,
                "model": model_schema(),
            },
            ["texts"],
        ),
        "/v1/search": closed(
            {
                "text": {"type": ["string", "null"], "maxLength": 1000, "description": "What the images show."},
                "folder": {"type": "string", "maxLength": 4096, "description": "Below the root folder."},
                "count": {"type": "integer", "minimum": 1, "maximum": 10_000},
                "templates": _TEMPLATES,
                "model": model_schema(),
            }
        ),
    }


_SUMMARIES = {
    "/v1/classify": "Classify images.",
    "/v1/embed/image": "Embed images.",
    "/v1/embed/text": "Embed texts.",
    "/v1/search": "Search the root folder for images like a text or an example.",
    "/v1/health": "Whether the server answers; needs no token.",
    "/v1/labels": "The labels of the server.",
    "/v1/models": "The models and the limits of the server.",
    "/v1/metrics": "Counters in the text format of Prometheus.",
}
_ERRORS_OF_ALL = ("forbidden", "internal")
_ERRORS_OF_POSTS = (
    "bad_request", "not_found", "timeout", "too_large", "unsupported_media_type", "invalid", "busy", "stopping",
    "overdue",
)  # fmt: skip


def openapi(limits: Limits, *, has_token: bool) -> dict[str, Any]:
    """Return the description in the form of OpenAPI 3.1."""
    paths: dict[str, Any] = {}
    for path, schema in route_schemas(limits).items():
        paths[path] = {"post": _post(path, schema, limits, has_token=has_token)}
    for path, answer in _answers().items():
        if path not in paths:
            paths[path] = {"get": _operation(path, answer, has_token=has_token and path != "/v1/health")}
    return {
        "openapi": "3.1.0",
        "info": {"title": "clipcli serve", "version": __version__},
        "paths": paths,
        "components": {
            "schemas": {"Error": _error(), "Record": _record()},
            **({"securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}} if has_token else {}),
        },
    }


def _post(path: str, schema: dict[str, Any], limits: Limits, *, has_token: bool) -> dict[str, Any]:
    takes_images = path != "/v1/embed/text"
    own = {**schema["properties"], **({"images": images_schema(limits)} if takes_images else {})}
    content: dict[str, Any] = {"application/json": {"schema": {**schema, "properties": own}}}
    if path in ("/v1/classify", "/v1/embed/image"):
        image = {"schema": {"type": "string", "contentMediaType": "application/octet-stream"}}
        form = {
            "type": "object",
            "properties": {"image": {"type": "array", "items": image["schema"]}, "options": _STRING},
        }
        content |= {"multipart/form-data": {"schema": form}, "application/octet-stream": image}
    operation = _operation(path, _answers()[path], has_token=has_token, errors=_ERRORS_OF_POSTS)
    return {**operation, "requestBody": {"required": True, "content": content}}


def _operation(path: str, answer: Schema, *, has_token: bool, errors: tuple[str, ...] = ()) -> dict[str, Any]:
    kind = "text/plain" if path == "/v1/metrics" else "application/json"
    kinds = [*_ERRORS_OF_ALL, *errors, *(["unauthorized"] if has_token else [])]
    error = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
    answers = {str(STATUSES[each]): {"description": each.replace("_", " "), "content": error} for each in sorted(kinds)}
    return {
        "summary": _SUMMARIES[path],
        "operationId": path.removeprefix("/v1/").replace("/", "_"),
        "responses": {"200": {"description": "The answer.", "content": {kind: {"schema": answer}}}, **answers},
        **({"security": [{"token": []}]} if has_token else {}),
    }


def _answers() -> dict[str, Schema]:
    """Return the schema of each route's answer."""
    record, texts = {"$ref": "#/components/schemas/Record"}, {"type": "array", "items": _STRING}
    vectors = {
        "type": "array",
        "items": {"type": "object", "properties": {"embedding": {"type": "array", "items": _NUMBER}}},
    }
    hit = {"type": "object", "properties": {"path": _STRING, "similarity": _NUMBER}, "required": ["path", "similarity"]}
    ids = {"type": "array", "items": {"type": ["string", "null"]}}
    return {
        "/v1/classify": _object(
            records={"type": "array", "items": record}, ids=ids, layout={"type": "object"}, warnings=texts
        ),
        "/v1/embed/image": _object(embeddings=vectors, model=_STRING, dim={"type": "integer"}),
        "/v1/embed/text": _object(embeddings=vectors, model=_STRING, dim={"type": "integer"}),
        "/v1/search": _object(hits={"type": "array", "items": hit}, failed={"type": "integer"}),
        "/v1/health": _object(status=_STRING, version=_STRING, token={"type": "boolean"}),
        "/v1/labels": _object(labels={"type": "array", "items": {"type": "object"}}, templates=texts),
        "/v1/models": _object(models={"type": "array", "items": {"type": "object"}}, limits={"type": "object"}),
        "/v1/metrics": _STRING,
    }


def _object(**properties: Schema) -> Schema:
    return {"type": "object", "properties": properties, "required": list(properties)}


def _error() -> Schema:
    return _object(error=_object(type={"type": "string", "enum": list(STATUSES)}, message=_STRING))


def _record() -> Schema:
    failed = _object(path=_STRING, error=_object(type=_STRING, message=_STRING))
    scores = {"type": "array", "items": _object(label=_STRING, probability=_NUMBER, similarity=_NUMBER)}
    predicted = _object(
        path=_STRING, label=_STRING, probability=_NUMBER, similarity=_NUMBER, top=scores, model=_STRING,
        precision=_STRING,
    )  # fmt: skip
    return {"anyOf": [predicted, failed]}


@cache
def _template() -> Any:
    from jinja2 import Environment, select_autoescape

    text = (Path(__file__).parent / "docs.html.jinja").read_text("utf-8")
    return Environment(autoescape=select_autoescape(default=True), trim_blocks=True, lstrip_blocks=True).from_string(
        text
    )


def docs_page(described: dict[str, Any]) -> str:
    """Return a page that lists the routes and their options."""
    return str(_template().render(described=described))
