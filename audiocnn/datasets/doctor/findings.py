"""The type of a finding, and findings about single recordings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from audiocnn.datasets.doctor.audio_checks import LEVEL_STEP, Examined
from audiocnn.datasets.manifest import Clip
from audiocnn.io.audio.notes import HEADER, PHASE, SPIKES, TRACKS, UNIT

ERROR, WARNING, NOTE = "error", "warning", "note"

UNFIT = (UNIT, PHASE)  # notes on recordings whose levels say nothing
NOTED = {
    UNIT: (ERROR, "hold float samples in another unit than full scale 1",
           "divide them by the full scale of that unit (32,768 for 16 bits)"),
    PHASE: (ERROR, "have channels in opposite phase: their mean is nearly silent",
            "give --channel 0 here, to train and to label: one of the channels is taken"),
    SPIKES: (WARNING, "hold single float samples far beyond full scale",
             "cut them out, or copy the recordings again"),
    HEADER: (NOTE, "hold more than their header says",
             "nothing to do here; other programs may read only the first part"),
    TRACKS: (NOTE, "have several sound tracks", "the first is taken: extract another if need be"),
}  # fmt: skip
SILENT = 10 ** (-70 / 20)  # of full scale: as quiet as training takes for silence
CLIPPED = 1e-3  # share of samples: fewer are hardly audible
OFFSET = 0.01  # of full scale
NARROW = 0.65  # of half the rate, below which a file holds less than its rate promises
RARE_RATE = 0.1  # share of files below which a rate is an exception
SHORT, LONG = 0.1, 10.0  # of the median length


@dataclass(frozen=True)
class Place:
    """A file that a finding is about.

    Parameters
    ----------
    path
        The recording, or the row's place.
    detail
        What was found there.
    """

    path: str
    detail: str = ""


@dataclass(frozen=True)
class Finding:
    """A fault or peculiarity of a dataset.

    Parameters
    ----------
    kind
        A name for programs: ``unreadable``, ``same sound``, ``clipped`` ...
    severity
        ``error``: figures would be wrong or training fail; ``warning``: it may hurt;
        ``note``: good to know.
    message
        What was found.
    advice
        What to do about it.
    places
        Where; none if it is about the dataset as a whole.
    """

    kind: str
    severity: str
    message: str
    advice: str
    places: tuple[Place, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return asdict(self)


def about_files(clips: Sequence[Clip], found: Mapping[Path, Examined]) -> Iterator[Finding]:
    """Report findings on each recording, and on its rate and length compared with the others."""
    yield from about_unreadable(found)
    good = {path: e for path, e in found.items() if not e.error}
    yield from _noted(good)
    # What is in another unit, or cancels itself, is neither clipped nor silent.
    good = {path: e for path, e in good.items() if not {n.kind for n in e.notes} & set(UNFIT)}
    yield from _silent(clips, good)
    for kind, places, message, advice in (
        ("clipped", _places(good, _clipped), "are clipped",
         "record with more headroom, or leave them if the field clips too"),
        ("offset", _places(good, _offset), "have a constant offset",
         "remove it (a high-pass at 20 Hz), and check the recorder's input"),
        ("narrow", _places(good, _narrow),
         "hold nothing in their upper frequencies: upsampled, or a lossy codec's",
         "if they are of some classes only, the network may learn the band limit instead of the"
         " sound: take originals, or train at a lower rate"),
    ):  # fmt: skip
        if places:
            severity = NOTE if kind == "narrow" else WARNING
            yield Finding(kind, severity, f"{_count(places)} {message}", advice, tuple(places))
    yield from _rates(good)
    yield from about_lengths(clips, good)


def _noted(good: Mapping[Path, Examined]) -> Iterator[Finding]:
    """Report what reading has shown: units, opposite phase, headers."""
    for kind, (severity, message, advice) in NOTED.items():
        places = tuple(
            Place(str(path), note.text)
            for path, e in good.items()
            for note in e.notes
            if note.kind == kind
        )
        if places:
            yield Finding(kind, severity, f"{_count(places)} {message}", advice, places)


def about_unreadable(found: Mapping[Path, Examined]) -> Iterator[Finding]:
    """Report the recordings that cannot be read, with the reasons."""
    places = [Place(str(path), e.error) for path, e in found.items() if e.error]
    if places:
        yield Finding(
            "unreadable", ERROR, f"{_count(places)} cannot be read",
            "copy them again, or take them out", tuple(places),
        )  # fmt: skip


def span_of(clip: Clip, found: Examined) -> tuple[float, float]:
    """Return begin and end of a clip in seconds, within its recording."""
    return clip.start, found.duration if clip.end is None else min(clip.end, found.duration)


def _silent(clips: Sequence[Clip], good: Mapping[Path, Examined]) -> Iterator[Finding]:
    places = []
    for clip in clips:
        if clip.path not in good:
            continue
        start, end = span_of(clip, good[clip.path])
        levels = good[clip.path].levels[int(start / LEVEL_STEP) : int(np.ceil(end / LEVEL_STEP))]
        if not levels.size:
            detail = f"begins at {start:g} s, and the recording ends at {end:g} s"
            places.append(Place(str(clip.path), detail))
        elif levels.max() < SILENT and clip.labels:
            loudest = 20 * np.log10(max(float(levels.max()), 1e-9))
            name = f" from {clip.start:g} s" if clip.start else ""
            places.append(Place(str(clip.path), f"{loudest:.0f} dBFS at most{name}"))
    if places:
        yield Finding(
            "silent", WARNING, f"{_count(places, 'clip')} with a label hold no sound",
            "take them out: nothing can be learnt from them", tuple(places),
        )  # fmt: skip


def _places(good: Mapping[Path, Examined], judge: Callable[[Examined], str]) -> list[Place]:
    details = ((path, judge(e)) for path, e in good.items())
    return [Place(str(path), detail) for path, detail in details if detail]


def _clipped(e: Examined) -> str:
    return f"{100 * e.clipped:.2f} % of samples" if e.clipped >= CLIPPED else ""


def _offset(e: Examined) -> str:
    return f"{e.offset:+.3f} of full scale" if abs(e.offset) >= OFFSET else ""


def _narrow(e: Examined) -> str:
    if e.edge >= NARROW * e.rate / 2:
        return ""
    return f"ends at {e.edge / 1000:.1f} of {e.rate / 2000:g} kHz"


def _rates(good: Mapping[Path, Examined]) -> Iterator[Finding]:
    counts = Counter(e.rate for e in good.values())
    if len(counts) < 2:
        return
    usual, _ = counts.most_common(1)[0]
    rare = {rate for rate, n in counts.items() if n < RARE_RATE * len(good)} - {usual}
    places = tuple(Place(str(p), f"{e.rate} Hz") for p, e in good.items() if e.rate in rare)
    listed = ", ".join(f"{n} at {rate} Hz" for rate, n in sorted(counts.items()))
    if places:
        yield Finding(
            "rate", WARNING, f"{_count(list(places))} at another rate than the rest ({listed})",
            "all are resampled, but what lies above half the lowest rate tells them apart: make"
            " sure that the header is right, and that no class is of one rate alone", places,
        )  # fmt: skip
    else:
        advice = "all are resampled; make sure that no class is of one rate alone"
        yield Finding("rate", NOTE, f"several rates: {listed}", advice)


def about_lengths(clips: Sequence[Clip], found: Mapping[Path, Examined]) -> Iterator[Finding]:
    """Report the clips that are far shorter or longer than most."""
    spans = [(clip, span_of(clip, found[clip.path])) for clip in clips
             if clip.path in found and not found[clip.path].error and clip.labels]  # fmt: skip
    if not spans:
        return
    lengths = np.array([end - start for _, (start, end) in spans])
    median = float(np.median(lengths))
    odd = (lengths < SHORT * median) | (lengths > LONG * median)
    if odd.any():
        places = tuple(Place(str(spans[k][0].path), f"{lengths[k]:.2f} s")
                       for k in np.flatnonzero(odd).tolist())  # fmt: skip
        yield Finding(
            "length", WARNING,
            f"{_count(list(places), 'clip')} far shorter or longer than the median, {median:.2f} s",
            "of a long clip, is the label true throughout? Mark where (start and end); of a very"
            " short one, is the sound whole?", places,
        )  # fmt: skip


def _count(places: Sequence[object], what: str = "recording") -> str:
    return f"{len(places)} {what}{'' if len(places) == 1 else 's'}"
