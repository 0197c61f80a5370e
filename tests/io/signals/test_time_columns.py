"""Columns of times and of row numbers, as phones, loggers and pandas write them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from audiocnn.errors import ArgumentError, AudioError
from audiocnn.io.signals.channels import SignalReadOptions, time_unit
from audiocnn.io.signals.reader import open_signal

STARTED = 1_700_000_000  # seconds since 1970


def write(path: Path, header: str, cell: Callable[[int], object], n: int = 200) -> Path:
    """Write x, y at 100 Hz, with what ``cell`` gives of each row before them."""
    rows = [f"{cell(k)},{np.sin(k / 9):.4f},{np.cos(k / 9):.4f}" for k in range(n)]
    path.write_text("\n".join([f"{header},x,y", *rows]) + "\n", encoding="utf-8")
    return path


def opened(path: Path, **options: object) -> tuple[tuple[str, ...], float | None, int]:
    with open_signal(path, SignalReadOptions(**options)) as signal:  # type: ignore[arg-type]
        for _ in signal.parts:
            pass
        return signal.names, signal.rate, signal.n_samples


@pytest.mark.parametrize(
    ("header", "cell"),
    [
        ("Time (s)", lambda k: f"{k / 100:.9E}"),
        ('"elapsed (s)"', lambda k: k / 100),
        ("timestamp (ms)", lambda k: 10 * k),
        ("time_ms", lambda k: 10 * k),
        ("Timestamp [µs]", lambda k: 10_000 * k),
        ("time", lambda k: STARTED * 10**9 + 10**7 * k),
        ("timestamp", lambda k: STARTED * 10**6 + 10**4 * k),
        ("timestamp", lambda k: STARTED * 10**3 + 10 * k),
        ("epoch", lambda k: f"{STARTED + k / 100:.2f}"),
        ("time,seconds_elapsed", lambda k: f"{STARTED * 10**9 + 10**7 * k},{k / 100}"),
        ("Unnamed: 0,time", lambda k: f"{k},{k / 100}"),
        (",time", lambda k: f"{k},{k / 100}"),
        ("__index_level_0__,time", lambda k: f"{k},{k / 100}"),
    ],
)
def test_times_are_understood_and_are_no_channels(
    tmp_path: Path, header: str, cell: Callable[[int], object]
) -> None:
    names, rate, n = opened(write(tmp_path / "a.csv", header, cell))
    assert names == ("x", "y")
    assert rate == pytest.approx(100, rel=1e-6)
    assert n == 200


def test_an_index_says_no_rate(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "Unnamed: 0", lambda k: k)
    assert opened(path) == (("x", "y"), None, 200)
    assert opened(path, rate=50.0) == (("x", "y"), 50.0, 200)


def test_what_is_asked_for_is_a_channel(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "Unnamed: 0", lambda k: k)
    assert opened(path, columns=("Unnamed: 0", "x"))[0] == ("Unnamed: 0", "x")


def test_times_in_another_unit_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "time", lambda k: 10**7 * k)  # ns since the start, unsaid
    with pytest.raises(AudioError, match=r"goes on by 1e\+07 s.*is it in another unit\? Write"):
        opened(path)
    with pytest.raises(ArgumentError, match=r"a rate must be above 0 Hz, got 1e-07"):
        SignalReadOptions(rate=1e-7)
    np.savez(tmp_path / "a.npz", x=np.zeros(10), rate=1e-7)
    with pytest.raises(AudioError, match="rate must be one number above 0 Hz"):
        opened(tmp_path / "a.npz")


@pytest.mark.parametrize(
    ("name", "first", "unit"),
    [("time", 0.0, 1), ("time", 1.7e9, 1), ("time", 1.7e12, 1e-3), ("Time (ms)", 0.0, 1e-3),
     ("my clock", 1.7e15, 1e-6), ("time (s)", 1.7e12, 1)],
)  # fmt: skip
def test_units(name: str, first: float, unit: float) -> None:
    assert time_unit(name, first) == unit


@pytest.mark.parametrize(
    "data",
    [
        b"Time (s);x;y\r\n0,00;1,5;2\r\n0,01;1,25;-3,5\r\n",
        "\ufeffTime (s);x;y\n0,00;1,5;2\n0,01;1,25;-3,5\n".encode(),
        b"sep=;\r\nTime (s);x;y\r\n0,00;1,5;2\r\n0,01;1,25;-3,5\r\n",
        "Time (s)\tx\ty\n0,00\t1,5\t2\n0,01\t1,25\t-3,5\n".encode("utf-16"),
        b"Time (s),x,y\n0.00,1.5,2\n0.01,1.25,-3.5\n",
    ],
)
def test_signals_of_spreadsheets(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "a.csv").write_bytes(data)
    with open_signal(tmp_path / "a.csv") as signal:
        ((_, samples),) = list(signal.parts)
        assert (signal.names, signal.rate) == (("x", "y"), 100.0)
    np.testing.assert_array_equal(samples, np.array([[1.5, 1.25], [2, -3.5]], np.float32))


def test_rows_without_names_may_have_decimal_commas(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("0,5;1,5\n-1,5;2\n")
    assert opened(tmp_path / "a.csv") == (("0", "1"), None, 2)
