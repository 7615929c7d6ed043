"""A real browser for the tests of pages, where Chromium and its driver are installed."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

BROWSER = shutil.which("chromium") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")
needs_browser = pytest.mark.skipif(not (BROWSER and DRIVER), reason="needs chromium and chromedriver")

QUIET = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--window-size=1280,900",
)  # fmt: skip


@contextmanager
def open_browser(folder: Path) -> Iterator[Any]:
    """Open a browser that saves what it downloads in a folder, ``downloads`` of the driver."""
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = str(BROWSER)
    for argument in (*QUIET, f"--user-data-dir={folder / 'profile'}"):
        options.add_argument(argument)
    several = "profile.default_content_setting_values.automatic_downloads"  # without being asked
    options.add_experimental_option("prefs", {"download.default_directory": str(folder), several: 1})
    options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
    driver: Any = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    driver.downloads = folder
    try:
        yield driver
    finally:
        driver.quit()


def complaints(browser: Any) -> list[dict[str, Any]]:
    """Return the messages in the browser's log, except those about slow loading on a busy machine."""
    return [entry for entry in browser.get_log("browser") if entry.get("source") != "intervention"]


def until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + 300  # a busy machine is not a failure
    while not holds():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.02)
