"""What does not run a model does not import one: help, version and listings come at once."""

from __future__ import annotations

import re

import pytest

from conftest import Run, lines_of

COMMANDS = [
    (), ("classify",), ("export",), ("export", "text"), ("models",), ("models", "list"), ("models", "show"),
    ("models", "download"), ("prompts",), ("prompts", "list"), ("prompts", "show"), ("cache",), ("cache", "info"),
    ("cache", "clear"), ("cache", "check"),
]  # fmt: skip
MODEL_CODE = {"torch", "torchvision", "open_clip", "timm", "transformers"}
HEAVY = MODEL_CODE | {"numpy", "PIL", "rich", "pydantic", "huggingface_hub", "sqlite3", "asyncio"}


def imported(run: Run, *arguments: object) -> tuple[str, set[str]]:
    """Run a command and return what it printed and the packages that it imported."""
    done = run(*arguments, PYTHONPROFILEIMPORTTIME="1")
    assert done.returncode == 0, done.stderr
    names = re.findall(r"^import time: +\d+ \| +\d+ \| +(\S+)$", done.stderr, re.MULTILINE)
    assert "clipcli.cli" in names
    return done.stdout, {name.split(".")[0] for name in names}


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_help_is_shown_without_importing_anything_heavy(command: tuple[str, ...], run: Run) -> None:
    shown, packages = imported(run, *command, "--help")
    assert shown.startswith(f"Usage: {' '.join(('clipcli', *command))} ")
    assert not packages & HEAVY


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_help_has_a_short_form(command: tuple[str, ...], run: Run) -> None:
    assert run(*command, "-h").stdout == run(*command, "--help").stdout


@pytest.mark.parametrize("group", [(), ("export",), ("models",), ("prompts",), ("cache",)], ids=" ".join)
def test_the_summaries_of_commands_are_not_cut_off(group: tuple[str, ...], run: Run) -> None:
    commands = run(*group, "--help", COLUMNS="80").stdout.partition("Commands:")[2]
    assert commands.strip()
    assert "..." not in commands


def test_the_version_is_shown_without_importing_anything_heavy(run: Run) -> None:
    shown, packages = imported(run, "--version")
    assert re.fullmatch(r"clipcli \d+\.\d+\.\d+\S*\n", shown)
    assert not packages & HEAVY


@pytest.mark.parametrize(
    "command",
    [
        ("models", "list"), ("models", "list", "--all"), ("models", "list", "--on-disk"), ("models", "show", "pocket"),
        ("models", "show", "ViT-B-32"), ("prompts", "list"), ("prompts", "show", "photo"), ("cache", "info"),
        ("cache", "clear"), ("cache", "check"),
    ],
    ids=" ".join,
)  # fmt: skip
def test_what_looks_things_up_never_imports_a_model(command: tuple[str, ...], run: Run) -> None:
    shown, packages = imported(run, *command)
    assert lines_of(shown)
    assert not packages & MODEL_CODE


def test_a_mistake_in_the_labels_is_found_before_a_model_is_imported(run: Run) -> None:
    done = run("classify", "x.png", "--labels", "nowhere.txt", "--model", "pocket", PYTHONPROFILEIMPORTTIME="1")
    assert "nowhere.txt: no such file" in done.stderr
    assert not re.search(r"\| +(torch|open_clip)$", done.stderr, re.MULTILINE)
