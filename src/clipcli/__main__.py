"""The entry point: ``clipcli`` and ``python -m clipcli``."""

import sys

from clipcli.signals import exit_code, stopped


def main() -> None:
    """Run the command line; an interruption while it is still being imported ends as quietly as a later one."""
    try:
        with stopped():
            from clipcli.cli import main as run

            run()
    except KeyboardInterrupt:
        sys.stderr.write("error: interrupted\n")
        sys.exit(exit_code())


if __name__ == "__main__":
    main()
