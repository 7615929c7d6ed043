"""The README and the docs are true: their commands print what they show, and what they name exists."""

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

REPOSITORY = "https://github.com/clipcli/clipcli/"
ONLINE = re.compile(re.escape(REPOSITORY) + r"(?:blob|tree)/main/([^)\s#]+)")
NAMED = re.compile(r"`((?:src|tests|tools|docs|examples|prompts|benchmarks)/[\w./-]+|(?:[a-z]\w*/)+\w+\.py)`")
PYTHON = [(page, code) for page in readme.PAGES for code in readme.python_examples(page)]


def name_of(page: object) -> str:
    return page.relative_to(ROOT).as_posix() if isinstance(page, Path) else ""


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One cache for all documents, so that each image and prompt is encoded once."""
    return tmp_path_factory.mktemp("cache")


def prepare(folder: Path, cache: Path) -> dict[str, str]:
    """Prepare as the tool does, with a ``clipcli`` that does not import torch for each command."""
    environment = clean_environment(folder) | readme.prepare(folder, cache)
    starter = folder / ".bin" / "clipcli"
    starter.parent.mkdir()
    starter.write_text(f'#!/bin/sh\nexec {shlex.join(clipcli_command(environment))} "$@"\n', "utf-8")
    starter.chmod(0o755)
    return environment | {"PATH": f"{starter.parent}{os.pathsep}{environment['PATH']}"}


@pytest.mark.parametrize("document", readme.DOCUMENTS, ids=name_of)
def test_console_blocks_print_what_they_show(document: Path, tmp_path: Path, cache: Path) -> None:
    environment = prepare(tmp_path, cache)
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


@pytest.mark.parametrize(("page", "code"), PYTHON, ids=name_of)
def test_python_examples_run(page: Path, code: str, tmp_path: Path, cache: Path) -> None:
    environment = readme.prepare(tmp_path, cache)
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=1200
    )
    assert done.returncode == 0, done.stderr
    if page.name == "README.md":
        assert done.stdout.splitlines()[0].startswith("cat.png cat ")
        assert len(done.stdout.splitlines()) == 12


def test_the_command_reference_is_that_of_the_commands() -> None:
    assert readme.COMMAND_REFERENCE.read_text("utf-8") == readme.command_reference(), "run make readme"


@pytest.mark.parametrize("page", readme.PAGES, ids=name_of)
def test_pages_show_the_layers_of_the_import_contract(page: Path) -> None:
    text = page.read_text("utf-8")
    assert text == readme.with_layers(text), "run make readme"


def test_every_variable_that_the_docs_name_is_one_of_an_option() -> None:
    named = {name for page in readme.PAGES for name in re.findall(r"CLIPCLI_\w+", page.read_text("utf-8"))}
    assert named <= set(re.findall(r"CLIPCLI_\w+", readme.command_reference()))


@pytest.mark.parametrize("page", readme.PAGES, ids=name_of)
def test_every_file_that_a_page_names_exists(page: Path) -> None:
    text = page.read_text("utf-8")
    homes = (ROOT, ROOT / "src" / "clipcli")
    named = {*ONLINE.findall(text), *NAMED.findall(text)}
    assert [name for name in sorted(named) if not any((home / name).exists() for home in homes)] == []


def test_the_readme_has_no_relative_link() -> None:
    """It is also the page on the package index, where relative links lead nowhere."""
    targets = re.findall(r"\]\(([^)]+)\)", (ROOT / "README.md").read_text("utf-8"))
    assert [target for target in targets if not target.startswith("https://")] == []
