"""The exit codes of all commands; 128 + N after signal N comes from :mod:`clipcli.signals`."""

from __future__ import annotations

__all__ = ["COMMAND_FAILED", "INTERRUPTED", "SOME_FAILED", "SUMMARY"]

SOME_FAILED = 1
"""The command is complete, but some inputs failed, or some entries are damaged."""

COMMAND_FAILED = 2
"""An option, file or model cannot be used; the same as ``ClipcliError.exit_code``."""

INTERRUPTED = 130
"""Ctrl-C."""

SUMMARY = (
    f"Exit codes: 0 success, {SOME_FAILED} some inputs failed, {COMMAND_FAILED} the command failed, "
    f"{INTERRUPTED} interrupted (128 + signal)."
)
