"""When a file of a watched folder is complete."""

from __future__ import annotations

from clipcli.watching.arrivals import Arrivals, Look


class Folder:
    """A folder whose files and clock the test sets."""

    def __init__(self) -> None:
        self.files: dict[str, Look] = {}
        self.now = 0.0
        self.arrivals = Arrivals(settle=1.0, patience=30.0)

    def after(self, seconds: float, *, last: bool = False) -> list[str]:
        self.now += seconds
        found = list(self.arrivals.complete(self.files, self.now, self.files.get))
        self.found = {arrival.path: arrival for arrival in found}
        return [arrival.path for arrival in found if arrival.is_last_try == last]


def test_a_file_is_complete_when_it_has_not_changed_for_some_time() -> None:
    folder = Folder()
    folder.files["a"] = Look(1, 1, 1)
    assert folder.after(0) == []
    folder.files["a"] = Look(2, 1, 1)
    assert folder.after(0.9) == []
    assert folder.after(0.9) == []
    assert folder.after(0.1) == ["a"]
    folder.arrivals.done(folder.found["a"])
    del folder.files["a"]  # it has a record now
    assert (folder.after(5), folder.arrivals.is_waiting) == ([], False)


def test_a_file_that_takes_the_place_of_another_is_a_change() -> None:
    folder = Folder()
    folder.files["a"] = Look(1, 1, 1)
    folder.after(0)
    folder.files["a"] = Look(1, 1, 2)
    assert folder.after(1) == []
    assert folder.after(1) == ["a"]


def test_a_temporary_name_that_is_gone_is_forgotten() -> None:
    folder = Folder()
    folder.files["a.part.jpg"] = Look(1, 1, 1)
    folder.after(0)
    folder.files["a.jpg"] = folder.files.pop("a.part.jpg")
    assert folder.after(1) == []
    assert folder.after(1) == ["a.jpg"]


def test_what_cannot_be_read_is_tried_again_when_it_changes_and_given_up_after_some_patience() -> None:
    folder = Folder()
    folder.files |= {"a": Look(1, 1, 1), "b": Look(1, 1, 2)}
    folder.after(0)
    assert folder.after(1) == ["a", "b"]
    for arrival in folder.found.values():
        folder.arrivals.unreadable(arrival)
    assert folder.after(1) == []
    folder.files["a"] = Look(9, 9, 1)
    assert folder.after(1) == []
    assert folder.after(1) == ["a"]
    assert folder.after(30, last=True) == ["b"]
