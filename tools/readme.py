"""Renew the generated parts of the README and the docs: outputs of commands, and the command reference.

    python tools/readme.py                     # rewrite what has changed
    python tools/readme.py docs/guide/sort.md  # only this document
    python tools/readme.py --check             # change nothing; exit code 1 if something has changed

In a ```console block each line that starts with ``$ `` is a command, and the lines after it are its output. The
commands of a document run in bash, one after the other, in a folder with the photographs and label files of the
examples, without a network. All documents share one cache, so that each image is encoded once. The tests run the
same check.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from command_reference import command_reference

ROOT = Path(__file__).resolve().parents[1]
COMMAND_REFERENCE = ROOT / "docs" / "reference" / "commands.md"
TOLERANCE = 0.02  # probabilities differ a little between processors and precisions

_BLOCK = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_PYTHON = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LAYERS = re.compile(r"(?<=<!-- layers of pyproject.toml -->\n```text\n).*?(?=^```$)", re.MULTILINE | re.DOTALL)
_CONTRACT = re.compile(r"^layers = \[\n(.*?)^\]", re.MULTILINE | re.DOTALL)
_NUMBER = re.compile(r"\d+\.\d+(?:e-\d+)?")
_PRECISION = re.compile(r"\b(?:bf16|fp32)\b")  # `auto` takes what the processor has
_BAR = re.compile(r" *[▏▎▍▌▋▊▉█]+ *| {2,}")


PAGES = (ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md", *sorted((ROOT / "docs").rglob("*.md")))
"""Everything that users read; the command reference among it."""
DOCUMENTS = tuple(page for page in PAGES if _BLOCK.search(page.read_text("utf-8")))


@dataclass(frozen=True)
class Step:
    """One command of a document, and the output that the document shows."""

    command: str
    output: str


def parse_block(text: str) -> list[Step]:
    """Split a console block into its commands with their outputs."""
    parts = re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]
    return [Step(*part.partition("\n")[::2]) for part in parts]


def steps_of(document: Path) -> Iterator[Step]:
    """Yield all steps of a document in order."""
    for block in _BLOCK.finditer(document.read_text("utf-8")):
        yield from parse_block(block.group(1))


def python_examples(document: Path) -> list[str]:
    """Return the Python blocks of a document in order."""
    return _PYTHON.findall(document.read_text("utf-8"))


def prepare(folder: Path, cache: Path | None = None) -> dict[str, str]:
    """Fill ``folder`` with the files that the commands name, and return the environment they run in."""
    sys.path.insert(0, str(ROOT / "examples"))
    from demo import collect_photographs

    (folder / "photos").mkdir()
    collect_photographs(folder / "photos")
    shutil.copy(folder / "photos" / "chelsea.png", folder / "cat.png")
    for path in (ROOT / "examples").iterdir():
        if path.suffix in (".txt", ".csv", ".json", ".py"):
            shutil.copy(path, folder)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("CLIPCLI_", "HF_"))}
    return kept | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
        "CLIPCLI_CACHE_DIR": str(cache or folder / ".cache"),
        "CLIPCLI_MODEL": "pocket",
        "CLIPCLI_PRECISION": "fp32",  # `auto` takes what the processor has, and outputs differ a little
        "HF_HOME": str(folder / ".huggingface"),
        "HF_ENDPOINT": "http://127.0.0.1:9",
        "COLUMNS": "100",
        "TERM": "dumb",
    }


def run_step(command: str, folder: Path, environment: dict[str, str]) -> str:
    """Run one command and return what it wrote to stdout, without trailing spaces."""
    done = subprocess.run(
        ["bash", "-c", command], cwd=folder, env=environment, capture_output=True, text=True, encoding="utf-8",
        timeout=1200, check=False,
    )  # fmt: skip
    lines = [line.rstrip() for line in done.stdout.splitlines()]
    return "".join(f"{line}\n" for line in lines)


def same_output(said: str, found: str) -> bool:
    """Compare two outputs: words to the letter, decimal fractions within the tolerance."""
    said_lines, found_lines = said.splitlines(), found.splitlines()
    return len(said_lines) == len(found_lines) and all(map(_same_line, said_lines, found_lines))


def _same_line(said: str, found: str) -> bool:
    """Compare two lines; the lengths of bars follow from the numbers beside them."""
    if _words(said) != _words(found):
        return False
    percent = 100.0 if "%" in said else 1.0
    pairs = zip(_NUMBER.findall(said), _NUMBER.findall(found), strict=True)
    return all(abs(float(first) - float(second)) <= TOLERANCE * percent for first, second in pairs)


def rewritten(document: Path, folder: Path, environment: dict[str, str]) -> str:
    """Return the document's text with the outputs of this moment, kept as they were where they still hold."""

    def block(match: re.Match[str]) -> str:
        body = ""
        for step in parse_block(match.group(1)):
            found = run_step(step.command, folder, environment)
            body += f"$ {step.command}\n{step.output if same_output(step.output, found) else found}"
        return f"```console\n{body}```"

    return _BLOCK.sub(block, document.read_text("utf-8"))


def with_layers(text: str) -> str:
    """Return a page with the order of the packages as pyproject.toml has it."""
    contract = _CONTRACT.search((ROOT / "pyproject.toml").read_text("utf-8"))
    assert contract is not None
    layers = "".join(f"{line}\n" for line in re.findall(r'"(.*)"', contract.group(1)))
    return _LAYERS.sub(layers, text)


def _words(line: str) -> str:
    return _PRECISION.sub("precision", _NUMBER.sub("#", _BAR.sub(" ", line)))


def renewed(document: Path, cache: Path) -> str:
    """Return the document's text with all its generated parts made again."""
    if document == COMMAND_REFERENCE:
        return command_reference()
    if document not in DOCUMENTS:
        return with_layers(document.read_text("utf-8"))
    with tempfile.TemporaryDirectory(prefix="clipcli-readme-") as name:
        return with_layers(rewritten(document, Path(name), prepare(Path(name), cache)))


def main() -> int:
    """Rewrite or check the documents."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("documents", nargs="*", type=Path, help="default: all of them")
    parser.add_argument("--check", action="store_true", help="change nothing; exit code 1 if something has changed")
    options = parser.parse_args()
    documents = [path.resolve() for path in options.documents] or list(PAGES)
    stale = 0
    with tempfile.TemporaryDirectory(prefix="clipcli-cache-") as cache:
        for document in documents:
            text = renewed(document, Path(cache))
            if text != document.read_text("utf-8"):
                stale += 1
                print(f"{document.relative_to(ROOT)}: {'stale; run make readme' if options.check else 'rewritten'}")
                if not options.check:
                    document.write_text(text, "utf-8")
    return 1 if stale and options.check else 0


if __name__ == "__main__":
    sys.exit(main())
