"""Values that are converted without Typer's converter are those that it would make."""

from __future__ import annotations

import subprocess
import sys
from copy import copy
from pathlib import Path
from typing import Any

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st

from clipcli.cli import build_app
from clipcli.cli.plain_values import convert_plain_values

COMMAND: Any = typer.main.get_command(build_app()).commands["classify"]  # type: ignore[attr-defined]
CONVERTED = [each for each in COMMAND.params if hasattr(each, "get_runtime_param")]
NUMBERS = st.from_regex(r"\A[+-]?[ 0-9_.e]{1,12}\Z") | st.integers().map(str) | st.floats().map(str)
TEXTS = NUMBERS | st.text(max_size=12) | st.sampled_from(["", ".", "/", "true", "no", "1", "0.5", "\0"])


def outcome(parameter: Any, value: Any, context: Any) -> tuple[Any, Any]:
    """Return the kind and value that a parameter makes of a value, or the kind and text of the error."""
    try:
        found = parameter.process_value(context, value)
    except Exception as problem:  # noqa: BLE001 - whatever it is
        return type(problem), str(problem)
    return type(found), repr(found)


@pytest.mark.skipif(not CONVERTED, reason="this Typer converts values without pydantic")
@given(data=st.data())
def test_each_option_converts_a_text_as_typer_does(data: st.DataObject) -> None:
    index = data.draw(st.sampled_from(range(len(CONVERTED))))
    text = data.draw(TEXTS)
    context = typer.Context(COMMAND)
    found = []
    for is_plain in (False, True):
        parameter = copy(CONVERTED[index])
        parameter.callback, parameter.required = None, False
        has_many = parameter.multiple or parameter.nargs == -1
        if is_plain:
            convert_plain_values(parameter)
        found.append([outcome(parameter, value, context) for value in (None, [text, text] if has_many else text)])
    assert found[0] == found[1]


def test_an_ordinary_command_line_imports_no_pydantic(tmp_path: Path) -> None:
    program = (
        "import sys\n"
        "from clipcli.cli import run\n"
        "code = run(['classify', 'missing.jpg', '-l', 'cat', '-l', 'dog', '--top-k', '3', '-o', 'x.csv'])\n"
        "assert code, code\n"
        "assert 'pydantic' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, cwd=tmp_path, capture_output=True)
