"""A live session: the file's events, what was lost, what time it was, when it ends."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

import audiocnn
from audiocnn.errors import ArgumentError, AudioError
from audiocnn.labeling.label import with_threshold
from audiocnn.streaming.inputs.chunk import Chunk, Samples, nothing
from audiocnn.streaming.inputs.file_and_pipe import FileInput, PipeInput
from audiocnn.streaming.messages import values_of
from audiocnn.streaming.recorder import Recorder
from audiocnn.streaming.ring_buffer import RingBuffer
from audiocnn.streaming.run import run_session
from audiocnn.streaming.session import Session, SessionOptions
from audiocnn.streaming.stream_clock import StreamClock

RATE = 8000
DEMO = Path(__file__).parents[2] / "data" / "demo.flac"


class Played:
    """An input that plays pieces."""

    name = "played"

    def __init__(self, pieces: list[Chunk], rate: int = RATE) -> None:
        self.rate, self.closed, self._pieces = rate, False, pieces

    def chunks(self) -> Iterator[Chunk]:
        yield from self._pieces

    def close(self) -> None:
        self.closed = True


@pytest.fixture(scope="module")
def bundle(bundle_folders):
    return audiocnn.load(bundle_folders["cnn2d"])


@pytest.fixture(scope="module")
def rules(bundle):
    """Give rules that random scores obey now and then."""
    scores = audiocnn.listen(bundle, [audiocnn.Block(noise(20), 0, RATE)], 0.1)
    values = np.concatenate([run.values for run in scores], axis=1)
    return {
        label: audiocnn.EventRule(float(np.quantile(row, 0.7)), float(np.quantile(row, 0.4)))
        for label, row in zip(bundle.labels, values, strict=True)
    }


def noise(seconds: float, seed: int = 0) -> Samples:
    """Give noise that gets loud and quiet."""
    rng = np.random.default_rng(seed)
    n = round(seconds * RATE)
    swell = np.repeat(10 ** rng.uniform(-2, -0.5, n // 400 + 1), 400)[:n]
    return (swell * rng.standard_normal(n)).astype(np.float32)


def heard(bundle, source: Any, rules: Any, **plan: Any) -> tuple[Session, list[dict]]:
    messages: list[dict] = []
    session = Session(
        source.rate, lambda message: messages.append(values_of(message)), SessionOptions(**plan)
    )
    run_session(bundle, source, session, rules=rules)
    return session, messages


def of_type(messages: list[dict], kind: str) -> list[dict]:
    return [message for message in messages if message["type"] == kind]


def times(events: Any) -> np.ndarray:
    return np.array([(e["start"], e["end"], e["score"]) for e in events])


def test_the_events_are_those_of_the_file(bundle, rules, tmp_path):
    x = noise(12)
    x[40_000:40_700] = np.nan
    soundfile.write(tmp_path / "a.wav", x, RATE, "FLOAT")
    cuts = np.sort(np.random.default_rng(1).integers(0, x.size, 60))
    source = Played([Chunk(part) for part in np.split(x, cuts)])
    _, messages = heard(bundle, source, rules, hop=0.2)
    blocks = audiocnn.read_blocks(tmp_path / "a.wav", bundle.rate)
    expected = list(audiocnn.find_events(audiocnn.listen(bundle, blocks, 0.2), rules))
    found = of_type(messages, "event")
    assert len(expected) > 3
    assert [e["label"] for e in found] == [e.label for e in expected]
    assert times(found) == pytest.approx(
        np.array([(e.start, e.end, e.score) for e in expected]), abs=1e-5
    )
    assert source.closed


def test_an_onset_and_its_event_share_an_id(bundle, rules):
    _, messages = heard(bundle, Played([Chunk(noise(10))]), rules, hop=0.1)
    onsets, events = of_type(messages, "onset"), of_type(messages, "event")
    assert {o["id"]: (o["label"], o["start"]) for o in onsets} == {
        e["id"]: (e["label"], e["start"]) for e in events
    }
    assert len({o["id"] for o in onsets}) == len(onsets) > 3
    assert all(o["end"] is None for o in onsets)
    for onset in onsets:
        (end,) = [m for m in messages if m["type"] == "event" and m["id"] == onset["id"]]
        assert messages.index(onset) < messages.index(end)


def test_what_sounds_ends_at_once_when_the_microphone_is_lost(bundle):
    rules = with_threshold(dict(bundle.rules), 0.01)  # everything always sounds
    asked = []

    def chunks() -> Iterator[Chunk]:
        for at in range(0, 3 * RATE, 800):
            yield Chunk(noise(3)[at : at + 800])
        asked.append(len(of_type(messages, "event")))
        yield Chunk(nothing(1), lost="the microphone is gone")
        yield Chunk(np.empty(0, np.float32))
        asked.append(len(of_type(messages, "event")))
        yield Chunk(nothing(RATE - 1), lost="the microphone is gone")
        yield Chunk(noise(3, seed=2))

    messages: list[dict] = []
    source = Played([])
    source.chunks = chunks  # type: ignore[method-assign]
    session = Session(RATE, lambda message: messages.append(values_of(message)))
    run_session(bundle, source, session, rules=rules)
    assert asked == [0, len(bundle.labels)]
    (gap,) = of_type(messages, "gap")
    assert (gap["start"], gap["end"], gap["reason"]) == (3.0, 4.0, "the microphone is gone")
    assert (session.seconds, session.heard) == (7.0, 6.0)
    starts = sorted({e["start"] for e in of_type(messages, "event")})
    assert starts == [0.0, 4.0]


def test_a_gap_at_the_end_is_told(bundle, rules):
    session, messages = heard(bundle, Played([Chunk(noise(2)), Chunk(nothing(800))]), rules)
    assert [(g["start"], g["end"]) for g in of_type(messages, "gap")] == [(2.0, 2.1)]
    assert session.gaps[0].reason == "not finite"
    assert messages[-1]["type"] == "session"
    assert messages[-1]["state"] == "ended"


def test_every_lost_sample_is_counted(bundle, rules):
    rng = np.random.default_rng(3)
    x = noise(6)
    for at in rng.integers(0, x.size - 300, 9):
        x[at : at + rng.integers(1, 300)] = rng.choice([np.nan, np.inf, -np.inf])
    parts = np.split(x, np.sort(rng.integers(0, x.size, 80)))
    session, messages = heard(bundle, Played([Chunk(part) for part in parts]), rules)
    assert session.samples == x.size
    assert session.lost == np.count_nonzero(~np.isfinite(x))
    edges = np.flatnonzero(np.diff(np.isfinite(x), prepend=True, append=True)).reshape(-1, 2)
    told = [(gap["start"] * RATE, gap["end"] * RATE) for gap in of_type(messages, "gap")]
    np.testing.assert_allclose(told, edges, atol=1e-2)


def test_it_ends_after_the_seconds_asked_for(bundle, rules):
    source = Played([Chunk(noise(1, seed)) for seed in range(10)])
    session, _ = heard(bundle, source, rules, seconds=3.25)
    assert session.samples == 26_000
    assert source.closed


def test_it_can_be_stopped(bundle, rules):
    def chunks() -> Iterator[Chunk]:
        while True:
            yield Chunk(noise(0.1))

    def send(message: Any) -> None:
        session.stop()

    source = Played([])
    source.chunks = chunks  # type: ignore[method-assign]
    session = Session(RATE, send, SessionOptions(heartbeat=1e-9))
    run_session(bundle, source, session, rules=rules)
    assert session.samples == 1600  # the first beat is at the second piece
    assert source.closed


def test_an_error_of_the_input_comes_after_what_was_heard(bundle):
    rules = with_threshold(dict(bundle.rules), 0.01)

    def chunks() -> Iterator[Chunk]:
        yield Chunk(noise(3))
        raise AudioError("night.flac is cut off")

    source, messages = Played([]), []
    source.chunks = chunks  # type: ignore[method-assign]
    session = Session(RATE, lambda message: messages.append(values_of(message)))
    with pytest.raises(AudioError, match="cut off"):
        run_session(bundle, source, session, rules=rules)
    assert len(of_type(messages, "event")) == len(bundle.labels)
    assert messages[-1]["state"] == "ended"


def test_scores_are_told_window_by_window(bundle, rules):
    _, messages = heard(bundle, Played([Chunk(noise(3))]), rules, hop=0.5, scores=True)
    runs = audiocnn.listen(bundle, [audiocnn.Block(noise(3), 0, RATE)], 0.5)
    values = np.concatenate([run.values for run in runs], axis=1)
    told = of_type(messages, "scores")
    np.testing.assert_allclose([list(m["scores"].values()) for m in told], values.T, atol=1e-5)
    assert list(told[0]["scores"]) == list(bundle.labels)


def test_a_heartbeat_says_that_all_is_well(bundle, rules):
    def chunks() -> Iterator[Chunk]:
        for _ in range(4):
            time.sleep(0.02)
            yield Chunk(noise(0.1))

    source = Played([])
    source.chunks = chunks  # type: ignore[method-assign]
    _, messages = heard(bundle, source, rules, heartbeat=0.01)
    beats = of_type(messages, "heartbeat")
    assert len(beats) >= 2
    assert beats[-1]["heard"] == pytest.approx(0.4)
    assert beats[-1]["load"] >= 0


@pytest.mark.parametrize("wrong", [{"hop": 0}, {"hop": float("nan")}, {"seconds": 0.0},
                                   {"seconds": -1}, {"heartbeat": -1}])  # fmt: skip
def test_a_plan_that_makes_no_sense_is_refused(wrong):
    with pytest.raises(ArgumentError, match=next(iter(wrong))):
        SessionOptions(**wrong)


# Time ---------------------------------------------------------------------------------------


def test_the_clock_follows_the_drift_and_not_the_jitter():
    clock, rng = StreamClock(999.0), np.random.default_rng(0)
    late = rng.exponential(0.005, 36_000)
    for i in range(36_000):  # an hour at ten pieces a second; the card is 100 ppm fast
        clock.note(0.1 * i, 1000.0 + 0.1 * i * (1 - 1e-4) + late[i])
    assert clock.at(3600) == pytest.approx(1000 + 3600 * (1 - 1e-4), abs=2e-3)


def test_the_clock_is_anchored_anew_when_it_was_set():
    clock = StreamClock(0.0)
    clock.note(1.0, 5001.0)
    clock.note(2.0, 5002.003)
    assert clock.at(3.0) == pytest.approx(5003.0)
    clock.note(3.0, 1403.0)  # an hour back
    assert clock.at(4.0) == pytest.approx(1404.0)
    clock.note(5.0, 1405.4, anew=True)  # after a gap
    assert clock.at(5.0) == pytest.approx(1405.4)
    assert clock.text(5.0) == "1970-01-01T00:23:25.400Z"


def test_messages_carry_utc(bundle):
    rules = with_threshold(dict(bundle.rules), 0.01)
    now = 1_800_000_000.0
    pieces = [Chunk(noise(0.5, k), time=now + 0.5 * (k + 1)) for k in range(8)]
    _, messages = heard(bundle, Played(pieces), rules)
    event = of_type(messages, "event")[0]
    told = datetime.fromisoformat(event["time"]).timestamp()
    assert told == pytest.approx(now + event["start"], abs=0.002)


def test_a_recording_in_a_pipe_counts_from_the_beginning(bundle, rules):
    began = time.time()
    pieces = [Chunk(noise(4, k), time=began + 0.01 * k) for k in range(10)]
    _, messages = heard(bundle, Played(pieces), rules, hop=0.1)
    told = [datetime.fromisoformat(m["time"]).timestamp() for m in of_type(messages, "onset")]
    starts = [m["start"] for m in of_type(messages, "onset")]
    late = [(t, s) for t, s in zip(told, starts, strict=True) if s > 20]
    assert len(late) > 3
    for t, s in late:
        assert t == pytest.approx(began + s, abs=1.0)
    assert [t for _, t in sorted((s, t) for t, s in late)] == sorted(t for t, _ in late)
    ends = {m["id"]: m["time"] for m in of_type(messages, "event")}
    assert all(ends[m["id"]] == m["time"] for m in of_type(messages, "onset"))


# Sound for clips ----------------------------------------------------------------------------


def test_recent_sound_is_given_back():
    recent, x = RingBuffer(RATE, 2.0), noise(5)
    for at in range(0, x.size, 700):
        recent.add(x[at : at + 700])
    samples, rate, start = recent.fetch(3.5, 4.0)
    assert (rate, start) == (RATE, 3.5)
    np.testing.assert_array_equal(samples, x[28_000:32_000])
    samples, _, start = recent.fetch(1.0, 4.0)  # the beginning is no longer there
    assert 2.9 < start <= 3.0
    np.testing.assert_array_equal(samples, x[round(start * RATE) : 32_000])
    assert recent.fetch(0.0, 1.0)[0].size == 0
    assert recent.fetch(6.0, 7.0)[0].size == 0
    assert recent.fetch(4.5, 9.0)[0].size == 4000  # what there is so far


def test_recent_sound_ends_where_samples_were_lost():
    recent, x = RingBuffer(RATE, 10.0), noise(4)
    x[16_000:17_000] = np.nan
    recent.add(x)
    samples, _, start = recent.fetch(1.0, 3.0)
    assert (samples.size, start) == (8000, 1.0)
    samples, _, start = recent.fetch(2.0, 3.0)
    assert (samples.size, start) == (7000, 2.125)
    assert recent.fetch(2.01, 2.1)[0].size == 0


# Inputs -------------------------------------------------------------------------------------


def test_a_recording_is_an_input(tmp_path):
    x = noise(1.5)
    soundfile.write(tmp_path / "a.wav", np.stack([x, -x / 2], 1), RATE, "FLOAT")
    source = FileInput(tmp_path / "a.wav")
    pieces = list(source.chunks())
    np.testing.assert_allclose(np.concatenate([p.samples for p in pieces]), x / 4, atol=1e-7)
    assert max(p.samples.size for p in pieces) == 800


def test_a_recording_takes_its_time_if_asked(tmp_path):
    soundfile.write(tmp_path / "a.wav", noise(0.6), RATE, "FLOAT")
    began = time.monotonic()
    pieces = list(FileInput(tmp_path / "a.wav", realtime=True).chunks())
    assert time.monotonic() - began >= 0.55
    assert all(p.time for p in pieces if p.samples.size)


def test_a_recording_that_is_none_is_refused(tmp_path):
    with pytest.raises(AudioError, match="no such file"):
        FileInput(tmp_path / "none.wav")


@pytest.mark.parametrize(("form", "scale"), [("s16", 32768), ("f32", 1)])
def test_a_pipe_may_come_in_any_cuts(form, scale):
    x = np.round(noise(1) * 3000) / 32768
    kind = "<i2" if form == "s16" else "<f4"
    data = (np.stack([x, x], 1) * scale).astype(kind).tobytes() + b"\x01"
    reading, writing = os.pipe()

    def fill() -> None:
        rng, at = np.random.default_rng(0), 0
        while at < len(data):
            n = int(rng.integers(1, 3000))
            os.write(writing, data[at : at + n])
            at += n
        os.close(writing)

    threading.Thread(target=fill).start()
    source = PipeInput(reading, RATE, 2, form)
    got = np.concatenate([piece.samples for piece in source.chunks()])
    end_reading(source, reading)
    np.testing.assert_allclose(got, x, atol=1e-7)


def test_a_silent_pipe_gives_empty_pieces():
    reading, writing = os.pipe()
    source = PipeInput(reading, RATE)
    assert next(source.chunks()).samples.size == 0
    source.close()
    os.close(writing)


@pytest.mark.parametrize("form", ["WAV", "FLAC", "OGG"])
def test_a_file_s_bytes_are_no_samples(form, tmp_path):
    soundfile.write(tmp_path / "x", noise(0.2), RATE, format=form)
    reading, writing = os.pipe()
    os.write(writing, (tmp_path / "x").read_bytes())
    os.close(writing)
    source = PipeInput(reading, RATE)
    with pytest.raises(AudioError, match=r"-t raw"):
        list(source.chunks())
    end_reading(source, reading)


def end_reading(source: PipeInput, descriptor: int) -> None:
    """Close a source and its pipe, whose reader would else read what has its number next."""
    source.close()
    for thread in threading.enumerate():
        if thread.name == "pipe":
            thread.join(5)
    os.close(descriptor)


def piped(data: bytes, format: str) -> list[Chunk]:
    reading, writing = os.pipe()
    threading.Thread(target=lambda: (os.write(writing, data), os.close(writing))).start()
    source = PipeInput(reading, RATE, format=format)
    try:
        return list(source.chunks())
    finally:
        end_reading(source, reading)


@pytest.mark.parametrize("level", [1e-3, 0.05, 0.9])
@pytest.mark.parametrize("lead", [0, 4000])
def test_samples_in_the_other_format_are_refused(level: float, lead: int) -> None:
    x = np.concatenate((np.zeros(lead), level * noise(1) / np.abs(noise(1)).max()))
    as_s16, as_f32 = (32767 * x).astype("<i2").tobytes(), x.astype("<f4").tobytes()
    for data, good, bad in ((as_s16, "s16", "f32"), (as_f32, "f32", "s16")):
        assert sum(chunk.samples.size for chunk in piped(data, good)) == x.size
        with pytest.raises(AudioError, match=f"look like {good}, .* give --format {good}"):
            piped(data, bad)


@pytest.mark.parametrize(
    ("options", "message"),
    [({"rate": 0}, "--rate"), ({"channels": 0}, "--channels"), ({"format": "u8"}, "s16, f32")],
)
def test_raw_samples_that_make_no_sense_are_refused(options, message):
    with pytest.raises(ArgumentError, match=message):
        PipeInput(0, **{"rate": RATE, **options})


# Recording ----------------------------------------------------------------------------------


def test_what_is_recorded_gives_the_same_events(bundle, rules, tmp_path):
    x = noise(9)
    x[30_000:33_000] = np.nan
    recorder, messages = Recorder(tmp_path / "heard.wav", RATE), []
    session = Session(RATE, lambda message: messages.append(values_of(message)))
    run_session(bundle, Played([Chunk(p) for p in np.split(x, 30)]), session, rules=rules,
                observers=[recorder])  # fmt: skip
    recorder.close()
    blocks = audiocnn.read_blocks(tmp_path / "heard.wav", bundle.rate)
    again = list(audiocnn.find_events(audiocnn.listen(bundle, blocks), rules))
    assert [e.label for e in again] == [e["label"] for e in of_type(messages, "event")]
    assert times(of_type(messages, "event")) == pytest.approx(
        np.array([(e.start, e.end, e.score) for e in again]), abs=1e-5
    )


def test_a_full_disk_ends_the_recording_and_not_the_session(bundle, rules, tmp_path, monkeypatch):
    notes: list[str] = []
    recorder, messages = Recorder(tmp_path / "heard.wav", RATE, notes.append), []
    write = recorder._file.write
    monkeypatch.setattr(recorder, "_file", FullAfter(recorder._file, write, 3))
    session = Session(RATE, messages.append)
    run_session(bundle, Played([Chunk(p) for p in np.split(noise(9), 30)]), session, rules=rules,
                observers=[recorder])  # fmt: skip
    recorder.close()
    assert session.heard == 9.0
    assert recorder.has_failed
    (note,) = notes
    assert "cannot be written any further" in note
    assert "ends after 0.9 s, and listening goes on" in note
    assert soundfile.info(tmp_path / "heard.wav").frames == 3 * 2400


class FullAfter:
    """A file on a disk that has room for so many writes."""

    def __init__(self, file: Any, write: Any, room: int) -> None:
        self.file, self.room, self._write = file, room, write

    def write(self, samples: Any) -> None:
        self.room -= 1
        if self.room < 0:
            raise AssertionError
        self._write(samples)

    def close(self) -> None:
        self.file.close()


def test_a_recording_is_not_written_over(tmp_path):
    (tmp_path / "a.wav").write_text("mine")
    with pytest.raises(ArgumentError, match="exists already"):
        Recorder(tmp_path / "a.wav", RATE)
    with pytest.raises(ArgumentError, match="suffix"):
        Recorder(tmp_path / "a.flac", RATE)
    with pytest.raises(ArgumentError, match="cannot be"):
        Recorder(tmp_path / "no" / "a.wav", RATE)


# As its user runs it ------------------------------------------------------------------------


def run(*arguments: Any, **how: Any) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "audiocnn", "listen", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, timeout=60, check=False, **how)


def test_listening_to_a_file_gives_the_events_of_label(tmp_path):
    live = run("--input", DEMO, "--json", "--seconds", "30")
    assert live.returncode == 0, live.stderr
    messages = [json.loads(line) for line in live.stdout.splitlines()]
    assert {m["type"] for m in messages} == {"onset", "event"}
    assert b"heard 30.00 of 30.00 s" in live.stderr
    x, rate = soundfile.read(DEMO, dtype="float32")
    soundfile.write(tmp_path / "part.wav", x[: 30 * rate], rate, "FLOAT")
    bundle = audiocnn.load("environment")
    blocks = audiocnn.read_blocks(tmp_path / "part.wav", bundle.rate)
    expected = list(audiocnn.find_events(audiocnn.listen(bundle, blocks), bundle.rules))
    told = [m for m in messages if m["type"] == "event"]
    assert [m["label"] for m in told] == [e.label for e in expected]
    assert times(told) == pytest.approx(
        np.array([(e.start, e.end, e.score) for e in expected]), abs=1e-5
    )


def test_settings_bring_sinks_and_clips(tmp_path):
    (tmp_path / "settings.toml").write_text(
        "[listen]\nhop = 0.25\n[jsonl]\npath = 'events.jsonl'\n"
        "types = ['onset', 'event', 'gap', 'session']\n"
        "[sqlite]\npath = 'sounds.db'\n[clips]\nfolder = 'clips'\npre = 0.5\npost = 0.5\n"
    )
    done = run("--settings", tmp_path / "settings.toml", "--input", DEMO)
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in (tmp_path / "events.jsonl").read_text().splitlines()]
    events = [m for m in lines if m["type"] == "event"]
    assert lines[0]["state"] == "listening"
    assert lines[-1]["state"] == "ended"
    clips = sorted((tmp_path / "clips").rglob("*.flac"))
    assert len(clips) == len(events) > 0
    info = soundfile.info(clips[0])
    assert info.samplerate == soundfile.info(DEMO).samplerate
    assert info.duration > 1


def test_an_input_on_the_command_line_takes_the_place_of_the_settings_microphone(tmp_path):
    (tmp_path / "settings.toml").write_text("[listen]\ndevice = 'USB'\n")
    done = run("--settings", tmp_path / "settings.toml", "--input", DEMO)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--input", "-"], "--input - needs --rate"),
        (["--input", DEMO, "--rate", 8000], "--rate is for raw samples"),
        (["--input", DEMO, "--device", "USB"], "one of them"),
        (["--device", "a", "--device", "b"], "--device is given twice: to listen to several"),
        (["--input", "ftp://host/a"], "ftp:// cannot be listened to; there are: rtsp,"),
        (["--input", DEMO, "--hop", "0"], "hop must be above 0"),
        (["--input", DEMO, "--seconds", "-1"], "seconds must be above 0"),
        (["--settings", "none.toml"], "no such settings file: none.toml"),
    ],
)
def test_wrong_usage_is_said(arguments, message):
    done = run(*arguments)
    assert done.returncode == 2
    assert message in done.stderr.decode()
    assert b"Traceback" not in done.stderr


def test_raw_samples_come_from_a_pipe():
    data = (noise(2) * 32768).clip(-32768, 32767).astype("<i2").tobytes()
    done = run("--input", "-", "--rate", RATE, "--json", "--scores", input=data)
    assert done.returncode == 0, done.stderr
    assert b"heard 2.00 of 2.00 s" in done.stderr
    assert b'"type": "scores"' in done.stdout


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_cleanly(tmp_path, number):
    record = tmp_path / "heard.wav"
    process = subprocess.Popen(
        [sys.executable, "-m", "audiocnn", "listen", "--input", str(DEMO), "--realtime", "--json",
         "--record", str(record)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout
    first = json.loads(process.stdout.readline())  # an onset, as it happens
    process.send_signal(number)
    out, err = process.communicate(timeout=20)
    assert process.returncode == 0, err
    last = json.loads(out.splitlines()[-1])
    assert (last["type"], last["id"]) == ("event", first["id"])
    assert "heard" in err
    assert soundfile.info(record).frames > 0
    blocks = audiocnn.read_blocks(record, 32000)
    assert sum(b.samples.size for b in blocks) / 32000 == pytest.approx(
        soundfile.info(record).duration, abs=1e-3
    )


def test_a_reader_that_has_enough_ends_it():
    command = f"{sys.executable} -m audiocnn listen --input {DEMO} --json | head -n 1"
    done = subprocess.run(command, shell=True, capture_output=True, timeout=60, check=False)
    assert json.loads(done.stdout)["type"] == "onset"
    assert done.stderr.count(b"Traceback") == 0


def test_explaining_says_which_rule_decided():
    done = run("--input", DEMO, "--explain", "--seconds", "12", "--plain")
    lines = [line for line in done.stderr.decode().splitlines() if " s: " in line]
    assert any("begins" in line for line in lines)
    assert any("-> nothing known" in line and "below" in line for line in lines)
