"""Signals other than sound, live: a recording, or values on a pipe, with all channels kept.

    s16, f32    values in the signal's own unit, little-endian, channels interleaved
    csv         a line a sample; a first line with names says which channel is which

A serial port may begin in the middle of a line, and drop a byte now and then. Unless gaps
are allowed that ends the session with the line's number; where they are, such a line is a
sample that was lost.
"""

from __future__ import annotations

import contextlib
import csv
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from audiocnn.errors import ArgumentError, AudioError
from audiocnn.frontend.base import FrontEnd
from audiocnn.inference.model_input import open_for
from audiocnn.io.audio.blocks import LOUDEST
from audiocnn.io.signals.channels import (
    DEFAULT_OPTIONS,
    SignalReadOptions,
    choose_channels,
    time_column,
)
from audiocnn.io.signals.columns import check_names, is_value, value_of
from audiocnn.streaming.inputs.chunk import Chunk, Samples
from audiocnn.streaming.inputs.file_and_pipe import FORMATS, FileInput, PipeReader

TEXT = "csv"
LOST = "missing"
STDIN = Path("stdin")
AT_LEAST = 256  # samples of a piece of a recording that is not followed in real time
LONGEST_LINE = 1 << 16  # bytes


class SignalFile(FileInput):
    """A recording of any signal, for a model; see `FileInput`.

    Parameters
    ----------
    path, front, reading
        As for `open_for`.
    realtime
        Whether to take as long over it as it lasts.

    Raises
    ------
    AudioError
        As `open_for`; from `chunks`, as it is met.
    """

    lost = LOST

    def __init__(
        self,
        path: str | Path,
        front: FrontEnd,
        reading: SignalReadOptions = DEFAULT_OPTIONS,
        *,
        realtime: bool = False,
    ) -> None:
        self._opened = contextlib.ExitStack()
        self._signal = self._opened.enter_context(open_for(path, front, reading))
        self.name, self.rate = str(path), self._signal.rate or front.rate
        self._realtime, self._closed = realtime, False
        self._seconds = 0.1 if realtime else max(0.1, AT_LEAST / front.rate)

    def _arrays(self) -> Iterator[Samples]:
        yield from self._signal.pieces


class SignalPipe:
    """Values from a file descriptor, for a model.

    Parameters
    ----------
    descriptor
        What to read; 0 is stdin.
    front
        The model's front end; values come at its rate.
    reading
        ``columns`` say which of the channels stand for the model's; a ``rate`` must be
        the model's; ``missing`` may be ``refuse`` or ``gap``.
    format
        ``"s16"``, ``"f32"`` or ``"csv"``.
    channels
        How many raw values are a sample; None for as many as the model has channels.

    Raises
    ------
    ArgumentError
        If the rate, the channels or the format are others than the model's, or make no
        sense.
    AudioError
        From `chunks`: what is wrong with a line.
    """

    name = "stdin"

    def __init__(
        self,
        descriptor: int,
        front: FrontEnd,
        reading: SignalReadOptions = DEFAULT_OPTIONS,
        format: str = TEXT,
        channels: int | None = None,
    ) -> None:
        if format not in (*FORMATS, TEXT):
            known = ", ".join((*FORMATS, TEXT))
            raise ArgumentError(f"--format must be one of {known}, got {format!r}")
        if reading.rate is not None and not front.is_compatible(reading.rate):
            raise ArgumentError(
                f"--rate {reading.rate:g}: the model takes {front.rate:g} Hz; resample before the "
                "pipe, or train a model at that rate"
            )
        if reading.missing == "interpolate":
            raise ArgumentError(
                "live, a line over missing values would need the values to come: take --missing gap"
            )
        self.rate = front.rate
        self._n = len(front.names)
        self._decoder: _Raw | _Lines = (
            _Lines(front.names, reading)
            if format == TEXT
            else _Raw(front.names, reading, format, channels)
        )
        self._pipe = PipeReader(descriptor)

    def chunks(self) -> Iterator[Chunk]:
        """Give samples (K, N) as they come; what is left of half a sample is dropped."""
        for new, when in self._pipe.reads():
            samples = self._decoder.take(new)
            if samples.shape[1]:
                yield Chunk(samples, when, LOST)
            elif when is None:
                yield Chunk(np.empty((self._n, 0), np.float32))
            if self._decoder.error:
                raise self._decoder.error
        if (rest := self._decoder.take(b"\n")).shape[1]:
            yield Chunk(rest, None, LOST)
        if self._decoder.error:
            raise self._decoder.error

    def close(self) -> None:
        """Stop giving pieces."""
        self._pipe.close()


