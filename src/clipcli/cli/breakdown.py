"""One-line messages for errors of the machine: not enough memory, or a library that cannot be imported."""

from __future__ import annotations

from pathlib import Path

from clipcli.models.allocator import is_out_of_memory

__all__ = ["breakdown"]

_REMEDY = "reinstall it with pip, in the environment that clipcli runs in"


def breakdown(problem: BaseException) -> str | None:
    """Return a one-line message for an error of the machine, or ``None`` if it may be a bug of clipcli.

    Parameters
    ----------
    problem
        The caught exception, with its traceback.
    """
    if is_out_of_memory(problem):
        return "cannot continue: not enough memory (use a smaller --batch-size, fewer --workers, or a smaller model)"
    name = _imported(problem)
    if name is None:
        return None
    lines = str(problem).strip().splitlines()
    return f"cannot import {name}: {lines[0][:300] if lines else type(problem).__name__} ({_REMEDY})"


def _imported(problem: BaseException) -> str | None:
    """Return the name of the library whose import failed, if one did."""
    trace = problem.__traceback__
    while trace is not None:
        frame, trace = trace.tb_frame, trace.tb_next
        package = str(frame.f_globals.get("__name__", "")).split(".")[0]
        if frame.f_code.co_name == "<module>" and package not in ("clipcli", "__main__", ""):
            return package
    if isinstance(problem, SyntaxError) and problem.filename:  # a damaged file, of which no line was run
        return Path(problem.filename).parent.name
    if isinstance(problem, ImportError):
        return (problem.name or "a library").split(".")[0]
    return None
