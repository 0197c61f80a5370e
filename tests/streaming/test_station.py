"""A station: several sources, one set of sinks, subscribers, and its state."""

import queue
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
import soundfile

import audiocnn
from audiocnn.errors import ArgumentError, AudioError
from audiocnn.streaming import station as station_module
from audiocnn.streaming.config import ListenSettings, Settings, SourceSettings, read_settings
from audiocnn.streaming.messages import EventMessage, Message
from audiocnn.streaming.station import Station

DEMO = Path(__file__).parents[2] / "data" / "demo.flac"
SETTINGS = f"""
[listen]
hop = 0.25
[[source]]
name = "Garden"
input = "{DEMO}"
[[source]]
name = "street"
input = "cut.wav"
[sqlite]
path = "sounds.db"
[clips]
folder = "clips"
"""


@pytest.fixture
def two_sources(tmp_path: Path) -> Settings:
    samples, rate = soundfile.read(DEMO, dtype="float32")
    soundfile.write(tmp_path / "cut.wav", samples[10 * rate : 30 * rate], rate, "FLOAT")
    (tmp_path / "settings.toml").write_text(SETTINGS)
    return read_settings(tmp_path / "settings.toml")


def test_every_source_gives_the_events_of_its_file(two_sources: Settings, tmp_path: Path) -> None:
    messages: list[Message] = []
    station = Station(two_sources)
    station.subscribe(messages.append)
    station.run()
    bundle = audiocnn.load("environment")
    for name, path in (("Garden", DEMO), ("street", tmp_path / "cut.wav")):
        blocks = audiocnn.read_blocks(path, bundle.rate)
        expected = list(audiocnn.find_events(audiocnn.listen(bundle, blocks, 0.25), bundle.rules))
        found = [m for m in messages if isinstance(m, EventMessage) and m.source == name]
        assert [e.label for e in found] == [e.label for e in expected]
        times = np.array([(e.start, e.end, e.score) for e in found])
        wanted = np.array([(e.start, e.end, e.score) for e in expected])
        np.testing.assert_allclose(times, wanted, atol=1e-5)
    assert {m.host for m in messages} == {station.host}
    assert len({m.id for m in messages if m.type != "onset"}) == len(
        [m for m in messages if m.type != "onset"]
    )


def test_rows_and_clips_carry_the_source(two_sources: Settings, tmp_path: Path) -> None:
    Station(two_sources).run()
    with closing(sqlite3.connect(tmp_path / "sounds.db")) as connection:
        rows = connection.execute("SELECT source, clip FROM events").fetchall()
        sessions = connection.execute("SELECT source, ended NOT NULL FROM sessions").fetchall()
    assert {source for source, _ in rows} == {"Garden", "street"}
    assert sorted(sessions) == [("Garden", 1), ("street", 1)]
    for source, clip in rows:
        assert Path(clip).exists()
        assert f"Z_{source.lower()}" in Path(clip).name
        assert soundfile.info(clip).duration > 1


def test_the_state_while_it_runs() -> None:
    listen = ListenSettings(input=str(DEMO), realtime=True)
    station, messages = Station(Settings(listen=listen)), queue.SimpleQueue[Message]()
    unsubscribe = station.subscribe(messages.put)
    (before,) = station.status().sources
    assert (before.name, before.state, before.scores) == ("demo", "opening", None)
    station.start()
    try:
        while messages.get(timeout=30).type != "onset":
            pass
        (now,) = station.status().sources
        assert now.state == "listening"
        assert now.active
        assert now.scores is not None
        assert now.thresholds is not None
        assert now.scores.keys() == now.thresholds.keys()
        assert now.heard > 0.5
        assert -80 < now.level < 0
        assert now.decisions[0].verdict in ("begins", "lasts")
        assert now.why_not == ""
        columns = station.spectrum("demo")
        assert columns is not None
        assert columns.values.shape == (len(columns.values), 48)
        assert np.isfinite(columns.values).all()
        later = station.spectrum("demo", columns.first + len(columns.values) - 2)
        assert later is not None
        assert later.first == columns.first + len(columns.values) - 2
        with pytest.raises(ArgumentError, match="no source 'nowhere'; there are: demo"):
            station.spectrum("nowhere")
        unsubscribe()
    finally:
        began = time.monotonic()
        station.close()
    assert time.monotonic() - began < 5
    assert station.status().sources[0].state == "ended"