class _Raw:
    """PipeReader to samples: numbers of one kind, channels interleaved."""

    error: AudioError | None = None

    def __init__(
        self, wanted: Sequence[str], reading: SignalReadOptions, format: str, channels: int | None
    ) -> None:
        there = [str(k) for k in range(channels or len(reading.columns) or len(wanted))]
        self._at = [there.index(name) for name in choose_channels(STDIN, there, reading, wanted)]
        self._kind, self._n, self._rest = np.dtype(FORMATS[format][0]), len(there), b""

    def take(self, new: bytes) -> Samples:
        data = self._rest + new
        size = self._kind.itemsize * self._n
        whole = len(data) // size * size
        self._rest = data[whole:]
        values = np.frombuffer(data[:whole], self._kind).reshape(-1, self._n)
        return np.ascontiguousarray(values[:, self._at].T, np.float32)


class _Lines:
    """PipeReader to samples: lines of numbers."""

    def __init__(self, wanted: Sequence[str], reading: SignalReadOptions) -> None:
        self._wanted, self._reading = wanted, reading
        self._at: list[int] | None = None
        self._names: tuple[str, ...] = ()
        self._rest, self._number, self._delimiter = b"", 0, ","
        self.error: AudioError | None = None  # of the line behind the samples that were given

    def take(self, new: bytes) -> Samples:
        *lines, self._rest = (self._rest + new).split(b"\n")
        rows = []
        try:
            for line in lines:
                if (row := self._row(line)) is not None:
                    rows.append(row)
            if len(self._rest) > LONGEST_LINE:
                raise AudioError(f"stdin, line {self._number + 1}: no end of it: is it text?")
        except AudioError as error:
            self.error = error
        return np.array(rows, np.float32).reshape(len(rows), len(self._wanted)).T.copy()

    def _row(self, line: bytes) -> list[float] | None:
        """Give a sample; None for an empty line, or the names."""
        self._number += 1
        if not line.strip():
            return None
        try:
            cells = self._cells(line)
            if set(cells) >= set(self._wanted) and not any(map(is_value, cells)):
                self._at = None  # a device that was started again names its channels again
            if self._at is None and self._begin(cells):
                return None
            return self._values(cells)
        except AudioError:
            # The very first line may be the end of one; who cannot read the second never will.
            if self._reading.missing != "gap" or (self._at is None and self._number > 1):
                raise
            return [np.nan] * len(self._wanted)

    def _cells(self, line: bytes) -> list[str]:
        place = f"stdin, line {self._number}"
        try:
            text = line.decode("utf-8-sig").strip()
            if self._at is None:
                self._delimiter = max(",;\t ", key=text.count)
            if self._delimiter == " ":
                return text.split()
            (cells,) = csv.reader([text], delimiter=self._delimiter)
        except (UnicodeDecodeError, csv.Error, ValueError) as error:
            raise AudioError(f"{place}: is no line of numbers: {line[:40]!r}") from error
        return [cell.strip() for cell in cells]

    def _begin(self, cells: list[str]) -> bool:
        """Find which cells of the first line are wanted; True if it holds names."""
        named = not all(is_value(cell) for cell in cells)
        names = check_names("stdin", cells) if named else tuple(map(str, range(len(cells))))
        time = time_column(STDIN, names, self._reading)
        others = [name for name in names if name != time]
        chosen = choose_channels(STDIN, others, self._reading, self._wanted)
        self._names, self._at = names, [names.index(name) for name in chosen]
        return named

    def _values(self, cells: list[str]) -> list[float]:
        place = f"stdin, line {self._number}"
        if len(cells) != len(self._names):
            raise AudioError(
                f"{place}: has {len(cells)} cells, the first line has {len(self._names)}"
            )
        assert self._at is not None, "the first line was there"
        values = [value_of(place, self._names[at], cells[at]) for at in self._at]
        for at, value in zip(self._at, values, strict=True):
            if not abs(value) <= LOUDEST and self._reading.missing == "refuse":
                raise AudioError(
                    f"{place}: no value for {self._names[at]!r}: give --missing gap to go on "
                    "behind it"
                )
        return values
