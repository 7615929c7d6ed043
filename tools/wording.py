"""Check the wording of docs, help texts, messages, docstrings and comments against ``tools/wording.txt``.

    python tools/wording.py            # print each finding as FILE:LINE; exit code 1 if there are any

Words that are only wrong in prose (``kept``, ``suffix``) are fine as names in code, which a spelling checker of
whole files would not distinguish; so this reads string literals and comments of Python files only.
"""

from __future__ import annotations

import ast
import io
import re
import sys
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
RULES = Path(__file__).with_suffix(".txt")
DOCUMENTS = ("*.md", *(f"{folder}/**/*.md" for folder in ("benchmarks", "docs", "src", "tools")))

_CODE = re.compile(
    r"^```.*?^```|``.*?``|`[^`\n]*`|https?://\S+|\x22[^\x22\n]+\x22|^ +\w+(?:, \w+)*$", re.MULTILINE | re.DOTALL
)


@dataclass(frozen=True)
class Rule:
    """An expression that prose must not contain, and what to write instead."""

    expression: re.Pattern[str]
    remedy: str


def read_rules(text: str) -> list[Rule]:
    """Parse the rules, one per line, without ``#`` comments and blank lines."""
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    parts = [line.rpartition("->") for line in lines]
    return [Rule(re.compile(before.strip(), re.IGNORECASE), remedy.strip()) for before, _, remedy in parts]


def prose_of(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the prose of a file, in pieces with the number of their first line."""
    text = path.read_text("utf-8")
    if path.suffix != ".py":
        yield 1, text
        return
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value.strip():
            yield node.lineno, node.value
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string


def findings(path: Path, rules: list[Rule]) -> Iterator[tuple[int, str, str]]:
    """Yield line, words and remedy of each piece of prose that a rule rejects, in the order of lines."""
    found = []
    for first, text in prose_of(path):
        prose = _CODE.sub(lambda code: re.sub(r"[^\n]", "\0", code.group()), text)
        found += [
            (first + prose.count("\n", 0, match.start()), match.group(), rule.remedy)
            for rule in rules
            for match in rule.expression.finditer(prose)
        ]
    yield from sorted(found)


def main() -> int:
    """Print all findings."""
    rules = read_rules(RULES.read_text("utf-8"))
    paths = sorted({path for pattern in ("src/**/*.py", *DOCUMENTS) for path in ROOT.glob(pattern)})
    count = 0
    for path in paths:
        for line, words, remedy in findings(path, rules):
            count += 1
            print(f"{path.relative_to(ROOT)}:{line}: {' '.join(words.split())!r} -> {remedy}")
    return 1 if count else 0


if __name__ == "__main__":
    sys.exit(main())
