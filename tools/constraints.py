"""Write constraints.txt: the exact versions, in this environment, of all that ``clipcli[dev]`` brings along.

    python tools/constraints.py > constraints.txt

Releases that need a newer Python than clipcli does are pinned for these Pythons only.
"""

from __future__ import annotations

import sys
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

PYTHONS = ("3.10", "3.11", "3.12", "3.13")
HEADER = """\
# The versions that the tests run with: all that `clipcli[dev]` brings along, written by tools/constraints.py.
# torchvision names one torch release exactly, so these two are pinned together. Users who `pip install clipcli`
# are held only to the lower bounds in pyproject.toml.
"""


def closure(requirements: list[Requirement]) -> dict[str, Distribution]:
    """Follow requirements and theirs through what is installed; what is not installed here is left out."""
    found: dict[str, Distribution] = {}
    seen: set[tuple[str, str]] = set()
    waiting = [(requirement, "") for requirement in requirements]
    while waiting:
        requirement, extra = waiting.pop()
        name = canonicalize_name(requirement.name)
        if requirement.marker and not requirement.marker.evaluate({"extra": extra}):
            continue
        try:
            found[name] = distribution(name)
        except PackageNotFoundError:
            continue
        for wanted in {"", *requirement.extras} - {wanted for known, wanted in seen if known == name}:
            seen.add((name, wanted))
            waiting += [(Requirement(line), wanted) for line in found[name].requires or ()]
    return found


def pin(name: str, installed: Distribution) -> str:
    """Return the line of one package."""
    from packaging.specifiers import SpecifierSet

    allowed = SpecifierSet(installed.metadata["Requires-Python"] or "")
    oldest = next(python for python in PYTHONS if f"{python}.99" in allowed)
    marker = f'; python_version >= "{oldest}"' if oldest != PYTHONS[0] else ""
    return f"{name}=={Version(installed.version).public}{marker}"


def main() -> None:
    """Print the file."""
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib

    project = tomllib.loads((Path(__file__).resolve().parents[1] / "pyproject.toml").read_text("utf-8"))["project"]
    lines = project["dependencies"] + [line for each in project["optional-dependencies"].values() for line in each]
    wanted = [requirement for requirement in map(Requirement, lines) if requirement.name != "clipcli"]
    print(HEADER + "\n".join(pin(name, installed) for name, installed in sorted(closure(wanted).items())))


if __name__ == "__main__":
    main()
