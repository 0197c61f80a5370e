"""What it got wrong, to look at and to hear: clips, and sounds that are none of the classes."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from audiocnn.datasets.manifest import Clip
from audiocnn.evaluation.threshold_search import clip_runs
from audiocnn.inference.events import Event, find_events
from audiocnn.training.report import drawing
from audiocnn.training.report.embedding_map import nearest_clips
from audiocnn.training.report.page import Section, grid, paragraph, table, text
from audiocnn.training.report.subject import Subject
from audiocnn.training.report.summary import counted, number, percent

Array = NDArray[np.float32]
SHOWN = 12
ALARMS = 8
BEFORE = 0.5  # seconds of sound before a false alarm


def mistakes_section(subject: Subject) -> Section:
    """Show the clips that were judged wrongly with the most confidence."""
    t, known = subject.training, subject.known
    scores, targets = t.scores[known], t.targets[known] > 0
    labelled = np.asarray(targets.any(1))
    own = np.where(targets, scores, -1).max(1)
    lead = np.where(labelled, np.where(targets, -1, scores).max(1) - own, -np.inf)
    wrong = int((lead > 0).sum())
    order = [i for i in np.argsort(-lead, kind="stable").tolist() if labelled[i]][:SHOWN]
    if wrong:
        order = [i for i in order if lead[i] > 0]
    cards = [
        _clip_card(subject, int(known[i]), scores[i], [
            label for label, true in zip(subject.labels, targets[i], strict=True) if true
        ]) for i in order
    ]  # fmt: skip
    if wrong:
        head = (
            f"{wrong} of {int(labelled.sum())} clips were named wrongly. These are the worst: "
            "surest of the wrong name. Look closely: some labels may be wrong, not the network."
        )
    elif len(subject.labels) < 2:
        head = "There is nothing to mistake it for. These clips had the lowest scores."
    else:
        head = "No clip was named wrongly. These came closest to it."
    said = "The score of 1 would be certainty. Time runs to the right"
    if subject.sound:
        said += (
            ", pitch upward, bright is loud. "
            "Players hold at most the first 6 seconds, made about equally loud"
        )
    said += "."
    return Section("mistakes", "The worst mistakes", paragraph(head) + grid(cards, said, "cards"))


def _clip_card(subject: Subject, at: int, scores: Array, true: list[str]) -> str:
    clip = subject.training.clips[at]
    best = int(scores.argmax())
    said, truth = subject.labels[best], " and ".join(true)
    verdict = "right" if said in true else "wrong"
    own = max(float(scores[subject.labels.index(label)]) for label in true)
    words = (
        f'<h4>{text(truth)}</h4><p>It said <b class="{verdict}">{text(said)}</b> '
        f"({scores[best]:.2f}); {text(truth)} had {own:.2f}</p>"
    )
    near = _nearest(subject, at)
    return words + _seen_and_heard(subject, clip, truth) + _name_of(clip) + near


def _nearest(subject: Subject, at: int) -> str:
    """Name the clips of other groups that sound most like one to the backbone."""
    clips = subject.training.clips
    rows = [
        f"{text(' and '.join(clips[k].labels) or 'none of the classes')}: "
        f"{text(clips[k].path.name)} ({similarity:.2f})"
        for k, similarity in nearest_clips(subject, at)
    ]
    return f'<p class="name">most similar: {"; ".join(rows)}</p>' if rows else ""


def _seen_and_heard(subject: Subject, clip: Clip, said: str, begin: float = 0.0) -> str:
    samples = subject.read(clip, begin)
    if samples is None or samples.shape[-1] < subject.bundle.front.n_samples:
        return "<p><small>the recording is not there any more</small></p>"
    frames = subject.frames(samples)
    drawn = drawing.picture_of(frames, subject.bundle.front, f"input: {said}", 3.4)
    return drawn + subject.play(samples)


def _name_of(clip: Clip) -> str:
    where = f", from {clip.start:g} s" if clip.start else ""
    return f'<p class="name">{text(clip.path.parent.name)}/{text(clip.path.name)}{where}</p>'


def background_section(subject: Subject) -> Section:
    """Tell what was heard in sounds that are none of the classes."""
    t = subject.training
    quiet = t.background_held_out
    alarms = t.figures["false_alarms"]
    title = "Sounds that are none of these"
    if quiet is None or alarms is None:
        return Section("background", title, paragraph(
            "No such sounds were given, so nobody knows what the model makes of them: it may find "
            "its classes everywhere. Train again with --background FOLDER, a folder of "
            "recordings from the place where it will listen, without any of the classes."
        ))  # fmt: skip
    events = [
        replace(event, source=str(k))
        for k, runs in clip_runs(quiet, subject.grid, t.calibration)
        for event in find_events(runs, t.rules)
    ]
    rate = alarms["rate"]
    head = (
        f"{counted(alarms['events'], 'false alarm', 'false alarms')} in {number(alarms['hours'])} "
        "hours of such sound: "
        f"{number(rate['per_hour'])} an hour, and with so much sound heard the truth lies between "
        f"{number(rate['low'])} and {number(rate['high'])} (95 %). Something was said to sound for "
        f"{percent(alarms['active'], 1)} of the time. This was measured with thresholds that were "
        "chosen on other parts of the background; the list below uses those of the model itself."
    )
    return Section("background", title, paragraph(head) + _alarms(subject, events, alarms["hours"]))


def _alarms(subject: Subject, events: list[Event], hours: float) -> str:
    if not events:
        return paragraph("With the thresholds that the model carries, none is left.")
    counts = Counter(event.label for event in events)
    rows = [[label, str(n), f"{number(n / hours)}"] for label, n in counts.most_common(20)]
    said = "False alarms of each class, with the thresholds that the model carries."
    listed = table(["heard as", "events", "an hour"], rows, said)
    events.sort(key=lambda event: -(event.score or 0))
    cards = []
    for event in events[:ALARMS]:
        clip = subject.training.background[int(event.source)]
        begin = max(0.0, event.start - BEFORE)
        cards.append(
            f'<h4>heard as <b class="wrong">{text(event.label)}</b> ({event.score:.2f})</h4>'
            f"<p>from {event.start - begin:.1f} s on, "
            f"for {(event.end or event.start) - event.start:.1f} s</p>"
            + _seen_and_heard(subject, clip, f"background heard as {event.label}", begin)
            + _name_of(clip)
        )
    said = (
        "The false alarms with the highest scores. If one of them is right, take it out of "
        "--background."
    )
    return listed + grid(cards, said, "cards")
