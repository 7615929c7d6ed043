"""The package as it is installed: what it declares, and what a wheel of it does away from the checkout."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
import venv
import zipfile
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from tests.conftest import clean_environment

if sys.version_info >= (3, 11):
    import tomllib
else:  # what pytest and mypy bring along for older versions
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]


# --- what is declared ---------------------------------------------------------------------------------------


class OfRunTime(ast.NodeTransformer):
    """Leaves out what only type checkers import."""

    def visit_If(self, node: ast.If) -> ast.AST | list[ast.stmt]:
        if isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            return node.orelse
        return self.generic_visit(node)


def imported_by(folder: Path) -> dict[str, Path]:
    """Return the top-level packages that the modules below a folder import, each with one of these modules."""
    found: dict[str, Path] = {}
    for module in sorted(folder.rglob("*.py")):
        for node in ast.walk(OfRunTime().visit(ast.parse(module.read_text("utf-8")))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and not node.level:
                names = [str(node.module)]
            found.update(dict.fromkeys((name.partition(".")[0] for name in names), module))
    return {name: module for name, module in found.items() if name not in sys.stdlib_module_names}


def normalised(requirement: str) -> str:
    """Return the name of the distribution that a requirement asks for."""
    return re.sub(r"[-_.]+", "-", re.split(r"[\[<>=!~; ]", requirement)[0]).lower()


def undeclared(folder: Path, requirements: set[str]) -> dict[str, Path]:
    """Return the packages that modules below a folder import and no requirement brings."""
    owners = packages_distributions()
    return {
        name: module
        for name, module in imported_by(folder).items()
        if not {normalised(owner) for owner in owners.get(name, [name])} & requirements
    }


def declared(*extras: str) -> set[str]:
    """Return the distributions that an installation with extras asks for by name."""
    lines = list(PROJECT["dependencies"])
    for extra in extras:
        lines += PROJECT["optional-dependencies"][extra]
    return {normalised(line) for line in lines}


BROUGHT_BY_TORCH = {"torchvision"}  # open_clip asks for it; which release fits is for pip to find


def test_each_package_that_the_modules_import_is_a_declared_requirement() -> None:
    extras = [name for name in PROJECT["optional-dependencies"] if name not in ("all", "dev")]
    assert undeclared(ROOT / "src", declared(*extras) | BROUGHT_BY_TORCH | {"clipcli"}) == {}


@pytest.mark.parametrize("folder", ["tests", "examples"])
def test_each_package_that_the_tests_import_is_a_declared_requirement(folder: str) -> None:
    wanted = declared(*PROJECT["optional-dependencies"]) | BROUGHT_BY_TORCH
    ours = {path.stem for place in ("tools", "examples") for path in (ROOT / place).glob("*.py")}
    assert undeclared(ROOT / folder, wanted | ours | {"clipcli", "tests", "tools"}) == {}


def test_a_requirement_that_is_missing_is_noticed() -> None:
    assert "markupsafe" in undeclared(ROOT / "src", declared() - {"markupsafe"})


# --- the wheel ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel, built as `make dist` builds it."""
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", "--wheel", "--outdir", folder, ROOT],
        check=True, capture_output=True,
    )  # fmt: skip
    return next(folder.glob("clipcli-*.whl"))


@pytest.fixture(scope="module")
def bare(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the wheel in it; what it requires is read from where the tests run, and not copied."""
    folder = tmp_path_factory.mktemp("bare")
    venv.create(folder, symlinks=True)
    packages = next(folder.glob("lib/python*/site-packages"))
    subprocess.run(
        [sys.executable, "-m", "pip", "--python", folder / "bin" / "python", "install", "--quiet", "--no-index",
         "--no-deps", "--disable-pip-version-check", wheel],
        check=True,
    )  # fmt: skip
    # Named in a .pth file, a folder's own .pth files are not read: not the one that leads to the checkout either.
    shared = [path for path in sys.path if path.endswith("-packages")]
    (packages / "requirements.pth").write_text("\n".join(shared), "utf-8")
    return folder


def run_in(bare: Path, folder: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in clean_environment(folder).items() if name != "PYTHONPATH"}
    return subprocess.run(
        [bare / "bin" / "clipcli", *map(str, arguments)], cwd=folder, env=environment, capture_output=True, text=True
    )


def test_the_wheel_holds_what_is_read_at_run_time_and_nothing_of_the_tests(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    for each in ("py.typed", "prompt_sets/", "models/pocket/open_clip_model.safetensors", "reports/page"):
        assert any(name.startswith(f"clipcli/{each}") for name in names), each
    assert {name.split("/")[0].split("-")[0] for name in names} == {"clipcli"}
    assert any(name.endswith("licenses/NOTICE") for name in names)


def test_an_installed_wheel_classifies_a_photo_and_makes_a_report(
    bare: Path, photos: dict[str, Path], tmp_path: Path
) -> None:
    where = subprocess.run(
        [bare / "bin" / "python", "-c", "import clipcli; print(clipcli.__file__)"], cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": ""}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert Path(where.stdout.strip()).is_relative_to(bare)
    shutil.copy(photos["cat"], tmp_path / "photo.png")
    labels = ("-l", "cat", "-l", "rocket", "-l", "temple")
    done = run_in(bare, tmp_path, "classify", "photo.png", *labels, "--model", "pocket", "-o", "results.jsonl")
    assert (done.returncode, done.stderr) == (0, "")
    assert '"label": "cat"' in (tmp_path / "results.jsonl").read_text("utf-8")
    report = run_in(bare, tmp_path, "report", "results.jsonl", "-o", "page.html")
    assert (report.returncode, report.stderr) == (0, "")
    assert "photo.png" in (tmp_path / "page.html").read_text("utf-8")


def test_an_installed_wheel_lists_the_prompt_sets(bare: Path, tmp_path: Path) -> None:
    done = run_in(bare, tmp_path, "prompts", "list")
    assert (done.returncode, done.stderr) == (0, "")
    assert {line.split("\t")[0] for line in done.stdout.splitlines()} >= {"name", "photo", "sketch"}
