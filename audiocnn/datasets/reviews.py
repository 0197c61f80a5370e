"""Review lists: a person's verdicts on a model's events, and the clips they make.

    clip,path,start,end,label,score,offset,verdict
    owl/0001_0.98_night_12.5s.flac,rec/night.wav,12.500000,14.000000,owl,0.98,2.0,right
    owl/0002_0.97_night_80.0s.flac,rec/night.wav,80.000000,81.500000,owl,0.97,2.0,wrong
    owl/0003_0.93_rain_3.0s.flac,rec/rain.wav,3.000000,4.500000,owl,0.93,2.0,rain

``clip`` lies beside the list, and ``offset`` is where in it the event begins. A person
fills in the verdict: ``right``, ``wrong``, or the true label (several with ``|`` between
them). Where a class is itself called ``right`` or ``wrong``, write ``=right`` for it. What
is empty has not been looked at. What is right is an example of its label; what is wrong,
one of none of them: the hardest there is, for the model took it for something.

The clip of a signal that is not sound is a drawing (``.svg``), to be looked at: there the
recording itself is learnt from, between start and end.
"""

from __future__ import annotations

import csv
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

from audiocnn.datasets.manifest import Clip
from audiocnn.errors import ArgumentError, DatasetError, did_you_mean
from audiocnn.inference.events import Event
from audiocnn.io.files.atomic import replacing
from audiocnn.io.files.near_paths import find_near
from audiocnn.io.files.tables import check_text, parse_number, parse_seconds, read_table
from audiocnn.io.recording import RecordingRef

COLUMNS = ("clip", "path", "start", "end", "label", "score", "offset", "verdict")
RIGHT, WRONG = "right", "wrong"
DRAWN = ".svg"  # the clip of a signal that is not sound


@dataclass(frozen=True)
class Cut:
    """The excerpt of an event for review.

    Parameters
    ----------
    clip
        Its file, relative to the list.
    event
        The event, with the recording as its source.
    offset
        Seconds into the file at which the event begins.
    """

    clip: str
    event: Event
    offset: float


def write_reviews(cuts: Iterable[Cut], path: Path) -> None:
    """Write a list to be filled in.

    Raises
    ------
    ArgumentError
        If it cannot be written, or is there.
    """
    check_list(path)
    try:
        with replacing(path) as part, part.open(
            "w", encoding="utf-8", errors="surrogateescape", newline=""
        ) as file:  # fmt: skip
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(COLUMNS)
            for cut in cuts:
                event = cut.event
                end = event.start if event.end is None else event.end
                score = "" if event.score is None else f"{event.score:.6f}"
                times = (f"{event.start:.6f}", f"{end:.6f}")
                writer.writerow(
                    (cut.clip, event.source, *times, event.label, score, f"{cut.offset:.6f}", "")
                )
    except OSError as error:
        raise ArgumentError(f"cannot write {path}: {error.strerror}") from error


def read_cuts(path: Path) -> list[Cut]:
    """Read the clips of a list, with or without verdicts.

    Raises
    ------
    DatasetError
        If the list does not exist, or a row cannot be parsed.
    """
    cuts = []
    for place, row in read_table(path, COLUMNS[:5] + COLUMNS[6:7]):
        start, end, offset = (parse_seconds(place, n, row[n]) for n in ("start", "end", "offset"))
        score = parse_number(place, "score", row["score"]) if row.get("score") else None
        event = Event(row["label"], start, end, score, row["path"])
        cuts.append(Cut(row["clip"], event, offset))
    return cuts


def check_list(path: Path) -> None:
    """Refuse to overwrite an existing list and its verdicts.

    Raises
    ------
    ArgumentError
        If it is.
    """
    if path.exists():
        raise ArgumentError(
            f"{path} is there, and may have verdicts in it: name another folder, or move it away"
        )


