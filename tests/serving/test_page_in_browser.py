"""The page of ``clipcli serve`` in a real browser, with a real server and model."""

from __future__ import annotations

import csv
import functools
import io
import json
import shlex
import shutil
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from clipcli.images.formats import has_image_suffix
from tests.browser import complaints, needs_browser, open_browser, until
from tests.conftest import Run
from tests.serving.conftest import LABELS, Served, Start

pytestmark = needs_browser

THREE = ("cat", "coffee", "rocket")
SUFFIXES = (
    "jpg JPEG jpe jfif mpo png heic heif hif tif tiff psd sgi pbm pgm ppm pnm pfm pam txt svg pdf raw ico icns qoi dds "
    "jp2 j2k jpx gif avif webp bmp dib jpgx"
)
EVIL = "<img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with open_browser(tmp_path_factory.mktemp("browser")) as driver:
        yield driver


@pytest.fixture
def page(browser: Any, served: Served) -> Any:
    """The page, just opened."""
    afresh(browser, served)
    return browser


def afresh(browser: Any, served: Served) -> None:
    """Open the page of a server in a tab that has seen nothing."""
    browser.get("about:blank")
    for kind in ("browser", "performance"):
        browser.get_log(kind)
    browser.get(f"{served.url}/v1/health")
    browser.execute_script("sessionStorage.clear()")
    browser.get(served.url)
    browser.execute_cdp_cmd(
        "Browser.grantPermissions",
        {"origin": served.url, "permissions": ["clipboardReadWrite", "clipboardSanitizedWrite"]},
    )


def ready(browser: Any) -> bool:
    return bool(text(browser, "#model"))


def text(browser: Any, selector: str) -> str:
    return str(browser.execute_script("return document.querySelector(arguments[0])?.textContent ?? ''", selector))


def texts(browser: Any, selector: str) -> list[str]:
    script = "return [...document.querySelectorAll(arguments[0])].map((each) => each.textContent)"
    return list(browser.execute_script(script, selector))


def answers(browser: Any) -> dict[str, str]:
    """Return the label that each card shows, by the name of its image."""
    script = """return [...document.querySelectorAll(".card")].map((each) => [
        each.querySelector("h3").textContent,
        each.querySelector(".answer").hidden ? "" : each.querySelector("b").textContent])"""
    return dict(browser.execute_script(script))


def settled(browser: Any, count: int) -> bool:
    """Return whether this many images are there and all have an answer or an error."""
    script = """return document.getElementById("results").getAttribute("aria-busy") === "false" &&
        [...document.querySelectorAll(".card")].filter((each) =>
        each.matches(".failed") || !each.querySelector(".answer").hidden).length"""
    return browser.execute_script(script) == count


def drop(browser: Any, files: list[Path]) -> None:
    """Drop files on the page as a person does, with the mouse."""
    data = {"items": [], "files": [str(file) for file in files], "dragOperationsMask": 1}
    for kind in ("dragEnter", "dragOver", "drop"):
        browser.execute_cdp_cmd("Input.dispatchDragEvent", {"type": kind, "x": 700, "y": 400, "data": data})


def choose(browser: Any, *files: Path) -> None:
    browser.find_element("id", "files").send_keys("\n".join(map(str, files)))


def show_three(page: Any, photos: dict[str, Path]) -> None:
    choose(page, *(photos[name] for name in THREE))
    until(lambda: settled(page, 3))


def set_value(browser: Any, name: str, value: str) -> None:
    """Fill a field as if it was typed, and leave it."""
    browser.execute_script(
        """const field = document.getElementById(arguments[0]);
        field.value = arguments[1];
        for (const kind of ["input", "change"]) field.dispatchEvent(new Event(kind, { bubbles: true }))""",
        name, value,
    )  # fmt: skip


def press(browser: Any, name: str) -> None:
    browser.execute_script("document.getElementById(arguments[0]).click()", name)


def requests(browser: Any) -> list[dict[str, Any]]:
    """Return the requests since the last call."""
    events = [json.loads(line["message"])["message"] for line in browser.get_log("performance")]
    found = [each["params"]["request"] for each in events if each["method"] == "Network.requestWillBeSent"]
    return [each for each in found if not each["url"].startswith(("blob:", "data:"))]


