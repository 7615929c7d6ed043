"""The entry point: ``clipcli`` and ``python -m clipcli``."""

import sys


def main() -> None:
    """Run the command line; an interruption while it is still being imported ends as quietly as a later one."""
    try:
        from clipcli.cli import main as run
    except KeyboardInterrupt:
        sys.stderr.write("error: interrupted\n")
        sys.exit(130)
    run()


if __name__ == "__main__":
    main()
