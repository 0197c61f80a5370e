"""Events of signals, drawn: every value is seen, gaps stay gaps, names are harmless."""

import re

import numpy as np
import pytest

from audiocnn.cli.main import main
from audiocnn.datasets.reviews import read_reviews
from audiocnn.errors import ArgumentError, AudioError, DatasetError
from audiocnn.io.signals.channels import SignalReadOptions
from audiocnn.labeling.event_plots import LEFT, WIDTH, Trace, TraceOptions, draw_trace, read_trace


def lines(svg: str) -> list[np.ndarray]:
    """Give the points (N, 2) of each line."""
    found = re.findall(r'points="([^"]*)"', svg)
    return [np.array([p.split(",") for p in line.split()], float) for line in found]


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "a.csv"
    rows = [f"{k / 10:.1f},{k},{-k},on" for k in range(100)]
    path.write_text("time,x,y,state\n" + "\n".join(rows) + "\n")
    return path


def test_a_part_is_read_with_the_channels_of_the_model(table):
    trace = read_trace(table, 2.0, 3.05, TraceOptions(channels=("y", "x")))
    assert (trace.names, trace.rate, trace.first) == (("y", "x"), 10.0, 20)
    np.testing.assert_array_equal(trace.samples[1], np.arange(20, 30))
    np.testing.assert_array_equal(trace.samples[0], -np.arange(20, 30))


def test_what_cannot_be_read_is_said(table, tmp_path):
    with pytest.raises(AudioError, match=r"ends before 12 s"):
        read_trace(table, 12, 13, TraceOptions(channels=("x",)))
    with pytest.raises(AudioError, match="'state' is 'on', which is no number"):
        read_trace(table, 0, 1)
    with pytest.raises(ArgumentError, match="needs 0 <= start < end"):
        read_trace(table, 2, 2)
    np.save(tmp_path / "a.npy", np.zeros(50))
    with pytest.raises(AudioError, match="give --rate HZ"):
        read_trace(tmp_path / "a.npy", 0, 1)
    assert read_trace(
        tmp_path / "a.npy", 0, 1, TraceOptions(SignalReadOptions(rate=10))
    ).samples.shape == (
        1,
        10,
    )


def test_a_spike_of_one_sample_among_many_is_seen():
    x = np.zeros((1, 100 * WIDTH), np.float32)
    x[0, 70_123] = 5
    (line,) = lines(draw_trace(Trace(("a",), 1000.0, 0, x), 1, 2, "spike"))
    assert len(line) <= 2 * WIDTH + 2
    top = line[line[:, 1].argmin()]
    assert top[0] == pytest.approx(LEFT + WIDTH * 70_123 / x.size, abs=1.5)
    assert line[:, 1].max() - top[1] == pytest.approx(90)


def test_gaps_are_left_open_and_nothing_at_all_is_no_line():
    x = np.ones((2, 30), np.float32)
    x[0, 10:15] = np.nan
    x[1] = np.nan
    one, two = lines(draw_trace(Trace(("a", "b"), 10.0, 0, x), 1, 2, "gap"))
    assert (len(one), len(two)) == (10, 15)
    assert np.unique(one[:, 1]).size == 1  # one value: a level line, not a division by nothing


def test_the_event_is_shaded_where_it_is():
    svg = draw_trace(Trace(("a",), 10.0, 50, np.zeros((1, 100), np.float32)), 7.5, 10, "e")
    x, width = re.search(r'<rect x="([\d.]+)"[^>]*width="([\d.]+)"', svg).groups()
    assert float(x) == pytest.approx(LEFT + WIDTH / 4, abs=0.1)
    assert float(width) == pytest.approx(WIDTH / 4, abs=0.1)
    assert ">5 s<" in svg
    assert ">15 s<" in svg


def test_names_are_text():
    bad = "<script>&\n\udcff"
    svg = draw_trace(Trace((bad,), 1.0, 0, np.zeros((1, 5), np.float32)), 0, 1, bad)
    assert "<script>" not in svg
    assert "&lt;script&gt;&amp;" in svg
    svg.encode()


def test_a_verdict_on_a_drawing_teaches_the_recording(table, tmp_path, monkeypatch):
    (tmp_path / "events.csv").write_text(
        "path,start,end,label,score\na.csv,2,3,bang,0.9\na.csv,5,6.5,bang,0.8\n"
    )
    monkeypatch.chdir(tmp_path)
    assert main(["clips", "events.csv", "-o", "review", "--columns", "x,y"]) == 0
    names = sorted(path.name for path in (tmp_path / "review" / "bang").iterdir())
    assert names == ["0001_0.90_a_2s.svg", "0002_0.80_a_5s.svg"]
    review = tmp_path / "review" / "review.csv"
    rows = review.read_text().splitlines()
    review.write_text("\n".join([rows[0], rows[1] + "right", rows[2] + "wrong"]))
    one, two = read_reviews(review, ["bang"])
    assert (str(one.path), one.labels, one.start, one.end) == ("a.csv", ("bang",), 2.0, 3.0)
    assert (str(two.path), two.labels, two.start, two.end) == ("a.csv", (), 5.0, 6.5)
    table.unlink()
    with pytest.raises(DatasetError, match=r"review\.csv:2: the recording a\.csv is not there"):
        read_reviews(review, ["bang"])
