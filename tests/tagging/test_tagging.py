"""``clipcli tag`` over real files: both names of sidecars, hostile files, undo, kills, and two runs at once."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from PIL import Image

from clipcli.errors import InputError
from clipcli.outputs.readers import ReadRecord, read_results
from clipcli.scoring.zeroshot import Score
from clipcli.tagging.keywords import KeywordRules
from clipcli.tagging.log import log_of
from clipcli.tagging.sidecars import Sidecars
from clipcli.tagging.xmp import keywords_added
from tests.conftest import RunHere
from tests.tagging.packets import PACKETS
from tests.tagging.test_xmp import KEYWORDS, needs_exiftool

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write results over images, which are made too: each is a path with its labels, best first."""

    def write_results(name: str = "r.jsonl", **images: Iterable[str]) -> Path:
        lines = []
        for image, labels in images.items():
            path = tmp_path / f"{image}.jpg"
            if not path.exists():
                Image.new("RGB", (8, 8)).save(path)
            scores = [
                {"label": label, "probability": 0.6 / rank, "similarity": 0.2} for rank, label in enumerate(labels, 1)
            ]
            values = {"path": f"{image}.jpg", "label": scores[0]["label"], "probability": 0.6, "top": scores}
            lines.append(json.dumps(values) + "\n")
        (tmp_path / name).write_text("".join(lines), "utf-8")
        return tmp_path / name

    return write_results


def keywords_in(file: Path) -> list[str]:
    from lxml import etree

    root = etree.parse(file).getroot()
    return [each.text for values in root.iter("{*}hierarchicalSubject") for each in values.iter("{*}li")]


def _is_sidecar(path: Path) -> bool:
    return path.suffix.lower() == ".xmp" and not path.name.startswith(".clipcli-")  # which a kill leaves


def state_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if _is_sidecar(path)}


def test_each_sidecar_that_exists_is_changed_and_undo_restores_its_bytes_and_time(
    write: Write, tmp_path: Path, run_here: RunHere
) -> None:
    write(a=["cat"], b=["dog"], c=["unknown"])
    (tmp_path / "a.xmp").write_bytes(PACKETS["lightroom"])
    (tmp_path / "a.jpg.XMP").write_bytes(PACKETS["darktable"])
    os.utime(tmp_path / "a.xmp", (1e9, 1e9))
    before, photo = state_of(tmp_path), (tmp_path / "a.jpg").stat()
    (done,) = run_here(("tag", "r.jsonl", "--prefix", "ai|"))
    assert (done.returncode, done.stdout) == (0, "ai|cat\t1\nai|dog\t1\n")
    assert keywords_in(tmp_path / "a.xmp") == ["Reisen|Urlaub", "pets", "ai|cat"]
    assert keywords_in(tmp_path / "a.jpg.XMP") == ["ai|cat"]
    assert keywords_in(tmp_path / "b.jpg.xmp") == ["ai|dog"]
    assert set(state_of(tmp_path)) == {*before, "b.jpg.xmp"}
    assert (tmp_path / "a.jpg").stat().st_mtime_ns == photo.st_mtime_ns
    again, listed, undone, none = run_here(
        ("tag", "r.jsonl", "--prefix", "ai|"), ("tag", "r.jsonl", "--undo", "-n"), ("tag", "--undo", "r.jsonl"),
        ("tag", "--undo", "r.jsonl"),
    )  # fmt: skip
    assert (again.stdout, again.stderr) == ("", "2 images already had their keywords\n")
    assert len(listed.stdout.splitlines()) == 3
    assert (undone.returncode, undone.stdout) == (0, "3 undone\n")
    assert state_of(tmp_path) == before
    assert (tmp_path / "a.xmp").stat().st_mtime == 1e9
    assert none.stderr == "error: cannot undo r.jsonl: there is no r.jsonl.tags.jsonl\n"


def test_a_dry_run_names_the_changes_and_makes_none(write: Write, tmp_path: Path, run_here: RunHere) -> None:
    write(a=["cat"])
    names = {path.name for path in tmp_path.iterdir()}
    (done,) = run_here(("tag", "r.jsonl", "-n", "--sidecar", "stem"))
    assert done.stdout == f"tag\t{tmp_path / 'a.xmp'}\tcat\n"
    assert {path.name for path in tmp_path.iterdir()} - {"cache", "huggingface"} == names


@pytest.mark.parametrize(
    ("options", "keywords"),
    [
        ((), ["cat"]),
        (("--top", "2"), ["cat", "pet"]),
        (("--top", "3", "--min-probability", "0.25"), ["cat", "pet"]),
        (("--prefix", "ai:"), ["ai:cat"]),
        (("--prefix", "a|b|x-"), ["a|b|x-cat"]),
    ],
)
def test_options_choose_the_keywords(
    options: tuple[str, ...], keywords: list[str], write: Write, tmp_path: Path, run_here: RunHere
) -> None:
    write(a=["cat", "pet", "tree"])
    (done,) = run_here(("tag", "r.jsonl", *options))
    assert done.returncode == 0
    assert keywords_in(tmp_path / "a.jpg.xmp") == keywords


