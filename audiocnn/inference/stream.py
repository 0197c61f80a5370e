"""Events of a stream that comes in pieces, as from an audio callback."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike

from audiocnn.errors import ArgumentError
from audiocnn.inference.engine import Array, Columns, SegmentRun
from audiocnn.inference.events import Event, EventFinder, EventRule
from audiocnn.inference.pipeline import Pipeline
from audiocnn.inference.windows import WindowScorer
from audiocnn.io.audio.blocks import Block, Resampler, finite, nearest_sample


class Stream:
    """Samples in, events out; `audiocnn.inference.bundle.Bundle.stream` makes one.

    Parameters
    ----------
    pipeline
        Samples to scores.
    rules
        One per label.
    rate
        Samples per second of what is pushed; sound is resampled. The model's if None.
    source
        Put into every event.
    onsets
        Whether `push` also returns each event once when it begins, with ``end`` None.

    Notes
    -----
    The events are those of a file with the same samples, however they are cut. The work is
    done by the caller of `push`; a callback that must not wait puts samples into a queue.

    Examples
    --------
    >>> import audiocnn, numpy as np
    >>> stream = audiocnn.load("environment").stream()
    >>> stream.push(np.zeros(16000, np.float32)), stream.close()
    ([], [])
    """

    def __init__(
        self, pipeline: Pipeline, rules: Mapping[str, EventRule], *, rate: float | None = None,
        source: str = "", onsets: bool = False,
    ) -> None:  # fmt: skip
        front = pipeline.network.front
        self._pipeline, self._front = pipeline, front
        self._rate = front.rate if rate is None else rate
        self._target = front.stream_rate(self._rate)
        front.check_samples(front.no_samples(), self._target)
        self._scorer = WindowScorer(pipeline.grid, pipeline.calibration, pipeline.pool)
        self._finder = EventFinder(rules, source=source, onsets=onsets)
        self._n_pushed = 0  # at the stream's rate
        self._end = -1  # sample of the model at which the last segment ended
        self._segment: tuple[SegmentRun, Resampler] | None = None
        self._at = 0
        self._closed = False

    def push(self, samples: ArrayLike, lost: int = 0) -> list[Event]:
        """Take the next samples; return the events that end (or begin) with them.

        Parameters
        ----------
        samples
            (N,) of sound, full scale at 1; (K, N) of other signals. What is not finite is
            a gap.
        lost
            Samples that went missing before these: a gap, at which active events end.

        Raises
        ------
        ArgumentError
            If the shape is wrong, or the stream is closed.
        """
        if self._closed:
            raise ArgumentError("the stream is closed: make a new one with bundle.stream()")
        if lost < 0:
            raise ArgumentError(f"lost counts samples, 0 or more, got {lost}")
        x = np.asarray(samples, np.float32)
        self._front.check_samples(x, self._target)
        events = self._end_segment() if lost else []
        self._n_pushed += lost
        good = finite(x)
        if good.all():
            events += self._take(self._n_pushed, x)
        else:
            edges = np.flatnonzero(np.diff(good, prepend=False, append=False)).reshape(-1, 2)
            for begin, end in edges.tolist():
                if begin:
                    events += self._end_segment()
                events += self._take(self._n_pushed + begin, x[..., begin:end])
            if not good[-1]:
                events += self._end_segment()
        self._n_pushed += x.shape[-1]
        return events

    def close(self) -> list[Event]:
        """End the stream: return the events that end with it, the last window included."""
        self._closed = True
        return self._end_segment()

    def _take(self, index: int, samples: Array) -> list[Event]:
        """Take finite samples of one segment, the first of them at ``index``."""
        if not samples.shape[-1]:
            return []
        if self._segment is None:
            pipeline = self._pipeline
            run = SegmentRun(pipeline.network, pipeline.grid, pipeline.output)
            self._segment = run, Resampler(self._rate, self._target)
            self._at = max(self._end + 1, nearest_sample(index, self._rate, self._target))
        run, resampler = self._segment
        return self._feed(run, resampler.push(samples))

    def _feed(self, run: SegmentRun, samples: Array) -> list[Event]:
        if not samples.shape[-1]:
            return []
        block = Block(samples, self._at, self._target)
        self._at += samples.shape[-1]
        return [event for columns in run.push(block) for event in self._events(columns)]

    def _events(self, columns: Columns) -> list[Event]:
        found = self._scorer.push(columns)
        return [event for scores in found for event in self._finder.push(scores)]

    def _end_segment(self) -> list[Event]:
        if self._segment is None:
            return []
        (run, resampler), self._segment = self._segment, None
        events = self._feed(run, resampler.close())
        for columns in run.close():
            events += self._events(columns)
        self._end = self._at
        return events
