"""The entry point: ``clipcli`` and ``python -m clipcli``."""

import sys

from clipcli.signals import exit_code, stopped


def main() -> None:
    """Run the command line; an interruption while it is still being imported ends as quietly as a later one."""
    try:
        with stopped():
            try:
                from clipcli.cli import main as run
            except (ImportError, MemoryError) as problem:
                lines = str(problem).strip().splitlines() or ["not enough memory"]
                sys.stderr.write(f"error: cannot start: {lines[0]} (reinstall clipcli with pip)\n")
                sys.exit(2)
            run()
    except KeyboardInterrupt:
        sys.stderr.write("error: interrupted\n")
        sys.exit(exit_code())


if __name__ == "__main__":
    main()