def test_all_labels_of_a_run_with_tags_and_the_groups_of_labels_are_written(tmp_path: Path, run_here: RunHere) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "a.jpg")
    (tmp_path / "r.csv").write_text("path,label,group,probability,labels\na.jpg,cat,animal/pet,0.9,cat|out|cat\n")
    (done,) = run_here(("tag", "r.csv"))
    assert done.stdout == "animal|pet|cat\t1\nout\t1\n"
    (done,) = run_here(("tag", "r.csv", "--min-probability", "0.5", "--prefix", "x"))
    assert "the results have no probability of 'out' for a.jpg" in done.stderr


def test_remove_takes_only_these_keywords_and_can_be_undone(write: Write, tmp_path: Path, run_here: RunHere) -> None:
    write(a=["cat"], b=["dog"])
    (tmp_path / "a.xmp").write_bytes(PACKETS["digikam"])
    run_here(("tag", "r.jsonl"))
    tagged = state_of(tmp_path)
    (removed,) = run_here(("tag", "r.jsonl", "--remove"))
    assert removed.stdout == "cat\t1\ndog\t1\n"
    assert set(state_of(tmp_path)) == {"a.xmp"}
    assert keywords_added(state_of(tmp_path)["a.xmp"], ()) == state_of(tmp_path)["a.xmp"]
    run_here(("tag", "r.jsonl"))
    assert state_of(tmp_path) == tagged
    run_here(("tag", "--undo", "r.jsonl"))
    assert state_of(tmp_path) == {"a.xmp": PACKETS["digikam"]}


def test_tagging_again_after_a_correction_warns_that_earlier_keywords_stay(
    write: Write, tmp_path: Path, run_here: RunHere
) -> None:
    write(a=["cat"], b=["dog"])
    (tmp_path / "checked.csv").write_text("path,label\na.jpg,fox\n", "utf-8")
    first, again, corrected = run_here(
        ("tag", "r.jsonl"), ("tag", "r.jsonl"), ("tag", "r.jsonl", "--checked", "checked.csv")
    )
    assert "tagged before" not in first.stderr + again.stderr
    assert "r.jsonl was tagged before: keywords that its images no longer have stay" in corrected.stderr
    assert keywords_in(tmp_path / "a.jpg.xmp") == ["cat", "fox"]
    run_here(("tag", "r.jsonl", "--undo"), ("tag", "r.jsonl", "--checked", "checked.csv"))
    assert keywords_in(tmp_path / "a.jpg.xmp") == ["fox"]


def test_a_sidecar_that_others_changed_since_is_not_undone(write: Write, tmp_path: Path, run_here: RunHere) -> None:
    write(a=["cat"], b=["dog"])
    run_here(("tag", "r.jsonl"))
    changed = keywords_added((tmp_path / "a.jpg.xmp").read_bytes(), KEYWORDS)
    (tmp_path / "a.jpg.xmp").write_bytes(changed)
    (done,) = run_here(("tag", "--undo", "r.jsonl"))
    assert (done.returncode, done.stdout) == (1, "1 undone\n")
    assert "it has changed since (remove only the keywords with --remove)" in done.stderr
    assert state_of(tmp_path) == {"a.jpg.xmp": changed}


def test_what_is_no_sidecar_stays_and_the_others_are_written(write: Write, tmp_path: Path, run_here: RunHere) -> None:
    results = write(a=["cat"], b=["cat"], c=["cat"], d=["cat"], e=["cat"])
    (tmp_path / "other").write_bytes(PACKETS["darktable"])
    (tmp_path / "a.xmp").symlink_to(tmp_path / "other")
    (tmp_path / "b.xmp").mkdir()
    (tmp_path / "c.xmp").write_text("<!DOCTYPE x []><x/>")
    (tmp_path / "d.jpg").unlink()
    lines = results.read_text() + '{"path": "r.jsonl", "label": "cat", "probability": 1}\n'
    lines += '{"path": "https://host/x.jpg", "label": "cat", "probability": 1}\n'
    results.write_text(lines)
    (done,) = run_here(("tag", "r.jsonl"))
    assert (done.returncode, done.stdout) == (1, "cat\t1\n")
    for reason in (
        "a.xmp is a link", "b.xmp is not a regular file", "cannot edit c.xmp", "no such file", "it is not an image",
        "it is behind a URL", "6 images were not tagged",
    ):  # fmt: skip
        assert reason in done.stderr
    assert (tmp_path / "other").read_bytes() == PACKETS["darktable"]
    assert (tmp_path / "c.xmp").read_text() == "<!DOCTYPE x []><x/>"
    assert "Traceback" not in done.stderr


