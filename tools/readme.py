"""Run the console blocks of the README and the docs, and write their output back.

    python tools/readme.py           # rewrite the outputs
    python tools/readme.py --check   # only say whether they still hold; exit code 1 if not

In a ```console block each line that starts with ``$ `` is a command, and what follows it is its output. The
commands run in bash, one after the other, in a folder with the photographs and label files of the
examples, with an empty cache and no network. The tests run the same check.
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

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = (ROOT / "README.md", ROOT / "docs" / "commands.md")
TOLERANCE = 0.02  # probabilities differ a little between processors and precisions

_BLOCK = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_NUMBER = re.compile(r"\d+\.\d+(?:e-\d+)?")
_PRECISION = re.compile(r"\b(?:bf16|fp32)\b")  # `auto` takes what the processor has
_BAR = re.compile(r" *[▏▎▍▌▋▊▉█]+ *| {2,}")


@dataclass(frozen=True)
class Step:
    """One command of a document, and the output it is said to have."""

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


def prepare(folder: Path) -> dict[str, str]:
    """Fill ``folder`` with what the commands name, and return the environment they run in."""
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
        "CLIPCLI_CACHE_DIR": str(folder / ".cache"),
        "CLIPCLI_MODEL": "pocket",
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


def _words(line: str) -> str:
    return _PRECISION.sub("precision", _NUMBER.sub("#", _BAR.sub(" ", line)))


def main() -> int:
    """Rewrite or check all documents."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="change nothing, exit with 1 if something is stale")
    only_check = parser.parse_args().check
    stale = 0
    for document in DOCUMENTS:
        with tempfile.TemporaryDirectory(prefix="clipcli-readme-") as name:
            folder = Path(name)
            text = rewritten(document, folder, prepare(folder))
        if text != document.read_text("utf-8"):
            stale += 1
            print(f"{document.relative_to(ROOT)}: {'stale; run make readme' if only_check else 'rewritten'}")
            if not only_check:
                document.write_text(text, "utf-8")
    return 1 if stale and only_check else 0


if __name__ == "__main__":
    sys.exit(main())
