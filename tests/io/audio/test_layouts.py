"""Files that hold more sound than their headers say: joined, unclosed, wrapped, extended."""

from __future__ import annotations

import re
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from audiocnn.errors import AudioError
from audiocnn.io.audio.byte_ranges import FileBytes
from audiocnn.io.audio.excerpts import read_excerpt
from audiocnn.io.audio.layout import layout_of
from audiocnn.io.audio.reader import audio_info, read_audio, read_blocks

RATE = 16000
CONTAINERS: dict[str, dict[str, Any]] = {
    "wav": {"format": "WAV", "subtype": "PCM_16"},
    "float": {"format": "WAV", "subtype": "FLOAT"},
    "rf64": {"format": "RF64", "subtype": "PCM_24"},
    "aiff": {"format": "AIFF", "subtype": "PCM_16"},
    "au": {"format": "AU", "subtype": "PCM_16"},
    "flac": {"format": "FLAC", "subtype": "PCM_16"},
    "ogg": {"format": "OGG", "subtype": "VORBIS"},
    "opus": {"format": "OGG", "subtype": "OPUS"},
    "mp3": {"format": "MP3", "subtype": "MPEG_LAYER_III"},
    "w64": {"format": "W64", "subtype": "PCM_16"},
    "caf": {"format": "CAF", "subtype": "PCM_16"},
}
EXACT = ("wav", "float", "rf64", "aiff", "au", "flac", "w64", "caf")
SLACK = 0.15  # seconds: lossy codecs pad their first and last frames


def noise(seconds: float, seed: int = 0, rate: int = RATE, channels: int = 1) -> NDArray[Any]:
    x = 0.1 * np.random.default_rng(seed).standard_normal((round(seconds * rate), channels))
    return np.clip(x, -1, 1).astype(np.float32)


def encode(folder: Path, kind: str, x: NDArray[Any], rate: int = RATE) -> bytes:
    path = folder / f"part.{kind}"
    with path.open("wb") as file:
        soundfile.write(file, x, rate, **CONTAINERS[kind])
    return path.read_bytes()


def put(folder: Path, name: str, *parts: bytes) -> Path:
    path = folder / name
    path.write_bytes(b"".join(parts))
    return path


def seconds_of(path: Path, rate: int = RATE) -> float:
    return sum(block.samples.size for block in read_blocks(path, rate)) / rate


@pytest.mark.parametrize("kind", CONTAINERS)
@pytest.mark.parametrize("lengths", [(2.0, 3.0), (1.0, 1.0, 1.0), (4.0, 0.5)])
def test_joined_recordings_are_read_to_the_end(
    tmp_path: Path, kind: str, lengths: tuple[float, ...]
) -> None:
    sounds = [noise(length, seed=k) for k, length in enumerate(lengths)]
    path = put(tmp_path, "joined.bin", *(encode(tmp_path, kind, x) for x in sounds))
    x = read_audio(path, RATE)
    if kind in EXACT:
        np.testing.assert_allclose(x, np.concatenate(sounds)[:, 0], atol=4e-5)
    assert x.size / RATE == pytest.approx(sum(lengths), abs=SLACK * len(lengths))


@pytest.mark.parametrize("kind", CONTAINERS)
def test_one_recording_is_handed_to_the_decoder_as_it_is(tmp_path: Path, kind: str) -> None:
    path = put(tmp_path, "one.bin", encode(tmp_path, kind, noise(5.0)))
    layout = layout_of(path, is_mpeg=kind == "mp3")
    assert (layout.extents, layout.unread) == ((), "")
    assert audio_info(path).plain


@pytest.mark.parametrize("kind", ["wav", "flac", "ogg", "mp3"])
def test_the_same_recording_twice_is_twice_as_long(tmp_path: Path, kind: str) -> None:
    data = encode(tmp_path, kind, noise(3.0))  # equal serial numbers, lengths and headers
    path = put(tmp_path, "twice.bin", data, data)
    assert seconds_of(path) == pytest.approx(6.0, abs=2 * SLACK)


@pytest.mark.parametrize("kind", ["wav", "flac", "ogg", "mp3"])
def test_joined_recordings_of_other_rates_and_channels(tmp_path: Path, kind: str) -> None:
    parts = [
        encode(tmp_path, kind, noise(2.0, rate=22050), 22050),
        encode(tmp_path, kind, noise(2.0, rate=44100, channels=2), 44100),
    ]
    for order in (parts, parts[::-1]):
        path = put(tmp_path, "mixed.bin", *order)
        info = audio_info(path)
        assert (info.rate, info.channels) == (44100, 2)
        assert seconds_of(path, 44100) == pytest.approx(4.0, abs=2 * SLACK)


