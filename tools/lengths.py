"""Check the length of modules and functions: ``python tools/lengths.py``, which ``make lint`` runs.

A module has at most 300 lines. A function has at most 45, without its docstring and, for commands, without the options
in its signature.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("src", "tools", "benchmarks")
MODULE_LINES, FUNCTION_LINES = 300, 45
EXCEPTIONS = {
    "tools/pocket/train_text.py main": "the steps of one training, read from top to bottom",
}
"""Functions that may be longer, with the reason."""


def body_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Return the number of lines of a function's body, without its docstring."""
    first, *rest = function.body
    documented = ast.get_docstring(function) is not None
    if documented and not rest:
        return 0
    return int(function.end_lineno or 0) - (rest[0] if documented else first).lineno + 1


def problems_of(path: Path) -> Iterator[str]:
    """Yield a line for the module if it is too long, and one for each function that is."""
    text, name = path.read_text("utf-8"), path.relative_to(ROOT).as_posix()
    lines = text.count("\n")
    if lines > MODULE_LINES:
        yield f"{name}: {lines} lines (at most {MODULE_LINES}; split the module)"
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = body_lines(node)
            if length > FUNCTION_LINES and f"{name} {node.name}" not in EXCEPTIONS:
                yield f"{name}:{node.lineno}: {node.name} has {length} lines (at most {FUNCTION_LINES})"


def main() -> int:
    """Print all problems, and return the exit code."""
    problems = [
        each for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.py")) for each in problems_of(path)
    ]
    print("\n".join(problems), end="\n" * bool(problems))
    return int(bool(problems))


if __name__ == "__main__":
    sys.exit(main())
