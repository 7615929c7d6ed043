"""Check ``clipcli tag`` over 1,000 photos with sidecars: what changes, what kills leave, what undo restores.

    python -m benchmarks.tagging              # in a temporary folder; needs the program exiftool

The sidecars have the forms of Lightroom, darktable, digiKam and Immich (by hand from their schemas, in tests/tagging),
under both names, and that of ExifTool, which makes every fifth. Each run is killed at a random moment; after each kill,
every sidecar must have its old or its new bytes. At the end, ExifTool compares all properties before and after, and
undo must restore all bytes.
"""

from __future__ import annotations

import argparse
import json
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from PIL import Image

from clipcli.tagging.keywords import Keyword
from clipcli.tagging.xmp import keywords_added
from tests.tagging.packets import PACKETS

FORMS = ("lightroom", "darktable", "digikam", "immich")
OWN = {"XMP-dc:Subject", "XMP-lr:HierarchicalSubject", "XMP-digiKam:TagsList"}
LABELS = ("cat", "dog", "temple")


def make(folder: Path, photos: int) -> None:
    """Make photos with sidecars, and the results file."""
    records, by_exiftool = [], []
    for number in range(photos):
        image = folder / f"IMG_{number:04}.jpg"
        Image.new("RGB", (16, 16), (number % 256, 90, 30)).save(image)
        sidecar = image.with_suffix(".xmp") if number % 2 else image.with_name(image.name + ".xmp")
        if number % 5 == 4:
            by_exiftool.append(sidecar)
        else:
            sidecar.write_bytes(PACKETS[FORMS[number % 5]])
        label = LABELS[number % 3]
        records.append(json.dumps({"path": image.name, "label": label, "probability": 0.9}) + "\n")
    for sidecar in by_exiftool:
        sidecar.unlink(missing_ok=True)
    tags = ["-XMP-dc:Subject=pets", "-XMP-xmp:Rating=3", "-XMP-lr:HierarchicalSubject=home|pets", "-XMP-dc:Title=a"]
    arguments = [f"{option}\n" for sidecar in by_exiftool for option in (*tags, str(sidecar), "-execute")]
    subprocess.run(["exiftool", "-q", "-@", "-"], input="".join(arguments), text=True, check=True, capture_output=True)
    (folder / "r.jsonl").write_text("".join(records), "utf-8")


def state_of(folder: Path) -> dict[str, bytes]:
    """Return the bytes of all sidecars."""
    return {path.name: path.read_bytes() for path in folder.glob("IMG_*.xmp")}


def facts_of(folder: Path) -> dict[str, dict[str, Any]]:
    """Return the properties of all sidecars, as ExifTool reads them."""
    done = subprocess.run(
        ["exiftool", "-q", "-j", "-G1", "-a", "-struct", "-XMP:all", "-ext", "xmp", str(folder)],
        capture_output=True, check=True,
    )  # fmt: skip
    return {Path(each.pop("SourceFile")).name: each for each in json.loads(done.stdout)}


def clipcli(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    """Start a command in the folder."""
    command = [sys.executable, "-m", "clipcli", "tag", *arguments]
    return subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def check(folder: Path, photos: int, kills: int, seed: int) -> None:
    """Run the whole check in an empty folder, and print what was found."""
    make(folder, photos)
    before, facts, chance = state_of(folder), facts_of(folder), random.Random(seed)
    labels = {f"IMG_{number:04}": LABELS[number % 3] for number in range(photos)}
    after = {
        name: keywords_added(data, [Keyword(("ai", labels[name.partition(".")[0]]))]) for name, data in before.items()
    }
    torn, written = 0, []
    for _ in range(kills):
        for name, data in before.items():
            (folder / name).write_bytes(data)
        log = folder / "r.jsonl.tags.jsonl"
        log.unlink(missing_ok=True)
        work = clipcli(folder, "r.jsonl", "--prefix", "ai|")
        while work.poll() is None and not log.exists():
            time.sleep(0.002)
        time.sleep(chance.uniform(0, 1))
        work.send_signal(signal.SIGKILL)
        work.communicate()
        found = state_of(folder)
        torn += sum(found[name] not in (before[name], after[name]) for name in before)
        written.append(sum(found[name] == after[name] for name in before))
    print(f"{kills} kills: {torn} torn sidecars; written before the kill: {', '.join(map(str, written))}")
    started = time.perf_counter()
    text = clipcli(folder, "r.jsonl", "--prefix", "ai|").communicate()[0]
    print(f"the last run: {time.perf_counter() - started:.1f} s: {' '.join(text.split())}")
    assert torn == 0
    assert state_of(folder) == after
    changed_facts = facts_of(folder)
    for name, values in facts.items():
        others = {key: value for key, value in changed_facts[name].items() if key not in OWN}
        assert others == {key: value for key, value in values.items() if key not in OWN}, name
        for key in OWN:
            kept = values.get(key, [])
            listed = changed_facts[name][key]
            assert set(kept if isinstance(kept, list) else [kept]) < set(
                listed if isinstance(listed, list) else [listed]
            )
    print(f"exiftool: all other properties of {len(facts)} sidecars are as before")
    started = time.perf_counter()
    text = clipcli(folder, "--undo", "r.jsonl").communicate()[0]
    print(f"undo: {time.perf_counter() - started:.1f} s: {' '.join(text.split())}")
    assert state_of(folder) == before
    print("undo: all sidecars have their old bytes")


def main() -> None:
    """Parse the arguments and check."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=int, default=1000)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        check(Path(folder), arguments.photos, arguments.kills, arguments.seed)


if __name__ == "__main__":
    main()