def test_an_excerpt_reaches_over_the_seam(tmp_path: Path) -> None:
    sounds = [noise(2.0, seed=0), noise(2.0, seed=1)]
    path = put(tmp_path, "a.wav", *(encode(tmp_path, "wav", x) for x in sounds))
    found = read_excerpt(path, 1.5, 2.5)
    np.testing.assert_allclose(found.samples, np.concatenate(sounds)[24000:40000], atol=4e-5)


def wav(x: NDArray[Any], riff: int, data: int, behind: bytes = b"") -> bytes:
    pcm = np.round(x[:, 0] * 32767).astype("<i2").tobytes()
    head = struct.pack("<4sI4s4sIHHIIHH", b"RIFF", riff, b"WAVE", b"fmt ", 16, 1, 1, RATE,
                       2 * RATE, 2, 16)  # fmt: skip
    return head + struct.pack("<4sI", b"data", data) + pcm + behind


@pytest.mark.parametrize(
    ("riff", "data"),
    [(0, 0), (8, 0), (36, 0), (0xFFFFFFFF, 0xFFFFFFFF), (0x7FFFF024, 0x7FFFF000), (36032, 35996)],
)
def test_unclosed_headers_are_read_to_the_end(tmp_path: Path, riff: int, data: int) -> None:
    x = noise(5.0)
    path = put(tmp_path, "a.wav", wav(x, riff, data))
    np.testing.assert_allclose(read_audio(path, RATE), x[:, 0], atol=5e-5)


def test_a_header_that_was_not_brought_up_to_date_is_noted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = put(tmp_path, "a.wav", wav(noise(5.0), 36 + 2 * RATE, 2 * RATE))
    read_audio(path, RATE)
    assert "holds 5.00 s, though its header says 1.00 s" in caplog.text
    caplog.clear()
    read_audio(path, RATE)
    assert not caplog.text  # said once


def test_sizes_that_wrapped_at_4_gib(tmp_path: Path) -> None:
    x = noise(2.0)
    pcm = np.round(x[:, 0] * 32767).astype("<i2").tobytes()
    total = (1 << 32) + len(pcm)
    path = tmp_path / "long.wav"
    tags = b"LIST" + struct.pack("<I", 4) + b"INFO"
    with path.open("wb") as file:  # sparse
        file.write(wav(x, (total + 36) & 0xFFFFFFFF, total & 0xFFFFFFFF))
        file.seek(44 + total - len(pcm))
        file.write(pcm + tags)
    (extent,) = layout_of(path).extents
    assert extent.end - extent.start == total
    assert audio_info(path).frames == total // 2


def test_tags_behind_the_samples_are_no_sound(tmp_path: Path) -> None:
    x = noise(2.0)
    for behind in (
        b"LIST" + struct.pack("<I", 100) + bytes(range(100)),
        b"id3 " + struct.pack("<I", 3000) + b"cut off",
        b"TAG" + bytes(125),
        b"<?xml version='1.0'?>\n<a>who recorded this</a>\n" * 20,
        bytes(500),
    ):
        path = put(tmp_path, "a.wav", wav(x, 36 + 4 * RATE, 4 * RATE, behind))
        assert layout_of(path).extents == ()
        assert seconds_of(path) == 2.0


def test_two_chunks_of_samples(tmp_path: Path) -> None:
    x = noise(2.0)
    more = struct.pack("<4sI", b"data", 2 * RATE) + bytes(2 * RATE)
    path = put(tmp_path, "a.wav", wav(x, 36 + 4 * RATE + len(more), 4 * RATE, more))
    assert seconds_of(path) == 3.0


def test_an_mp3_with_foreign_bytes_says_how_many(tmp_path: Path) -> None:
    data = encode(tmp_path, "mp3", noise(10.0))
    junk = np.random.default_rng(0).bytes(20000)
    path = put(tmp_path, "a.mp3", data[:20000], junk, data[20000:])
    assert re.search(r"has 2\d,\d{3} bytes that are no MP3", layout_of(path, is_mpeg=True).unread)
    with pytest.raises(AudioError, match=r"could be read up to 5\.\d+ s of 10\.\d+ s"):
        read_audio(path, RATE)


def test_tags_between_mp3s_are_no_sound(tmp_path: Path) -> None:
    data = encode(tmp_path, "mp3", noise(3.0))
    id3 = b"ID3\x04\x00\x00" + bytes([0, 0, 0x27, 0x10]) + bytes(5008)
    path = put(tmp_path, "a.mp3", id3, data, b"TAG" + bytes(125), id3, data, b"TAG" + bytes(125))
    assert layout_of(path, is_mpeg=True).unread == ""
    assert seconds_of(path) == pytest.approx(6.0, abs=2 * SLACK)


