"""Recordings of any kind as blocks for a model: its channels, at its sample rate.

Sound is mixed and resampled on the way (`audio`), other signals are not (`signals`): there
a recording has the model's channels and rate, or is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from audiocnn.errors import AudioError
from audiocnn.frontend.base import FrontEnd, SignalFrontEnd
from audiocnn.io.audio.blocks import Block, Samples, finite, mix
from audiocnn.io.audio.decoder import open_recording
from audiocnn.io.audio.reader import find_recordings, read_audio, read_blocks
from audiocnn.io.signals.cache import open_held
from audiocnn.io.signals.channels import DEFAULT_OPTIONS, SignalReadOptions
from audiocnn.io.signals.discovery import find_signals
from audiocnn.io.signals.reader import Signal, open_signal

SAME_RATE = SignalFrontEnd.rate_tolerance  # by which a file's rate may differ
AT_ONCE = 1 << 16  # samples of a block, all channels together, at most


def find_for(
    paths: Sequence[str | Path],
    front: FrontEnd,
    on_error: Callable[[AudioError], None] | None = None,
) -> list[Path]:
    """List the recordings in files and folders that a model takes.

    Parameters
    ----------
    paths
        As for `find_recordings` or `find_signals`.
    front
        The model's front end, which decides between the two.
    on_error
        Called for each folder below that cannot be read, in place of raising.

    Raises
    ------
    AudioError
        As those.
    """
    find = find_recordings if front.sound else find_signals
    return find(paths, on_error)


@contextmanager
def open_for(
    path: str | Path,
    front: FrontEnd,
    reading: SignalReadOptions = DEFAULT_OPTIONS,
    *,
    again: bool = False,
) -> Iterator[Signal]:
    """Open a recording for a model: its channels, in its order, at its rate.

    Parameters
    ----------
    path
        As for `open_signal`.
    front
        The model's front end. Its channels are found by name; if the file's have none
        but numbers, by position. A file that does not say its rate has the model's.
    reading
        How; ``columns``, if given, stand for the model's channels in their order.
    again
        Whether other parts of it will be read, see `audiocnn.io.signals.cache`.

    Raises
    ------
    AudioError
        As `open_signal`, and if channels or rate are others than the model's.
    """
    with (open_held if again else open_signal)(path, reading, front.names) as signal:
        if signal.rate is not None and not front.is_compatible(signal.rate):
            raise AudioError(
                f"{path} is at {signal.rate:g} Hz, and the model at {front.rate:g} Hz: resample "
                "it, or train a model at that rate"
            )
        signal.rate = signal.rate or front.rate
        yield signal


@contextmanager
def open_pieces(
    path: str | Path, front: FrontEnd, reading: SignalReadOptions = DEFAULT_OPTIONS
) -> Iterator[tuple[Iterator[Samples], float]]:
    """Open a recording for a model, at the sample rate at which it was recorded.

    Parameters
    ----------
    path, front, reading
        As for `read_for`.

    Yields
    ------
    pieces, rate
        Samples (N,) of sound, mixed to mono, or (K, N), as they are decoded; not finite
        where they are missing. Samples per second.

    Raises
    ------
    AudioError
        As `open_recording` and `open_for`; from the pieces, as it is met.
    """
    if front.sound:
        with open_recording(path) as source:
            pieces = (mix(piece, reading.channel) for piece in source.pieces)
            yield pieces, source.info.rate
    else:
        with open_for(path, front, reading) as signal:
            yield iter(signal.pieces), signal.rate or front.rate


def read_for(
    path: str | Path,
    front: FrontEnd,
    reading: SignalReadOptions = DEFAULT_OPTIONS,
    *,
    seconds: float = 10.0,
) -> Iterator[Block]:
    """Read a recording of any kind for a model, in constant memory.

    Parameters
    ----------
    path
        Sound for a model of sound, see `read_blocks`; else as for `open_signal`.
    front
        The model's front end.
    reading
        How signals other than sound are read.
    seconds
        Length of a block of sound; it decides about memory, never about samples.

    Yields
    ------
    Block
        At the front end's rate, or at a recording's own that is nearly it: times are
        computed with its own. ``start`` jumps over what is missing.

    Raises
    ------
    AudioError
        As `read_blocks` and `open_for`.
    """
    if not front.sound:
        with open_for(path, front, reading) as signal:
            yield from blocks_of(signal)
        return
    yield from read_blocks(path, round(front.rate), seconds=seconds, channel=reading.channel)


def read_part(
    path: str | Path,
    front: FrontEnd,
    start: float,
    end: float | None,
    reading: SignalReadOptions = DEFAULT_OPTIONS,
) -> Iterator[Block]:
    """Read a part of a recording for a model, as if it were a recording of its own.

    Parameters
    ----------
    path, front, reading
        As for `read_for`.
    start, end
        Seconds; to the end of the recording if ``end`` is None or lies beyond.

    Raises
    ------
    AudioError
        As `read_audio` and `read_for`; if the part is empty.
    """
    if front.sound:
        samples = read_audio(path, round(front.rate), start=start, end=end, channel=reading.channel)
        yield Block(samples, 0, front.rate)
        return
    n = 0
    for block in _blocks_again(path, front, start, reading):
        first = round(start * block.rate)
        last = None if end is None else round(end * block.rate)
        begin = max(0, first - block.start)
        samples = block.samples[:, begin : None if last is None else max(0, last - block.start)]
        n += samples.shape[1]
        if samples.shape[1]:
            yield Block(samples, block.start + begin - first, block.rate)
        if last is not None and block.start + block.samples.shape[1] >= last:
            break
    if not n:
        raise AudioError(f"{path}: no sample lies between {start:g} s and its end")


def _blocks_again(
    path: str | Path, front: FrontEnd, start: float, reading: SignalReadOptions
) -> Iterator[Block]:
    assert not front.sound, "parts of sound are read by read_audio"
    with open_for(path, front, reading, again=True) as signal:
        yield from blocks_of(signal, round(start * (signal.rate or front.rate)))


def blocks_of(signal: Signal, first: int = 0) -> Iterator[Block]:
    """Cut a signal into blocks; ``start`` jumps over what is missing in any channel.

    Parameters
    ----------
    signal
        An open signal.
    first
        The sample before which nothing is needed.

    Raises
    ------
    AudioError
        If nothing in it can be used, as far as it is known.
    """
    assert signal.rate is not None, "open_for sets the rate"
    size = max(1, AT_ONCE // len(signal.names))
    n_blocks = 0
    for at, part in signal.parts_since(first):
        good = finite(part)
        edges = np.flatnonzero(np.diff(good, prepend=False, append=False)).reshape(-1, 2)
        for begin, end in edges.tolist():
            for cut in range(begin, end, size):
                n_blocks += 1
                yield Block(part[:, cut : min(cut + size, end)], at + cut, signal.rate)
    if not n_blocks and not first:
        raise AudioError(f"{signal.path} holds no sample at which all channels have a value")
