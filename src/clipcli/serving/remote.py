"""Classify with a running server: files are sent in batches, no model is loaded, and the results are the same."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import islice
from typing import Any

from clipcli.errors import ImageError, ServerError
from clipcli.inputs.discover import Input, Source
from clipcli.inputs.items import name_of
from clipcli.labels.label import Label
from clipcli.log import LOG
from clipcli.outputs.destination import Destination
from clipcli.outputs.output import Output
from clipcli.outputs.records import from_record
from clipcli.outputs.run_settings import RunSettings
from clipcli.outputs.text_formats import Layout
from clipcli.pipeline.chunks import EncoderFacts, LocalEngine
from clipcli.pipeline.decoding import read_input
from clipcli.pipeline.predictions import Failure, Result, failure_of
from clipcli.runner import Task
from clipcli.scoring.thresholds import Thresholds
from clipcli.serving.client import ServerClient, form_of
from clipcli.storage.network_policy import is_forbidden, network_forbidden_in

__all__ = ["RemoteClassifier"]

_BATCH = 16  # images per request
_AHEAD = 3  # requests at the same time
_FORM_BYTES = 4096  # of a form apart from its images and options


@dataclass
class _Batch:
    """Inputs that are sent together: their bytes, or why they cannot be read."""

    items: list[Input] = field(default_factory=list)
    contents: list[bytes | ImageError] = field(default_factory=list)
    size: int = 0


class RemoteClassifier:
    """A classifier whose work a server does.

    Parameters
    ----------
    client
        The server.
    labels
        ``None`` for the labels of the server.
    templates
        The texts of prompt templates; none for those of the server, or the default one.
    model
        A model of the server; ``None`` for its first.
    top_k, thresholds, tags, score, threshold, level
        As for :class:`clipcli.Classifier`.
    """

    def __init__(
        self, client: ServerClient, labels: Sequence[Label] | None = None, *, templates: Sequence[str] = (),
        model: str | None = None, top_k: int = 5, thresholds: Thresholds | None = None, **options: Any,
    ) -> None:  # fmt: skip
        limits = {f"min_{name}": value for name, value in vars(thresholds or Thresholds()).items()}
        self._client = client
        self._options: dict[str, Any] = {"model": model, "top_k": top_k, **limits, **options}
        if labels is not None:
            self._options["labels"] = [_plain(label) for label in labels]
        if templates:
            self._options["templates"] = list(templates)
        self.sent = 0

    @cached_property
    def _described(self) -> dict[str, Any]:
        """What the server says of the labels and options, before an image is sent."""
        body = json.dumps({**self._options, "images": []}).encode()
        answer = self._client.post("/v1/classify", body, "application/json")
        try:
            for text in answer["warnings"]:
                LOG.warning(str(text))
            RunSettings.from_json(answer["settings"])
            Layout("jsonl", **answer["layout"])
            return {**answer, "limit": int(self._client.get("/v1/models")["limits"]["request_bytes"])}
        except (LookupError, TypeError, ValueError, AttributeError):
            raise self._unexpected() from None

    def _unexpected(self) -> ServerError:
        return ServerError(
            f"cannot use the server at {self._client.url}: it answers in another form (use the same version of clipcli "
            "on both sides)"
        )

    @property
    def url(self) -> str:
        """The URL of the server."""
        return self._client.url

    def begin(self) -> None:
        """Have the labels and options checked."""
        _ = self._described

    def layout(self, form: str) -> Layout:
        """Return how results are laid out in a format."""
        return replace(Layout("jsonl", **self._described["layout"]), form=form)

    def settings(self, _: EncoderFacts | None = None) -> RunSettings:
        """Return all that decides what the results of a run say: they are those of a run without a server."""
        return RunSettings.from_json(self._described["settings"])

    def task(self, source: Source) -> Task[Result]:
        """Return the work of classifying all inputs; see :mod:`clipcli.runner`."""
        engine: LocalEngine[Result] = LocalEngine(lambda items, _: self.classify(items))
        return Task(source, lambda: nullcontext(engine), failure_of)

    def result_output(self, destination: Destination) -> Output[Result]:
        """Return the output that results are written to."""
        from clipcli.outputs.on_disk import result_output  # not needed for an answer on a stream

        return result_output(
            destination, self.layout, self.settings, lambda: {"templates": list(self._described["templates"])}
        )

    def classify(self, items: Iterable[Input]) -> Iterator[Result]:
        """Classify images and yield one result per image, in order.

        Raises
        ------
        ServerError
            If the server is gone, or cannot use the labels or options.
        """
        forbidden = is_forbidden()

        def ask(batch: _Batch) -> list[Result]:
            with network_forbidden_in(forbidden=forbidden):
                return self._results(batch)

        self.begin()
        batches, waiting = self._batches(items), deque[Future[list[Result]]]()
        with ThreadPoolExecutor(_AHEAD, thread_name_prefix="send") as executor:
            try:
                for batch in islice(batches, _AHEAD):
                    waiting.append(executor.submit(ask, batch))
                while waiting:
                    results = waiting.popleft().result()
                    waiting.extend(executor.submit(ask, batch) for batch in islice(batches, 1))
                    yield from results
            finally:
                executor.shutdown(wait=False, cancel_futures=True)

    def _batches(self, items: Iterable[Input]) -> Iterator[_Batch]:
        """Read inputs and gather them for requests, within the limits of the server."""
        most = self._described["limit"] - _FORM_BYTES - len(json.dumps(self._options))
        batch = _Batch()
        for item in items:
            content = _read(item, most)
            size = len(content) if isinstance(content, bytes) else 0
            if batch.items and (len(batch.items) == _BATCH or batch.size + size > most):
                yield batch
                batch = _Batch()
            batch.items.append(item)
            batch.contents.append(content)
            batch.size += size + 200  # the head of its part
        if batch.items:
            yield batch

    def _results(self, batch: _Batch) -> list[Result]:
        readable = [content for content in batch.contents if isinstance(content, bytes)]
        records: Iterator[Any] = iter(())
        if readable:
            answer = self._client.post("/v1/classify", *form_of(readable, self._options))
            self.sent += len(readable)
            try:
                found = list(answer["records"])
            except (LookupError, TypeError):
                raise self._unexpected() from None
            if len(found) != len(readable):
                raise self._unexpected()
            records = iter(found)
        return [
            Failure(name_of(item), content.kind, str(content))
            if isinstance(content, ImageError)
            else self._result(name_of(item), next(records))
            for item, content in zip(batch.items, batch.contents, strict=True)
        ]

    def _result(self, path: str, record: Any) -> Result:
        try:
            return from_record(record, path)
        except (LookupError, TypeError, ValueError, AttributeError):
            raise self._unexpected() from None


def _read(item: Input, most: int) -> bytes | ImageError:
    try:
        data = read_input(item)
    except ImageError as problem:
        return problem
    if len(data) > most:
        return ImageError("too_large", f"{len(data) / 2**20:.0f} MiB, over the limit of the server")
    return data


def _plain(label: Label) -> str | dict[str, Any]:
    """Return a label as the server takes it; what it is called in ground truth is not sent."""
    values = {name: list(value) if isinstance(value, tuple) else value for name, value in vars(label).items()}
    given = {name: value for name, value in values.items() if value not in (None, []) and name != "folder"}
    return label.name if list(given) == ["name"] else given