def test_bytes_behind_a_flac_are_reported(tmp_path: Path) -> None:
    data = encode(tmp_path, "flac", noise(3.0))
    path = put(tmp_path, "a.flac", data, np.random.default_rng(0).bytes(100_000))
    with pytest.raises(AudioError, match=r"bytes behind its sound that are no FLAC"):
        read_audio(path, RATE)


@pytest.mark.parametrize("n", [300, 100_000, 3_000_000])
def test_bytes_behind_an_ogg_are_reported(tmp_path: Path, n: int) -> None:
    data = encode(tmp_path, "ogg", noise(3.0))
    path = put(tmp_path, "a.ogg", data, np.random.default_rng(0).bytes(n))
    with pytest.raises(AudioError, match=rf"has {n:,} bytes behind its end that are no Ogg"):
        read_audio(path, RATE)


def test_bytes_are_found_across_chunks(tmp_path: Path) -> None:
    path = put(tmp_path, "a", bytes((1 << 20) - 3), b"needle", bytes(1 << 20), b"needle")
    with FileBytes(path) as file:
        assert list(file.find_all(b"needle")) == [(1 << 20) - 3, (2 << 20) + 3]
        assert file.find(b"needle", 5, 100) == -1


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_what_is_read_and_what_is_reported_are_what_the_bytes_hold(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """Cut, joined and extended files are read to their end, or reported."""
    folder = tmp_path_factory.mktemp("files")
    kind = data.draw(st.sampled_from(sorted(CONTAINERS)))
    lengths = data.draw(st.lists(st.sampled_from([0.4, 1.0, 2.5]), min_size=1, max_size=3))
    parts = [encode(folder, kind, noise(s, seed=k)) for k, s in enumerate(lengths)]
    cut = data.draw(st.sampled_from([0, 0, 100, 5000]))
    behind = data.draw(st.sampled_from([b"", b"", b"TAG" + bytes(125), bytes(300)]))
    name = data.draw(st.sampled_from([f"a.{kind}", "a.wav", "a.flac", "a.csv", "a.ts", "a.npy"]))
    whole = b"".join(parts)
    path = put(folder, name, whole[: len(whole) - cut], b"" if cut else behind)
    read, error = 0.0, ""
    try:
        for block in read_blocks(path, RATE):
            read += block.samples.size / RATE
    except AudioError as problem:
        error = str(problem)
    slack = SLACK * len(lengths) + (0.05 if cut else 0)
    if not error:
        lost = cut / (len(parts[-1]) / lengths[-1])
        assert read >= sum(lengths) - slack - lost - (1.0 if cut and kind in ("ogg", "opus") else 0)
    else:
        reasons = r"cut off|damaged|not read|no FLAC|no MP3|no Ogg|holds no|not a recording"
        assert re.search(reasons, error), error
        assert cut
    assert read <= sum(lengths) + slack


@pytest.mark.parametrize("kind", ["flac", "ogg", "mp3"])
def test_what_follows_a_part_that_is_cut_off_is_read(tmp_path: Path, kind: str) -> None:
    first, second = (encode(tmp_path, kind, noise(3.0, seed=k)) for k in range(2))
    path = put(tmp_path, f"a.{kind}", first[: len(first) // 2], second)
    read, error = 0.0, ""
    try:
        for block in read_blocks(path, RATE):
            read += block.samples.size / RATE
    except AudioError as problem:
        error = str(problem)
    assert read > 3.0
    if kind == "flac":
        assert "is 2 recordings in one, and number 1 is cut off or damaged" in error


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        ("wav", "flac", "has another recording in [0-9,]+ bytes behind it: not read"),
        ("flac", "wav", "bytes behind its sound that are no FLAC"),
        ("ogg", "flac", "bytes behind its end that are no Ogg"),
        ("mp3", "wav", "bytes that are no MP3 frames"),
        ("w64", "ogg", "bytes behind its sound that are not read"),
    ],
)
def test_a_recording_of_another_kind_behind_it_is_reported(
    tmp_path: Path, first: str, second: str, message: str
) -> None:
    parts = encode(tmp_path, first, noise(3.0)), encode(tmp_path, second, noise(3.0))
    path = put(tmp_path, "a.bin", *parts)
    with pytest.raises(AudioError, match=message):
        read_audio(path, RATE)