def read_reviews(path: str | Path, labels: Collection[str]) -> list[Clip]:
    """Read a list that was filled in, as clips to train on.

    Parameters
    ----------
    path
        The list, with the clips where it says, beside it.
    labels
        The classes that there are.

    Returns
    -------
    list of Clip
        One for each row with a verdict: the event's own time in its clip, with its
        label, the true labels, or none. Its columns are ``recording``, ``from`` and ``to``
        (where the event was found: what comes of one recording belongs together) and
        ``verdict``, and ``detected``, the label of the event. Where a
        clip is gone, the recording itself stands for it, if that is there.

    Raises
    ------
    DatasetError
        If a verdict or a label is unknown, two rows say different things of one event,
        there is no verdict at all, or sound is missing; with the line.
    """
    path, clips = Path(path), []
    said: dict[tuple[str, ...], tuple[str, str]] = {}
    for place, row in read_table(path, COLUMNS[:5] + COLUMNS[6:], optional=("score",)):
        verdict = check_text(place, "verdict", row["verdict"]).strip()
        if not verdict:
            continue
        true = _labels_of(place, verdict, row["label"], labels)
        event = tuple(row[name] for name in ("path", "start", "end", "label"))
        before = said.setdefault(event, (place, verdict))
        if before[0] != place:
            if before[1] != verdict:
                raise DatasetError(
                    f"{place}: {verdict!r}, but {before[0]} says {before[1]!r} of the same event"
                )
            continue
        clips.append(_clip(path, place, row, true))
    if not clips:
        raise DatasetError(
            f"{path} has no verdicts: write {RIGHT}, {WRONG} or the true label into its last column"
        )
    return clips


def _labels_of(place: str, verdict: str, label: str, labels: Collection[str]) -> tuple[str, ...]:
    if verdict.lower() == WRONG:
        return ()
    names = [label] if verdict.lower() == RIGHT else verdict.removeprefix("=").split("|")
    return tuple(dict.fromkeys(_label(place, name.strip(), verdict, labels) for name in names))


def _label(place: str, name: str, verdict: str, labels: Collection[str]) -> str:
    if name in labels:
        return name
    known = ", ".join(sorted(labels))
    if verdict.lower() == RIGHT:
        raise DatasetError(
            f"{place}: right, but {name!r} is none of the classes"
            f"{did_you_mean(name, labels)}; there are {known}"
        )
    near = did_you_mean(name, [RIGHT, WRONG, *labels])
    raise DatasetError(
        f"{place}: the verdict {verdict!r} is neither {RIGHT} nor {WRONG} nor a class{near}; "
        f"the classes are {known}"
    )


def _clip(path: Path, place: str, row: dict[str, str], labels: tuple[str, ...]) -> Clip:
    start, end = (parse_seconds(place, name, row[name]) for name in ("start", "end"))
    if end <= start:
        raise DatasetError(f"{place}: the end must lie after the start, found {start} to {end}")
    columns = {"recording": row["path"], "from": str(start), "to": str(end),
               "verdict": row["verdict"].strip(), "detected": row["label"]}  # fmt: skip
    clip, drawn = path.parent / row["clip"], row["clip"].endswith(DRAWN)
    clip = find_near(clip) or clip
    if clip.is_file() and not drawn:
        offset = parse_seconds(place, "offset", row["offset"])
        return Clip(clip, labels, offset, offset + end - start, columns)
    ref = RecordingRef.of(row["path"])
    if ref.file.is_file():
        return Clip(ref.path, labels, start, end, columns)
    if ref.member is None and (near := find_near(ref.file)) is not None:
        return Clip(near, labels, start, end, columns)
    if drawn:
        raise DatasetError(
            f"{place}: the recording {row['path']} is not there, and a drawing teaches nothing: "
            "run this in the folder where label ran"
        )
    raise DatasetError(
        f"{place}: neither the clip {clip} nor the recording {row['path']} is there; the clips "
        "belong beside the list"
    )
