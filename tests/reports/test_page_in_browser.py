"""The page of ``clipcli report`` in a real browser, where Chromium and its driver are installed."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from clipcli.evaluation.ground_truth import read_truth
from clipcli.images.thumbnails import make_thumbnails
from clipcli.outputs.readers import ReadRecord
from clipcli.reports.page import PageContent, PageEvaluation, write_page
from clipcli.scoring.thresholds import UNKNOWN
from clipcli.scoring.zeroshot import Score
from tests.browser import complaints, needs_browser, open_browser, until
from tests.conftest import Run

pytestmark = needs_browser

EVIL_LABEL = "<script>alert(1)</script>"
EVIL_NAME = "\"'><img src=x onerror=alert(2)>.jpg"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with open_browser(tmp_path_factory.mktemp("browser")) as driver:
        yield driver


def made(index: int) -> ReadRecord:
    """Return one of many results: some unknown, some failed, some hostile."""
    path = f"photos/{index:05}.jpg"
    if index % 10 == 9:
        return ReadRecord(path, None, None, "no image in it")
    probability = (index * 37 % 100) / 100
    best, second = ("cat", "dog") if index % 3 else ("dog", "=cat")
    top = (Score(best, probability, 0.3), Score(second, (1 - probability) / 2, 0.2))
    if index == 1:
        return ReadRecord(EVIL_NAME, EVIL_LABEL, 0.99, None, (Score(EVIL_LABEL, 0.99, 0.4),), "evil")
    return ReadRecord(path, UNKNOWN if probability < 0.2 else best, probability, None, top, "pets", "pocket bf16")


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory, photos: dict[str, Path]) -> dict[int, Path]:
    """Pages of 20 and of 20,000 results, with a few real pictures over and over."""
    folder = tmp_path_factory.mktemp("pages")
    pictures = list(make_thumbnails(photos.values(), 64))
    for count in (20, 20_000):
        thumbnails = (pictures[number % len(pictures)] for number in range(count))
        write_page([made(number) for number in range(count)], thumbnails, folder / f"{count}.html", "Results")
    return {count: folder / f"{count}.html" for count in (20, 20_000)}


@pytest.fixture(params=[20, 20_000], ids=["20", "20000"])
def page(request: pytest.FixtureRequest, browser: Any, pages: dict[int, Path]) -> Any:
    """The browser with a page open, large or small."""
    afresh(browser, pages[request.param])
    browser.count = request.param
    until(lambda: shown(browser) > 5)
    return browser


@pytest.fixture
def true_page(browser: Any, tmp_path: Path) -> Any:
    """A small page with the true classes of its images, two of them not those of the results."""
    records = [
        ReadRecord(f"images #1/{number}.jpg", label, probability, None, (Score(label, probability, 0.3),))
        for number, (label, probability) in enumerate(
            [("cat", 0.9), ("dog", 0.5), ("cat", 0.6), ("cat", 0.8), ("dog", 0.95), ("dog", 0.7)]
        )
    ]
    dot = "data:image/gif;base64,R0lGODlhAQABAAAAACH5BAEKAAEALAAAAAABAAEAAAICTAEAOw=="
    evaluation = PageEvaluation("67%", (("top-1", "67% (20% to 95%)"),), (("fox", EVIL_LABEL, "1"),), (("dot", dot),))
    content = PageContent(tmp_path / "album", ["cat", "dog", "fox", "cat", "fox", None], evaluation)
    write_page(records, ["UklGRg=="] * 6, tmp_path / "true.html", "Results", content)
    browser.get((tmp_path / "true.html").as_uri())
    return browser


def afresh(browser: Any, page: Path) -> None:
    """Open a page as somebody who never checked a label."""
    browser.get(page.as_uri())
    browser.execute_script("window.localStorage.clear()")
    browser.get(page.as_uri())


def shown(browser: Any) -> int:
    """Count the pictures that are there and decoded."""
    script = "return [...document.querySelectorAll('.tile img')].filter((each) => each.naturalWidth).length"
    return int(browser.execute_script(script))


def text(browser: Any, selector: str) -> str:
    return str(browser.execute_script("return document.querySelector(arguments[0])?.textContent ?? ''", selector))


def tiles(browser: Any) -> list[str]:
    script = "return [...document.querySelectorAll('.tile')].map((each) => each.querySelector('b').textContent)"
    return list(browser.execute_script(script))


def choose(browser: Any, name: str, value: str) -> None:
    browser.execute_script(
        "document.getElementById(arguments[0]).value = arguments[1];"
        "document.getElementById(arguments[0]).dispatchEvent(new Event('input', { bubbles: true }))",
        name, value,
    )  # fmt: skip


def press(browser: Any, *keys: str) -> None:
    from selenium.webdriver.common.action_chains import ActionChains

    ActionChains(browser).send_keys(*keys).perform()


def of(count: int) -> str:
    return f" of {count:,}"


# --- filters, search, order -------------------------------------------------------------------------


def test_only_what_is_in_view_is_in_the_page(page: Any) -> None:
    assert text(page, "#count") == f"{page.count:,}{of(page.count)}"
    assert len(tiles(page)) <= 120


@pytest.mark.parametrize(
    ("kind", "holds"),
    [
        ("failed", lambda record: record.label is None),
        ("unknown", lambda record: record.label == UNKNOWN),
        ("named", lambda record: record.label not in (None, UNKNOWN)),
    ],
)
def test_failed_unknown_and_named_can_be_seen_alone(kind: str, holds: Callable[[ReadRecord], bool], page: Any) -> None:
    choose(page, "kind", kind)
    expected = sum(holds(made(number)) for number in range(page.count))
    assert text(page, "#count") == f"{expected:,}{of(page.count)}"


def test_a_label_and_a_group_can_be_chosen(page: Any) -> None:
    choose(page, "label", "dog")
    assert set(tiles(page)) == {"dog"}
    choose(page, "label", "")
    choose(page, "group", "evil")
    assert tiles(page) == [EVIL_LABEL]


def test_the_search_finds_names(page: Any) -> None:
    choose(page, "search", "00007")
    assert text(page, "#count").startswith("1 of")


def test_the_order_can_be_by_confidence(page: Any) -> None:
    choose(page, "kind", "named")
    choose(page, "order", "unsure")
    script = "return [...document.querySelectorAll('.tile .line span')].map((each) => parseFloat(each.textContent))"
    confidences = page.execute_script(script)
    assert confidences == sorted(confidences)
    choose(page, "order", "sure")
    assert page.execute_script(script)[0] == 99.0


def test_a_bar_of_the_histogram_chooses_its_probabilities(page: Any) -> None:
    page.execute_script("document.querySelectorAll('#histogram button')[19].click()")
    expected = sum(
        record.probability is not None and record.probability >= 0.95 for record in map(made, range(page.count))
    )
    assert text(page, "#count") == f"{expected:,}{of(page.count)}"
    assert text(page, "#range") == "95 to 100 %"


def test_headings_part_the_labels(page: Any) -> None:
    choose(page, "heading", "label")
    assert text(page, "#grid h2").startswith("failed")
    choose(page, "kind", "named")
    assert text(page, "#grid h2").startswith(EVIL_LABEL)


def test_scrolling_brings_the_others(page: Any) -> None:
    page.execute_script("window.scrollTo(0, document.body.scrollHeight)")
    until(lambda: bool(page.execute_script("return document.getElementById(arguments[0])", f"tile-{page.count - 1}")))
    assert shown(page) > 0


# --- what is looked at first ------------------------------------------------------------------------


def test_no_image_is_selected_at_the_start(page: Any) -> None:
    from selenium.webdriver.common.keys import Keys

    assert not page.execute_script("return document.querySelector('.tile.current')")
    press(page, Keys.ENTER)
    assert not page.execute_script("return document.getElementById('detail').open")


def test_the_least_certain_images_come_first_and_failures_last(page: Any) -> None:
    first = min((each for each in map(made, range(page.count)) if each.top), key=certainty)
    until(lambda: tiles(page)[0] == first.label)
    page.execute_script("window.scrollTo(0, document.body.scrollHeight)")
    until(lambda: tiles(page)[-1] == "failed")


def certainty(record: ReadRecord) -> float:
    return 2 * (record.probability or 0.0) - record.top[1].probability if len(record.top) > 1 else 2.0


def test_the_handles_of_the_range_do_not_cross(page: Any) -> None:
    choose(page, "most", "40")
    choose(page, "least", "70")
    assert text(page, "#range") == "40 to 40 %"


def test_what_contradicts_the_truth_comes_before_everything(true_page: Any) -> None:
    script = "return [...document.querySelectorAll('.tile .truth')].map((each) => each.textContent)"
    assert true_page.execute_script(script)[:3] == ["true class: fox", "true class: fox", ""]
    assert tiles(true_page)[:2] == ["dog", "cat"]  # the surer of the two mistakes
    choose(true_page, "kind", "wrong")
    assert text(true_page, "#count") == "2 of 6"


def test_figures_and_charts_of_the_accuracy_are_in_the_page(true_page: Any) -> None:
    true_page.execute_script("document.getElementById('evaluation').open = true")
    chart = "return document.querySelector('#evaluation img').naturalWidth"
    until(lambda: bool(true_page.execute_script(chart)))
    assert "95%" in text(true_page, "#evaluation")
    assert EVIL_LABEL in text(true_page, "#evaluation")


def test_a_page_links_to_images_beside_it(true_page: Any) -> None:
    true_page.execute_script("document.querySelector('.tile').click()")
    address = true_page.execute_script("return document.getElementById('original').href")
    assert address.startswith("file:///")
    assert address.endswith("/album/images%20%231/4.jpg")
    true_page.execute_script("document.getElementById('detail').close()")


@pytest.mark.parametrize("width", [320, 390, 1280])
def test_no_number_is_cut_off(width: int, page: Any) -> None:
    page.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    )
    page.refresh()
    until(lambda: shown(page) > 1)
    script = """return [...document.querySelectorAll('.tile .line span')].filter((each) => {
        const inner = each.getBoundingClientRect(), outer = each.closest('.tile').getBoundingClientRect();
        return inner.right > outer.right || inner.left < outer.left || each.scrollWidth > each.clientWidth + 1;
    }).length + (document.documentElement.scrollWidth > window.innerWidth ? 1000 : 0)"""
    try:
        assert page.execute_script(script) == 0
    finally:
        page.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_hits_of_a_search_have_ranks_and_no_labels(browser: Any, pages: dict[int, Path], tmp_path: Path) -> None:
    hits = [ReadRecord(f"{number}.jpg", "hit", 0.3 - number / 100, None) for number in range(3)]
    write_page(hits, [""] * 3, tmp_path / "hits.html", "a beach", PageContent(hits=True))
    browser.get((tmp_path / "hits.html").as_uri())
    assert tiles(browser) == ["1.", "2.", "3."]
    assert text(browser, ".tile .line span") == "0.300"
    assert browser.execute_script("return document.getElementById('label').closest('.of-labels').hidden")


def test_a_hit_keeps_its_rank_in_any_order(browser: Any, tmp_path: Path) -> None:
    hits = [ReadRecord(f"{name}.jpg", "hit", 0.3, None) for name in ("img10", "img9", "Img2")]
    write_page(hits, [""] * 3, tmp_path / "hits.html", "a beach", PageContent(hits=True))
    browser.get((tmp_path / "hits.html").as_uri())
    choose(browser, "order", "name")
    assert tiles(browser) == ["3.", "2.", "1."]  # and 9 is before 10
    choose(browser, "search", "9")
    assert tiles(browser) == ["2."]


def test_charts_are_wide_enough_to_read_and_do_not_widen_the_page(true_page: Any) -> None:
    wide = "<svg xmlns='http://www.w3.org/2000/svg' width='1920' height='10'/>"
    true_page.execute_script("document.getElementById('evaluation').open = true")
    true_page.execute_script("document.querySelector('.charts img').src = 'data:image/svg+xml,' + arguments[0]", wide)
    until(lambda: true_page.execute_script("return document.querySelector('.charts img').width") == 1920)
    assert true_page.execute_script("return document.documentElement.scrollWidth <= window.innerWidth")


# --- keys -------------------------------------------------------------------------------------------


def test_it_can_be_used_by_keys_alone(page: Any) -> None:
    from selenium.webdriver.common.keys import Keys

    choose(page, "order", "given")
    press(page, *[Keys.ARROW_RIGHT] * 3)
    assert page.execute_script("return document.querySelector('.tile.current').id") == "tile-2"
    press(page, Keys.ENTER)
    assert text(page, "#detail[open] #detail-name") == "photos/00002.jpg"
    assert "dog" in text(page, "#ranking")
    press(page, Keys.ESCAPE)
    assert not text(page, "#detail[open] #detail-name")
    press(page, "/")
    press(page, "00005")
    assert text(page, "#count").startswith("1 of")


def test_the_accuracy_opens_by_enter_and_no_image_with_it(true_page: Any) -> None:
    from selenium.webdriver.common.keys import Keys

    press(true_page, Keys.ARROW_RIGHT)
    true_page.execute_script("document.querySelector('#evaluation summary').focus()")
    press(true_page, Keys.ENTER)
    assert true_page.execute_script("return document.getElementById('evaluation').open")
    assert not true_page.execute_script("return document.getElementById('detail').open")


def test_whoever_comes_to_the_images_by_tab_sees_where_they_are(several: Any) -> None:
    from selenium.webdriver.common.keys import Keys

    several.execute_script("document.getElementById('reset').focus()")
    press(several, Keys.TAB)
    assert several.execute_script("return document.querySelector('.tile.current').id") == "tile-0"


def test_page_keys_turn_over_images_that_are_open(several: Any) -> None:
    from selenium.webdriver.common.keys import Keys

    several.execute_script("document.querySelectorAll('.tile')[0].click()")
    press(several, Keys.PAGE_DOWN, Keys.PAGE_DOWN)
    assert text(several, "#detail-name") == "b/2.jpg"
    press(several, Keys.PAGE_UP, Keys.PAGE_UP, Keys.PAGE_UP)
    assert text(several, "#detail-name") == "a/1.jpg"
    press(several, Keys.ESCAPE)


def test_two_handles_in_one_place_can_be_parted(several: Any) -> None:
    script = """const box = document.getElementById('least').getBoundingClientRect();
        return document.elementFromPoint(arguments[0] ? box.right - 8 : box.left + 8, box.top + 10).id"""
    choose(several, "least", "100")
    assert several.execute_script(script, True) == "least"
    choose(several, "least", "0")
    choose(several, "most", "0")
    assert several.execute_script(script, False) == "most"


def test_a_label_is_corrected_and_saved_as_a_table_that_evaluate_reads(page: Any) -> None:
    from selenium.webdriver.common.keys import Keys

    for old in page.downloads.glob("*.csv"):
        old.unlink()
    choose(page, "order", "given")
    press(page, Keys.ARROW_RIGHT, Keys.ENTER)
    page.execute_script("document.getElementById('correction').value = ''")
    press(page, '=fox, "red"', Keys.ENTER)
    assert "not one of the labels" in text(page, "#new")
    press(page, Keys.ENTER)  # adds it, checks this one and goes on to the next
    assert text(page, "#detail[open] #detail-name") == EVIL_NAME
    press(page, Keys.ENTER, Keys.ESCAPE)
    until(lambda: tiles(page)[0] == '=fox, "red"')  # the browser tells of a closed dialog a little later
    page.execute_script("document.getElementById('export').click()")
    until(lambda: (page.downloads / "checked.csv").exists())
    until(lambda: (page.downloads / "checked.csv").stat().st_size > 0)
    found = {each.image.name: each.label for each in read_truth(page.downloads / "checked.csv")}
    assert found == {"photos/00000.jpg": '=fox, "red"', EVIL_NAME: EVIL_LABEL}
    with (page.downloads / "checked.csv").open(newline="") as file:
        assert next(csv.reader(file)) == ["path", "label", "clipcli"]


SEVERAL = [
    ReadRecord(path, label, 0.6, None, (Score(label, 0.6, 0.3), Score(second, 0.25, 0.2)))
    for path, label, second in [
        ("a/1.jpg", "cat", "dog"), ("b/1.jpg", "dog", "cat"),
        ("b/2.jpg", "red fox", "dog"), ("x/b/2.jpg", "cat", "dog"),
    ]
]  # fmt: skip


@pytest.fixture
def several(browser: Any, tmp_path: Path) -> Any:
    """A page of four images in the order of the file, on which nothing was checked."""
    write_page(SEVERAL, [""] * 4, tmp_path / "several.html", "Results", PageContent(labels=["cat", "dog", "wolf"]))
    afresh(browser, tmp_path / "several.html")
    choose(browser, "order", "given")
    return browser


def correct(browser: Any, place: int, *typed: str) -> None:
    """Open an image, type a label over the one in the field, and close it."""
    from selenium.webdriver.common.keys import Keys

    browser.execute_script("document.querySelectorAll('.tile')[arguments[0]].click()", place)
    browser.execute_script("document.getElementById('correction').value = ''")
    press(browser, *typed, Keys.ESCAPE)
    until(lambda: not text(browser, "#detail[open] #detail-name"))


def leaving_is_asked_about(browser: Any) -> bool:
    script = "const e = new Event('beforeunload', { cancelable: true }); return !window.dispatchEvent(e)"
    return bool(browser.execute_script(script))


def test_checked_labels_are_there_again_after_the_tab_was_closed(several: Any) -> None:
    from selenium.webdriver.common.keys import Keys

    correct(several, 0, "dog", Keys.ENTER)
    assert leaving_is_asked_about(several)
    several.execute_script("window.onbeforeunload = null")
    address = several.current_url
    several.get("about:blank")
    several.get(address)
    choose(several, "kind", "checked")
    until(lambda: tiles(several) == ["dog"])
    assert text(several, "#export") == "Save checked labels (1)"
    assert not leaving_is_asked_about(several)


def test_a_page_of_other_results_does_not_have_them(several: Any, tmp_path: Path) -> None:
    from selenium.webdriver.common.keys import Keys

    correct(several, 0, "dog", Keys.ENTER)
    write_page(SEVERAL[:3], [""] * 3, tmp_path / "others.html", "Results")
    several.get((tmp_path / "others.html").as_uri())
    assert text(several, "#export") == "Save checked labels"


def test_a_later_page_of_more_images_in_the_same_place_takes_them_over(several: Any, tmp_path: Path) -> None:
    from selenium.webdriver.common.keys import Keys

    correct(several, 1, "wolf", Keys.ENTER)
    more = [ReadRecord("new.jpg", "cat", 0.5, None), *SEVERAL]
    write_page(more, [""] * 5, tmp_path / "several.html", "Results", PageContent(labels=["cat", "dog", "wolf"]))
    several.get((tmp_path / "several.html").as_uri())
    choose(several, "order", "given")
    assert tiles(several) == ["cat", "cat", "wolf", "red fox", "cat"]
    assert text(several, "#export") == "Save checked labels (1)"
    assert leaving_is_asked_about(several)


def test_the_menu_of_labels_follows_what_was_checked(several: Any) -> None:
    from selenium.webdriver.common.keys import Keys

    script = "return [...document.querySelectorAll(arguments[0])].map((each) => each.value)"
    correct(several, 0, "badger", Keys.ENTER, Keys.ENTER)
    assert several.execute_script(script, "#label option") == ["", "badger", "cat", "dog", "red fox"]
    assert "badger" in several.execute_script(script, "#known option")
    choose(several, "label", "badger")
    until(lambda: tiles(several) == ["badger"])


def test_what_is_typed_replaces_the_label_of_an_opened_image(several: Any) -> None:
    several.execute_script("document.querySelectorAll('.tile')[2].click()")
    press(several, "dog")
    assert several.execute_script("return document.getElementById('correction').value") == "dog"


def test_labels_that_were_checked_before_are_shown_as_checked(browser: Any, tmp_path: Path) -> None:
    content = PageContent(checked=[None, "wolf", None, "dog"])
    write_page(SEVERAL, [""] * 4, tmp_path / "before.html", "Results", content)
    afresh(browser, tmp_path / "before.html")
    choose(browser, "order", "given")
    assert tiles(browser) == ["cat", "wolf", "red fox", "dog"]
    choose(browser, "kind", "checked")
    assert text(browser, "#count") == "2 of 4"
    assert text(browser, "#export") == "Save checked labels (2)"


@pytest.mark.parametrize("typed", ["Dog", " dog  ", "DOG"])
def test_a_label_is_recognised_in_any_case_and_spacing(typed: str, several: Any) -> None:
    from selenium.webdriver.common.keys import Keys

    correct(several, 0, typed, Keys.ENTER)
    until(lambda: tiles(several) == ["dog", "dog", "red fox", "cat"])


def test_a_label_of_the_run_that_no_image_has_is_known(several: Any) -> None:
    from selenium.webdriver.common.keys import Keys

    correct(several, 0, "Wolf", Keys.ENTER)
    until(lambda: tiles(several)[0] == "wolf")


def test_a_slip_is_not_taken_for_a_label(several: Any) -> None:
    from selenium.webdriver.common.keys import Keys

    correct(several, 0, "dogg", Keys.ENTER)
    assert tiles(several)[0] == "cat"
    assert not several.execute_script("return document.querySelector('.tile.checked')")
    correct(several, 0, "dogg", Keys.ENTER, Keys.BACKSPACE, Keys.ENTER)  # mended after the question
    until(lambda: tiles(several)[0] == "dog")


def test_a_new_label_is_added_once_and_then_known(several: Any) -> None:
    from selenium.webdriver.common.keys import Keys

    correct(several, 0, "badger", Keys.ENTER, Keys.ENTER)
    correct(several, 1, "Badger", Keys.ENTER)
    until(lambda: tiles(several)[:2] == ["badger", "badger"])


def test_a_corrected_image_has_the_probability_of_its_label_or_none(several: Any) -> None:
    from selenium.webdriver.common.keys import Keys

    correct(several, 0, "dog", Keys.ENTER)
    correct(several, 1, "wolf", Keys.ENTER)
    script = "return [...document.querySelectorAll('.tile .line')].map((each) => each.textContent)"
    until(lambda: several.execute_script(script) == ["dog25.0%", "wolf", "red fox60.0%", "cat60.0%"])


def test_after_saving_the_page_says_so_and_lets_one_leave(several: Any) -> None:
    from selenium.webdriver.common.keys import Keys

    correct(several, 0, "dog", Keys.ENTER)
    assert text(several, "#saved") == "not saved in a file yet"
    several.execute_script("document.getElementById('export').click()")
    assert "saved as checked.csv" in text(several, "#saved")
    assert not leaving_is_asked_about(several)
    correct(several, 1, "cat", Keys.ENTER)
    assert leaving_is_asked_about(several)
    several.execute_script("document.getElementById('export').click()")  # else the next test is asked


def test_images_of_the_same_name_have_their_folders(several: Any) -> None:
    script = "return [...document.querySelectorAll('.tile .name')].map((each) => each.textContent)"
    assert several.execute_script(script) == ["a/1.jpg", "b/1.jpg", "b/2.jpg", "x/b/2.jpg"]


def test_without_a_truth_there_is_no_filter_for_it(several: Any) -> None:
    script = "return [...document.querySelectorAll('#kind option')].map((each) => each.value)"
    assert several.execute_script(script) == ["", "named", "unknown", "failed", "checked"]


def test_a_random_sample_is_the_same_each_time_and_has_no_order(page: Any) -> None:
    script = "return visible.slice(0, 200).map((record) => record.index)"
    choose(page, "order", "random")
    sample = page.execute_script(script)
    choose(page, "order", "first")
    choose(page, "order", "random")
    assert page.execute_script(script) == sample
    assert len(set(sample)) == min(200, page.count)
    mean = sum(sample) / len(sample) / page.count
    assert 0.4 < mean < 0.6


# --- safety -----------------------------------------------------------------------------------------


def test_hostile_names_do_nothing_and_no_request_leaves_the_page(browser: Any, pages: dict[int, Path]) -> None:
    from selenium.webdriver.common.keys import Keys

    for kind in ("performance", "browser"):
        browser.get_log(kind)  # of the pages before
    browser.get(pages[20].as_uri())
    until(lambda: shown(browser) > 5)
    choose(browser, "order", "given")
    press(browser, Keys.ARROW_RIGHT, Keys.ARROW_RIGHT, Keys.ENTER)
    assert text(browser, "#detail[open] #detail-name") == EVIL_NAME
    assert EVIL_LABEL in text(browser, "#ranking")
    assert (
        browser.execute_script("return document.querySelectorAll('img[src=x], .tile script, dialog script').length")
        == 0
    )
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    asked = {event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"}
    assert {url for url in asked if not url.startswith("data:")} == {pages[20].as_uri()}
    dialogs = [event["params"]["type"] for event in events if event["method"] == "Page.javascriptDialogOpening"]
    assert "alert" not in dialogs  # the page before this one may ask whether its corrections are to be lost
    assert complaints(browser) == []


# --- several labels ---------------------------------------------------------------------------------


@pytest.fixture
def tagged(browser: Any, tmp_path: Path) -> Any:
    """A page of results with several labels per image."""
    scores = tuple(Score(label, probability, 0.3) for label, probability in (("cat", 0.9), ("sun", 0.8), ("dog", 0.1)))
    records = [
        ReadRecord("a.jpg", "cat", 0.9, None, scores, labels=("cat", "sun")),
        ReadRecord("b.jpg", "sun", 0.9, None, scores, labels=("sun",)),
        ReadRecord("c.jpg", UNKNOWN, 0.3, None, scores, labels=()),
    ]
    write_page(records, [""] * 3, tmp_path / "tags.html", "t", PageContent(labels=("cat", "sun", "dog")))
    afresh(browser, tmp_path / "tags.html")
    choose(browser, "order", "given")
    return browser


def test_images_show_all_their_labels_and_are_found_by_each(tagged: Any) -> None:
    assert tiles(tagged) == ["cat, sun", "sun", UNKNOWN]
    choose(tagged, "label", "sun")
    assert tiles(tagged) == ["cat, sun", "sun"]


def test_a_click_on_a_label_adds_it_or_takes_it_away_and_the_table_has_all(tagged: Any) -> None:
    click = (
        "[...document.querySelectorAll('#ranking button')].find((each) => each.textContent === arguments[0]).click()"
    )
    tagged.execute_script("document.querySelector('.tile').click()")
    tagged.execute_script(click, "dog")
    tagged.execute_script(click, "cat")
    assert tagged.execute_script("return document.getElementById('correction').value") == "sun|dog"
    assert tagged.execute_script("return table()") == "path,label,clipcli\na.jpg,sun|dog,checked\n"


def test_the_true_labels_are_shown_where_an_image_has_others_in_any_order(browser: Any, tmp_path: Path) -> None:
    records = [
        ReadRecord("a.jpg", "cat", 0.9, None, labels=("cat", "sun")),
        ReadRecord("b.jpg", "sun", 0.9, None, labels=("sun",)),
        ReadRecord("c.jpg", UNKNOWN, 0.3, None, labels=()), ReadRecord("d.jpg", UNKNOWN, 0.3, None, labels=()),
    ]  # fmt: skip
    content = PageContent(truths=("sun|cat", "cat|sun", UNKNOWN, None))
    write_page(records, [""] * 4, tmp_path / "true.html", "t", content)
    afresh(browser, tmp_path / "true.html")
    choose(browser, "order", "given")
    shown = browser.execute_script(
        "return [...document.querySelectorAll('.tile .truth')].map((each) => each.textContent)"
    )
    assert shown == ["", "true labels: cat, sun", "", ""]
    assert complaints(browser) == []


# --- the loop: classify, report, correct, teach, classify ---------------------------------------------


def test_labels_corrected_in_the_page_teach_classes_that_find_the_other_images(
    browser: Any, photos: dict[str, Path], run: Run, tmp_path: Path
) -> None:
    from PIL import Image
    from selenium.webdriver.common.keys import Keys

    (tmp_path / "pictures").mkdir()
    for name in ("cat", "coffee", "rocket"):
        with Image.open(photos[name]) as image:
            width, height = image.size
            for number in range(4):
                left, top = width * number // 12, height * (3 - number) // 12
                crop = image.convert("RGB").crop((left, top, left + width * 2 // 3, top + height * 2 // 3))
                crop.resize((160, 160)).save(tmp_path / "pictures" / f"{name} {number}.png")
    pocket, words = ("-m", "pocket", "--precision", "fp32"), ("-l", "rocket", "-l", "motorcycle", "-l", "temple")
    assert run("classify", "pictures", *words, *pocket, "-o", "results.csv").returncode == 0
    assert run("report", "results.csv", "-o", "page.html").returncode == 0
    afresh(browser, tmp_path / "page.html")
    choose(browser, "order", "given")
    for old in browser.downloads.glob("*.csv"):
        old.unlink()
    for place, label in ((0, "Chelsea"), (1, "Chelsea"), (4, "espresso"), (5, "espresso")):
        is_new = place in (0, 4)
        correct(browser, place, label, Keys.ENTER, *([Keys.ENTER] if is_new else []))
    browser.execute_script("document.getElementById('export').click()")
    checked = browser.downloads / "checked.csv"
    until(lambda: checked.exists() and checked.stat().st_size > 0)
    shutil.copy(checked, tmp_path / "checked.csv")
    more = ("-l", "Chelsea", "-l", "espresso")
    taught = run("teach", "checked.csv", *words, *more, *pocket, "-o", "classes.safetensors")
    assert "2 classes, 4 examples (2 per class); 3 more by words" in taught.stderr.splitlines()
    again = run("classify", "pictures", "--classes", "classes.safetensors", *pocket, "-f", "csv")
    found = {Path(row["path"]).stem: row["label"] for row in csv.DictReader(again.stdout.splitlines())}
    right = {"cat": "Chelsea", "coffee": "espresso", "rocket": "rocket"}
    assert found == {f"{name} {number}": label for name, label in right.items() for number in range(4)}
