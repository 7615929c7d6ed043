"""Progress of training on stderr."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from clipcli.cli.messages import SHOWN, Messages
from clipcli.cli.progress import NARROW, shrinking_description

if TYPE_CHECKING:
    from clipcli.training.pairs import LeftOut
    from clipcli.training.validation import Validation

__all__ = ["TrainingProgress", "measures_line"]


class TrainingProgress:
    """Shows the progress of a run on stderr: bars on a terminal, else one line per epoch."""

    def __init__(self, messages: Messages) -> None:
        self._messages = messages
        self._progress: Any = None
        self._is_shortened = False
        if not messages.quiet and sys.stderr.isatty():
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn
            from rich.table import Column

            from clipcli.terminal import console

            terminal = console(sys.stderr)
            columns = [MofNCompleteColumn(table_column=Column(no_wrap=True)), shrinking_description()]
            if terminal.width >= NARROW:
                columns = [BarColumn(), *columns, TimeRemainingColumn(table_column=Column(no_wrap=True))]
            self._progress = Progress(*columns, console=terminal, transient=True)
            self._task = self._progress.add_task("", total=None)
            self._progress.start()

    def close(self) -> None:
        """Remove the bar."""
        if self._progress is not None:
            self._progress.stop()

    def left_out(self, rows: Sequence[LeftOut]) -> None:
        """Print the first pairs that cannot be used."""
        for row in rows[:SHOWN]:
            (self._messages.warn if row.used else self._messages.error)(str(row))
        if len(rows) > SHOWN:
            self._messages.warn(f"{len(rows) - SHOWN} more such pairs")
            self._is_shortened = True

    def checking(self, items: Iterable[Any], count: int) -> Iterator[Any]:
        """Show the progress of checking the images."""
        for done, item in enumerate(items, start=1):
            self._show("checking the images", done, count)
            yield item

    def begin(self, record: Mapping[str, Any], done: int) -> None:
        """Print the settings of the run."""
        settings = record["settings"]
        if self._is_shortened:  # not earlier: a run that cannot start writes no list
            self._say("training/left_out.jsonl in the model folder lists all pairs that cannot be used as they are")
        how = "from scratch" if record["from_scratch"] else "from pretrained weights"
        self._say(f"{record['model']}, {how}: {record['train']} images to train on, {record['validation']} held out")
        self._say(", ".join(f"{name.replace('_', ' ')} {value}" for name, value in settings.items() if value))
        if done:
            self._say(f"continuing after step {done}")

    def step(self, row: Mapping[str, Any], steps: int) -> None:
        """Show the loss of a step."""
        self._show(
            f"epoch {row['epoch']}  loss {row['loss']:.3f}  {row['pairs_per_second']:.0f} pairs/s", row["step"], steps
        )

    def epoch(self, epoch: int, epochs: int, validation: Validation | None, best: bool) -> None:
        """Print the measures after an epoch."""
        if validation is not None:
            name = f"epoch {epoch}/{epochs}" if epoch else "start"
            self._say(f"{name:>12}  {measures_line(validation.as_json)}{'  *' if best and epoch else ''}")

    def _say(self, text: str) -> None:
        if not self._messages.quiet:
            from clipcli.text import one_line

            if self._progress is not None:
                self._progress.console.print(one_line(text), markup=False, soft_wrap=True)
            else:
                self._messages.note(one_line(text))

    def _show(self, text: str, done: int, total: int) -> None:
        if self._progress is not None:
            self._progress.update(self._task, description=text, completed=done, total=total)


def measures_line(values: Mapping[str, float]) -> str:
    """Return the measures of a checkpoint on one line."""
    texts = [
        f"loss {values['loss']:.3f}",
        f"image→text {values['image_recall_1']:.1%}/{values['image_recall_5']:.1%}",
        f"text→image {values['text_recall_1']:.1%}/{values['text_recall_5']:.1%}",
    ]
    return "  ".join([*texts, *([f"accuracy {values['accuracy']:.1%}"] if "accuracy" in values else [])])
