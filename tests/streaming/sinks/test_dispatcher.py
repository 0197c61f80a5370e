"""The dispatcher: nothing that a sink does stops another sink or the sender."""

import json
import threading
import time
from typing import Any

import numpy as np
import pytest

from audiocnn.errors import ArgumentError
from audiocnn.streaming.messages import Message, format_message, parse_message
from audiocnn.streaming.sinks import dispatcher
from audiocnn.streaming.sinks.base import MessageFilter, TryAgain
from audiocnn.streaming.sinks.dispatcher import SinkDispatcher
from tests.live_messages import event, number_of, other


class Keeping:
    """Keeps what it is given."""

    def __init__(self, name: str = "keeping", **more: Any) -> None:
        self.name, self.got, self.closed = name, [], False
        self.__dict__.update(more)

    def handle(self, message: Message) -> None:
        self.got.append(number_of(message.id))

    def close(self) -> None:
        self.closed = True


class Doing(Keeping):
    """Does something first."""

    def __init__(self, act: Any, name: str = "doing") -> None:
        super().__init__(name)
        self.act = act

    def handle(self, message: Message) -> None:
        self.act(message)
        super().handle(message)


def fail(error: BaseException) -> Any:
    def act(message: Message) -> None:
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
    with SinkDispatcher([first, second]) as out:
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
    out = SinkDispatcher([bad, good], notify=told.append)
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
    out = SinkDispatcher([stuck, good], limit=100)
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
    out = SinkDispatcher([sink], limit=10, notify=told.append)
    out.send(event(0))
    wait_for(lambda: out.status()["doing"].waiting == 0)
    for i in range(1, 6):
        out.send(event(i))
        out.send(other("scores"))
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

    def away(message: Message) -> None:
        if next(tries) < 4:
            raise TryAgain("the broker is away")

    sink = Doing(away)
    out = SinkDispatcher([sink], notify=told.append)
    out.send(event(1))
    out.send(event(2))
    wait_for(lambda: sink.got == [1, 2])
    status = out.close()["doing"]
    assert (status.handled, status.failed, status.away) == (2, 0, False)
    assert told == ["doing: the broker is away; trying again", "doing: works again"]


def test_a_message_that_is_never_taken_is_given_up() -> None:
    tried: list[int] = []

    def refuse(message: Message) -> None:
        tried.append(number_of(message.id))
        if message.id == "s-1":
            raise TryAgain("500", tries=3)

    sink = Doing(refuse)
    out = SinkDispatcher([sink])
    out.send(event(1))
    out.send(event(2))
    wait_for(lambda: sink.got == [2])
    assert tried == [1, 1, 1, 2]
    assert out.close()["doing"].failed == 1


def test_closing_does_not_wait_for_what_is_away() -> None:
    sink = Doing(fail(TryAgain("away", after=300)))
    out = SinkDispatcher([sink])
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

    def act(message: Message) -> None:
        at.append(time.monotonic())
        raise TryAgain("away")

    out = SinkDispatcher([Doing(act)], longest_pause=0.08)
    out.send(event())
    wait_for(lambda: len(at) == 6)
    out.close(0)
    pauses = np.diff(at)
    assert np.all(pauses >= [0.02, 0.04, 0.08, 0.08, 0.08])
    assert np.all(pauses < 0.3)


def test_a_sender_may_wait_where_nothing_must_be_lost() -> None:
    sink = Doing(lambda message: time.sleep(0.001))
    with SinkDispatcher([sink], limit=3, wait=10) as out:
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
    out = SinkDispatcher([idle, away])
    out.send(event())
    wait_for(lambda: len(ticks) > 5 and len(away_ticks) > 5)
    out.close(0.1)


