"""The outlet: nothing that a sink does stops another, or whoever sends."""

import json
import threading
import time
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from audiocnn.errors import ArgumentError
from audiocnn.streaming.sinks import dispatcher
from audiocnn.streaming.sinks.base import MessageFilter, TryAgain, format_message
from audiocnn.streaming.sinks.dispatcher import Outlet


def event(number: int = 0, **more: Any) -> dict[str, Any]:
    times = {"time": "2026-11-23T02:50:34.120Z", "start": number + 0.25, "end": number + 0.75}
    return {"type": "event", "id": number, **times, "label": "dog", "score": 0.9, **more}


class Keeping:
    """Keeps what it is given."""

    def __init__(self, name: str = "keeping", **more: Any) -> None:
        self.name, self.got, self.closed = name, [], False
        self.__dict__.update(more)

    def handle(self, message: Mapping[str, Any]) -> None:
        self.got.append(message["id"])

    def close(self) -> None:
        self.closed = True


class Doing(Keeping):
    """Does something first."""

    def __init__(self, act: Any, name: str = "doing") -> None:
        super().__init__(name)
        self.act = act

    def handle(self, message: Mapping[str, Any]) -> None:
        self.act(message)
        super().handle(message)


def fail(error: BaseException) -> Any:
    def act(message: Mapping[str, Any]) -> None:
        raise error

    return act


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatcher, "FIRST_PAUSE", 0.01)


def wait_for(what: Any, seconds: float = 5.0) -> None:
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.005)


def test_all_sinks_get_all_in_order() -> None:
    first, second = Keeping("first"), Keeping("second")
    with Outlet([first, second]) as out:
        for i in range(500):
            out.send(event(i))
    assert first.got == second.got == list(range(500))
    assert first.closed
    assert second.closed
    assert out.status()["first"].handled == 500


def test_a_failing_sink_stops_no_other() -> None:
    told: list[str] = []
    good = Keeping("good")
    bad = Doing(fail(RuntimeError("no such room")), "bad")
    out = Outlet([bad, good], tell=told.append)
    for i in range(50):
        out.send(event(i))
    status = out.close()
    assert good.got == list(range(50))
    assert (status["bad"].failed, status["bad"].handled, status["bad"].dropped) == (50, 0, 0)
    assert status["bad"].reason == "RuntimeError: no such room"
    assert told == ["bad: RuntimeError: no such room"]  # once, not 50 times
    assert bad.closed


def test_a_hanging_sink_stops_no_other_and_send_does_not_wait() -> None:
    release = threading.Event()
    good, stuck = Keeping("good"), Doing(lambda message: release.wait(), "stuck")
    out = Outlet([stuck, good], limit=100)
    slowest = 0.0
    for i in range(1000):
        begun = time.perf_counter()
        out.send(event(i))
        slowest = max(slowest, time.perf_counter() - begun)
        if i % 50 == 0:
            wait_for(lambda: out.status()["good"].waiting == 0)
    begun = time.monotonic()
    status = out.close(timeout=0.3)
    assert time.monotonic() - begun < 1
    release.set()
    assert slowest < 0.5
    assert good.got == list(range(1000))
    assert status["stuck"].dropped == 999  # all but the one that it holds
    assert status["stuck"].waiting == 0


def test_scores_are_dropped_before_events() -> None:
    release = threading.Event()
    sink = Doing(lambda message: release.wait())
    told: list[str] = []
    out = Outlet([sink], limit=10, tell=told.append)
    out.send(event(0))
    wait_for(lambda: out.status()["doing"].waiting == 0)
    for i in range(1, 6):
        out.send(event(i))
        out.send({"type": "scores", "id": f"s{i}"})
    for i in range(6, 15):
        out.send(event(i))
    release.set()
    status = out.close()
    assert sink.got == [0, *range(5, 15)]
    assert status["doing"].dropped == 9
    assert told[0].startswith("doing: cannot keep up: of 10 waiting")


def test_what_is_away_is_tried_again() -> None:
    tries = iter(range(100))
    told: list[str] = []

    def away(message: Mapping[str, Any]) -> None:
        if next(tries) < 4:
            raise TryAgain("the broker is away")

    sink = Doing(away)
    out = Outlet([sink], tell=told.append)
    out.send(event(1))
    out.send(event(2))
    wait_for(lambda: sink.got == [1, 2])
    status = out.close()["doing"]
    assert (status.handled, status.failed, status.away) == (2, 0, False)
    assert told == ["doing: the broker is away; trying again", "doing: works again"]


def test_a_message_that_is_never_taken_is_given_up() -> None:
    tried: list[int] = []

    def refuse(message: Mapping[str, Any]) -> None:
        tried.append(message["id"])
        if message["id"] == 1:
            raise TryAgain("500", tries=3)

    sink = Doing(refuse)
    out = Outlet([sink])
    out.send(event(1))
    out.send(event(2))
    wait_for(lambda: sink.got == [2])
    assert tried == [1, 1, 1, 2]
    assert out.close()["doing"].failed == 1


