"""The HTTP side of the server: routes, checks of every request, and answers."""

from __future__ import annotations

import asyncio
import json
import traceback
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from clipcli._version import __version__
from clipcli.log import LOG
from clipcli.serving.bodies import Bodies
from clipcli.serving.deadlines import deadline
from clipcli.serving.description import docs_page, openapi, route_schemas
from clipcli.serving.metrics import Metrics, metric_lines
from clipcli.serving.parameters import options_from
from clipcli.serving.problems import RequestError
from clipcli.serving.schemas import check
from clipcli.serving.security import Access
from clipcli.serving.service import SearchQuery, Service
from clipcli.serving.static import HEADERS, INDEX, static_files
from clipcli.serving.uploads import images_schema, parse_body, parse_object

__all__ = ["Api", "build_app"]

Handler = Callable[[Request], Awaitable[Response]]

_LARGE = 1 << 18  # bytes: parsing a larger body would keep other requests waiting
_API = "/v1/"
_OPEN = ("/v1/health",)  # needs no token
_PAGE = "/page/{name}"
_LOST = 499  # the status of a request whose client left, for the metrics


def _json(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return Response(text.encode(), status, headers, media_type="application/json")


@dataclass
class Api:
    """The handlers of all routes.

    Parameters
    ----------
    labels
        Returns what ``GET /v1/labels`` says.
    """

    service: Service
    access: Access
    labels: Callable[[], dict[str, Any]]
    metrics: Metrics = field(default_factory=Metrics)
    is_stopping: bool = False

    def __post_init__(self) -> None:
        limits = self.service.limits
        self.bodies, self._schemas = Bodies(limits), route_schemas(limits)
        self._options = self._schemas["/v1/classify"]["properties"]
        self._files = static_files()

    def stop(self) -> None:
        """Take note that the server stops: what was accepted is answered, and nothing else."""
        self.is_stopping = True

    @property
    def routes(self) -> list[Route]:
        """All routes."""
        get = {
            "/": self._index, _PAGE: self._page, "/docs": self._docs, "/openapi.json": self._openapi,
            "/v1/health": self._health, "/v1/labels": self._labels, "/v1/models": self._models,
            "/v1/metrics": self._metrics,
        }  # fmt: skip
        post = {
            "/v1/classify": self._classify, "/v1/embed/image": self._embed_image, "/v1/embed/text": self._embed_text,
            "/v1/search": self._search,
        }  # fmt: skip
        return [
            *(Route(path, handler, methods=["GET"]) for path, handler in get.items()),
            *(Route(path, handler, methods=["POST"]) for path, handler in post.items()),
        ]

    async def _index(self, request: Request) -> Response:
        return self._static(request, INDEX)

    async def _page(self, request: Request) -> Response:
        return self._static(request, request.path_params["name"])

    def _static(self, request: Request, name: str) -> Response:
        if (file := self._files.get(name)) is None:
            raise RequestError("not_found", "there is no such page")
        if request.headers.get("if-none-match") == file.etag:
            return Response(status_code=304, headers={"ETag": file.etag})
        return Response(file.data, headers={"ETag": file.etag, "Content-Type": file.kind})

    async def _docs(self, _: Request) -> Response:
        return Response(docs_page(self._described()), media_type="text/html")

    async def _openapi(self, _: Request) -> Response:
        return _json(self._described())

    def _described(self) -> dict[str, Any]:
        return openapi(self.service.limits, has_token=self.access.token is not None)

    async def _health(self, _: Request) -> Response:
        status = "stopping" if self.is_stopping else "ok"
        return _json({"status": status, "version": __version__, "token": self.access.token is not None})

    async def _labels(self, _: Request) -> Response:
        return _json(await self.service.in_thread(self.labels))

    async def _models(self, _: Request) -> Response:
        models = [
            {"name": name, "default": place == 0, "loaded": model.is_open}
            for place, (name, model) in enumerate(self.service.models.items())
        ]
        limits = self.service.limits.as_json
        return _json({"models": models, "limits": limits, "search": self.service.root is not None})

    async def _metrics(self, _: Request) -> Response:
        lines = [*self.metrics.lines(), *self._gauges()]
        return Response("\n".join(lines) + "\n", headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"})

    def _gauges(self) -> list[str]:
        models = self.service.models.items()
        counted: list[tuple[str, str, str, Callable[[Any], float]]] = [
            ("clipcli_images_encoded_total", "counter", "Images that were encoded.", lambda model: model.encoded),
            (
                "clipcli_images_reused_total",
                "counter",
                "Images that were not encoded again.",
                lambda model: model.reused,
            ),
            ("clipcli_batches_total", "counter", "Batches of images.", lambda model: model.batches),
            ("clipcli_model_loaded", "gauge", "Whether a model is in memory.", lambda model: model.is_open),
        ]
        lines = metric_lines(
            "clipcli_images_waiting", "gauge", "Images that are not answered yet.", [({}, self.service.waiting)]
        )
        lines += metric_lines("clipcli_bytes_held", "gauge", "Bytes of requests in memory.", [({}, self.bodies.held)])
        for name, kind, text, value in counted:
            lines += metric_lines(name, kind, text, [({"model": each}, value(model)) for each, model in models])
        return lines

    async def _classify(self, request: Request) -> Response:
        async with self.bodies.of(request) as body:
            uploads, values = await self._parsed(request, body)
            options = options_from(values, self._options)
            return _json(await self.service.classify(uploads, options))

    async def _embed_image(self, request: Request) -> Response:
        async with self.bodies.of(request) as body:
            uploads, values = await self._parsed(request, body)
            check(values, self._schemas["/v1/embed/image"], "request")
            return _json(await self.service.embed_images(uploads, values.get("model")))

    async def _embed_text(self, request: Request) -> Response:
        async with self.bodies.of(request) as body:
            _, values = self._object(request, body, "/v1/embed/text")
            texts, templates = values["texts"], values.get("templates", ())
            return _json(await self.service.embed_texts(texts, tuple(templates), values.get("model")))

    async def _search(self, request: Request) -> Response:
        async with self.bodies.of(request) as body:
            uploads, values = self._object(request, body, "/v1/search")
            values = {name: value for name, value in values.items() if value is not None}
            values["templates"] = tuple(values.get("templates", ()))
            values["count"] = int(values.get("count", SearchQuery.count))
            return _json(await self.service.search(SearchQuery(**values), uploads))

    async def _parsed(self, request: Request, body: bytes) -> tuple[list[Any], dict[str, Any]]:
        kind, query = request.headers.get("content-type", ""), request.query_params.multi_items()

        def parse() -> tuple[list[Any], dict[str, Any]]:
            return parse_body(kind, query, body, self._options, self.service.limits)

        return parse() if len(body) < _LARGE else await asyncio.to_thread(parse)

    def _object(self, request: Request, body: bytes, route: str) -> tuple[list[Any], dict[str, Any]]:
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "application/json":
            raise RequestError(
                "unsupported_media_type", f"cannot read a body of type {kind[:60]} (send application/json)"
            )
        schema = self._schemas[route]
        uploads, values = parse_object(body, images_schema(self.service.limits))
        check(values, schema, "request")
        return uploads, values


class _Checked:
    """Lets only those requests through that may be answered, and adds to every answer what a browser must know."""

    def __init__(self, app: ASGIApp, api: Api) -> None:
        self._app, self._api = app, api
        self._paths = {route.path for route in api.routes}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        started, status = perf_counter(), _LOST
        request = Request(scope, receive)

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message).update(HEADERS)
            async with deadline(self._api.service.limits.body_seconds, "timeout", "the answer was not received"):
                await send(message)

        app = self._refusal(request) or self._app
        try:
            await app(scope, receive, sending)
        except (RequestError, ClientDisconnect):  # the client does not receive the answer, or is gone
            status = _LOST
        finally:
            seconds, route = perf_counter() - started, self._route(scope["path"])
            self._api.metrics.answered(route, status, seconds)
            LOG.debug("%s %s %d %.0f ms", scope["method"][:10], route, status, 1000 * seconds)
        return None

    def _route(self, path: str) -> str:
        """Return the route of a path, never what a client wrote."""
        return path if path in self._paths else _PAGE if path.startswith("/page/") else "other"

    def _refusal(self, request: Request) -> Response | None:
        headers, access = request.headers, self._api.access
        try:
            access.check_host(headers.get("host"))
            if self._api.is_stopping and request.method == "POST":
                raise RequestError("stopping", "the server is stopping")
            if request.scope["path"].startswith(_API):
                access.check_origin(headers.get("origin"), headers.get("host"), headers.get("sec-fetch-site"))
                if request.scope["path"] not in _OPEN:
                    access.check_token(headers.get("authorization"))
        except RequestError as problem:
            return _failure(problem)
        return None


def _failure(problem: RequestError) -> Response:
    return _json(problem.as_json, problem.status, problem.headers)


def _answered(handler: Handler, seconds: float) -> Handler:
    """Return a handler that turns every failure into an answer, which has no details of what broke."""

    async def answer(request: Request) -> Response:
        try:
            async with deadline(seconds, "overdue", "the answer was not ready"):
                return await handler(request)
        except RequestError as problem:
            return _failure(problem)
        except ClientDisconnect:
            raise
        except Exception:  # noqa: BLE001 - the log has it; one broken request must not stop the server
            LOG.error("a request failed: %s", " | ".join(traceback.format_exc().splitlines()[-6:]))
            return _failure(RequestError("internal", "the server failed; its log has the reason"))

    return answer


async def _no_route(_: Request, problem: Exception) -> Response:
    status = problem.status_code if isinstance(problem, HTTPException) else 400
    if status == 405:
        return _failure(RequestError("method_not_allowed", "the path has no such method (see /docs)"))
    return _failure(RequestError("not_found", "there is no such path (see /docs)"))


def build_app(api: Api) -> ASGIApp:
    """Return the ASGI application."""
    limits = api.service.limits
    seconds = limits.body_seconds + limits.answer_seconds
    routes = [Route(each.path, _answered(each.endpoint, seconds), methods=each.methods) for each in api.routes]
    return _Checked(Starlette(routes=routes, exception_handlers={HTTPException: _no_route}), api)
