import gc
import itertools
import os
import re
import struct
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import soxr
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from audiocnn.errors import ArgumentError, AudioError
from audiocnn.io.audio.blocks import Block, cut_blocks, mix, resample_blocks
from audiocnn.io.audio.reader import audio_info, find_recordings, read_audio, read_blocks

Samples = NDArray[np.float32]
FEW = settings(max_examples=25, deadline=None)


def noise(n: int, channels: int = 1, seed: int = 0) -> Samples:
    x = 0.1 * np.random.default_rng(seed).standard_normal((n, channels))
    return np.clip(x, -1, 1).astype(np.float32)


def write(path: Path, x: NDArray[Any], rate: int = 16000, **options: Any) -> Path:
    soundfile.write(path, x, rate, **options)
    return path


def joined(blocks: list[Block]) -> Samples:
    """Join blocks that follow each other without a gap."""
    ends = [block.start + len(block.samples) for block in blocks]
    assert [block.start for block in blocks] == [0, *ends[:-1]]
    return np.concatenate([block.samples for block in blocks])


def read_until_error(path: Path, rate: int = 16000) -> tuple[Samples, str]:
    blocks = []
    with pytest.raises(AudioError) as caught:  # noqa: PT012
        for block in read_blocks(path, rate, seconds=0.3):
            blocks.append(block)
    return joined(blocks) if blocks else np.empty(0, np.float32), str(caught.value)


FORMATS = [
    ("wav", {"subtype": "PCM_U8"}),
    ("wav", {"subtype": "PCM_16"}),
    ("wav", {"subtype": "PCM_24"}),
    ("wav", {"subtype": "PCM_32"}),
    ("wav", {"subtype": "FLOAT"}),
    ("wav", {"subtype": "DOUBLE"}),
    ("wav", {"subtype": "ALAW"}),
    ("wav", {"format": "RF64", "subtype": "PCM_16"}),
    ("flac", {"subtype": "PCM_S8"}),
    ("flac", {"subtype": "PCM_24"}),
    ("aiff", {"subtype": "PCM_24"}),
    ("w64", {}),
    ("caf", {}),
    ("ogg", {"subtype": "VORBIS"}),
    ("opus", {"format": "OGG", "subtype": "OPUS"}),
    ("mp3", {}),
]


@pytest.mark.parametrize(("suffix", "options"), FORMATS, ids=str)
@pytest.mark.parametrize("channels", [1, 2])
def test_formats(tmp_path: Path, suffix: str, options: dict[str, str], channels: int) -> None:
    path = write(tmp_path / f"x.{suffix}", noise(48000, channels), 48000, **options)
    x = joined(list(read_blocks(path, 48000, seconds=0.25)))
    expected = soundfile.read(path, dtype="float32", always_2d=True)[0]
    # MP3: mpg123 itself differs by one rounding from one decoding to the next.
    np.testing.assert_allclose(x, mix(expected), rtol=0, atol=1e-6 if suffix == "mp3" else 0)
    info = audio_info(path)
    assert (info.rate, info.channels, info.frames, info.duration) == (48000, channels, 48000, 1.0)
    assert info.subtype == options.get("subtype", info.subtype)


