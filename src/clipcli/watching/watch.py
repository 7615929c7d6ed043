"""Watch a folder: wake up when it changes, find complete files, classify them, and act on their records.

The folder is walked again after each change, rather than trusting the events of the system: these can be lost, and
network drives send none. So files that arrived while nothing was watching are found in the same way.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

from clipcli.errors import InputError, OutputError
from clipcli.images.files import has_image_suffix, looks_like_image, read_signature
from clipcli.inputs.exclusion import Exclusion
from clipcli.inputs.items import FileInput
from clipcli.inputs.walk import walk
from clipcli.outputs.readers import ReadRecord, read_record, read_results
from clipcli.outputs.records import as_record
from clipcli.pipeline.predictions import Failure, Result
from clipcli.text import printable
from clipcli.watching.arrivals import Arrival, Arrivals, look_at
from clipcli.watching.growing import GrowingFile

__all__ = ["Action", "Listener", "Watch", "wake_ups"]

_AT_ONCE = 64  # files whose records are complete before the actions on them begin
_PATIENCE = 30.0  # seconds that a file which cannot be read may still change
_LONGEST_SLEEP = 30.0  # seconds: network drives report no changes
_SHARE = 10  # at most one tenth of the time goes into walking the folder

Action = Callable[[Sequence[ReadRecord]], Iterable[str]]
"""Acts on new records, which it may have seen before; yields a line for people per event."""


class Listener(Protocol):
    """Receives what happens, one event at a time."""

    def recorded(self, result: Result) -> None:
        """Receive each new record."""

    def acted(self, line: str) -> None:
        """Receive what an action did."""


def wake_ups(folder: str, seconds: float) -> Iterator[bool]:
    """Yield whenever something changed in a folder, and otherwise after some seconds; whether something changed.

    Raises
    ------
    OutputError
        If watchfiles is not installed.
    KeyboardInterrupt
        On Ctrl-C and SIGTERM.
    """
    try:
        import watchfiles
    except ImportError:
        raise OutputError("cannot watch a folder: it needs an extra (pip install 'clipcli[watch]')") from None
    milliseconds = max(50, int(seconds * 1000))
    changes = watchfiles.watch(
        folder, watch_filter=None, debounce=400, step=50, rust_timeout=milliseconds, yield_on_timeout=True,
        ignore_permission_denied=True,
    )  # fmt: skip
    yield True
    try:
        for change in changes:
            yield bool(change)
    except FileNotFoundError:
        raise InputError(f"cannot watch {folder}: no such folder") from None


@dataclass
class Watch:
    """One watched folder.

    Parameters
    ----------
    folder
        As the user named it; the paths of the records begin with it.
    exclusion
        The files and folders to exclude.
    results
        The open results file.
    classify
        Classifies inputs in their order.
    actions
        What is done with new records.
    listener
        Receives the events.
    settle
        Seconds without a change after which a file is complete.
    """

    folder: str
    exclusion: Exclusion
    results: GrowingFile
    classify: Callable[[Iterable[Any]], Iterator[Result]]
    actions: Sequence[Action]
    listener: Listener
    settle: float = 1.0
    clock: Callable[[], float] = time.monotonic
    _walked: float = field(default=float("-inf"), init=False)
    _cost: float = field(default=0.0, init=False)
    _not_images: dict[str, object] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        self._arrivals = Arrivals(self.settle, max(_PATIENCE, 10 * self.settle))

    def catch_up(self, target: Path) -> None:
        """Act on all records of the file: an earlier watch may have been killed between a record and its actions."""
        if not self.actions or not target.exists():
            return
        records = read_results(target)
        while portion := list(islice(records, _AT_ONCE)):
            self._act(portion)

    def follow(self, wakes: Iterable[bool]) -> None:
        """Look at the folder at each wake-up, if there is a reason to; end with the last one."""
        is_due = False
        for changed in wakes:
            now = self.clock()
            is_due = is_due or changed or self._arrivals.is_waiting or now - self._walked >= _LONGEST_SLEEP
            if is_due and now - self._walked >= self._cost * _SHARE:
                is_due = False
                self.look()

    def look(self) -> None:
        """Walk the folder once, and classify the files that are complete.

        Raises
        ------
        InputError
            If the folder cannot be listed.
        """
        began = self.clock()
        complete = list(self._arrivals.complete(self._without_record(), began))
        self._walked = self.clock()
        self._cost = self._walked - began
        images = (arrival for arrival in complete if self._is_image(arrival))
        while portion := list(islice(images, _AT_ONCE)):
            self._classify(portion)

    def _without_record(self) -> Iterator[str]:
        for found in walk(self.folder, self.exclusion):
            if found.problem is not None and os.path.normpath(found.path) == os.path.normpath(self.folder):
                raise InputError(f"cannot watch {self.folder}: {found.problem}")
            known = self._not_images.get(found.path)
            if printable(found.path) not in self.results.names and (known is None or known != look_at(found.path)):
                yield found.path

    def _is_image(self, arrival: Arrival) -> bool:
        """Return whether a complete file is one to classify; any other is looked at again when it changes."""
        if has_image_suffix(arrival.path) or looks_like_image(read_signature(arrival.path)):
            return True
        self._not_images[arrival.path] = arrival.look
        self._arrivals.done(arrival)
        return False

    def _classify(self, arrivals: Sequence[Arrival]) -> None:
        records: list[ReadRecord] = []
        inputs = [FileInput(arrival.path, arrival.path) for arrival in arrivals]
        try:
            for arrival, result in zip(arrivals, self.classify(inputs), strict=True):
                if look_at(arrival.path) != arrival.look:
                    continue  # it was written to, renamed or removed meanwhile
                if isinstance(result, Failure) and not arrival.is_last_try:
                    self._arrivals.unreadable(arrival)
                    continue
                self.results.add(printable(arrival.path), result)
                self._arrivals.done(arrival)
                self.listener.recorded(result)
                records.append(read_record(as_record(result)))
        finally:
            self._act(records)

    def _act(self, records: Sequence[ReadRecord]) -> None:
        for action in self.actions:
            for line in action(records):
                self.listener.acted(line)
