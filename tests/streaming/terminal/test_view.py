"""The terminal view, as a person sees it: on a small terminal of our own."""

import contextlib
import io
import itertools
import os
import re
import time
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from rich.cells import cell_len
from rich.console import Console

from audiocnn.errors import ArgumentError
from audiocnn.streaming.spectrogram import N_BANDS, Meter, Spectrum
from audiocnn.streaming.terminal.canvas import UNICODE, Canvas, plain, width_of
from audiocnn.streaming.terminal.event_log import KEPT, EventLog, spell
from audiocnn.streaming.terminal.layout import arrange
from audiocnn.streaming.terminal.ranking import Ranking
from audiocnn.streaming.terminal.traces import Traces
from audiocnn.streaming.terminal.view import (
    View,
    axis_line,
    entry_line,
    hertz,
    level_line,
    status_line,
)
from tests.live_messages import event, other

RATE = 16000
PIECE = RATE // 50
LABELS = ("dog", "rooster", "rain")
CODE = re.compile(r"\x1b\[(\??)([\d;]*)([A-Za-z])|\n|\r|([^\x1b])", re.S)


class Terminal(io.StringIO):
    """Understands what rich sends, and refuses lines that do not fit."""

    def __init__(self, width: int, height: int, encoding: str = "utf-8") -> None:
        super().__init__()
        self.width, self.height, self._encoding = width, height, encoding
        self.cells = self.empty()
        self.kept: list[list[str]] = []  # the ordinary screen, while the other is shown
        self.x = self.y = 0
        self.n_writes = 0
        self.cursor, self.styles = True, ""

    @property
    def encoding(self) -> str:
        return self._encoding

    def isatty(self) -> bool:
        return True

    def empty(self) -> list[list[str]]:
        return [[" "] * self.width for _ in range(self.height)]

    def write(self, text: str) -> int:
        text.encode(self._encoding)  # as a real one would
        self.n_writes += 1
        super().write(text)
        place = 0
        for match in CODE.finditer(text):
            assert match.start() == place, f"not understood: {text[place : match.start()]!r}"
            place = match.end()
            self.obey(*match.groups(), text=match[0])
        assert place == len(text)
        return len(text)

    def obey(self, private: str, numbers: str, letter: str, shown: str, *, text: str) -> None:
        if shown is not None:
            size = cell_len(shown)
            assert self.x + size < self.width, f"line {self.y} is too wide"
            self.cells[self.y][self.x] = shown
            self.cells[self.y][self.x + 1 : self.x + size] = [""] * (size - 1)
            self.x += size
        elif text == "\n":
            self.x, self.y = 0, min(self.y + 1, self.height - 1)
        elif private and numbers == "1049":
            entering = letter == "h"
            self.cells, self.kept = (
                (self.empty(), self.cells) if entering else (self.kept, self.empty())
            )
            self.x = self.y = 0
        elif private and numbers == "25":
            self.cursor = letter == "h"
        elif letter == "H":
            self.y, self.x = (int(n or 1) - 1 for n in (numbers or "1;1").split(";"))
        elif letter == "J":
            self.cells = self.empty()
        elif letter == "K":
            self.cells[self.y][self.x :] = [" "] * (self.width - self.x)
        else:
            assert letter == "m", f"not understood: {text!r}"
            self.styles += text

    @property
    def lines(self) -> list[str]:
        return ["".join(row).rstrip() for row in self.cells]

    @property
    def text(self) -> str:
        return "\n".join(self.lines)