@pytest.mark.parametrize(
    ("rate", "channels"), [(8000, 1), (192000, 1), (44100, 8), (11025, 3), (1000, 2)]
)
def test_rates_and_channels(tmp_path: Path, rate: int, channels: int) -> None:
    x = noise(rate // 2 + 7, channels)
    path = write(tmp_path / "x.wav", x, rate, subtype="FLOAT")
    expected = soxr.resample(mix(x), rate, 32000)
    np.testing.assert_array_equal(joined(list(read_blocks(path, 32000))), expected)
    for channel in range(channels):
        one = read_audio(path, rate, channel=channel)
        np.testing.assert_array_equal(one, x[:, channel])


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"])
def test_full_scale_is_one(tmp_path: Path, subtype: str) -> None:
    path = write(tmp_path / "x.wav", np.array([-1.0, -0.5, 0.0, 0.5]), subtype=subtype)
    np.testing.assert_array_equal(read_audio(path, 16000), [-1, -0.5, 0, 0.5])


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg", "mp3"])
def test_any_block_length_gives_the_same_samples(
    tmp_path_factory: pytest.TempPathFactory, suffix: str
) -> None:
    path = write(tmp_path_factory.mktemp("any") / f"x.{suffix}", noise(50000, 2), 22050)
    whole = soxr.resample(joined(list(read_blocks(path, 22050))), 22050, 16000)

    @FEW
    @given(st.floats(1e-3, 5))
    def check(seconds: float) -> None:
        blocks = list(read_blocks(path, 16000, seconds=seconds))
        np.testing.assert_allclose(joined(blocks), whole, atol=1e-6 if suffix == "mp3" else 0)
        assert {len(block.samples) for block in blocks[:-1]} <= {max(1, round(seconds * 16000))}

    check()


@FEW
@given(
    st.lists(st.integers(0, 3000), min_size=1, max_size=8),
    st.sampled_from([(44100, 32000), (8000, 16000), (16000, 16000), (48000, 8000)]),
    st.integers(0, 99),
)
def test_any_cutting_of_the_source_gives_the_same_samples(
    lengths: list[int], rates: tuple[int, int], seed: int
) -> None:
    x = noise(sum(lengths), seed=seed)[:, 0]
    pieces = np.split(x, np.cumsum(lengths)[:-1])
    got = [np.empty(0, np.float32), *resample_blocks(pieces, *rates)]
    expected = soxr.resample(x, *rates) if len(x) else x
    if len(expected) or not len(x):
        np.testing.assert_array_equal(np.concatenate(got), expected)
    else:
        np.testing.assert_array_equal(np.concatenate(got), x[:1])


@FEW
@given(
    st.lists(st.tuples(st.integers(1, 400), st.booleans()), min_size=1, max_size=12),
    st.sampled_from([(44100, 16000), (8000, 16000), (16000, 16000)]),
    st.sampled_from([np.nan, np.inf, -np.inf, 1e30]),
    st.integers(1, 500),
)
def test_gaps_split_the_stream_into_segments(
    spans: list[tuple[int, bool]], rates: tuple[int, int], bad: float, piece: int
) -> None:
    rate_in, rate_out = rates
    parts = [noise(n, seed=n)[:, 0] if good else np.full(n, bad, np.float32) for n, good in spans]
    x = np.concatenate(parts)
    pieces = [x[at : at + piece] for at in range(0, len(x), piece)]
    blocks = list(cut_blocks(pieces, rate_in, rate_out, seconds=0.01))
    assert all(np.isfinite(block.samples).all() for block in blocks)
    found: list[tuple[int, Samples]] = []
    for block in blocks:
        if not len(block.samples):
            assert block.start > found[-1][0] + len(found[-1][1]), "tells that a gap has begun"
        elif found and found[-1][0] + len(found[-1][1]) == block.start:
            found[-1] = (found[-1][0], np.concatenate([found[-1][1], block.samples]))
        else:
            found.append((block.start, block.samples))
    expected, at = [], 0
    for good, group in itertools.groupby(zip(parts, spans, strict=True), lambda pair: pair[1][1]):
        run = np.concatenate([part for part, _ in group])
        if good:
            samples = soxr.resample(run, rate_in, rate_out)
            expected.append((at * rate_out / rate_in, samples if len(samples) else run[:1]))
        at += len(run)
    assert len(found) == len(expected), "every gap shows"
    for (start, samples), (place, reference) in zip(found, expected, strict=True):
        # Half a sample of rounding; a gap of less than an output sample pushes on by one more.
        assert abs(start - place) <= 1.5 + len(expected) * (rate_in > rate_out)
        np.testing.assert_array_equal(samples, reference)


def test_a_block_tells_where_it_lies(tmp_path: Path) -> None:
    x = noise(48000)
    x[10000:13000] = np.nan
    x[46000] = np.inf
    path = write(tmp_path / "x.wav", x, 48000, subtype="FLOAT")
    blocks = list(read_blocks(path, 16000, seconds=0.1))
    starts = [block.start for block in blocks]
    ends = [block.start + len(block.samples) for block in blocks]
    jumps = [(end, start) for end, start in zip(ends, starts[1:], strict=False) if end != start]
    assert jumps == [(3333, 4333), (15333, 15334)]
    assert (starts[0], ends[-1]) == (0, 16000)
    with pytest.raises(AudioError, match=r"x\.wav is not finite from 0\.208 to 0\.271 s: take"):
        read_audio(path, 16000)
    assert len(read_audio(path, 16000, start=0.3, end=0.9)) == 9600


def test_noise_in_the_place_of_samples_is_damage(tmp_path: Path) -> None:
    x = noise(20 * 8000)
    x[: 15 * 8000 : 100] = np.nan  # 80 a second, but for the last 5 s
    path = write(tmp_path / "x.wav", x, 8000, subtype="FLOAT")
    with pytest.raises(AudioError, match=r"x\.wav is damaged: up to 12\.\d+ s, 1001 places"):
        list(read_blocks(path, 8000))
    x[::100], x[::4000] = 0, np.nan  # two a second, 40 in all
    write(path, x, 8000, subtype="FLOAT")
    assert sum(len(block.samples) for block in read_blocks(path, 8000)) == x.size - 40


def test_a_gap_at_the_end_is_no_part_of_an_array(tmp_path: Path) -> None:
    x = noise(16000)
    x[12000:] = np.nan
    path = write(tmp_path / "x.wav", x, subtype="FLOAT")
    assert sum(len(block.samples) for block in read_blocks(path, 16000)) == 12000
    with pytest.raises(AudioError, match=r"not finite from 0\.750 to 1\.000 s"):
        read_audio(path, 16000)
    assert len(read_audio(path, 16000, end=0.75)) == 12000


def test_one_channel_may_be_bad(tmp_path: Path) -> None:
    x = noise(1000, 2)
    x[:, 1] = np.nan
    path = write(tmp_path / "x.wav", x, subtype="FLOAT")
    np.testing.assert_array_equal(read_audio(path, 16000, channel=0), x[:, 0])
    with pytest.raises(AudioError, match=r"x\.wav holds no finite sample among 1000"):
        list(read_blocks(path, 16000))


@pytest.mark.parametrize("rate", [8000, 16000, 192000])
def test_one_sample(tmp_path: Path, rate: int) -> None:
    path = write(tmp_path / "x.wav", np.array([0.5]), rate)
    (block,) = read_blocks(path, 16000)
    assert len(block.samples) == max(1, 16000 // rate)
    assert block.start == 0


def test_a_part_is_what_the_whole_has_there(tmp_path: Path) -> None:
    path = write(tmp_path / "x.flac", noise(44100 * 3), 44100)
    whole = read_audio(path, 16000)
    assert len(whole) == 48000
    np.testing.assert_array_equal(
        read_audio(str(path), 16000, start=0.5, end=1.25), whole[8000:20000]
    )
    np.testing.assert_array_equal(read_audio(path, 16000, start=2.5, end=99), whole[40000:])
    with pytest.raises(AudioError, match=r"x\.flac: no sample lies between 3\.0 s and its end"):
        read_audio(path, 16000, start=3.0)


def test_constant_memory(tmp_path: Path) -> None:
    path = tmp_path / "long.wav"
    with soundfile.SoundFile(path, "w", 16000, 2) as file:
        for _ in range(600):
            file.write(np.zeros((16000, 2), np.int16))
    tracemalloc.start()
    n = sum(len(block.samples) for block in read_blocks(path, 8000, seconds=1))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert n == 600 * 8000
    assert peak < 3e6, "600 s of float32 are 38 MB as stored"


def test_a_reader_that_stops_early_leaves_nothing_open(tmp_path: Path) -> None:
    path = write(tmp_path / "x.mp3", noise(160000))
    next(read_blocks(path, 16000, seconds=0.1))
    gc.collect()  # an unclosed file is a ResourceWarning, and warnings are errors
    path.unlink()


NAMES = ["two words.wav", "żółw 🐢 ñ.wav", "100%.wav", "-o.wav", "[a].wav"]


@pytest.mark.parametrize("name", NAMES)
def test_names(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / name, noise(100), subtype="FLOAT")
    assert len(read_audio(path, 16000)) == len(read_audio(str(path), 16000)) == 100
    assert find_recordings([tmp_path]) == [path]


@pytest.mark.skipif(sys.platform != "linux", reason="only here a name may be any bytes")
def test_a_name_that_is_not_unicode(tmp_path: Path) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xe9t\xe9.wav"))
    write(tmp_path / "x.wav", noise(100)).rename(path)
    assert find_recordings([tmp_path]) == [path]
    assert len(read_audio(path, 16000)) == 100


def test_hidden_length_of_flac(tmp_path: Path) -> None:
    """A FLAC file written to a pipe does not say how long it is."""
    path = write(tmp_path / "x.flac", noise(100000)[:, 0])
    data = bytearray(path.read_bytes())
    data[21] &= 0xF0
    data[22:26] = bytes(4)
    whole = read_audio(path, 16000)
    path.write_bytes(data)
    assert audio_info(path).frames is None
    assert audio_info(path).duration is None
    np.testing.assert_array_equal(read_audio(path, 16000), whole)


def test_mp3_without_its_length(tmp_path: Path) -> None:
    """Loud, then silent: an estimate from the first frames is far too short."""
    x = np.concatenate([noise(44100 * 2), np.zeros((44100 * 8, 1), np.float32)])
    path = write(tmp_path / "x.mp3", x, 44100, bitrate_mode="VARIABLE", compression_level=0.5)
    data = path.read_bytes()
    assert audio_info(path).frames == len(x)
    assert b"Xing" in data[:400]
    path.write_bytes(data.replace(b"Xing", bytes(4), 1).replace(b"LAME", bytes(4), 1))
    with soundfile.SoundFile(path) as file:
        assert file.frames < len(x) / 2, "libsndfile would stop here"
    assert audio_info(path).frames is None
    whole = read_audio(path, 44100)
    assert abs(len(whole) - len(x)) < 3 * 1152
    path.write_bytes(b"ID3\x03\0\0\0\0\x4f\x00" + bytes(0x4F << 7) + path.read_bytes()[:-100])
    assert abs(len(read_audio(path, 44100)) - len(whole)) <= 2 * 1152, "it ends where it ends"
    path.write_bytes(b"ID3\x03\0\0\0\0\x4f\x00" + bytes(0x4F << 7) + data)
    assert audio_info(path).frames == len(x)


@pytest.mark.parametrize("size", [0xFFFFFFFF, 0x7FFFFFFF, 0x7FFFF000, 0x80000000])
def test_wav_from_a_pipe_states_no_length(tmp_path: Path, size: int) -> None:
    path = write(tmp_path / "x.wav", noise(1000))
    data = bytearray(path.read_bytes())
    data[40:44] = struct.pack("<I", size)
    path.write_bytes(data)
    assert len(read_audio(path, 16000)) == 1000


def half(data: bytes) -> bytes:
    return data[: len(data) // 2]


def noise_inside(data: bytes) -> bytes:
    return half(data) + np.random.default_rng(0).bytes(300) + data[len(data) // 2 + 300 :]


def zeros_inside(data: bytes) -> bytes:
    return half(data) + bytes(20000) + data[len(data) // 2 + 20000 :]


CUT = r"is cut off: it could be read up to [45]\.\d{3} s of 10\.\d{3} s; copy it again"
DAMAGE = [
    ("wav", half, CUT),
    ("aiff", half, CUT),
    ("au", half, CUT),
    ("w64", half, r"is cut off: it could be read up to 4\.9\d\d s of 9\.9"),
    ("rf64", half, CUT),
    ("flac", half, r"cut off or damaged: it could be read up to 4\.\d+ s of 10\.000 s \(flac dec"),
    ("flac", noise_inside, r"damaged: it could be read up to 4\.\d+ s of 10\.000 s \("),
    (
        "ogg",
        half,
        r"is cut off within a page: it could be read up to 4\.\d+ s;",
    ),
    (
        "ogg",
        zeros_inside,
        r"only \d\.\d+ s of 10\.000 s came out, so its times are uncertain",
    ),
    (
        "opus",
        half,
        r"is cut off within a page: it could be read up to 3\.\d+ s;",
    ),
    ("mp3", half, r"is cut off or damaged: only 4\.\d+ s of 10\.000 s came out"),
    ("mp3", zeros_inside, r"could be read up to 4\.\d+ s of 10\.000 s \("),
]


@pytest.mark.parametrize(("suffix", "harm", "message"), DAMAGE)
def test_damage_gives_the_good_part_then_an_error(
    tmp_path: Path,
    suffix: str,
    harm: Callable[[bytes], bytes],
    message: str,
) -> None:
    options: dict[str, Any] = {"opus": {"format": "OGG", "subtype": "OPUS"}}
    path = write(tmp_path / f"x.{suffix}", noise(160000), **options.get(suffix, {}))
    whole = read_audio(path, 16000)
    path.write_bytes(harm(path.read_bytes()))
    good, error = read_until_error(path)
    assert re.search(message, error), error
    assert error.startswith(str(path))
    n = 7 * 8000  # an Ogg page that is cut is lost, and may be a second long
    assert len(good) > n
    np.testing.assert_allclose(good[:n], whole[:n], atol=1e-6)


def test_a_tag_at_the_end_is_no_damage(tmp_path: Path) -> None:
    for suffix in ("wav", "flac", "mp3"):
        path = write(tmp_path / f"x.{suffix}", noise(20000))
        path.write_bytes(path.read_bytes() + b"TAG" + bytes(125))
        assert len(read_audio(path, 16000)) == 20000


BAD_FILES = [
    ("missing.wav", None, r"no such file: .*missing\.wav; check the name"),
    ("empty.flac", b"", r"empty\.flac is empty \(0 bytes\): copy or record it again"),
    ("text.wav", b"dear reader,\n" * 9, r"text\.wav is text, not sound: it begins with 'dear read"),
    ("lfs.mp3", b"version https://git-lfs.github.com/spec/v1\n", r"is text, not sound: .*git-lfs"),
    ("junk.ogg", bytes(range(256)) * 9, r"junk\.ogg is not a recording that libsndfile"),
    ("junk.raw", bytes(range(256)) * 9, r"junk\.raw (is not a recording that|has no sound in it)"),
    ("head.flac", b"fLaC" + bytes(3), r"head\.flac is not a recording that libsndfile"),
]


@pytest.mark.parametrize(("name", "data", "message"), BAD_FILES)
def test_bad_files(tmp_path: Path, name: str, data: bytes | None, message: str) -> None:
    path = tmp_path / name
    if data is not None:
        path.write_bytes(data)
    for read in (lambda: list(read_blocks(path, 16000)), lambda: audio_info(path)):
        with pytest.raises(AudioError, match=message):
            read()


def test_no_samples(tmp_path: Path) -> None:
    path = write(tmp_path / "x.wav", np.empty(0))
    with pytest.raises(AudioError, match=r"x\.wav holds no samples in its 44 bytes: record it"):
        list(read_blocks(path, 16000))


def test_folder(tmp_path: Path) -> None:
    with pytest.raises(AudioError, match=r"is a folder: pass its recordings, as find_recordings"):
        read_blocks(tmp_path, 16000)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_pipe(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.wav")
    with pytest.raises(AudioError, match=r"pipe\.wav is not a file: raw samples"):
        read_blocks(tmp_path / "pipe.wav", 16000)


def test_not_permitted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "x.wav", noise(10))

    def refuse(*_: Any) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)  # root may read anything
    with pytest.raises(AudioError, match=r"not permitted to read .*x\.wav: change its"):
        read_blocks(path, 16000)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"rate": 0}, "rate must be at least 1, got 0"),
        ({"rate": 16000, "seconds": 0}, "seconds must be above 0, got 0"),
        ({"rate": 16000, "seconds": float("nan")}, "seconds must be above 0, got nan"),
        ({"rate": 16000, "channel": -1}, "channel counts from 0, got -1"),
    ],
)
def test_bad_arguments(tmp_path: Path, arguments: dict[str, Any], message: str) -> None:
    path = write(tmp_path / "x.wav", noise(10))
    with pytest.raises(ArgumentError, match=message):
        read_blocks(path, **arguments)


