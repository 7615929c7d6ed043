"""The folder of the relative paths in a table."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from clipcli.errors import InputError
from clipcli.inputs.path_base import PathBase


@pytest.fixture
def months(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two folders with photos of the same names, as a camera numbers them; the second is the current one."""
    for month in ("may", "june"):
        (tmp_path / month / "photos").mkdir(parents=True)
        for number in (1, 2):
            (tmp_path / month / f"photos/{number}.jpg").write_bytes(f"{month} {number}".encode())
    monkeypatch.chdir(tmp_path / "june")
    return tmp_path


def test_results_of_other_photos_with_the_same_names_are_refused(months: Path) -> None:
    base = PathBase("../may/results.csv", own=True)
    with pytest.raises(InputError, match=r"it can mean photos/1\.jpg or \.\./may/photos/1\.jpg, which differ"):
        base.locate("photos/1.jpg")


def test_a_named_folder_settles_it(months: Path) -> None:
    base = PathBase("../may/results.csv", own=True, root=Path("../may"))
    assert base.locate("photos/1.jpg") == os.path.join("../may", "photos/1.jpg")  # noqa: PTH118


def test_the_same_photos_in_both_folders_are_no_question(months: Path) -> None:
    for number in (1, 2):
        (months / f"june/photos/{number}.jpg").write_bytes((months / f"may/photos/{number}.jpg").read_bytes())
    assert PathBase("../may/results.csv", own=True).locate("photos/1.jpg") == "photos/1.jpg"


def test_tables_of_others_name_what_is_next_to_them(months: Path) -> None:
    assert PathBase("../may/truth.csv", own=False).locate("photos/1.jpg") == "../may/photos/1.jpg"


def test_a_missing_first_photo_does_not_choose_the_other_folder(months: Path) -> None:
    base = PathBase("../may/results.csv", own=True)
    assert base.locate("photos/9.jpg") == "photos/9.jpg"
    (months / "june/photos/2.jpg").unlink()
    assert base.locate("photos/2.jpg") == "../may/photos/2.jpg"
    assert base.locate("photos/1.jpg") == "../may/photos/1.jpg"
