"""The library leaves the process it runs in as it was: logging, malloc, limits and settings of other libraries."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from clipcli.cli.messages import Messages, library_heard
from clipcli.log import LOG

PROGRAM = """
import csv, ctypes, logging, sys, warnings

from clipcli.models._torchvision import import_open_clip
import_open_clip()  # these set filters of warnings by themselves

calls = []
real = ctypes.CDLL
ctypes.CDLL = lambda *names, **options: calls.append(names) or real(*names, **options)
before = (csv.field_size_limit(), list(warnings.filters), logging.root.level, logging.root.handlers[:])

from clipcli import Classifier
from clipcli.outputs.class_embeddings import load_class_embeddings, save_class_embeddings
from pathlib import Path

model, photo, folder = sys.argv[1:]
classifier = Classifier(model, ["cat", "dog"], device="cpu", cache=folder)  # never closed: its cache is, all the same
assert len(list(classifier.classify(photo))) == 1
save_class_embeddings(classifier.classes, Path(folder) / "classes.csv")
load_class_embeddings(Path(folder) / "classes.csv")

after = (csv.field_size_limit(), list(warnings.filters), logging.root.level, logging.root.handlers[:])
assert before == after, (before, after)
assert logging.root.filters == [] and logging.root.manager.disable == 0
levels = {name: logging.getLogger(name).level for name in ("clipcli", "fsspec", "huggingface_hub", "timm")}
assert set(levels.values()) == {logging.NOTSET} or levels["huggingface_hub"] == logging.WARNING, levels
assert logging.getLogger("clipcli").handlers == []
assert ("libc.so.6",) not in calls
"""


def test_the_library_leaves_the_process_as_it_was(tiny_clip: Path, photos: dict[str, Path], tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error::ResourceWarning", "-c", PROGRAM, tiny_clip, photos["cat"], tmp_path],
        capture_output=True, text=True, timeout=600,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")


def test_why_nothing_happens_is_printed_even_if_the_command_is_quiet(capsys: pytest.CaptureFixture[str]) -> None:
    with library_heard():
        Messages(quiet=True)
        LOG.warning("not urgent")
        LOG.error("the store is busy")
    assert capsys.readouterr().err == "warning: the store is busy\n"