def uploads(found: list[dict[str, Any]]) -> int:
    """Count the requests that carry images; the others name them in JSON."""
    kinds = [each["headers"].get("Content-Type") for each in found if each["url"].endswith("/v1/classify")]
    return sum(kind != "application/json" for kind in kinds)


def downloaded(browser: Any, button: str, name: str) -> Path:
    """Press a button that saves a file, and return where it is."""
    path = Path(browser.downloads) / name
    path.unlink(missing_ok=True)
    press(browser, button)
    until(lambda: path.exists() and path.stat().st_size > 0)
    return path


def clipboard(browser: Any) -> str:
    script = "navigator.clipboard.readText().then(arguments[0], (problem) => arguments[0](String(problem)))"
    return str(browser.execute_async_script(script))


def correct(browser: Any, place: int, *keys: str) -> None:
    field = browser.find_elements("css selector", ".correct input")[place]
    field.send_keys(*keys)


# --- images and labels ------------------------------------------------------------------------------------


def test_dropped_images_get_bars(page: Any, photos: dict[str, Path]) -> None:
    until(lambda: ready(page))
    drop(page, [photos[name] for name in THREE])
    until(lambda: settled(page, 3))
    assert answers(page) == dict(zip([photos[name].name for name in THREE], LABELS, strict=True))
    assert len(texts(page, ".bars li")) == 9
    widths = page.execute_script("return [...document.querySelectorAll('.meter i')].map((each) => each.style.width)")
    assert [float(each[:-1]) for each in widths] == [float(each[:-1]) for each in texts(page, ".bars .number")]
    until(lambda: page.execute_script("return [...document.images].every((each) => each.naturalWidth > 0)"))
    assert not page.find_element("id", "curtain").is_displayed()


def test_other_labels_rank_the_images_without_a_second_upload(page: Any, photos: dict[str, Path]) -> None:
    show_three(page, photos)
    assert uploads(requests(page)) == 1
    set_value(page, "labels", "kitten\nespresso\nspacecraft")
    until(lambda: set(answers(page).values()) == {"kitten", "espresso", "spacecraft"})
    found = requests(page)
    assert (uploads(found), len(found)) == (0, 1)
    set_value(page, "labels", "")
    until(lambda: set(answers(page).values()) == set(LABELS))


def test_labels_are_ranked_while_one_types(page: Any, photos: dict[str, Path]) -> None:
    show_three(page, photos)
    page.find_element("id", "labels").send_keys("kitten, espresso, spacecraft")
    until(lambda: list(answers(page).values()) == ["kitten", "espresso", "spacecraft"])
    assert page.execute_script("return document.activeElement.id") == "labels"


def test_images_wait_for_labels_if_the_server_has_none(browser: Any, start: Start, photos: dict[str, Path]) -> None:
    afresh(browser, start("--model", "pocket"))
    choose(browser, photos["cat"])
    until(lambda: "Type labels" in text(browser, ".state"))
    set_value(browser, "labels", "dog\ncat")
    until(lambda: list(answers(browser).values()) == ["cat"])


def test_labels_that_the_server_refuses_are_explained(page: Any, photos: dict[str, Path]) -> None:
    show_three(page, photos)
    set_value(page, "labels", "cat\ndog\nCat")
    until(lambda: "Cat" in text(page, "#problem"))
    assert page.find_element("id", "labels").get_attribute("aria-invalid") == "true"
    set_value(page, "labels", "cat\ndog")
    until(lambda: settled(page, 3) and not page.find_element("id", "problem").is_displayed())


def test_several_labels_reach_the_threshold(page: Any, photos: dict[str, Path]) -> None:
    show_three(page, photos)
    set_value(page, "labels", "an animal\na cat\na rocket")
    press(page, "tags")
    until(lambda: answers(page)[photos["cat"].name] == "a cat, an animal")
    set_value(page, "threshold", "1")
    until(lambda: set(answers(page).values()) == {"unknown"})
    assert text(page, "#threshold-value") == "100%"


def test_an_image_can_be_unknown(page: Any, photos: dict[str, Path]) -> None:
    show_three(page, photos)
    set_value(page, "unknown", "0.98")
    until(lambda: "unknown" in answers(page).values())
    assert answers(page)[photos["cat"].name] == "cat"


