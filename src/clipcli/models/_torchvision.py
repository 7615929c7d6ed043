"""Import open_clip even if torchvision's compiled operators do not match the installed torch.

open_clip needs ``torchvision.transforms`` only, but ``import torchvision`` registers shape functions for
its detection operators, and fails where those were built for another torch (PyPI's wheels are built for
CUDA; a CPU build of torch with them is common). Declaring the missing operators, which nothing here
ever calls, lets the import through.
"""

from __future__ import annotations

import importlib
import re
import sys
from types import ModuleType
from typing import Any

from clipcli.errors import ModelError

_MISSING = re.compile(r"operator torchvision::(\w+) does not exist")
_SIGNATURE = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
_declared: list[Any] = []  # a torch Library undoes its declarations when it is collected


def import_torch() -> ModuleType:
    """Import and return ``torch``.

    Raises
    ------
    ModelError
        If that fails, whatever a broken installation raises.
    """
    return _import("torch")


def import_open_clip() -> ModuleType:
    """Import and return ``open_clip``, declaring torchvision's missing operators where needed.

    Raises
    ------
    ModelError
        If it cannot be imported, or torchvision and torch do not fit each other in some other way.
    """
    if "torchvision" not in sys.modules:
        _import_torchvision()
    return _import("open_clip", "open_clip_torch")


def _import(name: str, package: str = "") -> ModuleType:
    try:
        return importlib.import_module(name)
    except MemoryError:
        raise
    except Exception as problem:
        lines = str(problem).strip().splitlines()
        reason = lines[0][:300] if lines else type(problem).__name__
        raise ModelError(f"cannot import {name}: {reason} (reinstall it: pip install {package or name})") from problem


def _import_torchvision() -> None:
    torch = import_torch()
    for _ in range(8):
        try:
            importlib.import_module("torchvision")
            return
        except MemoryError:
            raise
        except Exception as problem:
            missing = _MISSING.search(str(problem))
            if missing is None:
                line = " ".join(str(problem).split())[:300]
                raise ModelError(f"torchvision does not work with torch {torch.__version__}: {line}") from problem
            for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
                del sys.modules[name]
            library = torch.library.Library("torchvision", "FRAGMENT")
            library.define(missing.group(1) + _SIGNATURE)
            _declared.append(library)
    raise ModelError(f"torchvision does not work with torch {torch.__version__} (reinstall both together)")
