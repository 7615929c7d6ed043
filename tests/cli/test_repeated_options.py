"""An option that takes one value is refused if it is repeated: only the last value would be used, without a word."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from clipcli.cli import run
from tests.cli.test_empty_values import line_with, parameters

OPTIONS = [each for each in parameters() if each.values[2].param_type_name == "option"]


@pytest.mark.parametrize(("path", "command", "parameter"), [each for each in OPTIONS if not each.values[2].multiple])
def test_an_option_with_one_value_is_refused_if_it_is_repeated(
    path: tuple[str, ...], command: Any, parameter: Any, capsys: pytest.CaptureFixture[str],
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    name = max(parameter.opts, key=len)
    assert run([*line_with(path, command, parameter, "x"), name, "y"]) == 2
    assert capsys.readouterr().err == (
        f"error: cannot use {name} more than once: it takes one value (run the command once for each)\n"
    )


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("matrix a.png -x a --paired --not-paired", "cannot use --paired more than once"),
        ("evaluate t.csv -L a.txt --labels b.txt", "cannot use --labels more than once"),
        ("classify a.png -l cat -l dog -q -q", "a.png: no such file"),
        ("matrix a.png -m pocket -x cat -x dog -t a -t b", "--template: no placeholder"),
    ],
)
def test_contradictions_and_short_names_are_refused_but_not_what_may_be_repeated(
    line: str, says: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(line.split()) in (1, 2)
    assert says in capsys.readouterr().err