def test_templates_change_the_probabilities(page: Any, photos: dict[str, Path]) -> None:
    show_three(page, photos)
    before = texts(page, ".bars .number")
    set_value(page, "templates", "a drawing of a {label}")
    until(lambda: settled(page, 3) and texts(page, ".bars .number") != before)
    set_value(page, "templates", "no place for it")
    until(lambda: "{label}" in text(page, "#problem"))


def test_a_file_that_is_not_an_image_gets_its_own_error(page: Any, photos: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_bytes(b"not an image")
    choose(page, photos["cat"], tmp_path / "broken.png", photos["rocket"])
    until(lambda: settled(page, 3))
    assert list(answers(page).values()) == ["cat", "", "rocket"]
    assert len(texts(page, ".card.failed .problem")) == 1
    assert "1 failed" in text(page, "#progress")


def test_more_images_than_a_request_may_have_are_all_ranked(page: Any) -> None:
    until(lambda: ready(page))
    page.execute_async_script(
        """const done = arguments[0], transfer = new DataTransfer();
        const pen = document.createElement("canvas").getContext("2d");
        (async () => {
          for (let number = 0; number < 66; number += 1) {
            pen.fillStyle = `hsl(${5 * number}deg 80% 50%)`;
            pen.fillRect(0, 0, 300, 150);
            const blob = await new Promise((made) => { pen.canvas.toBlob(made); });
            transfer.items.add(new File([blob], "same.png", { type: "image/png" }));
          }
          document.dispatchEvent(Object.assign(new Event("paste", { cancelable: true }), { clipboardData: transfer }));
          done();
        })();"""
    )
    until(lambda: settled(page, 66))
    assert {"same.png", "same-2.png", "same-66.png"} <= answers(page).keys()
    requests(page)
    set_value(page, "labels", "red\ngreen\nblue")
    until(lambda: settled(page, 66) and set(answers(page).values()) <= {"red", "green", "blue"})
    assert (len(found := requests(page)), uploads(found)) == (2, 0)


def test_example_images_need_no_file(page: Any) -> None:
    until(lambda: ready(page))
    press(page, "examples")
    until(lambda: settled(page, 4) and "a smiley face" in answers(page).values())
    assert answers(page)["rainbow.png"] == "a rainbow"


def test_names_and_labels_are_only_text(page: Any, photos: dict[str, Path], tmp_path: Path) -> None:
    shutil.copy(photos["cat"], tmp_path / f"{EVIL}.png")
    choose(page, tmp_path / f"{EVIL}.png")
    set_value(page, "labels", f"{EVIL}\na cat")
    until(lambda: settled(page, 1) and EVIL in texts(page, ".bars .label"))
    correct(page, 0, "<b>bold</b>", "\n", "\n")
    until(lambda: answers(page) == {f"{EVIL}.png": "<b>bold</b>"})
    assert page.execute_script("return document.querySelectorAll('[onerror], #cards b b').length") == 0


def test_the_page_knows_the_suffixes_of_the_command(page: Any) -> None:
    script = """import("/page/pictures.js").then(({ fromFiles }) => {
        arguments[1](fromFiles(arguments[0].map((name) => ({ name, type: "" }))).map((each) => each.name)) })"""
    names = [f"a.{suffix}" for suffix in SUFFIXES.split()]
    assert page.execute_async_script(script, names) == [name for name in names if has_image_suffix(name)]


# --- corrections, history, export -------------------------------------------------------------------------


def test_a_label_is_corrected_and_saved(page: Any, photos: dict[str, Path], run_once: Run) -> None:
    show_three(page, photos)
    page.find_elements("css selector", ".card:first-child .bars button")[
        1
    ].click()  # the second label of the first image
    correct(page, 1, "Tea", "\n")
    assert "Tea" in texts(page, ".fresh")[1]  # a label that is not known is asked for once more
    correct(page, 1, "\n")
    correct(page, 2, " ROCKET ", "\n")
    values = list(answers(page).values())
    assert values[1:] == ["Tea", "rocket"] and values[0] in LABELS[1:]
    assert text(page, "#tally") == "3 checked; the model agrees on 1. Not saved in a file yet."
    rows = list(csv.DictReader(io.StringIO(downloaded(page, "save-checked", "checked.csv").read_text("utf-8"))))
    assert [row["label"] for row in rows] == values
    assert text(page, "#tally") == "3 checked; the model agrees on 1."
    page.find_elements("css selector", ".forget")[1].click()
    assert list(answers(page).values())[1] == LABELS[1]


def test_corrections_measure_the_saved_results(page: Any, photos: dict[str, Path], run_once: Run) -> None:
    show_three(page, photos)
    correct(page, 0, "rocket", "\n")
    correct(page, 1, LABELS[1], "\n")
    results, checked = (
        downloaded(page, f"save-{kind}", name) for kind, name in (("csv", "results.csv"), ("checked", "checked.csv"))
    )
    measured = run_once("evaluate", results, "--truth", checked)
    assert (measured.returncode, "top1\t0.5\t" in measured.stdout) == (0, True), measured.stderr + measured.stdout


@pytest.mark.parametrize("mode", ["labels", "unknown", "tags"])
def test_saved_results_are_those_of_the_copied_command(
    mode: str, page: Any, photos: dict[str, Path], run: Run, tmp_path: Path
) -> None:
    names = {"cat": "-a cat's $HOME.png", "coffee": "=b, c.png", "rocket": "r.jpg"}
    for photo, name in names.items():
        shutil.copy(photos[photo], tmp_path / name)
    choose(page, *(tmp_path / name for name in names.values()))
    set_value(page, "labels", '-a cat\nfood, "hot"\nit\'s a rocket\nspace\nsky\nearth')
    set_value(page, "templates", "a picture of {label}\n{label}")
    if mode == "unknown":
        set_value(page, "unknown", "0.9")
    elif mode == "tags":
        press(page, "tags")
        set_value(page, "threshold", "0.61")
    until(lambda: settled(page, 3) and len(texts(page, ".more:not([hidden])")) == 3)
    press(page, "copy-command")
    until(lambda: "Copied" in text(page, "#copy-command"))
    words = shlex.split(clipboard(page))
    assert words[:2] == ["clipcli", "classify"]
    results = run(*words[1:], "-f", "csv")
    saved = downloaded(page, "save-csv", "results.csv").read_text("utf-8")
    assert saved == results.stdout.replace("./-a cat", "'-a cat"), results.stderr  # safe in a spreadsheet
    lines = downloaded(page, "save-jsonl", "results.jsonl").read_text("utf-8").splitlines()
    expected = [json.loads(line) for line in run(*words[1:], "-f", "jsonl").stdout.splitlines()]
    expected[0]["path"] = names["cat"]
    assert [json.loads(line) for line in lines] == expected


def test_earlier_labels_can_be_used_again(page: Any, photos: dict[str, Path]) -> None:
    show_three(page, photos)
    for step, labels in enumerate((["kitten", "espresso", "spacecraft"], ["fur", "wood", "metal"]), start=1):
        # The page leaves out what was typed on the way: let some time pass.
        page.execute_script("const now = Date.now(); Date.now = () => now + arguments[0]", 5000 * step)
        set_value(page, "labels", "\n".join(labels))
        until(functools.partial(lambda known: settled(page, 3) and set(answers(page).values()) <= known, set(labels)))
    until(lambda: text(page, "#history-count") == "(3)")
    page.execute_script("document.querySelectorAll('#entries button')[1].click()")
    until(lambda: set(answers(page).values()) == {"kitten", "espresso", "spacecraft"})
    page.refresh()
    until(
        lambda: page.execute_script("return document.getElementById('labels').value") == "kitten\nespresso\nspacecraft"
    )
    assert text(page, "#history-count") == "(3)"


# --- keyboard, screen reader, phone, dark -----------------------------------------------------------------


def test_what_happened_is_said_to_screen_readers(page: Any, photos: dict[str, Path]) -> None:
    show_three(page, photos)
    until(lambda: text(page, "#live").startswith(f"3 images classified. {photos['cat'].name}: cat."))


def test_the_focus_moves_to_the_next_image_when_one_is_removed(page: Any, photos: dict[str, Path]) -> None:
    show_three(page, photos)
    focused = "return document.activeElement.getAttribute('aria-label') ?? document.activeElement.id"
    for name in ("coffee", "rocket"):
        page.find_element("css selector", ".remove").send_keys("\n")
        assert page.execute_script(focused) == f"Remove {photos[name].name}"
    page.find_element("css selector", ".remove").send_keys("\n")
    assert page.execute_script(focused) == "choose"
    assert page.find_element("id", "empty").is_displayed()


def test_the_label_that_has_the_focus_keeps_it_when_ranks_change(page: Any, photos: dict[str, Path]) -> None:
    show_three(page, photos)
    script = "document.querySelectorAll('.bars button')[2].focus(); return document.activeElement.dataset.label"
    label = page.execute_script(script)
    set_value(page, "labels", "\n".join(reversed(LABELS)))
    set_value(page, "templates", "a drawing of a {label}")
    until(lambda: settled(page, 3))
    assert page.execute_script("return document.activeElement.dataset.label") == label


@pytest.mark.parametrize("look", ["light", "dark", "phone"])
def test_axe_finds_nothing(look: str, page: Any, photos: dict[str, Path], tmp_path: Path) -> None:
    until(lambda: ready(page))
    scheme = "dark" if look == "dark" else "light"
    features = [
        {"name": "prefers-color-scheme", "value": scheme},
        {"name": "prefers-reduced-motion", "value": "reduce"},
    ]
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    if look == "phone":
        size = {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True}
        page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        assert findings(page) == []
        (tmp_path / "broken.png").write_bytes(b"not an image")
        choose(page, photos["cat"], tmp_path / "broken.png", photos["rocket"])
        until(lambda: settled(page, 3))
        correct(page, 0, "rocket", "\n")
        press(page, "tags")
        page.execute_script("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
        set_value(page, "labels", "cat\ncat")
        until(lambda: bool(text(page, "#problem")))
        assert findings(page) == []
        assert page.execute_script("return document.documentElement.scrollWidth <= innerWidth")
    finally:
        page.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
        page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def findings(browser: Any) -> list[str]:
    """Return what axe has against the page as it is."""
    browser.execute_script((resources.files("axe_core_python") / "axe.min.js").read_text("utf-8"))
    script = """axe.run().then(
        (found) => arguments[0](found.violations),
        (problem) => arguments[0]([{ id: String(problem), nodes: [] }]))"""
    found = browser.execute_async_script(script)
    return [f"{each['id']}: {node['html'][:120]}" for each in found for node in each["nodes"] or [{"html": ""}]]


# --- the server -------------------------------------------------------------------------------------------


def test_the_page_asks_nobody_but_its_server_and_breaks_no_policy(
    page: Any, served: Served, photos: dict[str, Path]
) -> None:
    until(lambda: ready(page))
    press(page, "examples")
    show = [photos[name] for name in THREE]
    choose(page, *show)
    until(lambda: settled(page, 7))
    press(page, "copy-csv")
    downloaded(page, "save-csv", "results.csv")
    hosts = {urlsplit(each["url"]).netloc for each in requests(page)}
    assert hosts == {urlsplit(served.url).netloc}
    assert complaints(page) == []


def test_the_page_continues_when_the_server_is_back(browser: Any, start: Start, photos: dict[str, Path]) -> None:
    server = start("--model", "pocket", "-l", "cat", "-l", "dog")
    afresh(browser, server)
    choose(browser, photos["cat"])
    until(lambda: answers(browser) == {photos["cat"].name: "cat"})
    server.stop()
    set_value(browser, "labels", "an animal\na plant")
    until(lambda: browser.find_element("id", "banner").is_displayed())
    assert text(browser, "#connection") == "offline"
    assert findings(browser) == []
    start("--model", "pocket", "--port", urlsplit(server.url).port)  # it has forgotten the image
    until(lambda: answers(browser) == {photos["cat"].name: "an animal"})
    assert not browser.find_element("id", "banner").is_displayed()


def test_the_page_asks_for_the_token_of_the_server(browser: Any, start: Start, photos: dict[str, Path]) -> None:
    afresh(browser, start("--model", "pocket", "-l", "cat", "-l", "dog", CLIPCLI_TOKEN="a-token-for-this-test"))
    for token in ("a-wrong-token", "a-token-for-this-test"):
        until(lambda: browser.find_element("id", "token").is_displayed())
        browser.find_element("id", "token").send_keys(token, "\n")
    until(lambda: ready(browser))
    choose(browser, photos["cat"])
    until(lambda: answers(browser) == {photos["cat"].name: "cat"})
