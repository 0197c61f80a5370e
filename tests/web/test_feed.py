"""Server-sent events: a client that reconnects misses nothing, also over a restart."""

import json
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

pytest.importorskip("starlette")

from tests.web.site import running, write_database
from tests.web.stations import gap, onset


def take(address: str, n: int, then: object = None, **query: str) -> list[dict]:
    """Read n messages; calls ``then`` once the stream is open."""
    found: list[dict] = []
    with httpx.stream("GET", f"{address}/api/stream", params=query, timeout=10) as answer:
        message: dict = {}
        for line in answer.iter_lines():
            if line.startswith("retry:") and callable(then):
                then()
            name, _, value = line.partition(": ")
            if name in ("id", "event"):
                message[name] = value
            elif name == "data":
                message["data"] = json.loads(value)
            elif not line and "data" in message:
                found.append(message)
                message = {}
                if len(found) == n:
                    return found
    raise AssertionError(f"the stream ended after {len(found)} messages")


def numbers(messages: list[dict]) -> list[int]:
    return [message["data"]["start"] for message in messages]


def test_messages_in_order_to_everyone(tmp_path: Path) -> None:
    with running(tmp_path) as it:
        got = take(it.address, 5, lambda: [it.station.say(gap(n)) for n in range(5)])
    assert numbers(got) == [0, 1, 2, 3, 4]
    assert {message["event"] for message in got} == {"gap"}
    assert len({message["id"] for message in got}) == 5


def test_what_came_while_a_client_was_away(tmp_path: Path) -> None:
    with running(tmp_path) as it:
        last = take(it.address, 1, lambda: it.station.say(gap(0)))[0]["id"]
        for n in range(1, 4):
            it.station.say(gap(n))
        it.site.feed.publish(
            {"type": "scores", "source": "garden", "start": 99}
        )  # passes, is not repeated
        got = take(it.address, 4, lambda: it.station.say(gap(4)), last_id=last)
    assert numbers(got) == [1, 2, 3, 4]


def test_over_a_restart_the_database_has_what_was_missed(tmp_path: Path) -> None:
    with running(tmp_path / "one") as it:
        got = take(it.address, 1, lambda: it.station.say(gap(0)))
    boot, number, _ = got[0]["id"].split("-")
    when = datetime(2026, 11, 27, 5, 50, tzinfo=UTC).timestamp()  # events c, d and e came later
    before = f"{boot}-{number}-{round(when * 1000):x}"
    with running(tmp_path / "two") as it:
        it.station.say(gap(1))
        got = take(it.address, 4, last_id=before)
    assert [m["data"]["id"] for m in got] == ["c", "d", "e", "s-1"]
    assert [m["event"] for m in got] == ["event", "event", "event", "gap"]


def test_what_a_client_missed_in_the_database(tmp_path: Path) -> None:
    history = write_database(tmp_path)

    def missed(hour: int, minute: int, second: float = 0) -> list[tuple[str, str]]:
        when = datetime(2026, 11, 27, hour, minute, tzinfo=UTC).timestamp() + second
        return [(message["type"], message["id"]) for message in history.since(when)]

    assert missed(23, 0) == [("event", "e")]
    assert missed(23, 30, 1) == [("event", "e")]  # it began before, and ended after
    assert missed(23, 30, 5) == []
    assert missed(5, 20)[0] == ("gap", "g")  # from 5:00 to 5:30
    history.judge("a", "right")
    assert history.since(datetime(2026, 11, 28, tzinfo=UTC).timestamp())[-1]["verdict"] == "right"


@pytest.mark.parametrize("last_id", ["", "nonsense", "1-2", "a-b-c", "1-2-3-4", "-" * 99])
def test_ids_that_are_none_of_ours(tmp_path: Path, last_id: str) -> None:
    with running(tmp_path) as it:
        it.station.say(gap(0))
        got = take(it.address, 1, lambda: it.station.say(gap(1)), last_id=last_id)
    assert numbers(got) == [1]


def test_filters(tmp_path: Path) -> None:
    with running(tmp_path) as it:

        def say() -> None:
            for message in (gap(0), gap(1, "street"), onset("x", "dog", "street")):
                it.station.say(message)
            it.station.say(gap(2, "street"))
            it.site.feed.publish({"type": "secret", "source": "street", "start": 5})
            it.station.say(gap(3, "street"))

        got = take(it.address, 3, say, types="gap", source="street")
    assert numbers(got) == [1, 2, 3]


def test_the_color_scale_of_the_page_is_that_of_pictures() -> None:
    import re

    from audiocnn.web.app import STATIC
    from audiocnn.web.png import STOPS

    text = (STATIC / "colors.js").read_text(encoding="utf-8")
    rows = re.findall(r"\[([\d.]+), (\d+), (\d+), (\d+)\]", text)
    assert [tuple(map(float, row)) for row in rows] == [tuple(map(float, s)) for s in STOPS]