class Scene:
    """A view on a terminal, with a clock that the test moves."""

    def __init__(
        self,
        width: int = 80,
        height: int = 24,
        labels: tuple[str, ...] = LABELS,
        *,
        colour: Any = "256",
        encoding: str = "utf-8",
        environment: Mapping[str, str] | None = None,
        **options: Any,
    ) -> None:
        self.terminal = Terminal(width, height, encoding)
        self.console = Console(
            file=self.terminal, force_terminal=True, width=width, height=height,
            color_system=colour, _environ=environment or {},
        )  # fmt: skip
        thresholds = np.linspace(0.4, 0.6, len(labels)).tolist()
        self.view = View(labels, thresholds, RATE, "testing", console=self.console, **options)
        self.view.start()
        self.now, self.n_labels = 0.0, len(labels)
        self.random = np.random.default_rng(0)

    def add(self, seconds: float, loud: float = 0.1, scores: Any = None) -> list[str]:
        for _ in range(round(seconds * 50)):
            tone = np.sin(2 * np.pi * 1000 * np.arange(PIECE) / RATE) * np.sqrt(2)
            self.view.add((loud * tone).astype(np.float32))
            self.view.scores(np.asarray(scores or [0.1] * self.n_labels, np.float32))
            self.now += 0.02
            self.view.draw(self.now)
        return self.terminal.lines

    def message(self, kind: str, number: Any, start: float, end: float | None, **more: Any) -> None:
        fields = {"time": "2026-05-04T12:00:00Z", "start": start, "end": end, **more}
        self.view.message(
            other("gap", number, **fields) if kind == "gap" else event(number, type=kind, **fields)
        )


def line_with(lines: list[str], text: str) -> str:
    return next(line for line in lines if text in line)


@pytest.mark.parametrize(("width", "height"), [(80, 24), (200, 50)])
def test_an_event_is_seen(width: int, height: int) -> None:
    scene = Scene(width, height)
    scene.message("onset", 1, 0.0, None)
    scene.view.status("heard 23.7 of 24 h", load=0.012)
    lines = scene.add(2.0, scores=[0.93, 0.2, np.nan])
    text = "\n".join(lines)
    assert re.search(r"dog .*━┃━.* 0\.93", text)  # the bar has passed its threshold
    assert re.search(r"rooster +━+╸?─+┃─+ 0\.20", text)
    assert re.search(r"rain +─+┃─+ +-", text)
    assert re.search(r"dog +now +0\.90", text)
    assert re.search(r"level .*━.*┃─+ +-20 dBFS", text)
    assert "8 kHz" in text
    assert "-10 s" in text
    assert "▀" in text
    assert re.search(r"heard 23\.7 of 24 h .*nothing lost +load 1\.2 %", lines[-1])
    scene.message("event", 1, 0.0, 1.5, score=0.95)
    lines = scene.add(0.5)
    assert re.search(r"dog +1\.5 s +0\.95", "\n".join(lines))
    assert "now  " not in "\n".join(lines)


def test_silence_is_calm() -> None:
    scene = Scene()
    before = scene.add(40.0, loud=0.0)[1:]  # below the clock
    n = len(scene.terminal.getvalue())
    assert scene.add(5.0, loud=0.0)[1:] == before
    assert re.search(r"level  ─+ +-120 dBFS", scene.terminal.text)
    assert len(scene.terminal.getvalue()) - n < 2500  # nothing but the clock was sent


@pytest.mark.parametrize(("width", "height"), [(80, 24), (200, 50), (40, 10)])
def test_a_lost_device_is_seen(width: int, height: int) -> None:
    scene = Scene(width, height)
    scene.add(3.0, scores=[0.9, 0.1, 0.1])
    scene.view.status("heard 3 s", lost=2.0, alarm="microphone lost, trying again")
    for _ in range(100):
        scene.view.add(np.full(PIECE, np.nan, np.float32))
        scene.now += 0.02
        scene.view.draw(scene.now)
    text = scene.terminal.text
    assert "microphone lost, trying" in text
    assert "no sound" in text
    assert UNICODE.lost in text
    assert "lost 2.0 s" in text
    assert "0.9" not in text  # no score is older than the sound
    scene.message("gap", 1, 3.0, 5.0, reason="the microphone is gone")
    scene.view.status("heard 3 s", lost=2.0)
    text = "\n".join(scene.add(1.0))
    assert re.search(r"the micr.* 2\.0 s", text)
    assert "no sound" not in text
    assert "trying again" not in text


def test_a_device_that_gives_nothing_has_no_level() -> None:
    scene = Scene()
    scene.add(1.0)
    for _ in range(10):
        scene.now += 0.25
        scene.view.add(np.zeros(0, np.float32))
        scene.view.draw(scene.now)
    assert "no sound" in scene.terminal.text


