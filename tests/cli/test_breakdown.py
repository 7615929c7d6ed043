"""A broken installation and too little memory end every command in one line, never in a traceback."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from shutil import copytree

import pytest

from clipcli.cli.breakdown import breakdown
from clipcli.models.allocator import is_out_of_memory
from clipcli.models.resolve import POCKET_FOLDER
from tests.conftest import clean_environment

FAILURES = {
    "ImportError": "raise ImportError('libtorch_cpu.so: cannot open shared object file')",
    "OSError": "raise OSError('libcudart.so.12: cannot open shared object file: No such file or directory')",
    "RuntimeError": "raise RuntimeError('operator torch::x does not exist\\nsecond line')",
    "SyntaxError": "def (",
    "MemoryError": "raise MemoryError",
}
MODEL = ("--model", "pocket", "--engine", "torch")
COMMANDS = {
    "classify": ("classify", "cat.png", "-l", "cat", "-l", "dog", *MODEL),
    "evaluate": ("evaluate", "truth.csv", "-l", "cat", "-l", "dog", *MODEL),
    "matrix": ("matrix", "cat.png", "-x", "a cat", *MODEL),
    "export text": ("export", "text", "-l", "cat", "-o", "t.npz", "--model", "local-dir:copy"),  # needs conversion
    "export images": ("export", "images", "cat.png", "-o", "i.npz", *MODEL),
    "train": ("train", "pairs.csv", "-o", "model", "--model", "pocket"),
}


BROKEN = [*((name, "torch") for name in ("ImportError", "RuntimeError", "SyntaxError", "MemoryError")),
          ("ImportError", "open_clip")]  # fmt: skip


# A process in which an import fails cannot be forked from one where it worked.
TOGETHER = """
import io, json, sys
from clipcli.cli import run

answers = []
for arguments in json.load(sys.stdin):
    streams = [io.TextIOWrapper(io.BytesIO(), encoding="utf-8", newline="") for _ in range(2)]
    sys.stdout, sys.stderr = streams
    code = run(arguments)
    sys.stdout, sys.stderr = sys.__stdout__, sys.__stderr__
    for stream in streams:
        stream.flush()
    answers.append([code, *(stream.buffer.getvalue().decode() for stream in streams)])
json.dump(answers, sys.stdout)
"""


@pytest.fixture(scope="module", params=BROKEN, ids="-".join)
def broken(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, photos: dict[str, Path]
) -> tuple[str, str, dict[str, list[str]]]:
    """Every command, run where the import of a library fails."""
    failure, library = request.param
    folder = tmp_path_factory.mktemp("broken")
    (folder / "lib" / library).mkdir(parents=True)
    (folder / "lib" / library / "__init__.py").write_text(FAILURES[failure])
    (folder / "cat.png").symlink_to(photos["cat"])
    copytree(POCKET_FOLDER, folder / "copy")
    (folder / "truth.csv").write_text("path,label\ncat.png,cat\n")
    (folder / "pairs.csv").write_text("path,caption\n" + "cat.png,a cat\n" * 20)
    lines = list(COMMANDS.values())
    script = f"import sys; sys.path.insert(0, {str(folder / 'lib')!r})\n{TOGETHER}"
    done = subprocess.run(
        [sys.executable, "-c", script], input=json.dumps(lines), stdout=subprocess.PIPE, check=True, text=True,
        cwd=folder, env=clean_environment(folder), timeout=1200,
    )  # fmt: skip
    return failure, library, dict(zip(COMMANDS, json.loads(done.stdout), strict=True))


@pytest.mark.parametrize("command", COMMANDS)
def test_a_library_that_cannot_be_imported_is_one_line_and_exit_code_2(
    command: str, broken: tuple[str, str, dict[str, tuple[int, str, str]]]
) -> None:
    failure, library, done = broken
    code, out, err = done[command]
    lines = [line for line in err.splitlines() if line.startswith("error: ")]
    assert (code, out, len(lines)) == (2, "", 1), err
    assert "Traceback" not in err
    if failure == "MemoryError":
        assert "not enough memory" in lines[0]
    else:
        assert library in lines[0] or "cannot open shared object" in lines[0]
        assert "reinstall" in lines[0] or failure == "OSError"


def test_python_gets_a_clipcli_error_where_torch_cannot_be_imported(tmp_path: Path) -> None:
    (tmp_path / "torch.py").write_text(FAILURES["OSError"])
    script = (
        "import sys; sys.path.insert(0, '.')\n"
        "from clipcli import Classifier, ClipcliError\n"
        "try:\n    Classifier('pocket', ['cat'], engine='torch', cache=False).class_embeddings\n"
        "except ClipcliError as error:\n    print(type(error).__name__, error)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=tmp_path, check=True)
    assert done.stdout.startswith("ModelError cannot import torch: libcudart.so.12: cannot open shared object file")


@pytest.mark.parametrize("failure", ["ImportError", "OSError", "RuntimeError"])
def test_torch_takes_over_where_openvino_cannot_be_imported(failure: str, tmp_path: Path, tiny_clip: Path) -> None:
    (tmp_path / "openvino.py").write_text(FAILURES[failure])
    script = (
        "import sys; sys.path.insert(0, '.')\n"
        "from clipcli import Classifier, ClipcliError\n"
        "for engine in ('auto', 'openvino'):\n"
        f"    classifier = Classifier({str(tiny_clip)!r}, ['cat'], engine=engine, device='cpu', cache='cache')\n"
        "    try:\n        print(classifier.class_embeddings.shape, classifier.precision)\n"
        "    except ClipcliError as error:\n        print(type(error).__name__, error)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=tmp_path, check=True)
    first, second = done.stdout.splitlines()
    assert first.startswith("(1, 32) ")
    assert second.startswith("ModelError cannot import openvino: ")
    assert second.endswith(" (reinstall it, or use engine torch)")


def test_running_out_of_memory_is_known_however_it_is_told() -> None:
    import numpy as np
    import torch

    for allocate in (lambda: torch.empty(1 << 55), lambda: np.empty(1 << 55), lambda: bytearray(1 << 62)):
        with pytest.raises((RuntimeError, MemoryError)) as caught:
            allocate()
        assert is_out_of_memory(caught.value)
        line = breakdown(caught.value)
        assert line is not None
        assert "not enough memory" in line


def test_other_errors_stay_what_they_are() -> None:
    for problem in (RuntimeError("a bug"), ValueError("a bug"), KeyError("x")):
        assert breakdown(problem) is None
