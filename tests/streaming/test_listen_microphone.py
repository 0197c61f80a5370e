"""`audiocnn listen` with a microphone: PulseAudio's null sink, through PortAudio."""

import contextlib
import json
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import soxr

import audiocnn
from tests.virtual_microphone import VirtualMicrophone, virtual_microphone

__all__ = ["virtual_microphone"]
RATE = 44100
DEMO = Path(__file__).parents[2] / "data" / "demo.flac"


class Listening:
    """A process that listens, and what it has said so far."""

    def __init__(self, microphone: VirtualMicrophone, *arguments: Any) -> None:
        command = [sys.executable, "-m", "audiocnn", "listen", "--json", *map(str, arguments)]
        self.process = subprocess.Popen(
            command, env=microphone.environment, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        self.messages: list[dict] = []
        self.notes: list[str] = []
        self._readers = [threading.Thread(target=self._read), threading.Thread(target=self._note)]
        for reader in self._readers:
            reader.start()

    def _read(self) -> None:
        for line in self.process.stdout or ():
            self.messages.append({**json.loads(line), "came": time.monotonic()})

    def _note(self) -> None:
        for line in self.process.stderr or ():
            self.notes.append(line.rstrip())

    def wait_for(self, kind: str, seconds: float = 15.0, after: int = 0) -> dict:
        """Wait for a message of a kind, among those after the first ``after``."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for message in self.messages[after:]:
                if message["type"] == kind:
                    return message
            time.sleep(0.02)
        raise AssertionError(f"no {kind} in {seconds} s; said: {self.notes}")

    def end(self, status: int = 0) -> None:
        """Ask it to end, if it has not, and see how it does so."""
        if self.process.poll() is None and not status:
            self.process.terminate()
        found = self.process.wait(20)
        self.close()
        assert found == status, self.notes

    def close(self) -> None:
        """Leave nothing behind."""
        self.process.kill()
        self.process.wait()
        for reader in self._readers:
            reader.join(5)
        for stream in (self.process.stdout, self.process.stderr):
            assert stream
            stream.close()

    def of(self, kind: str) -> list[dict]:
        return [message for message in self.messages if message["type"] == kind]


@pytest.fixture
def listening(virtual_microphone):
    """Start what listens; none is left behind."""
    with contextlib.ExitStack() as stack:

        def start(*arguments: Any) -> Listening:
            heard = Listening(virtual_microphone, *arguments)
            stack.callback(heard.close)
            return heard

        yield start


def events_of_file(path: Path, hop: float) -> list[audiocnn.Event]:
    bundle = audiocnn.load("environment")
    blocks = audiocnn.read_blocks(path, bundle.rate)
    return list(audiocnn.find_events(audiocnn.listen(bundle, blocks, hop), bundle.rules))


def hear_clips(
    listening: Any, microphone: VirtualMicrophone, clips: list[np.ndarray], record: Path
) -> Listening:
    """Play clips with a pause after each, while they are listened to and recorded."""
    heard = listening("--scores", "--hop", 0.5, "--record", record)
    heard.wait_for("scores")
    for clip in clips:
        assert microphone.play(clip, RATE).wait(30) == 0
        time.sleep(1.5)
    heard.end()
    return heard


def same(heard: Listening, expected: list[audiocnn.Event]) -> None:
    """See that the live events are those of the recording that was kept."""
    events = heard.of("event")
    assert [e["label"] for e in events] == [e.label for e in expected]
    found = np.array([(e["start"], e["end"], e["score"]) for e in events])
    wanted = np.array([(e.start, e.end, e.score) for e in expected])
    np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_what_is_played_is_reported(listening, virtual_microphone, tmp_path):
    samples, rate = soundfile.read(DEMO, dtype="float32")
    sounds = [soxr.resample(samples[round(a * rate) : round(b * rate)], rate, RATE)
              for a, b in ((1.5, 8.5), (46.5, 51.5))]  # fmt: skip
    heard = hear_clips(listening, virtual_microphone, sounds, tmp_path / "heard.wav")
    assert {"clock_tick", "baby_cry"} <= {e["label"] for e in heard.of("event")}
    assert not heard.of("gap"), heard.of("gap")
    same(heard, events_of_file(tmp_path / "heard.wav", 0.5))
    assert soundfile.info(tmp_path / "heard.wav").subtype == "FLOAT"


def test_real_clips_are_reported(listening, virtual_microphone, tmp_path, real_data):
    wanted = {"rooster", "clock_tick", "person_sneeze"}
    clips = []
    for label in sorted(wanted):
        for path in sorted((real_data / "esc10" / label).glob("*.ogg")):
            if label in {e.label for e in events_of_file(path, 0.5)}:
                x, rate = soundfile.read(path, dtype="float32", always_2d=True)
                clips.append(soxr.resample(x.mean(axis=1), rate, RATE))
                break
    assert len(clips) == len(wanted)
    heard = hear_clips(listening, virtual_microphone, clips, tmp_path / "heard.wav")
    assert wanted <= {e["label"] for e in heard.of("event")}
    same(heard, events_of_file(tmp_path / "heard.wav", 0.5))


def test_a_device_that_goes_and_comes_back(listening, virtual_microphone, tmp_path):
    heard = listening("--scores", "--hop", 0.1, "--record", tmp_path / "h.wav")
    heard.wait_for("scores")
    virtual_microphone.pull_out()
    gone = time.monotonic()
    time.sleep(4)
    before = len(heard.messages)
    virtual_microphone.plug_in()
    back = time.monotonic()
    gap = heard.wait_for("gap", after=before)
    assert gap["came"] - back < 2.0
    assert gap["end"] - gap["start"] == pytest.approx(gap["came"] - gone, abs=2.0)
    heard.wait_for("scores", after=heard.messages.index(gap))
    heard.end()
    assert any("1 gap" in note for note in heard.notes)
    same(heard, events_of_file(tmp_path / "h.wav", 0.1))


def test_two_may_listen_at_once(listening):
    both = [listening("--scores") for _ in range(2)]
    for heard in both:
        heard.wait_for("scores")
        heard.end()


def test_an_unknown_device_is_answered_with_what_there_is(listening):
    heard = listening("--device", "Nosuch")
    heard.end(status=1)
    assert "pulse" in " ".join(heard.notes)
    assert "Traceback" not in " ".join(heard.notes)


def settings_for(folder: Path, on_move: str) -> Path:
    path = folder / "settings.toml"
    path.write_text(f'[[source]]\nname = "desk"\non_move = "{on_move}"\nlevel = false\n')
    return path


def test_a_stream_that_is_moved_to_another_microphone_is_waited_for(
    listening, virtual_microphone, tmp_path
):
    virtual_microphone.plug_in("other")
    heard = listening("--scores", "--settings", settings_for(tmp_path, "wait"),
                      "--record", tmp_path / "h.wav")  # fmt: skip
    heard.wait_for("scores")
    virtual_microphone.pull_out()
    time.sleep(1.0)
    tone = 0.5 * np.sin(2 * np.pi * 440 * np.arange(2 * RATE) / RATE)
    assert virtual_microphone.play(tone, RATE, "other").wait(30) == 0
    before = len(heard.messages)
    virtual_microphone.plug_in()
    gap = heard.wait_for("gap", after=before)
    assert gap["end"] - gap["start"] > 2.5
    assert "moved the stream to other.monitor" in gap["reason"]
    assert gap["source"] == "desk"
    assert virtual_microphone.play(tone[:RATE], RATE).wait(30) == 0
    time.sleep(1.0)
    heard.end()
    assert sum("moved the stream to other.monitor" in note for note in heard.notes) >= 1
    assert any("gives vmic.monitor again" in note for note in heard.notes)
    samples, rate = soundfile.read(tmp_path / "h.wav")
    begin, end = (round(gap[key] * rate) for key in ("start", "end"))
    assert np.isnan(samples[begin + 10 : end - 10]).all()
    assert np.nanmax(np.abs(samples[:begin])) < 0.1  # nothing of the other microphone
    assert np.nanmax(np.abs(samples[end:])) > 0.3  # and all of the right one


def test_a_moved_stream_may_be_followed(listening, virtual_microphone, tmp_path):
    virtual_microphone.plug_in("other")
    heard = listening("--scores", "--settings", settings_for(tmp_path, "follow"),
                      "--record", tmp_path / "h.wav")  # fmt: skip
    heard.wait_for("scores")
    virtual_microphone.pull_out()
    time.sleep(1.0)
    tone = 0.5 * np.sin(2 * np.pi * 440 * np.arange(2 * RATE) / RATE)
    assert virtual_microphone.play(tone, RATE, "other").wait(30) == 0
    time.sleep(0.5)
    heard.end()
    samples, _ = soundfile.read(tmp_path / "h.wav")
    assert np.nanmax(np.abs(samples)) > 0.3