def test_clipping_and_the_peak_stay_a_while() -> None:
    scene = Scene()
    scene.add(0.5, loud=0.9)
    lines = scene.add(1.0, loud=0.01)
    assert "CLIP" in lines[1]
    assert "┃" in lines[1]
    assert "CLIP" not in scene.add(3.0, loud=0.01)[1]


@pytest.mark.parametrize("width", [1, 2, 3, 5, 13, 21, 40, 59, 80, 111, 200])
@pytest.mark.parametrize("height", [1, 2, 3, 6, 10, 18, 24, 50])
def test_any_size_fits(width: int, height: int) -> None:
    scene = Scene(width, height, tuple(f"label {i}" for i in range(12)))
    for number in range(30):
        scene.message("onset", number, 0.0, None)
    scene.view.status("all is well", lost=1.0, alarm="or is it?")
    assert len(scene.add(1.0)) == height  # Terminal looks at the widths


@pytest.mark.parametrize("n", [1, 400])
def test_one_class_or_many(n: int) -> None:
    scene = Scene(80, 24, tuple(f"label {i}" for i in range(n)))
    scene.add(1.0)
    assert "label 0 " in scene.terminal.text
    lines = scene.add(0.2, scores=[0.1] * (n - 1) + [0.99])  # shown at once
    assert "0.99" in line_with(lines, f"label {n - 1} ")


@pytest.mark.parametrize("colour", [None, "standard", "256", "truecolor"])
@pytest.mark.parametrize("encoding", ["utf-8", "ascii", "latin-1", "cp437"])
def test_any_terminal(colour: Any, encoding: str) -> None:
    labels = ("[red]dog[/red]", "寿限無" * 20, "a\x1b[2Jb\nc\u202e\udc80", "naïve", "")
    scene = Scene(80, 24, labels, colour=colour, encoding=encoding)
    scene.message("onset", 1, 0.0, None, label=labels[0])
    scene.message("onset", 2, 0.0, None, label=labels[2])
    text = "\n".join(scene.add(2.0, scores=[0.9, 0.8, 0.7, 0.6, np.nan]))
    assert text.count("[red]dog[/red]") == 2  # literally
    assert text.count("a[2Jb c") == 2  # the code in it has no effect
    assert "na?ve" in text if encoding == "ascii" else "naïve" in text
    assert "寿限無" in text if encoding == "utf-8" else "??????" in text
    if encoding == "utf-8":
        assert ("▀" in text) == (colour in ("256", "truecolor"))
    else:
        assert set("=-.|") <= set(text)
        assert "━" not in text


def test_no_colour() -> None:
    scene = Scene(environment={"NO_COLOR": "1"})
    scene.view.status("", alarm="something is wrong")
    text = "\n".join(scene.add(2.0, scores=[0.9, 0.1, 0.1]))
    assert "! something is wrong" in text
    assert "█" in text
    assert not re.search(r"\[[\d;]*[349]\d[\d;]*m", scene.terminal.styles)


def test_any_numbers() -> None:
    scene = Scene()
    for sample in (np.nan, np.inf, -np.inf, 1e30, -3e38, 1e-40):
        scene.view.add(np.full(5 * PIECE, sample, np.float32))
        scene.view.scores(np.array([np.nan, np.inf, -np.inf], np.float32))
        scene.now += 1
        scene.view.draw(scene.now)
    assert "dBFS" in "\n".join(scene.add(3.0))
    scene.message("event", 1, float("nan"), float("nan"), score=None, label="", time="yesterday")
    scene.view.message(other("heartbeat"))
    scene.view.status("", lost=float("nan"), load=float("inf"))
    assert re.search(r"--:--:-- +\?", "\n".join(scene.add(1.0)))


@pytest.mark.parametrize("length", [160, 163, 1600, 480_000, 2_000_000])
def test_pieces_of_any_length(length: int) -> None:
    scene = Scene()
    scene.view.add(np.full(length, 0.1, np.float32))
    scene.view.draw(0.0)
    assert len(scene.terminal.lines) == 24


