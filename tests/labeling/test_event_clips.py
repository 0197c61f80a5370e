from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from audiocnn.datasets.reviews import Cut
from audiocnn.errors import ArgumentError, AudioError
from audiocnn.inference.events import Event
from audiocnn.labeling.event_clips import ORDERS, choose_events, cut_events

EVENTS = [
    Event("owl", 1, 2, 0.9, "a.wav"),
    Event("fox", 2, 3, 0.7, "a.wav"),
    Event("owl", 0, 1, 0.55, "b.wav"),
    Event("owl", 4, 5, 0.2, "b.wav"),
    Event("owl", 6, 7, None, "b.wav"),
    Event("owl", 8, 9, 0.9, "b.wav"),
]


@pytest.mark.parametrize(
    ("order", "starts"),
    [("best", [1, 8, 0, 4, 6]), ("doubtful", [0, 4, 1, 8, 6]), ("time", [1, 0, 4, 6, 8])],
)
def test_orders(order: str, starts: list[int]) -> None:
    for limit in (None, 1, 3, 5, 9):
        found = choose_events(iter(EVENTS), order=order, limit=limit)
        assert [e.start for e in found if e.label == "owl"] == starts[:limit]
        assert [e.label for e in found] == ["fox"] + ["owl"] * len(starts[:limit])


@given(st.lists(st.floats(0, 1)), st.integers(1, 5), st.sampled_from(ORDERS))
def test_a_limit_keeps_the_first(scores: list[float], limit: int, order: str) -> None:
    events = [Event("owl", n, n + 1, score) for n, score in enumerate(scores)]
    whole = choose_events(events, order=order)
    assert choose_events(events, order=order, limit=limit) == whole[:limit]


def test_labels() -> None:
    assert choose_events(EVENTS, labels=["fox"]) == [EVENTS[1]]
    with pytest.raises(ArgumentError, match=r"no event of 'fix' \(did you mean 'fox'\?\); found"):
        choose_events(EVENTS, labels=["fix"])
    with pytest.raises(ArgumentError, match="limit must be at least 1, got 0"):
        choose_events(EVENTS, limit=0)
    with pytest.raises(ArgumentError, match=r"one of best, doubtful, time, got 'worst'"):
        choose_events(EVENTS, order="worst")


def test_memory_is_that_of_what_is_kept() -> None:
    alive = 0

    class Counted(Event):
        def __del__(self) -> None:
            nonlocal alive
            alive -= 1

    def many() -> Iterator[Event]:
        nonlocal alive
        for n in range(1000):
            alive += 1
            assert alive <= 12
            yield Counted("owl", n, n + 1, (n * 7919 % 1000) / 1000)

    assert len(choose_events(many(), limit=10)) == 10


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    ramp = np.linspace(0, 0.9, 8000 * 10, dtype=np.float32)
    soundfile.write(tmp_path / "night 1.wav", ramp, 8000)
    return tmp_path / "night 1.wav"


def cut(folder: Path, *events: Event, **how: float) -> list[Cut]:
    found = list(cut_events(events, folder, **how))
    assert all(isinstance(each, Cut) for each in found), found
    return found  # type: ignore[return-value]


def test_sounds_lie_where_the_events_were(tmp_path: Path, recording: Path) -> None:
    source = str(recording)
    events = [Event("Dog bark", 5.25, 6, 0.875, source), Event("Dog bark", 0.5, 9.9, None, source)]
    cuts = cut(tmp_path, *events, margin=1, longest=3)
    assert [each.clip for each in cuts] == [
        "dog_bark/0001_0.88_night_1_5.2s.flac",
        "dog_bark/0002_night_1_0.5s.flac",
    ]
    lengths = [5.25 + 1.75 - 4.25, 0.5 + 3 + 1]
    for each, length in zip(cuts, lengths, strict=True):
        samples, rate = soundfile.read(tmp_path / each.clip)
        assert len(samples) == pytest.approx(length * rate)
        at = samples[round(each.offset * rate)]
        assert at == pytest.approx(0.9 * each.event.start / 10, abs=1e-3)


def test_names_never_leave_the_folder_or_meet(tmp_path: Path, recording: Path) -> None:
    labels = ["../up", "Owl", "owl", "a/b"]
    cuts = cut(tmp_path, *(Event(label, 1, 2, 0.5, str(recording)) for label in labels))
    files = {(tmp_path / each.clip).resolve() for each in cuts}
    assert len(files) == 4
    assert all(file.is_file() and file.parent.parent == tmp_path.resolve() for file in files)


def test_what_cannot_be_cut(tmp_path: Path, recording: Path) -> None:
    events = [
        Event("owl", 1, 2, 0.5, "gone.wav"),
        Event("owl", 1, 2, 0.5, ""),
        Event("owl", 99, 100, 0.5, str(recording)),
        Event("owl", 1, 1, 0.5, str(recording)),
    ]
    found = list(cut_events(events, tmp_path, margin=0))
    problems = [str(each) for each in found[:3] if isinstance(each, AudioError)]
    assert "no such file: gone.wav" in problems[0]
    assert "does not name its recording" in problems[1]
    assert "ends before 99.000 s" in problems[2]
    assert isinstance(found[3], Cut)
    for bad in ({"margin": -1.0}, {"longest": 0.0}, {"margin": float("nan")}):
        with pytest.raises(ArgumentError, match="margin must be 0 seconds or more"):
            list(cut_events(events, tmp_path, **bad))
    (tmp_path / "fox").touch()
    with pytest.raises(ArgumentError, match=r"cannot make the folder .*fox"):
        list(cut_events([Event("fox", 1, 2, 0.5, str(recording))], tmp_path))
