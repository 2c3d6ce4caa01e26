"""A headless Chromium, Debian's or another that is on the path; what needs it is skipped where there is none."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pytest

SHOTS = Path(__file__).parent.parent / "build" / "screenshots"
"""Looked at by people; git ignores it."""

WAIT_SECONDS = 20.0
T = TypeVar("T")


@dataclass(frozen=True)
class Screen:
    """A window, in CSS pixels, and what the system prefers."""

    width: int
    height: int
    dark: bool = False
    touch: bool = False

    def __str__(self) -> str:
        return f"{self.width}-{'dark' if self.dark else 'light'}"


class Page:
    """The page as a person has it: what is seen, clicked and typed."""

    def __init__(self, driver: Any, screen: Screen) -> None:
        self.driver = driver
        self.screen = screen

    def all(self, selector: str) -> list[Any]:
        return list(self.driver.find_elements("css selector", selector))

    def one(self, selector: str) -> Any:
        """The first element of that selector that is to be seen, waited for."""
        shown = "return [...document.querySelectorAll(arguments[0])].find((one) => one.checkVisibility())"
        return self.wait(lambda: self.run(shown, selector), selector)

    def wait(self, look: Callable[[], T], what: str = "") -> T:
        """What ``look`` gives, once that is something."""
        deadline = time.monotonic() + WAIT_SECONDS
        while not (seen := look()):
            assert time.monotonic() < deadline, f"waited in vain for {what}: {self.one_line()}"
            time.sleep(0.03)
        return seen

    def click(self, selector: str) -> None:
        """Click it, also where the page is just writing it anew."""
        from selenium.common.exceptions import StaleElementReferenceException

        def done() -> bool:
            try:
                self.one(selector).click()
            except StaleElementReferenceException:
                return False
            return True

        self.wait(done, selector)

    def one_line(self) -> str:
        return " ".join(self.driver.find_element("tag name", "body").text.split())[:500]

    def run(self, script: str, *arguments: Any) -> Any:
        return self.driver.execute_script(script, *arguments)

    def cards(self) -> list[str]:
        """The labels of the pictures shown, once the answer is there."""
        self.wait(lambda: not self.all(".grid[aria-busy]"), "an answer")
        shown = self.run("return [...document.querySelectorAll('.card .label')].map((one) => one.textContent)")
        return list(shown)

    def until(self, address: str) -> None:
        """Wait until the address holds that text, and its answer is shown."""
        self.wait(lambda: address in self.driver.current_url, f"{address} in {self.driver.current_url}")
        self.cards()

    def drop(self, file: Path, at: str = "main") -> None:
        """A file from outside, dragged onto the page and dropped there."""
        box = self.one(at).rect
        data = {"items": [], "files": [str(file)], "dragOperationsMask": 1}
        for kind in ("dragEnter", "dragOver", "drop"):
            event = {"type": kind, "x": box["x"] + 20, "y": box["y"] + 20, "data": data}
            self.driver.execute_cdp_cmd("Input.dispatchDragEvent", event)

    def shoot(self, name: str) -> Path:
        """A screenshot, kept for people, once all pictures in view are there."""
        loaded = "return [...document.images].filter((one) => one.getBoundingClientRect().top < innerHeight)"
        self.wait(lambda: self.run(f"{loaded}.every((one) => one.complete)"), "pictures")
        self.wait(lambda: self.run("return document.getAnimations().every((one) => one.playState !== 'running')"))
        SHOTS.mkdir(parents=True, exist_ok=True)
        path = SHOTS / f"{name}-{self.screen}.png"
        assert self.driver.save_screenshot(str(path))
        return path

    def complaints(self) -> list[str]:
        """What the browser has to say: errors of scripts, breaches of the content policy."""
        return [entry["message"] for entry in self.driver.get_log("browser") if entry["level"] == "SEVERE"]


@contextmanager
def chromium(screen: Screen) -> Iterator[Page]:
    """A page in a browser of its own."""
    webdriver = pytest.importorskip("selenium.webdriver")
    program, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not (program and driver):
        pytest.skip("no chromium and chromedriver here: apt-get install chromium chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = program
    # Debian's README: a sandbox is not to be had for root, and containers have a small /dev/shm.
    for argument in ("headless=new", "no-sandbox", "disable-dev-shm-usage", "disable-gpu", "hide-scrollbars"):
        options.add_argument(f"--{argument}")
    options.add_argument(f"--window-size={screen.width},{screen.height}")
    if not screen.touch:  # without a head it has no mouse, unless told
        options.add_argument("--blink-settings=primaryHoverType=2,availableHoverTypes=2")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    # It leaves folders behind, so it gets a place of its own for them.
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as left:
        service = webdriver.ChromeService(driver, env={**os.environ, "TMPDIR": left})
        browser = webdriver.Chrome(options=options, service=service)
        try:
            yield Page(_as_screen(browser, screen), screen)
        finally:
            browser.quit()


def _as_screen(browser: Any, screen: Screen) -> Any:
    metrics = {"width": screen.width, "height": screen.height, "deviceScaleFactor": 1, "mobile": screen.touch}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    features = [{"name": "prefers-color-scheme", "value": "dark" if screen.dark else "light"}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    browser.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": screen.touch})
    return browser