LINE: dict[str, object] = {
    "action": "write",
    "file": "/x/a.xmp",
    "before": None,
    "before_ns": 0,
    "after": "0" * 64,
    "changes": [],
    "log": 1,
}


@pytest.mark.parametrize(
    "damage",
    [
        {"file": "/etc/passwd"}, {"file": "a.xmp"}, {"file": "/x/../a.xmp"}, {"file": 3}, {"action": "move"},
        {"after": "../x"}, {"after": 3}, {"before": "!"}, {"before": 3}, {"before_ns": 2**70}, {"changes": [["+"]]},
        {"changes": [["=", "dc:subject", "x"]]}, {"changes": [["+", "-delete_original!", "x"]]},
        {"changes": [["+", "dc:subject", "x\n-execute"]]}, {"action": "embed"}, {"log": None},
    ],
)  # fmt: skip
def test_a_damaged_log_changes_no_file(
    damage: dict[str, object], write: Write, tmp_path: Path, run_here: RunHere
) -> None:
    results = write(a=["cat"])
    run_here(("tag", "r.jsonl"))
    log = log_of(results)
    log.write_bytes(log.read_bytes() + b"\n" + json.dumps(LINE | damage).encode())
    before = state_of(tmp_path)
    (done,) = run_here(("tag", "--undo", "r.jsonl"))
    assert (done.returncode, done.stdout) == (2, "")
    assert "is damaged at line 3" in done.stderr
    assert "(no file was changed)" in done.stderr
    assert state_of(tmp_path) == before


def test_a_copied_log_needs_the_folder_that_files_may_be_changed_in(
    write: Write, tmp_path: Path, run_here: RunHere
) -> None:
    log = log_of(write(a=["cat"]))
    run_here(("tag", "r.jsonl"))
    data = log.read_bytes()
    log.rename(tmp_path / "old")  # so that the copy has another inode
    log.write_bytes(data)
    refused, other, done = run_here(
        ("tag", "--undo", "r.jsonl"), ("tag", "--undo", "r.jsonl", "--root", "cache"),
        ("tag", "--undo", "r.jsonl", "--root", "."),
    )  # fmt: skip
    assert "--root DIR" in refused.stderr
    assert f"{tmp_path} is not in" in other.stderr
    assert (refused.returncode, other.returncode, done.stdout) == (1, 1, "1 undone\n")


def test_a_line_that_a_kill_cut_off_is_ignored(write: Write, tmp_path: Path, run_here: RunHere) -> None:
    log = log_of(write(a=["cat"]))
    run_here(("tag", "r.jsonl"))
    log.write_bytes(log.read_bytes() + b'\n{"action": "write", "fi')
    (done,) = run_here(("tag", "--undo", "r.jsonl"))
    assert (done.stdout, state_of(tmp_path)) == ("1 undone\n", {})


WORK = """
import sys
from pathlib import Path
from clipcli.outputs.readers import read_results
from clipcli.tagging.keywords import KeywordRules
from clipcli.tagging.log import open_log
from clipcli.tagging.sidecars import Sidecars, carry_out, plan
results = Path(sys.argv[1])
exec(sys.argv[2])
with open_log(results) as log:
    done = list(carry_out(plan(read_results(results), results.parent, KeywordRules("ai|")), Sidecars(), log))
print([str(each.problem) for each in done if each.problem])
"""


def working(results: Path, before: str = "") -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", WORK, results, before], stdout=subprocess.PIPE, text=True)


def test_a_kill_at_any_moment_leaves_whole_sidecars_and_undo_restores_all(
    write: Write, tmp_path: Path, run_here: RunHere
) -> None:
    forms = [PACKETS[name] for name in ("lightroom", "darktable", "digikam", "immich")]
    results = write(**{f"i{number}": ["cat"] for number in range(200)})
    for number in range(200):
        (tmp_path / f"i{number}.xmp").write_bytes(forms[number % 4])
    before = state_of(tmp_path)
    after = {name: keywords_added(data, KeywordRules("ai|").of(_first(results))) for name, data in before.items()}
    chance = random.Random(3)
    for _ in range(3):
        work = working(results)
        assert work.stdout is not None
        while work.poll() is None and state_of(tmp_path) == before:
            time.sleep(0.01)
        time.sleep(chance.uniform(0, 0.05))
        work.send_signal(signal.SIGKILL)
        work.wait()
        work.stdout.close()
        found = state_of(tmp_path)
        assert {name for name in found if found[name] not in (before[name], after[name])} == set()
        (done,) = run_here(("tag", "--undo", "r.jsonl", "-q"))
        assert done.returncode == 0
        assert state_of(tmp_path) == before
    with working(results) as work:
        assert work.communicate()[0] == "[]\n"
    assert state_of(tmp_path) == after