def test_closing_does_not_wait_for_what_is_away() -> None:
    sink = Doing(fail(TryAgain("away", after=300)))
    out = Outlet([sink])
    for i in range(5):
        out.send(event(i))
    time.sleep(0.05)
    begun = time.monotonic()
    status = out.close(timeout=0.6)["doing"]
    assert time.monotonic() - begun < 1.5
    assert sink.closed
    assert (status.handled, status.failed + status.dropped) == (0, 5)
    out.send(event(9))
    assert out.status()["doing"].dropped == status.dropped + 1
    out.close()


def test_pauses_grow_and_have_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatcher, "FIRST_PAUSE", 0.02)
    at: list[float] = []

    def act(message: Mapping[str, Any]) -> None:
        at.append(time.monotonic())
        raise TryAgain("away")

    out = Outlet([Doing(act)], longest_pause=0.08)
    out.send(event())
    wait_for(lambda: len(at) == 6)
    out.close(0)
    pauses = np.diff(at)
    assert np.all(pauses >= [0.02, 0.04, 0.08, 0.08, 0.08])
    assert np.all(pauses < 0.3)


def test_a_sender_may_wait_where_nothing_must_be_lost() -> None:
    sink = Doing(lambda message: time.sleep(0.001))
    with Outlet([sink], limit=3, wait=10) as out:
        for i in range(100):
            out.send(event(i))
    assert sink.got == list(range(100))


def test_ticks_go_on_without_messages_and_while_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatcher, "TICK", 0.01)
    ticks: list[int] = []
    idle = Keeping("idle", tick=lambda: ticks.append(1))
    away = Doing(fail(TryAgain("away", after=60)), "away")
    away_ticks: list[int] = []
    away.tick = lambda: away_ticks.append(1)  # type: ignore[attr-defined]
    out = Outlet([idle, away])
    out.send(event())
    wait_for(lambda: len(ticks) > 5 and len(away_ticks) > 5)
    out.close(0.1)


def test_a_failing_tick_and_close_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatcher, "TICK", 0.01)
    sink = Keeping(tick=lambda: 1 / 0, close=lambda: 1 / 0)
    told: list[str] = []
    out = Outlet([sink], tell=told.append)
    wait_for(lambda: out.status()["keeping"].failed > 3)
    out.send(event(7))
    wait_for(lambda: sink.got == [7])
    assert out.close()["keeping"].reason == "ZeroDivisionError: division by zero"
    assert told[0] == "keeping: ZeroDivisionError: division by zero"
    assert len(told) <= 2  # and that it works again


def test_whoever_is_told_may_fail() -> None:
    good = Keeping("good")

    def tell(sentence: str) -> None:
        raise BrokenPipeError

    with Outlet([Doing(fail(ValueError("x"))), good], tell=tell) as out:
        out.send(event(1))
        out.send(event(2))
    assert good.got == [1, 2]
    assert out.status()["doing"].failed == 2


def test_sinks_get_what_they_want() -> None:
    picky = Keeping("picky", wants=MessageFilter(("event", "gap"), ("dog", "cat"), 0.8))
    with Outlet([picky]) as out:
        out.send(event(1))
        out.send(event(2, label="rooster"))
        out.send(event(3, score=0.7))
        out.send(event(4, score=None))
        out.send(event(5, type="onset"))
        out.send({"type": "gap", "id": 6})
    assert picky.got == [1, 6]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: MessageFilter(("events",)), "no type of message 'events' (did you mean 'event'?)"),
        (lambda: MessageFilter(min_score=1.5), "min_score must be between 0 and 1, got 1.5"),
        (lambda: Outlet([Keeping(), Keeping()]), "two sinks have one name: keeping, keeping"),
        (lambda: Outlet([], limit=0), "limit must be at least 1 message, got 0"),
    ],
)
def test_wrong_values_are_said(make: Any, message: str) -> None:
    with pytest.raises(ArgumentError) as caught:
        make()
    assert message in str(caught.value)


def test_messages_as_json() -> None:
    message = event(
        audio=lambda start, end: None,
        score=np.float32(0.5),
        n=np.int64(3),
        level=float("nan"),
        scores={"dog": np.float64("inf"), "Kauz ": 0.25},
        bands=np.array([1.0, 2.0]),
        odd="a\nb\udc80",
    )
    line = format_message(message)
    assert "\n" not in line
    line.encode()
    found = json.loads(line)
    assert "audio" not in found
    assert (found["score"], found["n"], found["level"]) == (0.5, 3, None)
    assert found["scores"] == {"dog": None, "Kauz ": 0.25}
    assert found["bands"] == [1.0, 2.0]
    assert found["odd"] == "a\nb?"
