"""What the server does for requests, apart from HTTP: classify, embed and search, within its limits."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from clipcli.errors import ClipcliError, ImageError
from clipcli.inputs.items import BadInput, Input, MemberInput
from clipcli.outputs.records import as_record
from clipcli.scoring.ensemble import ensemble
from clipcli.serving.folder_search import search_folder
from clipcli.serving.limits import Limits
from clipcli.serving.parameters import Options
from clipcli.serving.problems import RequestError, problem_of
from clipcli.serving.security import below
from clipcli.serving.uploads import Upload
from clipcli.serving.warm import Embedded, LabelSet, WarmModel

__all__ = ["SearchQuery", "Service"]

Value = TypeVar("Value")

_MOST_SEARCHES = 8
_RANKERS = 2  # threads that prepare labels and rank images


@dataclass(frozen=True)
class _Item:
    """An upload and its embedding, as the ranker wants them."""

    upload: Upload
    embedded: Embedded

    @property
    def input(self) -> Input:
        if isinstance(self.embedded.vector, ImageError):
            return BadInput(self.upload.name, self.embedded.vector)
        return MemberInput(self.upload.name, b"")


@dataclass(frozen=True)
class SearchQuery:
    """What to search for, and where.

    Parameters
    ----------
    text
        What the images show.
    folder
        A folder below the root folder; empty for all of it.
    count
        How many images to return.
    templates
        Prompt templates for the text.
    model
        ``None`` for the first model of the server.
    """

    text: str | None = None
    folder: str = ""
    count: int = 20
    templates: tuple[str, ...] = ()
    model: str | None = None


class Service:
    """The models of a server, and the work that is waiting for them.

    Parameters
    ----------
    models
        By name; the first is the default.
    root
        The folder below which requests may name files; ``None`` for none.
    limits
        What requests may use.
    """

    def __init__(self, models: Mapping[str, WarmModel], root: Path | None, limits: Limits) -> None:
        self.models, self.root, self.limits = dict(models), root, limits
        self.waiting = 0
        self._threads = ThreadPoolExecutor(_RANKERS, thread_name_prefix="rank")
        self._searching = ThreadPoolExecutor(1, thread_name_prefix="search")
        self._searches = 0
        self._users: dict[str, int] = dict.fromkeys(self.models, 0)

    def model(self, name: str | None) -> WarmModel:
        """Return a model.

        Raises
        ------
        RequestError
            If there is none of that name.
        """
        if name is None:
            return next(iter(self.models.values()))
        if name not in self.models:
            raise RequestError("invalid", f"unknown model {name[:60]!r} (use {', '.join(self.models)})")
        return self.models[name]

    def is_idle(self, name: str) -> bool:
        """Return whether no request uses a model."""
        return not self._users[name]

    async def classify(self, uploads: Sequence[Upload], options: Options) -> dict[str, Any]:
        """Return the records of images, their ids, and how their labels are laid out in tables.

        Raises
        ------
        RequestError
            If the labels or options cannot be used, or too much is waiting.
        """
        async with self._using(options.model, len(uploads)) as model:
            labels = await self.in_thread(lambda: model.label_set(options))
            embedded = await self._embedded(model, uploads)
            items = [_Item(upload, each) for upload, each in zip(uploads, embedded, strict=True)]
            return await self.in_thread(lambda: _ranked(labels, items))

    async def embed_images(self, uploads: Sequence[Upload], name: str | None) -> dict[str, Any]:
        """Return the embeddings of images.

        Raises
        ------
        RequestError
            If the model is unknown, or too much is waiting.
        """
        async with self._using(name, len(uploads)) as model:
            embedded = await self._embedded(model, uploads)
            opened = await self.in_thread(model.opened)
            rows = [_Item(upload, each) for upload, each in zip(uploads, embedded, strict=True)]
            return {"embeddings": [_embedding(row) for row in rows], **_about(opened.embedder)}

    async def embed_texts(self, texts: Sequence[str], templates: Sequence[str], name: str | None) -> dict[str, Any]:
        """Return the embeddings of texts: as they are, or averaged over templates.

        Raises
        ------
        RequestError
            If the model is unknown, or a text or template cannot be used.
        """
        async with self._using(name, 1) as model:
            return await self.in_thread(lambda: _text_embeddings(model, texts, templates))

    async def search(self, query: SearchQuery, uploads: Sequence[Upload]) -> dict[str, Any]:
        """Return the images of the root folder that are most similar to a text, to images, or to both.

        Raises
        ------
        RequestError
            If the query or the folder cannot be used, or the server has no root folder.
        """
        if self.root is None:
            raise RequestError("not_found", "the server searches no folder (start it with --root FOLDER)")
        if self._searches >= _MOST_SEARCHES:
            raise RequestError("busy", f"{self._searches} searches are waiting already (try again later)")
        async with self._using(query.model, len(uploads)) as model:
            vectors = [self._example(each) for each in await self._embedded(model, uploads)]
            if query.text:
                rows = await self.in_thread(lambda: model.texts((query.text or "",), query.templates))
                vectors.append(rows[0])
            if not vectors:
                raise RequestError("invalid", "cannot search: no query (send a text, or an example image)")
            mean, root, embedder = ensemble(np.stack(vectors), [len(vectors)])[0], self.root, model.opened().embedder
            self._searches += 1
            found = asyncio.get_running_loop().run_in_executor(
                self._searching, lambda: search_folder(embedder, mean, root, query.folder, query.count)
            )
            found.add_done_callback(self._end_search)
            return await _translated(asyncio.shield(found))

    def _end_search(self, found: asyncio.Future[Any]) -> None:
        self._searches -= 1
        if not found.cancelled():
            found.exception()  # a request that timed out does not wait for it

    @staticmethod
    def _example(embedded: Embedded) -> NDArray[np.float32]:
        if isinstance(embedded.vector, ImageError):
            raise RequestError("invalid", f"cannot search for images like an example: {embedded.vector}")
        return embedded.vector

    async def in_thread(self, work: Callable[[], Value]) -> Value:
        """Do work on a thread; errors of clipcli are those of whoever sent the request."""
        return await _translated(asyncio.get_running_loop().run_in_executor(self._threads, work))

    def close(self) -> None:
        """Close all models."""
        self._searching.shutdown(wait=False, cancel_futures=True)
        self._threads.shutdown(wait=True)
        for model in self.models.values():
            model.close()

    @asynccontextmanager
    async def _using(self, name: str | None, images: int) -> AsyncIterator[WarmModel]:
        """Use a model during a block, and take places in the queue.

        Raises
        ------
        RequestError
            If the queue has no room for the images.
        """
        model = self.model(name)
        key = name or next(iter(self.models))
        places = max(1, images)
        if self.waiting + places > self.limits.queue:
            raise RequestError("busy", f"{self.waiting} images are waiting already (try again later)")
        self.waiting += places
        self._users[key] += 1
        try:
            yield model
        finally:
            self.waiting -= places
            self._users[key] -= 1

    async def _embedded(self, model: WarmModel, uploads: Sequence[Upload]) -> list[Embedded]:
        paths = [below(self.root, each.path) if each.path is not None else None for each in uploads]
        opened = model.opened() if model.is_open else await self.in_thread(model.opened)
        futures = [opened.embed(upload, path) for upload, path in zip(uploads, paths, strict=True)]
        return list(await asyncio.gather(*map(asyncio.wrap_future, futures)))


async def _translated(work: Awaitable[Value]) -> Value:
    """Wait for work; errors of clipcli become the problem of whoever sent the request."""
    try:
        return await work
    except ClipcliError as error:
        raise problem_of(error) from None


def _ranked(labels: LabelSet, items: Sequence[_Item]) -> dict[str, Any]:
    classifier = labels.classifier
    results = classifier.ranker().results([(item.input, item.embedded.vector) for item in items])
    layout = asdict(classifier.layout("jsonl"))
    del layout["form"], layout["compact"]
    answer: dict[str, Any] = {
        "records": [as_record(result) for result in results],
        "ids": [item.embedded.id for item in items],
        "layout": layout,
        "warnings": list(labels.warnings),
    }
    if not items:  # asked before a run, which is only resumed with the same settings
        answer |= {"settings": classifier.settings().as_json, "templates": classifier.templates}
    return answer


def _embedding(item: _Item) -> dict[str, Any]:
    vector = item.embedded.vector
    if isinstance(vector, ImageError):
        return {"path": item.upload.name, "error": {"type": vector.kind, "message": str(vector)}}
    return {"path": item.upload.name, "id": item.embedded.id, "embedding": vector.tolist()}


def _about(embedder: Any) -> dict[str, Any]:
    facts = embedder.facts()
    return {"model": facts.name, "pretrained": facts.pretrained, "precision": embedder.precision, "dim": facts.dim}


def _text_embeddings(model: WarmModel, texts: Sequence[str], templates: Sequence[str]) -> dict[str, Any]:
    distinct = tuple(dict.fromkeys(texts))
    if not distinct:
        return {"embeddings": [], **_about(model.opened().embedder)}
    rows = dict(zip(distinct, model.texts(distinct, templates), strict=True))
    return {
        "embeddings": [{"text": text, "embedding": rows[text].tolist()} for text in texts],
        **_about(model.opened().embedder),
    }
