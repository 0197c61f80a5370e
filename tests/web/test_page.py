"""The station's page in a real browser."""

import sqlite3
from pathlib import Path

import pytest

pytest.importorskip("starlette")

from audiocnn.web.app import make_app
from audiocnn.web.server import WebServer
from tests.web.browser import Errors, browser, errors, keep, playwright, wait_for
from tests.web.site import OWNER, make_site, running
from tests.web.stations import DAY, event, onset

__all__ = ["browser", "errors"]
TIME = "parseFloat(document.querySelector('.player-time').textContent)"
PHONE = {"width": 390, "height": 844}


def stored(folder: Path, key: str) -> tuple[str | None, str | None]:
    with sqlite3.connect(folder / "heard.db") as connection:
        query = "SELECT verdict, verdict_label FROM events WHERE id = ?"
        found: tuple[str | None, str | None] = connection.execute(query, [key]).fetchone()
    connection.close()
    return found


def test_verdicts_by_keyboard_are_in_the_database(
    browser: "playwright.Browser", errors: Errors, tmp_path: Path
) -> None:
    with running(tmp_path) as it:
        page = errors.watch(browser.new_page())
        page.goto(f"{it.address}/#token={OWNER}")
        page.wait_for_selector(".source")
        assert OWNER not in page.url
        page.goto(f"{it.address}/#events?id=a")
        page.wait_for_selector(".detail h2")
        wait_for(page, "document.querySelector('.player-time').textContent.includes('2.0')")
        for key, verdict in (("r", ("right", None)), ("w", ("wrong", None))):
            with page.expect_response("**/verdict"):
                page.keyboard.press(key)
            assert stored(tmp_path, "a") == verdict
        page.keyboard.press("o")
        page.keyboard.type("ca")
        with page.expect_response("**/verdict"):
            page.keyboard.press("Enter")
        assert stored(tmp_path, "a") == ("other", "car")
        with page.expect_response("**/verdict"):
            page.keyboard.press("u")
        assert stored(tmp_path, "a") == ("wrong", None)
        page.keyboard.press("ArrowUp")
        wait_for(page, "document.querySelector('.detail h2').textContent.includes('dog')")
        page.close()


def test_the_clip_plays_and_can_be_sought(
    browser: "playwright.Browser", errors: Errors, tmp_path: Path
) -> None:
    with running(tmp_path) as it:
        page = errors.watch(browser.new_page())
        page.goto(f"{it.address}/#events?id=a")
        wait_for(page, "document.querySelector('.player-time').textContent.includes('2.0')")
        wait_for(page, "document.querySelector('.player-screen img').naturalWidth > 0")
        page.keyboard.press(" ")
        wait_for(page, "parseFloat(document.querySelector('.player-time').textContent) > 0.2")
        page.keyboard.press(" ")
        box = page.locator(".player-screen").bounding_box()
        page.mouse.click(box["x"] + 0.75 * box["width"], box["y"] + 20)
        wait_for(page, f"Math.abs({TIME} - 1.5) < 0.11")
        page.close()


def test_script_in_names_is_text(
    browser: "playwright.Browser", errors: Errors, tmp_path: Path
) -> None:
    evil = "<img src=x onerror=\"document.title='owned'\">"
    with running(tmp_path) as it:
        page = errors.watch(browser.new_page())
        page.goto(it.address)
        page.wait_for_selector(".source")
        it.station.say(onset("x", evil))
        page.wait_for_selector("text=onerror")
        for view in ("events", f"days?day={DAY}", "health"):
            page.goto(f"{it.address}/#{view}")
            page.wait_for_timeout(300)
        page.goto(f"{it.address}/#events?id=d")  # its label is a script element
        page.wait_for_selector("h2:has-text('alert(1)')")
        assert "owned" not in page.title()
        page.close()


def test_the_page_goes_on_after_the_server_was_started_anew(
    browser: "playwright.Browser", tmp_path: Path
) -> None:
    with running(tmp_path) as it:
        port = it.server.port
        page = browser.new_page()
        page.goto(it.address)
        page.wait_for_selector("#connection[data-state=live]")
        it.station.say(event("one", "dog"))
        page.wait_for_selector(".recent li[data-label=dog]")
    page.wait_for_selector("#connection[data-state=lost]")
    site, station = make_site(tmp_path / "again", port=port)
    server = WebServer(make_app(site), site.access.settings, site.close)
    server.start()
    try:
        page.wait_for_selector("#connection[data-state=live]", timeout=15000)
        station.say(event("two", "car"))
        page.wait_for_selector(".recent li[data-label=car]")
    finally:
        page.close()
        server.stop()


@pytest.mark.parametrize("view", ["now", "events", f"days?day={DAY}", "levels", "health"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_shows_every_view_in_its_width(
    browser: "playwright.Browser", errors: Errors, tmp_path: Path, view: str, scheme: str
) -> None:
    with running(tmp_path) as it:
        context = browser.new_context(viewport=PHONE, color_scheme=scheme)
        page = errors.watch(context.new_page())
        page.goto(f"{it.address}/#{view}")
        page.wait_for_selector("main h1")
        page.wait_for_timeout(200)
        keep(page, f"phone-{view.partition('?')[0]}-{scheme}")
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
        unnamed = page.evaluate(UNNAMED)
        assert unnamed == []
        context.close()


UNNAMED = """() => [...document.querySelectorAll('button, a, input, select, [role=meter]')]
  .filter((e) => e.offsetParent)
  .filter((e) => !(e.textContent.trim() || e.getAttribute('aria-label') || e.labels?.length
                   || e.getAttribute('title')))
  .map((e) => e.outerHTML)"""


def test_two_sources_side_by_side_and_the_rights_of_a_guest(
    browser: "playwright.Browser", errors: Errors, tmp_path: Path
) -> None:
    with running(tmp_path) as it:
        page = errors.watch(browser.new_page())
        page.goto(it.address)
        page.wait_for_selector(".source >> nth=1")
        assert page.locator(".source h2").all_text_contents() == ["garden", "street"]
        page.goto(f"{it.address}/#events?id=a")
        page.wait_for_selector(".verdict-button")
        assert page.is_disabled(".verdict-button.right")
        page.close()


def test_signing_in(browser: "playwright.Browser", errors: Errors, tmp_path: Path) -> None:
    with running(tmp_path, host="0.0.0.0") as it:
        page = errors.watch(browser.new_page())
        page.goto(it.address)
        page.fill("#token", "wrong")
        page.keyboard.press("Enter")
        page.wait_for_selector("text=the token is wrong")
        page.fill("#token", OWNER)
        page.keyboard.press("Enter")
        page.wait_for_selector(".source")
        page.close()


def test_behind_a_proxy_with_a_prefix(
    browser: "playwright.Browser", errors: Errors, tmp_path: Path
) -> None:
    """As Home Assistant's ingress: the proxy takes the prefix away and the server never sees it."""
    from tests.web.proxy import proxy

    with running(tmp_path) as it, proxy(it.server.port, "/ingress/x1") as address:
        page = errors.watch(browser.new_page())
        page.goto(f"{address}#token={OWNER}")
        page.wait_for_selector(".source")
        page.wait_for_selector("#connection[data-state=live]")
        page.goto(f"{address}#events?id=a")
        wait_for(page, "document.querySelector('.player-screen img').naturalWidth > 0")
        with page.expect_response("**/verdict"):
            page.keyboard.press("r")
        assert stored(tmp_path, "a") == ("right", None)
        page.close()
