"""Sound level: the standard's tables, chunks of any size, gaps, calibration."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.signal import sosfreqz

from audiocnn.errors import ArgumentError
from audiocnn.frontend.sound_level import (
    LevelSpec,
    LevelState,
    SoundLevel,
    a_weighting,
    finish,
    measure,
    measure_levels,
    nominal_a_weighting,
)

RATE = 48000
INF = float("inf")
# IEC 61672-1:2013, table 3: nominal frequency, A-weighting, class 1 tolerance up and down (dB).
TABLE_3 = [
    (10, -70.4, 3.0, INF), (12.5, -63.4, 2.5, INF), (16, -56.7, 2.0, 4.0), (20, -50.5, 2.0, 2.0),
    (25, -44.7, 2.0, 1.5), (31.5, -39.4, 1.5, 1.5), (40, -34.6, 1.0, 1.0), (50, -30.2, 1.0, 1.0),
    (63, -26.2, 1.0, 1.0), (80, -22.5, 1.0, 1.0), (100, -19.1, 1.0, 1.0), (125, -16.1, 1.0, 1.0),
    (160, -13.4, 1.0, 1.0), (200, -10.9, 1.0, 1.0), (250, -8.6, 1.0, 1.0), (315, -6.6, 1.0, 1.0),
    (400, -4.8, 1.0, 1.0), (500, -3.2, 1.0, 1.0), (630, -1.9, 1.0, 1.0), (800, -0.8, 1.0, 1.0),
    (1000, 0.0, 0.7, 0.7), (1250, 0.6, 1.0, 1.0), (1600, 1.0, 1.0, 1.0), (2000, 1.2, 1.0, 1.0),
    (2500, 1.3, 1.0, 1.0), (3150, 1.2, 1.0, 1.0), (4000, 1.0, 1.0, 1.0), (5000, 0.5, 1.5, 1.5),
    (6300, -0.1, 1.5, 2.0), (8000, -1.1, 1.5, 2.5), (10000, -2.5, 2.0, 3.0),
    (12500, -4.3, 2.0, 5.0), (16000, -6.6, 2.5, 16.0), (20000, -9.3, 3.0, INF),
]  # fmt: skip
# Table 4: length of a 4 kHz tone burst in ms, maximum of LAF below the steady level, tolerance.
TABLE_4 = [(1000, 0.0, 0.5), (500, -0.1, 0.5), (200, -1.0, 0.5), (100, -2.6, 1.0),
           (50, -4.8, 1.0), (20, -8.3, 1.0), (10, -11.1, 1.0)]  # fmt: skip


def exact(nominal: float) -> float:
    """Give the exact frequency that a nominal one stands for."""
    return float(1000 * 10 ** (round(10 * np.log10(nominal / 1000)) / 10))


def tone(frequency: float, seconds: float, amplitude: float = 1.0, rate: int = RATE) -> np.ndarray:
    at = np.arange(round(seconds * rate)) / rate
    return (amplitude * np.sin(2 * np.pi * frequency * at)).astype(np.float32)


def only(samples: np.ndarray, **spec: float) -> SoundLevel:
    (level,) = measure_levels([samples], LevelSpec(**{"rate": RATE, **spec}))
    return level


@pytest.mark.parametrize("rate", [8000, 16000, 22050, 32000, 44100, 48000, 96000, 192_000])
def test_the_weighting_is_within_class_1_and_much_closer(rate: int) -> None:
    for nominal, weight, up, down in TABLE_3:
        frequency = exact(nominal)
        assert nominal_a_weighting(frequency) == pytest.approx(weight, abs=0.06)
        if frequency > 0.45 * rate:
            continue
        _, response = sosfreqz(a_weighting(rate), [frequency], fs=rate)
        found = 20 * np.log10(np.abs(response[0]))
        assert -down <= found - weight <= up
        assert found == pytest.approx(float(nominal_a_weighting(frequency)), abs=0.2)


@pytest.mark.parametrize(("frequency", "weight"), [(1000, 0.0), (100, -19.1), (8000, -1.1)])
def test_a_tone_has_its_level(frequency: float, weight: float) -> None:
    level = only(tone(exact(frequency), 10.0, 0.1), offset=120.0)
    expected = 120 - 20 - 3.01 + weight
    for value in (level.laeq, level.lafmax, level.l10, level.l90):
        assert value == pytest.approx(expected, abs=0.2)
    assert level.calibrated


@pytest.mark.parametrize(("length", "below", "tolerance"), TABLE_4)
def test_a_tone_burst_has_its_maximum(length: int, below: float, tolerance: float) -> None:
    burst = np.zeros(RATE, np.float32)
    burst[: length * RATE // 1000] = tone(4000, length / 1000)
    steady = only(tone(4000, 10.0)).lafmax
    assert steady is not None
    assert only(burst).lafmax == pytest.approx(steady + below, abs=tolerance)


def test_fast_falls_by_35_decibels_a_second() -> None:
    samples = np.concatenate((tone(1000, 5.0), np.zeros(5 * RATE, np.float32)))
    spec = LevelSpec(RATE, period=1.0)
    levels = [level.lafmax for level in measure_levels([samples], spec)]
    falls = -np.diff(np.array(levels, float)[6:9])
    np.testing.assert_allclose(falls, 34.7, atol=0.3)  # 10 lg(e) / 0.125 s


def test_percentiles_are_of_the_time() -> None:
    quiet, loud = tone(1000, 50.0, 0.01), tone(1000, 10.0, 0.5)
    level = only(np.concatenate((quiet, loud)))
    assert level.l90 == pytest.approx(-43.0, abs=0.1)
    assert level.l10 == pytest.approx(-9.0, abs=0.1)
    assert level.laeq == pytest.approx(10 * np.log10((50e-4 + 10 * 0.25) / 2 / 60), abs=0.1)


def test_pink_noise_against_a_slow_reference() -> None:
    rng, n = np.random.default_rng(0), 4 * RATE
    spectrum = rng.standard_normal(n // 2 + 1) + 1j * rng.standard_normal(n // 2 + 1)
    frequency = np.fft.rfftfreq(n, 1 / RATE)
    spectrum[1:] /= np.sqrt(frequency[1:])
    spectrum[frequency < 20] = 0
    samples = np.fft.irfft(spectrum, n)
    samples /= np.abs(samples).max()
    weighted = np.fft.rfft(samples)
    weighted[1:] *= 10 ** (nominal_a_weighting(frequency[1:]) / 20)
    reference = 10 * np.log10(np.mean(np.fft.irfft(weighted, n) ** 2))
    assert only(samples.astype(np.float32)).laeq == pytest.approx(reference, abs=0.1)


@given(st.lists(st.integers(0, 60_000), max_size=8), st.integers(0, 5))
def test_any_chunks_give_the_same_levels(cuts: list[int], seed: int) -> None:
    rng = np.random.default_rng(seed)
    samples = (0.1 * rng.standard_normal(60_000)).astype(np.float32)
    samples[20_000:21_000] = np.nan
    spec = LevelSpec(8000, period=2.0, first=1.3)
    whole = list(measure_levels([samples], spec))
    pieces = list(measure_levels(np.split(samples, sorted(cuts)), spec))
    assert [(x.start, x.end, x.measured) for x in pieces] == [
        (x.start, x.end, x.measured) for x in whole
    ]
    for one, other in zip(pieces, whole, strict=True):
        for name in ("laeq", "lafmax", "l10", "l90"):
            assert getattr(one, name) == pytest.approx(getattr(other, name), abs=1e-6)


def test_periods_begin_where_they_should_and_the_last_is_shorter() -> None:
    spec = LevelSpec(8000, period=60.0, first=12.5)
    levels = list(measure_levels([np.zeros(8000 * 150, np.float32)], spec))
    assert [(x.start, x.end) for x in levels] == [(0, 12.5), (12.5, 72.5), (72.5, 132.5),
                                                  (132.5, 150)]  # fmt: skip
    assert levels[0].laeq == -150.0


def test_what_was_lost_is_not_quiet() -> None:
    samples = tone(1000, 60.0, 0.1)
    samples[10 * RATE : 40 * RATE] = np.nan
    level = only(samples)
    assert level.measured == 30.0
    assert level.laeq == pytest.approx(-23.0, abs=0.1)
    assert level.l90 == pytest.approx(-23.0, abs=0.1)
    nothing = only(np.full(60 * RATE, np.nan, np.float32))
    assert (nothing.measured, nothing.laeq, nothing.lafmax, nothing.l10) == (0.0, None, None, None)


def test_nothing_is_measured_of_nothing() -> None:
    spec = LevelSpec(RATE)
    done, state = measure(spec, LevelState(), np.empty(0, np.float32))
    assert done == finish(spec, state) == []


@pytest.mark.parametrize("wrong", [{"rate": 100}, {"rate": RATE, "period": 0},
                                   {"rate": RATE, "offset": INF},
                                   {"rate": RATE, "first": -1}])  # fmt: skip
def test_wrong_values_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ArgumentError):
        LevelSpec(**wrong)
