"""Run a session: chunks of samples in, messages out, until the input or the session ends.

    input -> chunks -> blocks -> listen -> find_events -> messages -> send

It is the path that labels files. Live, chunk by chunk, there is more: losses are counted,
sound is kept for clips or recorded, observers are called, and the session may be stopped.
Everything runs in the caller's thread.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Protocol

from audiocnn.inference.bundle import Bundle
from audiocnn.inference.events import EventRule, Explain, find_events
from audiocnn.inference.pipeline import listen
from audiocnn.inference.windows import Scores
from audiocnn.io.audio.blocks import cut_blocks
from audiocnn.streaming.inputs.chunk import Chunk, Input, Samples
from audiocnn.streaming.session import Session


class Observer(Protocol):
    """Sees every chunk of a session: a view, a recorder, a level meter."""

    def add(self, samples: Samples) -> None:
        """Take a chunk's samples, NaN where they were lost."""

    def tick(self, session: Session) -> None:
        """Do what is due; called after every chunk, an empty one too."""


def run_session(
    bundle: Bundle,
    source: Input,
    session: Session,
    *,
    rules: Mapping[str, EventRule] | None = None,
    observers: Iterable[Observer] = (),
    on_scores: Callable[[Scores], None] | None = None,
    explain: Explain | None = None,
    closing: Iterable[Callable[[], None]] = (),
) -> None:
    """Listen until the input ends, the session's time is over, or it is stopped.

    Parameters
    ----------
    bundle, source
        The model and its input. The input is closed at the end.
    session
        Receives the books and sends the messages.
    rules
        Instead of the bundle's.
    observers
        Called with every chunk.
    on_scores
        Called with every run of windows.
    explain
        See `find_events`.
    closing
        Called when the last event was sent, before the session's end is.

    Raises
    ------
    AudiocnnError
        What the input raises, after the events up to there were sent.
    """
    watching = list(observers)
    errors: list[Exception] = []

    def receive() -> Iterator[Samples]:
        for chunk in _until(source, session, errors):
            session.add(chunk)
            for observer in watching:
                observer.add(chunk.samples)
            if chunk.samples.size:
                yield chunk.samples
            session.beat()
            for observer in watching:
                observer.tick(session)

    def reported(runs: Iterator[Scores]) -> Iterator[Scores]:
        for run in runs:
            session.count_windows(run, bundle.labels)
            if on_scores and run.values.shape[1]:
                on_scores(run)
            yield run

    rate = bundle.front.stream_rate(source.rate)
    blocks = cut_blocks(receive(), source.rate, rate, seconds=session.options.block)
    scores = reported(listen(bundle, blocks, session.options.hop))
    try:
        for event in find_events(scores, rules or bundle.rules, onsets=True, explain=explain):
            session.report_event(event)
    finally:
        for close in (source.close, *closing):
            close()
        session.finish(str(errors[0]) if errors else "")
    if errors:
        raise errors[0]


def _until(source: Input, session: Session, errors: list[Exception]) -> Iterator[Chunk]:
    """Give chunks until the session is over; an error ends the stream, and is raised later."""
    seconds = session.options.seconds
    left = None if seconds is None else round(seconds * session.rate)
    chunks = source.chunks()
    while not session.stopped.is_set() and left != 0:
        try:
            chunk = next(chunks, None)
        except Exception as error:  # events up to here are sent first
            errors.append(error)
            return
        if chunk is None:
            return
        if left is not None:
            if chunk.samples.shape[-1] > left:
                chunk = Chunk(chunk.samples[..., :left], chunk.time, chunk.lost)
            left -= chunk.samples.shape[-1]
        yield chunk
