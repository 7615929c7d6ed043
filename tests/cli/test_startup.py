"""What does not run a model does not import one: help, version and listings come at once."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import Run, lines_of

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


@pytest.mark.parametrize("model", [(), ("--model", "pocket"), ("--offline",)], ids=["automatic", "named", "offline"])
def test_an_answer_from_the_cache_imports_no_picture_and_no_client_of_the_hub(
    model: tuple[str, ...], run: Run, photos: dict[str, Path]
) -> None:
    command = ("classify", photos["cat"], "-l", "cat", "-l", "rocket", *model)
    first = run(*command)
    shown, packages = imported(run, *command)
    assert shown == first.stdout
    assert not packages & (MODEL_CODE | {"PIL", "pydantic", "asyncio", "tqdm", "httpx", "httpx2", "tarfile", "zipfile"})


def test_a_mistake_in_the_labels_is_found_before_a_model_is_imported(run: Run) -> None:
    done = run("classify", "x.png", "--labels", "nowhere.txt", "--model", "pocket", PYTHONPROFILEIMPORTTIME="1")
    assert "nowhere.txt: no such file" in done.stderr
    assert not re.search(r"\| +(torch|open_clip)$", done.stderr, re.MULTILINE)


MISTAKES = """
classify gone-*.jpg -l cat -l dog -m pocket
classify empty -l cat -l dog -m pocket
classify empty -l cat -l dog -m pocket -o parts/
classify table.csv --path-column nowhere -l cat -l dog -m pocket
classify x.png -l cat -l dog -m pocket -o stopped.csv
classify x.png -l cat -l dog -m pocket -o other.csv --resume
classify x.png -l cat -l dog -m pocket -o whole/
classify x.png -l cat -l dog -m pocket -o nowhere/r.csv
classify x.png -l cat -l dog -m nonesuch
classify x.png -l cat -l dog -t nothing -p nonesuch -m pocket
matrix gone-*.jpg -x cat -m pocket
matrix x.png -x cat -m pocket -o m.txt
export images gone-*.jpg -o x.npy -m pocket
export images x.png -o whole/ -m pocket
export images x.png -o x.txt -m pocket
export text -l cat -o nowhere/x.npy -m pocket
evaluate empty -m pocket
evaluate table.csv --labels nowhere.txt -m pocket
train -o out
train gone.csv -o out
train table.csv -o out
train pairs.csv -o out --labels labels.txt
train pairs.csv -o out --labels gone.txt
train pairs.csv -o out -p nonesuch
train pairs.csv -o out --model nonesuch
train pairs.csv -o out --from-scratch nonesuch
train pairs.csv -o out --validation 1.5
train pairs.csv -o out --validation gone.csv
train pairs.csv -o out --precision fp16 --device cpu
train pairs.csv -o out --batch-size 9 --accumulate 2
train pairs.csv -o whole
train pairs.csv -o table.csv
train pairs.csv -o out --resume
""".strip().splitlines()

TRY_ALL = """
import json, sys
from clipcli.cli import run

codes = []
for line in json.load(sys.stdin):
    codes.append((run(line), "torch" in sys.modules, "open_clip" in sys.modules))
    print("--", file=sys.stderr)
json.dump(codes, sys.stdout)
"""


def test_no_mistake_that_can_be_seen_without_a_model_costs_its_import(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    for folder in ("empty", "whole"):
        (tmp_path / folder).mkdir()
    (tmp_path / "table.csv").write_text("name,colour\nx.png,red\n")
    (tmp_path / "pairs.csv").write_text("path,caption\nx.png,a red square\n")
    (tmp_path / "labels.txt").write_text("cat\ndog\n")
    (tmp_path / "stopped.csv.partial.json").write_text("{}")
    (tmp_path / "other.csv").write_text("path,label\n")
    (tmp_path / "whole" / "manifest.json").write_text('{"clipcli": "0.1.0", "state": "complete", "parts": 0}')
    done = subprocess.run(
        [sys.executable, "-c", TRY_ALL], input=json.dumps([line.split() for line in MISTAKES]), capture_output=True,
        text=True, encoding="utf-8", cwd=tmp_path, env=environment, timeout=1200,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    told = done.stderr.split("--\n")
    for line, code, errors in zip(MISTAKES, json.loads(done.stdout), told, strict=False):
        assert code == [2, False, False], f"{line}: {errors}"
        assert errors.count("error: ") == 1, f"{line}: {errors}"
