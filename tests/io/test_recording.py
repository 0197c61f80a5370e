"""Recording references: parsing of names, and the kind of a file by its content."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from audiocnn.errors import AudioError
from audiocnn.io.audio.reader import find_recordings, read_audio
from audiocnn.io.recording import RecordingRef
from audiocnn.io.signals.discovery import find_signals


def packets(n: int, size: int = 188, skipped: int = 0) -> bytes:
    """Make packets of MPEG-TS that hold nothing, the first one cut by ``skipped`` bytes."""
    lead = b"\x00" * 4 if size == 192 else b""
    return b"".join(lead + b"\x47" + bytes(size - 1 - len(lead)) for _ in range(n))[skipped:]


def test_a_name_is_a_file_and_a_number(tmp_path: Path) -> None:
    assert RecordingRef.of("a/X.ts#12") == RecordingRef(Path("a/X.ts"), 12)
    assert RecordingRef.of("a/X.ts") == RecordingRef(Path("a/X.ts"), None)
    assert RecordingRef.of("x#3.csv").file == Path("x#3.csv")
    assert RecordingRef.of("x.csv#3").file == Path("x.csv#3")  # no CSV holds many
    real = tmp_path / "odd.npy#1"
    real.touch()
    assert RecordingRef.of(real).file == real
    assert RecordingRef.of("X.npz#0").file == Path("X.npz")
    for name in ("a/X.ts#12", "night.flac", "X.npz#0"):
        ref = RecordingRef.of(name)
        assert str(ref) == name
        assert ref.path == Path(name)
        assert RecordingRef.of(ref) is ref


@pytest.mark.parametrize("size", [188, 192, 204])
@pytest.mark.parametrize("skipped", [0, 1, 100])
def test_a_transport_stream_named_ts_is_sound(tmp_path: Path, size: int, skipped: int) -> None:
    path = tmp_path / "seg.ts"
    path.write_bytes(packets(30, size, skipped))
    assert RecordingRef.of(path).is_sound
    assert find_recordings([tmp_path]) == [path]
    assert find_signals([tmp_path]) == [path]


def test_an_archive_named_ts_is_no_sound(tmp_path: Path) -> None:
    path = tmp_path / "X_TRAIN.ts"
    path.write_text("@problemName X\n@classLabel true a b\n@data\n" + "1,2,3:a\n" * 400)
    assert not RecordingRef.of(path).is_sound
    assert not RecordingRef.of(f"{path}#0").is_sound
    with pytest.raises(AudioError, match=r"X_TRAIN.ts#0 is no sound but a signal"):
        read_audio(f"{path}#0", 8000)


@pytest.mark.parametrize("name", ["a.csv", "a.ts", "a.npy", "a.parquet"])
def test_sound_under_the_name_of_a_table_is_sound(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    x = np.sin(np.arange(8000) / 10).astype(np.float32)
    with path.open("wb") as file:
        soundfile.write(file, x, 8000, format="WAV", subtype="FLOAT")
    assert RecordingRef.of(path).is_sound
    np.testing.assert_array_equal(read_audio(path, 8000), x)