@pytest.mark.parametrize("rate", [1, 30, 1000, 8000, 11025, 44100, 192_000])
def test_any_rate(rate: int) -> None:
    spectrum = Spectrum(rate)
    spectrum.add(np.random.default_rng(0).standard_normal(3 * rate + 99).astype(np.float32))
    assert np.isfinite(spectrum.picture(20, 8)[:, -1]).all()


def test_no_terminal_nothing_written() -> None:
    for console in (
        Console(file=io.StringIO(), width=80, height=24),
        Console(file=io.StringIO(), force_terminal=True, _environ={"TERM": "dumb"}),
    ):
        with View(LABELS, [0.5] * 3, RATE, "", console=console) as view:
            view.add(np.zeros(PIECE, np.float32))
            view.scores(np.zeros(3, np.float32))
            view.message(event(1, type="onset"))
            view.draw()
        assert not view.possible
        assert console.file.getvalue() == ""  # type: ignore[attr-defined]


@pytest.mark.parametrize("refresh", [1.0, 5.0])
def test_draws_at_most_so_often(refresh: float) -> None:
    scene = Scene(refresh=refresh)
    scene.add(0.1)
    before = scene.terminal.n_writes
    scene.add(10.0)
    assert scene.terminal.n_writes - before <= 10 * refresh + 1


def test_resizing_draws_all_anew() -> None:
    scene = Scene(200, 50)
    scene.add(1.0)
    for width, height in ((80, 24), (40, 10), (120, 30)):
        scene.console.size = (width, height)  # type: ignore[assignment]
        scene.terminal.width, scene.terminal.height = width, height
        text = "\n".join(scene.add(0.5))
        assert "testing" in text
        assert "dog" in text
        assert "load" in text


def test_what_others_write_goes_away() -> None:
    scene = Scene()
    scene.add(1.0)
    scene.terminal.write("\x1b[5;1Hsomebody was here")
    assert "somebody" in scene.terminal.text
    assert "somebody" not in "\n".join(scene.add(11.0))


def test_the_terminal_is_as_before() -> None:
    scene = Scene()
    scene.add(1.0)
    assert not scene.terminal.cursor
    for number in range(30):
        scene.message("event", number, 0.0, number)
    scene.view.stop()
    scene.view.stop()
    assert scene.terminal.cursor
    assert "level" not in scene.terminal.text
    shown = [line for line in scene.terminal.lines if line]
    assert len(shown) == 20  # what was heard stays
    assert re.search(r"^\d\d:00:00  dog +29 s +0\.90$", shown[-1])
    before = scene.terminal.getvalue()
    scene.add(1.0)
    assert scene.terminal.getvalue() == before


