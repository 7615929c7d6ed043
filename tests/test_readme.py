"""The README and the docs are true: their commands do what they are said to do."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import clean_environment, clipcli_command

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tools"))

import readme  # noqa: E402 - a tool of the repository, not a package


def prepare(folder: Path) -> dict[str, str]:
    """Prepare as the tool does, with a ``clipcli`` that need not import torch for each command."""
    environment = clean_environment(folder) | readme.prepare(folder)
    starter = folder / ".bin" / "clipcli"
    starter.parent.mkdir()
    starter.write_text(f'#!/bin/sh\nexec {shlex.join(clipcli_command(environment))} "$@"\n', "utf-8")
    starter.chmod(0o755)
    return environment | {"PATH": f"{starter.parent}{os.pathsep}{environment['PATH']}"}


@pytest.mark.parametrize("document", readme.DOCUMENTS, ids=lambda path: path.name)
def test_console_blocks_print_what_they_are_said_to(document: Path, tmp_path: Path) -> None:
    environment = prepare(tmp_path)
    steps = list(readme.steps_of(document))
    assert steps
    for step in steps:
        found = readme.run_step(step.command, tmp_path, environment)
        assert readme.same_output(step.output, found), f"$ {step.command}\n{found}"


def test_a_changed_word_or_a_number_far_off_is_noticed() -> None:
    assert readme.same_output("cat  ███▍  97.5%  0.317\n", "cat  ███▌  97.9%  0.318\n")
    assert not readme.same_output("cat  ███▍  97.5%  0.317\n", "dog  ███▍  97.5%  0.317\n")
    assert not readme.same_output("cat  ███▍  97.5%  0.317\n", "cat  ██▍  87.5%  0.317\n")
    assert not readme.same_output("cat\n", "cat\ndog\n")


def test_the_python_example_runs(tmp_path: Path) -> None:
    environment = prepare(tmp_path)
    code = re.search(r"^```python\n(.*?)^```$", (ROOT / "README.md").read_text("utf-8"), re.MULTILINE | re.DOTALL)
    assert code is not None
    done = subprocess.run(
        [sys.executable, "-c", code.group(1)],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=1200,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0].startswith("cat.png cat ")
    assert len(done.stdout.splitlines()) == 8


def test_every_setting_that_the_readme_names_is_an_option(tmp_path: Path) -> None:
    named = set(re.findall(r"CLIPCLI_\w+", (ROOT / "README.md").read_text("utf-8")))
    environment = prepare(tmp_path)
    helped = readme.run_step("clipcli classify --help", tmp_path, environment)
    assert named <= set(re.findall(r"CLIPCLI_\w+", helped))