def test_a_source_that_fails_stops_no_other(tmp_path: Path) -> None:
    (tmp_path / "bad.wav").write_bytes(b"RIFF")
    sources = (
        SourceSettings(name="bad", input=str(tmp_path / "bad.wav")),
        SourceSettings(name="good", input=str(DEMO)),
    )
    notes: list[str] = []
    station = Station(Settings(sources=sources, listen=ListenSettings(seconds=8.0)),
                      notify=notes.append)  # fmt: skip
    station.run()
    bad, good = station.status().sources
    assert bad.state == "failed"
    assert "bad.wav" in bad.reason
    assert (good.state, good.heard) == ("ended", 8.0)
    assert notes[0].startswith("bad: ")


def test_the_error_of_the_only_source_is_raised(tmp_path: Path) -> None:
    (tmp_path / "bad.wav").write_bytes(b"RIFF")
    station = Station(Settings(listen=ListenSettings(input=str(tmp_path / "bad.wav"))))
    with pytest.raises(AudioError, match=r"bad\.wav"):
        station.run()


def test_a_subscriber_that_fails_stops_no_other(caplog: pytest.LogCaptureFixture) -> None:
    station, got = Station(Settings(listen=ListenSettings(input=str(DEMO), seconds=5.0))), []

    def fail(message: Message) -> None:
        raise RuntimeError("broken page")

    station.subscribe(fail)
    station.subscribe(got.append)
    station.run()
    assert got[-1].type == "session"
    assert "a subscriber failed" in caplog.text


def test_sources_choose_classes(tmp_path: Path) -> None:
    (tmp_path / "settings.toml").write_text(
        f"""
[listen]
classes = "rain, dog_bark"
[[source]]
name = "one"
input = "{DEMO}"
[[source]]
name = "other"
classes = ["rooster"]
input = "{DEMO}"
"""
    )
    messages: list[Message] = []
    station = Station(read_settings(tmp_path / "settings.toml"))
    assert [source.bundle.labels for source in station.sources] == [
        ("dog_bark", "rain"), ("rooster",),
    ]  # fmt: skip
    station.subscribe(messages.append)
    station.run()
    events = [m for m in messages if isinstance(m, EventMessage)]
    assert {m.label for m in events if m.source == "one"} <= {"dog_bark", "rain"}
    expected = audiocnn.load("environment").detect(DEMO)
    for source, labels in (("one", ("dog_bark", "rain")), ("other", ("rooster",))):
        found = [m.label for m in events if m.source == source]
        assert sorted(found) == sorted(e.label for e in expected if e.label in labels)


def test_unknown_class_is_refused_before_listening() -> None:
    settings = Settings(ListenSettings(classes="roster", input=str(DEMO)))
    with pytest.raises(ArgumentError, match=r"no class 'roster' .* did you mean 'rooster'"):
        Station(settings)


def test_a_source_that_cannot_be_opened_is_tried_again_and_said_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip("av", reason="PyAV is not installed: audiocnn[av]")
    monkeypatch.setattr(station_module, "PAUSES", (0.1, 0.1))
    sources = (
        SourceSettings(name="camera", input="rtsp://127.0.0.1:9/x"),
        SourceSettings(name="demo", input=str(DEMO)),
    )
    notes: list[str] = []
    station = Station(Settings(sources=sources, listen=ListenSettings(seconds=3.0)),
                      notify=notes.append)  # fmt: skip
    began = time.monotonic()
    station.run()
    assert time.monotonic() - began < 15  # it does not wait for the camera for ever
    assert notes == ["camera: rtsp://127.0.0.1:9/x: Connection refused; trying again"]
    camera, demo = station.status().sources
    assert (camera.state, demo.state) == ("failed", "ended")
    assert camera.reason == "rtsp://127.0.0.1:9/x: Connection refused"