@pytest.mark.parametrize("error", [OSError(5, "Input/output error"), BlockingIOError()])
def test_a_terminal_that_fails_ends_nothing(
    error: OSError, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(text: str) -> int:
        raise error

    scene = Scene()
    scene.add(1.0)
    with monkeypatch.context() as patch:
        patch.setattr(scene.terminal, "write", fail)
        scene.add(1.0)
    scene.terminal.cells = scene.terminal.empty()
    n = scene.terminal.n_writes
    text = "\n".join(scene.add(1.0))
    assert scene.terminal.n_writes - n <= 5  # nothing is made up for
    assert ("testing" in text) == isinstance(error, BlockingIOError)  # it was only slow
    scene.view.stop()
    assert scene.terminal.cursor


def seen(terminal: int, text: bytes) -> bool:
    """Wait until a terminal has been given a text; it comes through the kernel, in its time."""
    shown, end = b"", time.monotonic() + 5
    while text not in shown and time.monotonic() < end:
        with contextlib.suppress(BlockingIOError):
            shown += os.read(terminal, 100_000)
    with contextlib.suppress(BlockingIOError):  # what came with it
        time.sleep(0.05)
        os.read(terminal, 100_000)
    return text in shown


@pytest.mark.skipif(os.name != "posix", reason="needs a pseudo-terminal")
def test_a_stopped_terminal_is_not_waited_for() -> None:
    import termios

    ours, its = os.openpty()
    os.set_blocking(ours, False)
    with open(its, "w", encoding="utf-8") as file:
        console = Console(file=file, force_terminal=True, width=80, height=24)
        view = View(LABELS, [0.5] * 3, RATE, "testing", console=console)
        view.start()
        view.draw(0.0)
        assert seen(ours, b"testing")
        termios.tcflow(its, termios.TCOOFF)  # Ctrl-S
        view.status("written while it was stopped")
        view.draw(1.0)  # hangs if it waits
        with pytest.raises(BlockingIOError):
            os.read(ours, 100_000)
        termios.tcflow(its, termios.TCOON)
        view.draw(2.0)
        assert seen(ours, b"written while it was stopped")
        view.stop()
    os.close(ours)


@pytest.mark.parametrize("n", [1, 4, 5, 7, 9, 10, 11, 200, 300])
def test_the_log_shows_the_newest_last(n: int) -> None:
    scene = Scene()
    for number in range(n):
        scene.message("event", number, 0.0, 1.0, label=f"event {number}")
    scene.view.draw(0.0)
    shown = [int(number) for number in re.findall(r"event (\d+)", scene.terminal.text)]
    rows = arrange(78, 24, len(LABELS)).events
    assert shown == list(range(max(0, n - rows), n))


def test_bad_arguments() -> None:
    with pytest.raises(ArgumentError, match="3 labels, but 2 thresholds"):
        View(LABELS, [0.5, 0.5], RATE, "")
    with pytest.raises(ArgumentError, match="must be positive, got 0 and 5"):
        View(LABELS, [0.5] * 3, 0, "")
    with pytest.raises(ArgumentError, match=r"3 labels, but scores \(2,\)"):
        View(LABELS, [0.5] * 3, RATE, "").scores(np.zeros(2, np.float32))


def test_places_change_seldom() -> None:
    ranking = Ranking(np.full(20, 0.5))
    random, orders = np.random.default_rng(0), []
    for step in range(600):  # a minute of noise
        ranking.take(random.uniform(0.05, 0.15, 20))
        orders.append(tuple(ranking.look(6, step / 10)))
    assert sum(a != b for a, b in itertools.pairwise(orders[50:])) <= 3
    ranking.take(np.where(np.arange(20) == 17, 0.9, 0.1))
    assert 17 in ranking.look(6, 60.0)
    for step in range(601, 650):
        ranking.take(np.where(np.arange(20) == 17, 0.9, 0.1))
        order = ranking.look(6, step / 10)
    assert order[0] == 17


def test_the_highest_of_several_scores_is_shown() -> None:
    ranking = Ranking(np.array([0.5]))
    ranking.take(np.array([0.9]))
    ranking.take(np.array([0.1]))
    ranking.look(1, 0.0)
    assert ranking.above(0)
    ranking.take(np.array([0.1]))
    assert not ranking.above(0)


def test_a_tone_is_drawn_where_it_is() -> None:
    spectrum = Spectrum(RATE)
    tone = 0.5 * np.sin(2 * np.pi * 1000 * np.arange(31 * RATE) / RATE)
    spectrum.add(tone.astype(np.float32))
    picture = spectrum.picture(60, N_BANDS)[::-1]
    mel = np.linspace(np.log1p(60 / 700), np.log1p(8000 / 700), N_BANDS + 1)
    row = int(np.searchsorted(mel, np.log1p(1000 / 700))) - 1
    assert set(picture.argmax(axis=0)) <= {row, row + 1}
    np.testing.assert_allclose(picture.max(axis=0), -6.0, atol=0.1)  # dBFS
    level, peak, heard, lost = spectrum.levels()
    assert (round(level), round(peak), heard, lost) == (-9, -6, True, False)


def test_columns_stay_as_they_are_while_time_goes_on() -> None:
    spectrum, random = Spectrum(RATE), np.random.default_rng(0)
    spectrum.add(random.standard_normal(35 * RATE).astype(np.float32))
    before = spectrum.picture(70, 8)
    while np.array_equal(spectrum.picture(70, 8), before):
        spectrum.add(random.standard_normal(PIECE).astype(np.float32))
    np.testing.assert_array_equal(spectrum.picture(70, 8)[:, :-1], before[:, 1:])


def test_the_meter_falls_slowly() -> None:
    meter = Meter()
    meter.update((-10.0, -5.0, True, False), 0.0)
    meter.update((-90.0, -80.0, True, False), 1.0)
    assert meter.shown == (-34.0, -5.0)
    meter.update((-90.0, -80.0, True, False), 3.5)
    assert meter.peak == -65.0


def test_the_log_joins_gaps_and_forgets() -> None:
    log = EventLog()
    for number in range(3):
        log.message(other("gap", number, start=1.0, end=1.5))
    assert len(log.entries) == 1
    assert (log.entries[0].count, log.entries[0].length) == (3, 1.5)
    for number in range(1000):
        log.message(event(number, type="onset", start=0.0))
    assert len(log.entries) == log.sounding == KEPT
    log.message(event(3, start=0.0, end=2.0))
    assert log.entries[-1].length == 2.0  # begun long ago, told again


def test_a_new_day_is_said() -> None:
    log = EventLog()
    for day in (4, 4, 6):
        time = f"2026-05-0{day}T12:00:00Z"
        log.message(event(day, time=time, label="a"))
    assert [entry.kind for entry in log.entries] == ["event", "event", "day", "event"]
    line = entry_line(Canvas(Console(file=Terminal(80, 24))), log.entries[2], 60)
    assert line[0].text.startswith("── Wednesday 06 May 2026 ──")


def test_small_words() -> None:
    lengths = (0.04, 9.96, 60.0, 400.0, 9000.0, float("inf"))
    assert [spell(s) for s in lengths] == ["0.0 s", "10 s", "60 s", "7 min", "2.5 h", "?"]
    assert [hertz(f) for f in (60, 5512.5, 8000, 16000)] == ["60 Hz", "5.5 kHz", "8 kHz", "16 kHz"]
    assert plain("a\tb\x00\u200dc") == "a bc"


@pytest.mark.parametrize("width", [*range(1, 30), 60, 100])
def test_lines_are_as_wide_as_asked(width: int) -> None:
    canvas = Canvas(Console(file=Terminal(80, 24), force_terminal=True))
    meter = Meter()
    meter.update((-10.0, 0.0, True, False), 0.0)
    assert width_of(level_line(canvas, meter, width)) <= width
    assert width_of(status_line(canvas, "status " * 9, 1.0, 0.1, width)) <= width
    assert width_of(axis_line(canvas, width, 0.4, 0)) <= width
    assert width_of(canvas.rule("events", width)) == width
    assert cell_len(canvas.text("寿限無寿限無", width).text) == width


def test_every_line_has_one_use() -> None:
    for height in range(18, 60):
        for width in (80, 200):
            layout = arrange(width, height, 50)
            rows = layout.events if layout.side_by_side else layout.events + layout.scores
            rows += layout.headings * (1 if layout.side_by_side else 2)
            assert rows + layout.picture + 5 == height


@pytest.mark.parametrize(("width", "height"), [(80, 24), (200, 50), (40, 10)])
@pytest.mark.parametrize("n", [3, 40])
def test_a_signal_is_seen_as_strips(width: int, height: int, n: int) -> None:
    names = tuple(f"ch{k}" for k in range(n))
    scene = Scene(width, height, traces=Traces(50.0, names, (0.0,) * n, (1.0,) * n))
    for step in range(200):
        x = np.repeat(np.sin(step / 10 + np.arange(n, dtype=np.float32))[:, None], 5, axis=1)
        scene.view.add(np.full_like(x, np.nan) if 100 <= step < 110 else x)
        scene.view.scores(np.array([0.9, 0.1, 0.1], np.float32))
        scene.now += 0.1
        scene.view.draw(scene.now)
    text = scene.terminal.text
    assert f"{n} channels at 50 Hz" in text
    assert "dBFS" not in text
    assert UNICODE.lost in text
    assert ("ch0" in text) == (width >= 60)
    assert "0.90" in text
    for _ in range(20):
        scene.now += 0.1
        scene.view.draw(scene.now)
    assert f"{n} channels at 50 Hz: no signal" in scene.terminal.text
