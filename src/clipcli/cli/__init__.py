"""The command line. Commands parse, call and print; errors become messages and exit codes here."""

from __future__ import annotations

import errno
import os
import sys
import warnings
from collections.abc import Sequence
from importlib import import_module
from typing import Annotated, Any

import typer

from clipcli.cli.command import Command
from clipcli.cli.exit_codes import COMMAND_FAILED, INTERRUPTED, SUMMARY
from clipcli.cli.help import WIDTH, Group
from clipcli.cli.messages import Messages, library_heard
from clipcli.errors import ClipcliError, Interrupted
from clipcli.message_names import naming_options
from clipcli.models.allocator import allow_keeping_memory
from clipcli.run_log import noting
from clipcli.signals import exit_code, stopped
from clipcli.storage.network_policy import process_policy
from clipcli.terminal import guarded_streams

__all__ = ["build_app", "main", "run"]

# each a function of its module
_COMMANDS = (
    "classify",
    "sort",
    "evaluate",
    "teach",
    "matrix",
    "search",
    "report",
    "train",
    "serve",
    "tag",
    "watch",
    "info",
)
_GROUPS = ("export", "models", "prompts", "cache")  # each the app of its module
# The base of all errors that Typer's argument parser raises, wherever this version of Typer keeps it.
_UsageError: Any = typer.BadParameter.__bases__[0]


def _show_version(wanted: bool) -> None:
    if wanted:
        from clipcli._version import __version__

        typer.echo(f"clipcli {__version__}")
        raise typer.Exit


def _global_options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit."),
    ] = False,
) -> None:
    pass


def build_app(arguments: Sequence[str] = ()) -> typer.Typer:
    """Build the app for one command line.

    Typer imports pydantic to read the options of a group of commands (``--help``, ``--install-completion``),
    even if none is given, which doubles the time of a command's ``--help``. So a group gets these options
    only if an argument in their position may be an option. If the command line names a command, the app has no other:
    to read the options of all of them takes longer than to run some.
    """
    completing = "_CLIPCLI_COMPLETE" in os.environ
    first, second = (completing or _may_be_option(arguments, place) for place in (0, 1))
    app = typer.Typer(
        name="clipcli",
        cls=Group,
        help="Classify images with labels of your choice. No training needed.",
        epilog=SUMMARY,
        no_args_is_help=True,
        add_completion=first,
        add_help_option=first,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,  # Rich would double the time of every --help; clipcli.cli.help groups the options
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": WIDTH},
    )
    app.callback()(_global_options)
    named = [name for name in arguments[:1] if name in (*_COMMANDS, *_GROUPS) and not completing]
    apps = [app]
    for name in named or (*_COMMANDS, *_GROUPS):
        module = import_module(f"clipcli.cli.{name}")
        if name in _COMMANDS:
            app.command(name)(getattr(module, name))
        else:
            app.add_typer(module.app, name=name, cls=Group, add_help_option=second)
            apps.append(module.app)
    for each in apps:
        for registered in each.registered_commands:
            registered.cls = Command
    return app


def _may_be_option(arguments: Sequence[str], place: int) -> bool:
    return len(arguments) <= place or arguments[place].startswith("-")


def main() -> None:
    """Run the command line and exit with its exit code."""
    sys.exit(run(sys.argv[1:]))


@guarded_streams()
def run(arguments: list[str]) -> int:
    """Run one command line and return its exit code; every expected error becomes one line on stderr."""
    _replace_closed_streams()
    messages = Messages()
    _prefer_utf8()
    allow_keeping_memory()
    if not sys.warnoptions:
        warnings.simplefilter("ignore")  # warnings of libraries are addressed to programmers
    try:
        with stopped(), process_policy(), library_heard(), naming_options(), noting(arguments):
            outcome = build_app(arguments)(args=arguments, prog_name="clipcli", standalone_mode=False)
            sys.stdout.flush()
        if outcome == INTERRUPTED:  # some versions of Typer return the code, others raise
            raise KeyboardInterrupt
        return outcome if isinstance(outcome, int) else 0
    except ClipcliError as error:
        messages.error(str(error))
        return exit_code() if isinstance(error, Interrupted) else error.exit_code
    except _UsageError as error:
        _report_usage(error, messages)
        return COMMAND_FAILED
    except (KeyboardInterrupt, typer.Abort):
        messages.error("interrupted")
        return exit_code()
    except BrokenPipeError:
        return _reader_left()
    except SystemExit as stop:
        if isinstance(stop.__context__, BrokenPipeError):  # Typer would exit with 1: some inputs failed
            return _reader_left()
        raise
    except OSError as problem:
        reason = "stdout is closed" if problem.errno == errno.EBADF else problem.strerror or str(problem)
        messages.error(f"{problem.filename}: {reason}" if problem.filename else f"cannot continue: {reason}")
        _forget_stdout()
        return COMMAND_FAILED
    except Exception as problem:
        from clipcli.cli.breakdown import breakdown

        line = breakdown(problem)
        if line is None:
            raise
        messages.error(line)
        _forget_stdout()
        return COMMAND_FAILED


def _report_usage(error: Any, messages: Messages) -> None:
    if type(error).__name__ == "NoArgsIsHelpError":
        typer.echo(error.format_message(), err=True)
    else:
        text = error.format_message().replace("Value error, ", "").rstrip(".")
        messages.error(f"{text} ({_hint_of(error)}see {_command_of(error)} --help)")


_LABELS_OF_MATRIX = ("-l", "-L", "--label", "--labels")


def _hint_of(error: Any) -> str:
    """Return what to use instead of an option of another command, or of a share in per cent."""
    if _command_of(error) == "clipcli matrix" and getattr(error, "option_name", None) in _LABELS_OF_MATRIX:
        return "give texts with -x TEXT or --texts FILE; "
    return "write 0.5 for 50 %; " if _is_share(getattr(error, "param", None)) else ""


def _is_share(parameter: Any) -> bool:
    """Return whether the values of an option are from 0 to 1; releases of Typer differ in where the limits are."""
    described = getattr(getattr(parameter, "type_descriptor", None), "parameter_info", None)
    limits = described or getattr(parameter, "type", None)
    return (getattr(limits, "min", None), getattr(limits, "max", None)) == (0.0, 1.0)


def _reader_left() -> int:
    """Return the exit code for a pipe that its reader closed: that is not an error."""
    _forget_stdout()
    return 0


def _forget_stdout() -> None:
    """Prevent Python from flushing stdout at exit, which would fail again and print a traceback."""
    sys.stdout = None


def _command_of(error: Any) -> str:
    context = getattr(error, "ctx", None)
    return context.command_path if context is not None else "clipcli"


def _replace_closed_streams() -> None:
    """Replace streams that were closed when the process started, as a daemon's are, by the null device.

    Nothing can be written to that of stdout: results would be lost without a word. What is opened takes the number of
    the closed stream, so that no output file does.
    """
    for name, access in (("stdin", os.O_RDONLY), ("stdout", os.O_RDONLY), ("stderr", os.O_WRONLY)):
        if getattr(sys, name) is None:
            number = os.open(os.devnull, access)
            setattr(sys, name, open(number, "r" if name == "stdin" else "w", encoding="utf-8"))  # noqa: SIM115, PTH123


def _prefer_utf8() -> None:
    """Write UTF-8 whatever the locale."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(encoding="utf-8", errors="backslashreplace")
