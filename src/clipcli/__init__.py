"""Zero-shot image classification: name the labels, point at the photos.

The public names are loaded on first use, so that ``import clipcli`` stays cheap.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from clipcli._version import __version__

if TYPE_CHECKING:
    from clipcli.classifier import Classifier
    from clipcli.embedder import Embedder
    from clipcli.errors import ClipcliError
    from clipcli.evaluation.compare import Comparison, evaluate, evaluate_results
    from clipcli.labels.files import Label
    from clipcli.outputs.embedding_files import ImageEmbeddings
    from clipcli.outputs.run_info import RunInfo, run_info
    from clipcli.pipeline.predictions import Failure, Prediction
    from clipcli.runner import Outcome, Reporter
    from clipcli.scoring.thresholds import Thresholds
    from clipcli.scoring.zeroshot import Score
    from clipcli.search import Hit, ImageSearch
    from clipcli.teaching.teach import Lesson, teach

__all__ = [
    "Classifier",
    "ClipcliError",
    "Comparison",
    "Embedder",
    "Failure",
    "Hit",
    "ImageEmbeddings",
    "ImageSearch",
    "Label",
    "Lesson",
    "Outcome",
    "Prediction",
    "Reporter",
    "RunInfo",
    "Score",
    "Thresholds",
    "__version__",
    "evaluate",
    "evaluate_results",
    "run_info",
    "teach",
]

_HOMES = {
    "Classifier": "classifier",
    "ClipcliError": "errors",
    "Comparison": "evaluation.compare",
    "Embedder": "embedder",
    "Failure": "pipeline.predictions",
    "Hit": "search",
    "ImageEmbeddings": "outputs.embedding_files",
    "ImageSearch": "search",
    "Label": "labels.files",
    "Lesson": "teaching.teach",
    "Outcome": "runner",
    "Reporter": "runner",
    "RunInfo": "outputs.run_info",
    "Prediction": "pipeline.predictions",
    "Score": "scoring.zeroshot",
    "Thresholds": "scoring.thresholds",
    "evaluate": "evaluation.compare",
    "evaluate_results": "evaluation.compare",
    "run_info": "outputs.run_info",
    "teach": "teaching.teach",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'clipcli' has no attribute {name!r}")
    return getattr(import_module(f"clipcli.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