def test_bad_part_and_channel(tmp_path: Path) -> None:
    path = write(tmp_path / "x.wav", noise(10, 2))
    with pytest.raises(AudioError, match=r"x\.wav has 2 channels, counted from 0: no 2"):
        read_audio(path, 16000, channel=2)
    with pytest.raises(ArgumentError, match=r"end after it, got 2 and 1"):
        read_audio(path, 16000, start=2, end=1)


def test_block_checks_itself() -> None:
    with pytest.raises(
        ArgumentError, match=r"float32 of shape \(N,\) or \(K, N\), got float64 of shape \(2, 2"
    ):
        Block(np.zeros((2, 2)), 0, 16000)  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match="start must be at least 0 and rate above 0, got -1"):
        Block(np.zeros(2, np.float32), -1, 16000)


def test_what_libsndfile_cannot_read_needs_pyav(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x.m4a"
    path.write_bytes(b"\0\0\0\x1cftypM4A \0\0\2\0" + bytes(500))
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(AudioError, match=r"x\.m4a is not .*, pip install 'audiocnn\[av\]'$"):
        list(read_blocks(path, 16000))


@pytest.mark.parametrize(
    ("suffix", "codec", "rate"), [("m4a", "aac", 44100), ("webm", "opus", 48000)]
)
def test_pyav(tmp_path: Path, suffix: str, codec: str, rate: int) -> None:
    av = pytest.importorskip("av", reason="PyAV is not installed: pip install 'audiocnn[av]'")
    path = tmp_path / f"x.{suffix}"
    tone = 0.5 * np.sin(2 * np.pi * 1000 * np.arange(5 * rate) / rate)
    with av.open(path, "w") as container:
        stream = container.add_stream("libopus" if codec == "opus" else codec, rate=rate)
        frame = av.AudioFrame.from_ndarray(np.array([tone, tone], np.float32), "fltp", "stereo")
        frame.sample_rate = rate
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            container.mux(packet)
    info = audio_info(path)
    assert (info.rate, info.channels, info.subtype) == (rate, 2, codec)
    assert info.duration == pytest.approx(5, abs=0.1)
    x = joined(list(read_blocks(path, 16000, seconds=0.7)))
    assert len(x) == pytest.approx(5 * 16000, abs=1600)
    peak = np.abs(np.fft.rfft(x[16000:32000])).argmax()
    assert peak == 1000, "Hz"
    assert np.abs(x[16000:32000]).max() == pytest.approx(0.5, abs=0.03)
    if suffix == "webm":
        path.write_bytes(half(path.read_bytes()))
        good, error = read_until_error(path)
        assert re.search(
            r"x\.webm is cut off or damaged: it could be read up to 2\.\d+ s of 5", error
        )
        assert len(good) > 2 * 16000


def test_find_recordings(tmp_path: Path) -> None:
    names = [
        "b/2.FLAC",
        "b/1.wav",
        "a.mp3",
        "b/c/x.ogg",
        ".hidden/x.wav",
        "b/._1.wav",
        "b/notes.txt",
    ]
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "b" / "c" / "back").symlink_to(tmp_path / "b", target_is_directory=True)
    found = ["a.mp3", "b/1.wav", "b/2.FLAC", "b/c/x.ogg"]
    assert find_recordings([tmp_path]) == [tmp_path / name for name in found]
    some: list[str | Path] = [
        tmp_path / "b" / "notes.txt",
        str(tmp_path / "b" / "1.wav"),
        tmp_path / "b",
    ]
    assert [p.name for p in find_recordings(some)] == ["notes.txt", "1.wav", "2.FLAC", "x.ogg"]
    with pytest.raises(AudioError, match=r"no such file or folder: .*nowhere"):
        find_recordings([tmp_path, tmp_path / "nowhere"])
    (tmp_path / ".hidden" / "c").mkdir()
    with pytest.raises(AudioError, match=r"no recordings in .*\.hidden.c: none .* \.flac"):
        find_recordings([tmp_path / ".hidden" / "c"])
    assert find_recordings([]) == []


def test_real_recordings(real_data: Path) -> None:
    clips = find_recordings([real_data / "esc10" / "rooster"])
    assert len(clips) == 32
    assert audio_info(clips[0]).duration == pytest.approx(5, abs=0.01)
    x = read_audio(clips[0], 32000)
    assert len(x) == pytest.approx(160000, abs=320)
    assert 0.05 < np.abs(x).max() <= 1.2
    digit = read_audio(real_data / "fsdd" / "zero" / "0_george_0.wav", 16000)
    assert 0.1 < len(digit) / 16000 < 1
