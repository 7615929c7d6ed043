"""Tasks of Label Studio: results as predictions, and the labels that people chose there.

A task holds the path of the record as it is (``data.path``), so that what comes back names the same image.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from clipcli.errors import InputError
from clipcli.labels.several import joined
from clipcli.outputs.readers import ReadRecord
from clipcli.schemes import is_remote
from clipcli.scoring.thresholds import UNKNOWN
from clipcli.text import decode_text

__all__ = ["config_for", "labels_in", "task_of", "tasks_as_json"]

_LOCAL = "/data/local-files/?d="  # how Label Studio serves files of its machine
_NAME, _IMAGE = "label", "image"
_LARGEST = 1 << 30  # bytes of an export


def task_of(record: ReadRecord, prefix: str = _LOCAL) -> dict[str, Any] | None:
    """Return the task of a record, with its answer as a prediction; ``None`` for a failed input.

    Parameters
    ----------
    prefix
        What comes before the path in the address of the image; a URL stays as it is.
    """
    if record.label is None:
        return None
    image = record.path if is_remote(record.path) else prefix + quote(record.path)
    choices = [label for label in (record.labels if record.labels is not None else (record.label,)) if label != UNKNOWN]
    choice = {"from_name": _NAME, "to_name": _IMAGE, "type": "choices", "value": {"choices": choices}}
    prediction = {"model_version": record.model or "clipcli", "score": record.probability, "result": [choice]}
    return {"data": {"image": image, "path": record.path}, "predictions": [prediction] if choices else []}


def tasks_as_json(tasks: Iterable[dict[str, Any]]) -> Iterator[str]:
    """Yield the pieces of a JSON array of tasks, one task per line."""
    separator = "[\n"
    for task in tasks:
        yield separator + json.dumps(task, ensure_ascii=False)
        separator = ",\n"
    yield "[]\n" if separator == "[\n" else "\n]\n"


def config_for(labels: Iterable[str], *, several: bool) -> str:
    """Return the labelling configuration of a project: the image and the choices below it, in XML."""
    from xml.sax.saxutils import quoteattr  # writes only

    choices = "".join(f"    <Choice value={quoteattr(label)}/>\n" for label in labels)
    kind = "multiple" if several else "single"
    return (
        f'<View>\n  <Image name="{_IMAGE}" value="$image"/>\n'
        f'  <Choices name="{_NAME}" toName="{_IMAGE}" choice="{kind}">\n{choices}  </Choices>\n</View>\n'
    )


def labels_in(export: Path) -> Iterator[tuple[int, str, str]]:
    """Yield the number, path and labels of each task that was annotated; several labels are separated by ``|``.

    The last annotation of a task counts. Tasks that were skipped have no labels.

    Raises
    ------
    InputError
        If the file is not an export of Label Studio (its formats JSON and JSON-MIN).
    """
    try:
        if export.stat().st_size > _LARGEST:
            raise ValueError("it is larger than 1 GiB")
        tasks = json.loads(decode_text(export.read_bytes()))
        if not isinstance(tasks, list):
            raise TypeError("it is not a list of tasks")
        for number, task in enumerate(tasks, start=1):
            path, labels = _path_of(task), _labels_of(task)
            if labels:
                yield number, path, joined(labels)
    except OSError as problem:
        raise InputError(f"cannot read {export}: {problem.strerror or problem}") from None
    except (LookupError, TypeError, ValueError, AttributeError, RecursionError) as problem:
        reason = f"no {problem}" if isinstance(problem, KeyError) else " ".join(str(problem).split())[:120]
        raise InputError(f"cannot read {export}: it is not an export of Label Studio: {reason}") from None


def _path_of(task: dict[str, Any]) -> str:
    data = task.get("data", task)  # JSON-MIN has the data in the task itself
    path = data["path"] if "path" in data else data["image"]
    if not isinstance(path, str) or not path:
        raise TypeError("the path of a task is not text")
    return unquote(path.removeprefix(_LOCAL)) if path.startswith(_LOCAL) else path


def _labels_of(task: dict[str, Any]) -> list[str]:
    if "annotations" not in task:
        found = task.get(_NAME, [])
        choices = found["choices"] if isinstance(found, dict) else [found] if isinstance(found, str) else found
    else:
        done = [each for each in task["annotations"] if not each.get("was_cancelled")]
        results = done[-1]["result"] if done else []
        choices = [each for result in results if result.get("type") == "choices" for each in result["value"]["choices"]]
    if not isinstance(choices, list) or not all(isinstance(each, str) and each.strip() for each in choices):
        raise TypeError("a choice is not text")
    return list(dict.fromkeys(each.strip() for each in choices))