def test_a_failing_tick_and_close_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatcher, "TICK", 0.01)
    sink = Keeping(tick=lambda: 1 / 0, close=lambda: 1 / 0)
    told: list[str] = []
    out = SinkDispatcher([sink], notify=told.append)
    wait_for(lambda: out.status()["keeping"].failed > 3)
    out.send(event(7))
    wait_for(lambda: sink.got == [7])
    assert out.close()["keeping"].reason == "ZeroDivisionError: division by zero"
    assert told[0] == "keeping: ZeroDivisionError: division by zero"
    assert len(told) <= 2  # and that it works again


def test_works_again_is_only_said_of_what_works(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatcher, "TICK", 0.01)
    state = {"full": True}
    sink = Keeping(n_delivered=0)

    def tick() -> None:  # what `handle` has begun is written here
        if len(sink.got) > sink.n_delivered + state.get("lost", 0):
            if state["full"]:
                state["lost"] = state.get("lost", 0) + 1
                raise OSError("no space left")
            sink.n_delivered += 1

    sink.tick = tick
    told: list[str] = []
    out = SinkDispatcher([sink], notify=told.append)
    for number in range(3):
        out.send(event(number))
        wait_for(lambda n=number: state.get("lost", 0) == n + 1)
    assert told == ["keeping: OSError: no space left"]
    assert out.status()["keeping"].away
    state["full"] = False
    out.send(event(3))
    wait_for(lambda: len(told) == 2)
    assert told[1] == "keeping: works again"
    assert not out.status()["keeping"].away
    out.close()


def test_a_note_that_fails_stops_nothing() -> None:
    good = Keeping("good")

    def tell(sentence: str) -> None:
        raise BrokenPipeError

    with SinkDispatcher([Doing(fail(ValueError("x"))), good], notify=tell) as out:
        out.send(event(1))
        out.send(event(2))
    assert good.got == [1, 2]
    assert out.status()["doing"].failed == 2


def test_sinks_get_what_they_want() -> None:
    picky = Keeping("picky", wants=MessageFilter(("event", "gap"), ("dog", "cat"), 0.8))
    with SinkDispatcher([picky]) as out:
        out.send(event(1))
        out.send(event(2, label="rooster"))
        out.send(event(3, score=0.7))
        out.send(event(4, score=None))
        out.send(event(5, type="onset"))
        out.send(other("gap", id="s-6"))
    assert picky.got == [1, 6]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: MessageFilter(("events",)), "no type of message 'events' (did you mean 'event'?)"),
        (lambda: MessageFilter(min_score=1.5), "min_score must be between 0 and 1, got 1.5"),
        (
            lambda: SinkDispatcher([Keeping(), Keeping()]),
            "two sinks have one name: keeping, keeping",
        ),
        (lambda: SinkDispatcher([], limit=0), "limit must be at least 1 message, got 0"),
    ],
)
def test_wrong_values_are_said(make: Any, message: str) -> None:
    with pytest.raises(ArgumentError) as caught:
        make()
    assert message in str(caught.value)


def test_messages_as_json() -> None:
    message = event(5, score=0.5, end=float("inf"), label="a\nb\udc80", clip="Kauz \u2603")
    line = format_message(message)
    assert "\n" not in line
    line.encode()
    found = json.loads(line)
    assert next(iter(found)) == "type"
    assert (found["type"], found["score"], found["end"]) == ("event", 0.5, None)
    assert (found["source"], found["host"]) == ("garden", "attic")
    assert found["label"] == "a\nb?"
    assert "Kauz \u2603" in line


@pytest.mark.parametrize("type", ["gap", "scores", "session", "heartbeat"])
def test_a_message_is_read_back(type: str) -> None:
    message = other(type)
    assert parse_message(format_message(message)) == message
    assert message.type == type


@pytest.mark.parametrize("line", ["", "{}", '{"type": "gap"}', '{"type": "x"}', "[1]", b"\xff"])
def test_what_is_no_message_is_refused(line: str | bytes) -> None:
    with pytest.raises(ArgumentError, match="not a message of a live session"):
        parse_message(line)
