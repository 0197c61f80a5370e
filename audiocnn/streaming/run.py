"""Listening live: pieces of sound in, messages out, for as long as it is to last.

    input -> pieces -> blocks -> listen -> find_events -> messages -> send

It is the path that labels files; live, something is done beside it, piece by piece:
what was lost is noted, the sound is kept for clips or written down, somebody looks on,
and there is a time to stop. Everything runs in the caller's thread.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Protocol

from audiocnn.inference.bundle import Bundle
from audiocnn.inference.events import EventRule, Explain, find_events
from audiocnn.inference.pipeline import listen
from audiocnn.inference.windows import Scores
from audiocnn.io.audio.blocks import cut_blocks
from audiocnn.streaming.inputs.chunk import Input, Piece, Samples
from audiocnn.streaming.session import Session


class Watcher(Protocol):
    """Somebody who looks on: a view, a recorder, a meter."""

    def run_network(self, samples: Samples) -> None:
        """Be given every piece, NaN where samples were lost."""

    def tick(self, session: Session) -> None:
        """Be called after every piece, an empty one too."""


def run_session(
    bundle: Bundle,
    source: Input,
    session: Session,
    *,
    rules: Mapping[str, EventRule] | None = None,
    watchers: Iterable[Watcher] = (),
    on_scores: Callable[[Scores], None] | None = None,
    explain: Explain | None = None,
) -> None:
    """Listen until the input ends, the plan's time is over, or the session is stopped.

    Parameters
    ----------
    bundle, source
        The model and what it is to hear. The source is closed at the end.
    session
        Where messages go; and what remains.
    rules
        Instead of the bundle's.
    watchers
        Who looks on.
    on_scores
        Called with every run of windows.
    explain
        See `find_events`.

    Raises
    ------
    AudiocnnError
        What the source raises, once the events up to there are told.
    """
    plan, watching = session.plan, list(watchers)
    errors: list[Exception] = []

    def run_network() -> Iterator[Samples]:
        for piece in _until(source, session, errors):
            session.take(piece)
            for watcher in watching:
                watcher.run_network(piece.samples)
            if piece.samples.size:
                yield piece.samples
            session.beat()
            for watcher in watching:
                watcher.tick(session)

    def told(runs: Iterator[Scores]) -> Iterator[Scores]:
        for run in runs:
            session.n_windows += run.values.shape[1]
            if plan.scores:
                session.tell_scores(run, bundle.labels)
            if on_scores and run.values.shape[1]:
                on_scores(run)
            yield run

    rate = bundle.front.stream_rate(source.rate)
    blocks = cut_blocks(run_network(), source.rate, rate, seconds=plan.block)
    scores = told(listen(bundle, blocks, plan.hop))
    try:
        for event in find_events(scores, rules or bundle.rules, onsets=True, explain=explain):
            session.tell(event)
    finally:
        source.close()
        session.finish()
    if errors:
        raise errors[0]


def _until(source: Input, session: Session, errors: list[Exception]) -> Iterator[Piece]:
    """Give pieces until it is enough; an error ends the stream like its end, to begin with."""
    left = None if session.plan.seconds is None else round(session.plan.seconds * session.rate)
    pieces = source.pieces()
    while not session.stopped.is_set() and left != 0:
        try:
            piece = next(pieces, None)
        except Exception as error:  # what was heard is told first, then raised again
            errors.append(error)
            return
        if piece is None:
            return
        if left is not None:
            if piece.samples.shape[-1] > left:
                piece = Piece(piece.samples[..., :left], piece.time, piece.lost)
            left -= piece.samples.shape[-1]
        yield piece
