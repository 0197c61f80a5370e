"""The doctor on signals: each fault is planted, and a clean dataset has none."""

import numpy as np
import pytest

from audiocnn.datasets.doctor.doctor import check_dataset
from audiocnn.errors import ArgumentError
from audiocnn.io.signals.channels import SignalReadOptions

RATE = 50


def recording(seed, n=200, scale=1.0):
    rng = np.random.default_rng(seed)
    return scale * rng.standard_normal((n, 2)).cumsum(axis=0) + [0, 9.81]


def write(path, x, *, rate=RATE, names="time,x,y"):
    rows = [f"{k / rate:.4f},{a:.5f},{b:.5f}" for k, (a, b) in enumerate(x)]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([names, *rows]) + "\n")


@pytest.fixture
def data(tmp_path):
    for k in range(24):
        write(tmp_path / ("up", "down")[k % 2] / f"{k}.csv", recording(k))
    return tmp_path


def kinds(data, **how):
    report = check_dataset(data, **how)
    return {f.kind: f for f in report.findings}


def test_clean_data_has_nothing(data):
    report = check_dataset(data)
    assert [f.kind for f in report.findings] == []
    assert report.seconds == pytest.approx(24 * 4)
    assert report.classes == {"down": 12, "up": 12}


def test_what_cannot_be_read(data):
    (data / "up" / "text.csv").write_text("time,x,y\n0,1,2\n0.02,one,2\n")
    (data / "up" / "empty.csv").write_text("")
    finding = kinds(data)["unreadable"]
    told = " ".join(place.detail for place in finding.places)
    assert finding.severity == "error"
    assert "is empty (0 bytes)" in told
    assert "text.csv:3: 'x' is 'one', which is no number" in told


def test_the_same_signal_twice(data):
    (data / "down" / "copy.csv").write_text((data / "up" / "0.csv").read_text() + "\n")
    found = kinds(data)
    assert found["two labels"].severity == "error"
    assert found["same file"].places[0].path.endswith(("copy.csv", "0.csv"))


def test_other_channels_and_rates(data):
    write(data / "up" / "names.csv", recording(50), names="time,x,z")
    write(data / "up" / "rate.csv", recording(51), rate=100)
    write(data / "up" / "near.csv", recording(52), rate=50.02)
    (data / "up" / "none.csv").write_text("x,y\n1,2\n3,4\n" * 1 + "5,6\n" * 197)
    found = kinds(data)
    assert [p.detail for p in found["channels"].places] == ["x, z"]
    assert {p.detail for p in found["rate"].places} == {"100 Hz", "no known rate"}
    assert {found["channels"].severity, found["rate"].severity} == {"error"}


def test_dead_sensors_and_other_units(data):
    dead = recording(60)
    dead[:, 1] = 9.81
    write(data / "up" / "dead.csv", dead)
    write(data / "up" / "milli.csv", recording(61, scale=1000.0))
    found = kinds(data)
    assert [(p.path[-8:], p.detail) for p in found["constant"].places] == [("dead.csv", "y")]
    assert [p.path[-9:] for p in found["unit"].places] == ["milli.csv"]
    for path in data.rglob("*.csv"):
        path.write_text("\n".join(f"{row},7" if "x" not in row else f"{row},w"
                                  for row in path.read_text().splitlines()))  # fmt: skip
    messages = [finding.message for finding in check_dataset(data).findings]
    assert "w: the same value in all recordings" in messages


def test_missing_values(data):
    path = data / "up" / "0.csv"
    path.write_text(path.read_text().replace("0.0200,", "0.0200,?,1#").replace("1#", "", 1))
    rows = path.read_text().splitlines()
    rows[2] = "0.0200,?,1"
    path.write_text("\n".join(rows))
    assert "no value for 'x'" in kinds(data)["unreadable"].places[0].detail
    finding = kinds(data, reading=SignalReadOptions(missing="gap"))["missing"]
    assert [place.detail for place in finding.places] == ["1 samples"]


def test_lengths_and_unknown_rates(tmp_path):
    x = np.full((24, 2, 300), np.nan)
    for k in range(24):
        x[k, :, : 300 if k == 5 else 20] = recording(k, 300 if k == 5 else 20).T
    np.savez(tmp_path / "a.npz", X=x, y=["up", "down"] * 12)
    found = kinds(tmp_path / "a.npz")
    assert [p.path[-3:] for p in found["length"].places] == ["z#5"]
    assert found["no rate"].severity == "note"
    assert "no rate" not in kinds(tmp_path / "a.npz", reading=SignalReadOptions(rate=50.0))


def test_groups_are_asked_for_but_numbers_of_series_are_none(tmp_path):
    x = np.stack([recording(k).T for k in range(24)])
    for part in ("TRAIN", "TEST"):
        x = x + 1
        np.savez(tmp_path / f"G_{part}.npz", X=x, y=["up", "down"] * 12, rate=50)
    assert kinds(tmp_path) == {}


def test_nothing_is_kept_of_signals(data, tmp_path):
    with pytest.raises(ArgumentError, match="only what is measured of sound is kept in a cache"):
        check_dataset(data, cache=tmp_path / "cache")
