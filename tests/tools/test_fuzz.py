"""The fuzzer in tools/ finds what it looks for, and finds it again by its seed."""

from __future__ import annotations

import random
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from tools.fuzz.child import Child  # noqa: E402
from tools.fuzz.damage import damage_bytes, damage_image  # noqa: E402
from tools.fuzz.file_kinds import file_kinds  # noqa: E402
from tools.fuzz.limits import complaints, make_victim, snapshot  # noqa: E402
from tools.fuzz.pictures import image_kinds, sound_image  # noqa: E402
from tools.fuzz.sockets import INTERNET  # noqa: E402
from tools.fuzz.text_damage import damage_json, damage_lines, damage_text  # noqa: E402

from tests.conftest import RunHere  # noqa: E402

JSON = b'{"a": [1, "x", {"b": null}], "c": 0.5}\n'


@pytest.mark.parametrize("kind", image_kinds())
def test_each_kind_of_image_is_damaged_alike_by_the_same_seed_only(kind: str) -> None:
    sound = sound_image(kind)
    first, again = ([damage_image(sound, random.Random(seed)) for seed in range(5)] for _ in "ab")
    assert first == again
    assert len({*first, sound}) > 3


@pytest.mark.parametrize("way", [damage_bytes, damage_json, damage_lines, damage_text])
def test_every_damage_to_text_leaves_bytes(way: object) -> None:
    damaged = [way(JSON, random.Random(seed)) for seed in range(300)]  # type: ignore[operator]
    assert all(isinstance(each, bytes) for each in damaged)
    assert len(set(damaged)) > 10


def test_every_kind_of_file_has_commands() -> None:
    assert all(kind.commands for kind in file_kinds().values())


@pytest.mark.parametrize(
    ("code", "errors"),
    [
        (1, "Traceback (most recent call last):\n  File \"x\", line 1\nValueError: y\n"), (-11, ""), (3, "error: x\n"),
        (2, "something\n"), (2, ""), (0, "Fatal Python error: Aborted\n"),
    ],
)  # fmt: skip
def test_crashes_and_undocumented_exits_are_findings(code: int, errors: str) -> None:
    assert list(complaints(code, errors))


def test_an_error_line_with_its_exit_code_is_no_finding() -> None:
    assert not list(complaints(2, "error: cannot read x: it is empty (name another)\n"))
    assert not list(complaints(1, "error: a.png: damaged image\n"))
    assert not list(complaints(0, ""))


def test_what_changes_beside_a_case_is_seen(tmp_path: Path) -> None:
    make_victim(tmp_path)
    before = snapshot(tmp_path, tmp_path / "case")
    (tmp_path / "case").mkdir()
    (tmp_path / "case" / "inside").write_text("x", "utf-8")
    assert snapshot(tmp_path, tmp_path / "case") == before
    (tmp_path / "victim" / "f").write_text("changed", "utf-8")
    assert snapshot(tmp_path, tmp_path / "case") != before


def test_a_child_answers_with_exit_codes_and_sees_files_that_are_written_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "case").mkdir()
    child = Child(tmp_path / "log")
    try:
        here = child.run(tmp_path / "case", ["prompts", "list"])
        wrong = child.run(tmp_path / "case", ["prompts", "show", "./none.txt"])
        (tmp_path / "case" / "r.jsonl").write_text('{"path": "a.png", "label": "cat", "probability": 0.5}\n', "utf-8")
        there = child.run(tmp_path / "case", ["report", "r.jsonl", "-o", "../page.html"])
    finally:
        child.close()
    assert (here.code, here.problem, here.seen) == (0, None, [])
    assert wrong.code == 2
    assert wrong.errors.startswith("error: ")
    assert any(str(tmp_path / "page.html") in each for each in there.seen)


def test_only_sockets_of_the_internet_are_findings() -> None:
    assert INTERNET.findall("7 socket(AF_INET6, SOCK_STREAM, IPPROTO_IP) = 3")
    assert INTERNET.findall("7 connect(3, {sa_family=AF_INET, sin_port=htons(53)}, 16) = 0")
    assert not INTERNET.findall(
        "7 socket(AF_UNIX, SOCK_STREAM|SOCK_CLOEXEC, 0) = 3\n7 socketpair(AF_UNIX, 1, 0, [3, 4]) = 0"
    )


# --- what was found --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "content", "command"),
    [
        ("labels.csv", "x" * 70_000 + "\ncat\n", "classify p.png -L labels.csv -m pocket"),
        ("labels.tsv", "\t".join(["column"] * 9000) + "\ncat\n", "classify p.png -L labels.tsv -m pocket"),
        ("prompts.txt", "x" * 70_000 + "\n", "prompts show ./prompts.txt"),
        ("pairs.csv", ",".join(["column"] * 9000) + "\ncat\n", "train pairs.csv -o out --from-scratch tiny"),
    ],
)
def test_an_error_that_quotes_a_file_stays_readable_however_long_its_lines_are(
    run_here: RunHere, tmp_path: Path, name: str, content: str, command: str
) -> None:
    (tmp_path / name).write_text(content, "utf-8")
    (tmp_path / "p.png").write_bytes(sound_image("png"))
    (done,) = run_here(command.split())
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert name in done.stderr
    assert "characters ...]" in done.stderr
    assert len(done.stderr) < 4100