def _first(results: Path) -> ReadRecord:
    return next(iter(read_results(results)))


def test_two_runs_at_once_lose_no_keyword_of_each_other(write: Write, tmp_path: Path) -> None:
    names = [f"i{number}" for number in range(60)]
    runs = [working(write(f"{label}.jsonl", **{name: [label] for name in names})) for label in ("cat", "dog")]
    assert [run.communicate()[0] for run in runs] == ["[]\n", "[]\n"]
    assert all(sorted(keywords_in(tmp_path / f"{name}.jpg.xmp")) == ["ai|cat", "ai|dog"] for name in names)
    assert not list(tmp_path.glob("*.lock"))


def test_a_full_disk_leaves_the_sidecar_and_the_next_image_is_tried(write: Write, tmp_path: Path) -> None:
    results = write(a=["cat"], b=["dog"])
    packet = PACKETS["lightroom"].replace(b"Katze", b"Katze" * 2000)
    (tmp_path / "a.xmp").write_bytes(packet)
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))"
    with working(results, limit) as work:
        text = work.communicate()[0]
    assert text.count("File too large") == 1
    assert (tmp_path / "a.xmp").read_bytes() == packet
    assert not list(tmp_path.glob(".clipcli-*"))


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_to_is_one_problem_per_image(
    write: Write, tmp_path: Path, run_here: RunHere
) -> None:
    write(a=["cat"])
    (tmp_path / "shut").mkdir()
    shutil.move(tmp_path / "a.jpg", tmp_path / "shut" / "a.jpg")
    (tmp_path / "r.jsonl").write_text('{"path": "shut/a.jpg", "label": "cat", "probability": 1}\n')
    (tmp_path / "shut").chmod(0o555)
    (done,) = run_here(("tag", "r.jsonl"))
    assert done.returncode == 1
    assert "Permission denied" in done.stderr


def test_a_missing_probability_is_found_before_any_file_is_changed(write: Write, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no probability of 'b'"):
        KeywordRules(min_probability=0.5, top=2).of(_record(("a", "b")))
    assert Sidecars(remove=True).edit(write(a=["x"]).with_name("a.jpg"), KEYWORDS, None) == ()


def _record(labels: tuple[str, ...]) -> ReadRecord:
    return ReadRecord("p", labels[0], 0.9, None, (Score(labels[0], 0.9, 0.1),), labels=labels)


@needs_exiftool
def test_embedded_keywords_leave_the_pixels_the_time_and_the_keywords_of_others(
    write: Write, tmp_path: Path, run_here: RunHere
) -> None:
    write(a=["cat"], b=["<dog> = #1"])
    (tmp_path / "c.bmp").write_bytes((tmp_path / "a.jpg").read_bytes())
    subprocess.run(["exiftool", "-q", "-overwrite_original", "-XMP:Subject=cat", tmp_path / "a.jpg"], check=True)
    os.utime(tmp_path / "a.jpg", (1e9, 1e9))
    pixels = Image.open(tmp_path / "a.jpg").tobytes()

    def subjects(name: str) -> object:
        tags = ("-XMP-dc:Subject", "-XMP-lr:HierarchicalSubject", "-XMP-digiKam:TagsList")
        done = subprocess.run(["exiftool", "-j", *tags, tmp_path / name], capture_output=True, check=True)
        return {key: value for key, value in json.loads(done.stdout)[0].items() if key != "SourceFile"}

    done, again = run_here(*[("tag", "r.jsonl", "--embed", "--prefix", "ai|")] * 2)
    assert (done.returncode, again.stdout) == (0, "")
    assert subjects("a.jpg") == {"Subject": "cat", "HierarchicalSubject": "ai|cat", "TagsList": "ai/cat"}
    assert subjects("b.jpg") == {
        "Subject": "<dog> = #1", "HierarchicalSubject": "ai|<dog> = #1", "TagsList": "ai/<dog> = #1",
    }  # fmt: skip
    assert (tmp_path / "a.jpg").stat().st_mtime == 1e9
    assert Image.open(tmp_path / "a.jpg").tobytes() == pixels
    (undone,) = run_here(("tag", "--undo", "r.jsonl"))
    assert undone.stdout == "2 undone\n"
    assert (subjects("a.jpg"), subjects("b.jpg")) == ({"Subject": "cat"}, {})
    assert not list(tmp_path.glob("*_original"))


def test_embedding_names_the_program_that_is_missing(write: Write, run_here: RunHere, tmp_path: Path) -> None:
    write(a=["cat"])
    (done,) = run_here(("tag", "r.jsonl", "--embed"), PATH=str(tmp_path))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: cannot use --embed: the program exiftool is not installed (install it")
