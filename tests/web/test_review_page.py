"""The review page in a real browser, by keys alone."""

import csv
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

pytest.importorskip("starlette")

from audiocnn.web.review.items import open_source
from audiocnn.web.review.page import review_server
from audiocnn.web.review.review import Review
from tests.web.browser import Errors, browser, errors, keep, playwright, wait_for
from tests.web.recordings import verdicts_in, write_run

__all__ = ["browser", "errors"]
JUDGED = "document.querySelector('.progress .number').textContent"


@contextmanager
def reviewing(run: Path, compare: bool = False) -> Iterator[tuple[Review, str]]:
    review = Review(open_source(run))
    server, link = review_server(review, 0)
    server.start()
    if compare:
        threading.Thread(target=review.compare_sounds, daemon=True).start()
    try:
        yield review, link
    finally:
        review.stop()
        server.stop()


def test_twenty_events_by_keys_closed_in_the_middle_and_reopened(
    browser: "playwright.Browser", errors: Errors, tmp_path: Path
) -> None:
    run = write_run(tmp_path)
    keys = "rwrowrrwwurorwrwrwrwrwr"  # o is followed by a label, u takes the one before back
    meant: list[str] = []
    pressed = 0

    def press(page: "playwright.Page", until: int) -> None:
        nonlocal pressed
        while pressed < len(keys) and len(meant) < until:
            key = keys[pressed]
            pressed += 1
            before = len(meant)
            page.keyboard.press(key)
            if key == "o":
                page.keyboard.type("cl" if before % 2 else "barn owl")
                page.keyboard.press("Enter")
                meant.append("click" if before % 2 else "barn owl")
            elif key == "u":
                meant.pop()
            else:
                meant.append({"r": "right", "w": "wrong"}[key])
            wait_for(page, f"{JUDGED}.startsWith('{len(meant)} ')")

    with reviewing(run) as (review, link):
        page = errors.watch(browser.new_page())
        page.goto(link)
        page.wait_for_selector(".review-card h1 b")
        press(page, 9)
        page.close()  # in the middle
        page = errors.watch(browser.new_page())
        page.goto(link)
        page.wait_for_selector(".review-card h1 b")
        assert page.text_content(".progress .number") == "9 of 20 judged"
        keep(page, "review")
        press(page, 20)
        page.wait_for_selector("text=All judged")
        page.close()
        order = review.order("doubt")
        expected = {
            (review.items[n].row["start"], review.items[n].event.label, review.items[n].row["path"])
            : verdict for n, verdict in zip(order, meant, strict=True)
        }  # fmt: skip
    assert rows_of(Path(f"{run}.review.csv")) == expected


def rows_of(path: Path) -> dict[tuple[str, str, str], str]:
    with path.open(newline="") as file:
        return {(r["start"], r["label"], r["path"]): r["verdict"] for r in csv.DictReader(file)}


def test_sound_loop_and_speed(
    browser: "playwright.Browser", errors: Errors, tmp_path: Path
) -> None:
    with reviewing(write_run(tmp_path)) as (_, link):
        page = errors.watch(browser.new_page())
        page.goto(link)
        page.wait_for_selector(".player-screen img[src]")
        wait_for(page, "document.querySelector('.player-time').textContent.includes('6.')")
        assert page.evaluate("document.querySelector('.player-screen img').naturalWidth") > 300
        page.keyboard.press("l")
        assert page.get_attribute("button:has-text('Loop')", "aria-pressed") == "true"
        page.keyboard.press("s")
        assert "½" in page.text_content("button:has-text('speed')")
        region = page.locator(".region").bounding_box()
        screen = page.locator(".player-screen").bounding_box()
        assert region["x"] - screen["x"] == pytest.approx(screen["width"] * 3 / 6.5, rel=0.1)
        page.close()


def test_alike_events_are_judged_together(
    browser: "playwright.Browser", errors: Errors, tmp_path: Path
) -> None:
    run = write_run(tmp_path)
    with reviewing(run, compare=True) as (review, link):
        page = errors.watch(browser.new_page())
        page.goto(link)
        page.wait_for_selector(".review-card h1 b")
        page.click("#view-grid")
        page.wait_for_selector(".tile")
        tiles = page.locator(".tile").count()
        assert tiles == 10  # of one kind
        page.locator(".tile").nth(0).click()  # not this one
        page.keyboard.press("r")
        wait_for(page, f"{JUDGED}.startsWith('9 ')")
        assert review.progress()["right"] == 9
        page.keyboard.press("u")
        wait_for(page, f"{JUDGED}.startsWith('0 ')")
        page.close()
    assert verdicts_in(Path(f"{run}.review.csv")) == []


def test_more_like_this(browser: "playwright.Browser", errors: Errors, tmp_path: Path) -> None:
    with reviewing(write_run(tmp_path), compare=True) as (review, link):
        page = errors.watch(browser.new_page())
        page.goto(link)
        page.wait_for_selector(".review-card h1 b")
        label = page.text_content(".review-card h1 b")
        end = time.monotonic() + 20
        while not review.progress()["has_groups"] and time.monotonic() < end:
            time.sleep(0.05)
        page.keyboard.press("m")
        wait_for(page, "document.querySelector('.queue-head select').value === 'like'")
        queue = page.locator(".queue-label").all_text_contents()
        assert queue == [label] * 10 + [queue[-1]] * 10
        assert page.text_content(".review-card h1 b") == label
        page.close()


def test_without_the_token_nothing_can_be_changed(tmp_path: Path) -> None:
    with reviewing(write_run(tmp_path)) as (review, link):
        address = link.partition("#")[0]
        body = {"items": [0], "verdict": "right"}
        assert httpx.post(f"{address}api/review/verdicts", json=body).status_code == 403
        assert review.progress()["judged"] == 0
        for n in ("99", "-1", "1e3", "..%2f..%2fetc%2fpasswd", "٣"):
            assert httpx.get(f"{address}api/review/items/{n}/clip").status_code == 404
        sound = httpx.get(f"{address}api/review/items/0/clip")
        part = httpx.get(f"{address}api/review/items/0/clip", headers={"Range": "bytes=5-9"})
        assert (part.status_code, part.content) == (206, sound.content[5:10])
        far = httpx.get(f"{address}api/review/items/0/clip", headers={"Range": "bytes=99999999-"})
        assert far.status_code == 416
