"""Which seconds of a recording were scored, and which were skipped, and why.

A `CoverageMeter` observes the stream at two places, before the engine and behind the
windows. ``scored`` and all ``skipped`` add up to the ``seconds`` of the recording. Only
totals are kept, so a day needs no more memory than a minute.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np

from audiocnn.inference.windows import Scores
from audiocnn.io.audio.blocks import Block
from audiocnn.io.audio.decoder import AudioInfo
from audiocnn.io.signals.reader import Signal

NOT_FINITE = "not finite"
MISSING = "missing"  # of signals whose missing values are to be gaps
BETWEEN = "between windows"  # the hop is longer than a window
REST = "ends shorter than a column"
UNREADABLE = "unreadable"
TIME_NOISE = 1e-6  # seconds; what sums of floating-point times may be off by


@dataclass(frozen=True)
class Skipped:
    """Seconds that no window covers, for one reason.

    Parameters
    ----------
    reason
        One of the constants of this module.
    seconds
        Total length of all stretches.
    first
        Begin of the first stretch, seconds.
    """

    reason: str
    seconds: float
    first: float


@dataclass(frozen=True)
class Coverage:
    """Which seconds of a recording were scored.

    Parameters
    ----------
    seconds
        Its length by its header or, where that is unreliable, as decoded.
    scored
        Seconds that windows cover.
    padded
        Seconds of zeros behind a recording shorter than a window; not part of ``seconds``.
    skipped
        The remaining seconds, by reason.
    interpolated
        Seconds of a signal at which missing values were interpolated.
    """

    seconds: float = 0.0
    scored: float = 0.0
    padded: float = 0.0
    skipped: tuple[Skipped, ...] = ()
    interpolated: float = 0.0


@dataclass
class CoverageMeter:
    """Running totals of a recording while its blocks and windows pass.

    Parameters
    ----------
    rate
        Sample rate of the latest block.
    gap
        Reason under which missing samples are counted.
    """

    rate: float
    gap: str = NOT_FINITE
    end: int = 0  # of the last block, in samples
    ends: deque[float] = field(default_factory=deque)  # of segments whose windows are to come
    scored: float = 0.0
    scored_to: float | None = None  # in this segment
    padded: float = 0.0
    skipped: dict[str, Skipped] = field(default_factory=dict)

    def skip(self, reason: str, begin: float, end: float) -> None:
        """Count a stretch that no window will cover."""
        if end - begin > TIME_NOISE:
            before = self.skipped.get(reason, Skipped(reason, 0.0, begin))
            self.skipped[reason] = Skipped(reason, before.seconds + end - begin, before.first)


def watch_blocks(blocks: Iterable[Block], meter: CoverageMeter) -> Iterator[Block]:
    """Pass blocks on and count gaps."""
    sounding = False
    for block in blocks:
        if sounding and block.start != meter.end:  # also an empty one: the segment has ended
            meter.ends.append(meter.end / meter.rate)
            sounding = False
        if n := block.samples.shape[-1]:
            meter.rate = block.rate
            meter.skip(meter.gap, meter.end / meter.rate, block.start / meter.rate)
            meter.end, sounding = block.start + n, True
        yield block
    if sounding:
        meter.ends.append(meter.end / meter.rate)


def watch_windows(runs: Iterable[Scores], meter: CoverageMeter) -> Iterator[Scores]:
    """Pass scores on and count each second that windows cover, once."""
    for run in runs:
        begins, ends = run.times
        meter.padded += run.padded
        if begins.size:
            before = begins[0] if meter.scored_to is None else meter.scored_to
            seen_to = np.append(before, ends[:-1])
            meter.scored += float(np.maximum(0, ends - np.maximum(begins, seen_to)).sum())
            for gap in np.flatnonzero(begins - seen_to > TIME_NOISE).tolist():
                meter.skip(BETWEEN, float(seen_to[gap]), float(begins[gap]))
            meter.scored_to = float(ends[-1])
        if run.last:  # the blocks are ahead: they have seen this segment's end
            assert meter.scored_to is not None, "a segment has at least one window"
            meter.skip(REST, meter.scored_to, meter.ends.popleft())
            meter.scored_to = None
        yield run


def coverage_of(meter: CoverageMeter, info: AudioInfo | None, error: str) -> Coverage:
    """Compute the coverage of a recording of sound, once all of it has passed.

    Parameters
    ----------
    meter
        Its totals.
    info
        Its header, if that could be read.
    error
        Why it ended early; empty if it did not.
    """
    end = meter.end / meter.rate
    promised = info.duration if info and info.duration is not None else end
    exact = info is not None and info.frames is not None and info.format != "MP3"
    if promised - end > 0.75 / meter.rate and (exact or error):  # not by rounding alone
        meter.skip(UNREADABLE if error else NOT_FINITE, end, promised)
        end = promised
    return Coverage(end, meter.scored, meter.padded, tuple(meter.skipped.values()))


def signal_coverage(meter: CoverageMeter, signal: Signal | None, interpolates: bool) -> Coverage:
    """Compute the coverage of another signal; ``signal`` is None if it could not be opened."""
    if signal is None or signal.rate is None:
        return Coverage()
    end = max(meter.end, signal.n_samples) / signal.rate
    meter.skip(meter.gap, meter.end / meter.rate, end)
    filled = signal.missed.samples / signal.rate if interpolates else 0.0
    return Coverage(end, meter.scored, meter.padded, tuple(meter.skipped.values()), filled)
