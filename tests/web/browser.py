"""A real browser: Debian's chromium, driven by Playwright."""

import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

playwright = pytest.importorskip("playwright.sync_api")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
ARGUMENTS = [
    "--no-sandbox", "--headless=new", "--disable-background-networking", "--disable-gpu",
    "--autoplay-policy=no-user-gesture-required",
]  # fmt: skip


@pytest.fixture(scope="module")
def browser() -> Iterator["playwright.Browser"]:
    if CHROMIUM is None:
        pytest.skip("chromium is not installed: apt-get install chromium")
    with playwright.sync_playwright() as driver:
        found = driver.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield found
        found.close()


class Errors(list):
    """What went wrong on a page: exceptions, and what the content policy refused."""

    def watch(self, page: "playwright.Page") -> "playwright.Page":
        page.on("pageerror", lambda error: self.append(str(error)))
        page.on("console", self.note)
        return page

    def note(self, message: "playwright.ConsoleMessage") -> None:
        if message.type == "error" and "Failed to load resource" not in message.text:
            self.append(message.text)


@pytest.fixture
def errors() -> Iterator[Errors]:
    found = Errors()
    yield found
    assert found == []


def keep(page: "playwright.Page", name: str) -> None:
    """Keep a screenshot in build/screenshots, for people to look at."""
    folder = Path(__file__).parents[2] / "build" / "screenshots"
    folder.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=folder / f"{name}.png")


def wait_for(page: "playwright.Page", condition: str, seconds: float = 20.0) -> None:
    """Wait until a JavaScript expression is true.

    Playwright's own `wait_for_function` evaluates text in the page, which its content
    security policy forbids.
    """
    # What is not there yet is null, and asking it anything raises.
    script = f"() => {{ try {{ return Boolean({condition}); }} catch {{ return false; }} }}"
    end = time.monotonic() + seconds
    while not page.evaluate(script):
        if time.monotonic() > end:
            raise AssertionError(f"not true after {seconds} s: {condition}")
        page.wait_for_timeout(30)
