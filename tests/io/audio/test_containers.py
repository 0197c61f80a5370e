"""Recordings in containers: times come from the stream's own time stamps."""

from __future__ import annotations

import fractions
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import soundfile

from audiocnn.inference.bundle import load
from audiocnn.io.audio.reader import audio_info, read_blocks
from audiocnn.labeling.label import label_recording

av = pytest.importorskip("av")
RATE = 48000
FRAME = 1024
STAMPS = 0.06  # seconds by which times may be off: a frame, and its encoder's delay


def sound(n: int) -> np.ndarray:
    return (0.2 * np.random.default_rng(0).standard_normal((1, n))).astype(np.float32)


def write_container(
    path: Path,
    spans: Sequence[tuple[float, float]],
    *,
    picture: float = 0.0,
    tracks: int = 1,
) -> Path:
    """Write AAC whose samples are stamped to lie in ``spans``, and a black picture if wanted."""
    with av.open(str(path), "w") as container:
        video = None
        if picture:
            video = container.add_stream("mpeg4", rate=5)
            video.width = video.height = 64
            video.pix_fmt = "yuv420p"
        streams = [container.add_stream("aac", rate=RATE, layout="mono") for _ in range(tracks)]
        packets = []
        if video is not None:
            for k in range(round(picture * 5)):
                frame = av.VideoFrame(64, 64, "yuv420p")
                frame.pts, frame.time_base = k, fractions.Fraction(1, 5)
                packets += video.encode(frame)
            packets += video.encode(None)
        for stream in streams:
            for begin, end in spans:
                for at in range(round(begin * RATE), round(end * RATE), FRAME):
                    frame = av.AudioFrame.from_ndarray(sound(FRAME), "fltp", "mono")
                    frame.sample_rate = RATE
                    frame.pts, frame.time_base = at, fractions.Fraction(1, RATE)
                    packets += stream.encode(frame)
            packets += stream.encode(None)
        packets.sort(key=lambda packet: float((packet.dts or 0) * packet.time_base))
        for packet in packets:
            container.mux(packet)
    return path


def spans_of(path: Path) -> list[tuple[float, float]]:
    """Give the gap-free stretches of a recording, in seconds."""
    found: list[list[float]] = []
    for block in read_blocks(path, RATE):
        if not block.samples.size:
            continue
        begin, end = block.start / RATE, (block.start + block.samples.size) / RATE
        if found and abs(found[-1][1] - begin) < 1e-9:
            found[-1][1] = end
        else:
            found.append([begin, end])
    return [(begin, end) for begin, end in found]


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts"])
@pytest.mark.parametrize(
    "spans", [[(0.0, 3.0)], [(0.0, 2.0), (5.0, 7.0)], [(0.0, 1.0), (1.5, 2.5), (12.0, 13.0)]]
)
def test_a_hole_in_the_stamps_is_a_gap(
    tmp_path: Path, suffix: str, spans: list[tuple[float, float]]
) -> None:
    found = spans_of(write_container(tmp_path / f"a.{suffix}", spans))
    np.testing.assert_allclose(found, spans, atol=STAMPS)


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts"])
def test_sound_that_starts_late_starts_late(tmp_path: Path, suffix: str) -> None:
    path = write_container(tmp_path / f"a.{suffix}", [(4.0, 7.0)], picture=7.0)
    np.testing.assert_allclose(spans_of(path), [(4.0, 7.0)], atol=STAMPS)


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts"])
def test_a_picture_longer_than_the_sound_is_no_damage(tmp_path: Path, suffix: str) -> None:
    path = write_container(tmp_path / f"a.{suffix}", [(0.0, 2.0)], picture=9.0)
    np.testing.assert_allclose(spans_of(path), [(0.0, 2.0)], atol=STAMPS)


@pytest.mark.parametrize("suffix", ["mp4", "ts"])
def test_joined_containers_are_read_to_the_end(tmp_path: Path, suffix: str) -> None:
    parts = [
        write_container(tmp_path / f"{k}.{suffix}", [(0.0, length)]).read_bytes()
        for k, length in enumerate((2.0, 3.0))
    ]
    path = tmp_path / f"joined.{suffix}"
    path.write_bytes(b"".join(parts))
    total = sum(end - begin for begin, end in spans_of(path))
    assert total == pytest.approx(5.0, abs=4 * STAMPS)


def test_further_tracks_are_noted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    spans_of(write_container(tmp_path / "a.mkv", [(0.0, 1.0)], tracks=2))
    assert "has 2 sound tracks: the first is read" in caplog.text


def test_mp3_inside_wav_may_lack_what_mp3_may_lack(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mp3", rate=32000, layout="mono")
        for at in range(0, 96000, 1152):
            frame = av.AudioFrame.from_ndarray(sound(1152), "fltp", "mono")
            frame.sample_rate, frame.pts = 32000, at
            for packet in stream.encode(frame):
                container.mux(packet)
        for packet in stream.encode(None):
            container.mux(packet)
    info = audio_info(path)
    assert (info.format, info.subtype) == ("WAV", "MPEG_LAYER_III")
    assert sum(b.samples.size for b in read_blocks(path, 32000)) / 32000 == pytest.approx(
        3, abs=0.1
    )
    assert soundfile.info(path).frames > 0


def test_coverage_counts_a_hole_as_missing(tmp_path: Path) -> None:
    path = write_container(tmp_path / "a.ts", [(0.0, 3.0), (5.0, 8.0)])
    result = label_recording(load("environment"), path)
    (missing,) = (skip for skip in result.coverage.skipped if skip.reason == "missing")
    assert missing.seconds == pytest.approx(2.0, abs=STAMPS)
    assert missing.first == pytest.approx(3.0, abs=STAMPS)
    accounted = result.coverage.scored + sum(skip.seconds for skip in result.coverage.skipped)
    assert accounted == pytest.approx(result.coverage.seconds, abs=1e-6)
