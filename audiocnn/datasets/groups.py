"""Groups of clips that columns or file names suggest: one source, speaker or day.

A clip learnt from and a clip measured on, cut from one recording, make figures that are
too good, and most people who were misled by their figures were misled by this. Names
often tell: ``1-100032-A.ogg`` and ``1-100032-B.ogg`` come from recording 100032, ``george``
says both ``0_george_0.wav`` and ``7_george_3.wav``. What is read out of names is a guess,
so it is said, with its evidence, and used only if asked for.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from audiocnn.datasets.manifest import Clip
from audiocnn.io.files.tables import no_column

BY_NAME = "name"  # what --group takes for the groups that names suggest
BY_MOMENT = (
    "moment"  # ... and for parts of one recording, see `audiocnn.training.data.moment_groups`
)
GROUP_COLUMNS = ("group", "source", "speaker", "site", "recording", "session", "day", "date",
                 "location", "recorder", "subject", "patient", "kit", "voice", "user")  # fmt: skip
FEWEST = 0.05  # share of clips that must share a group before it is worth a word
FEWEST_GROUPS = 4  # fewer that a guess has made are no basis to share by
PIECE_NUMBER = re.compile(r"[-_ .]*\d+$")
AGREE = 0.8  # share of clips whose names must follow the form
DATE = re.compile(r"(?<!\d)((?:19|20)\d\d)[-_.]?(0[1-9]|1[0-2])[-_.]?(0[1-9]|[12]\d|3[01])(?!\d\d)")
TAKE = re.compile(r"[a-z]|\d{1,4}|(take|part|seg|chunk|clip|t|v)\d+", re.IGNORECASE)
SHOWN = 3


@dataclass(frozen=True)
class Suggestion:
    """Suggested groups.

    Parameters
    ----------
    column
        What ``--group`` takes: a column of the table, or `BY_NAME`.
    groups
        (K,) the group of each clip.
    n_groups
        How many there are.
    n_sharing
        How many clips share theirs with another clip.
    n_across
        How many groups reach over several classes.
    examples
        Names of clips of one group, a few groups.
    """

    column: str
    groups: tuple[str, ...]
    n_groups: int
    n_sharing: int
    n_across: int
    examples: tuple[str, ...]

    def __str__(self) -> str:
        """Return the suggestion as a sentence, with the evidence and the remedy."""
        where = (
            "the file names suggest groups"
            if self.column == BY_NAME
            else f"the column {self.column!r} looks like groups"
        )
        across = f", {self.n_across} of them over several classes" if self.n_across else ""
        return (
            f"{where} that nobody named: {self.n_sharing} of {len(self.groups)} clips share one of"
            f" {self.n_groups} groups with another clip{across} (as {'; '.join(self.examples)})."
            " Clips of one source on both sides of a split make figures too good: if so, give"
            f" --group {self.column}"
        )


def suggest_groups(clips: Sequence[Clip]) -> Suggestion | None:
    """Suggest groups from the columns or, if there are none, from the file names.

    Returns
    -------
    Suggestion or None
        None if nothing speaks for any. A column whose name says what it is (source,
        speaker, site, ...) counts for more than names of files.

    Notes
    -----
    Of a name's parts (between ``-``, ``_``, ``.`` and spaces), those that follow from the
    class, and single letters and short numbers at the end (takes, offsets), say nothing of
    the source; what is left is the group. A date makes a group of its day.
    """
    for column in GROUP_COLUMNS:
        if clips and all(column in clip.columns for clip in clips):
            values = [clip.columns[column] or str(clip.path) for clip in clips]
            if found := _weigh(clips, values, column):
                return found
    files = dict.fromkeys(clip.path for clip in clips)
    if len(files) < 2 or any(clip.recording.member is not None for clip in clips):
        return None  # the number of a series says nothing of its source
    days = [_day(clip) for clip in clips]
    if sum(day is not None for day in days) >= AGREE * len(clips):
        return _weigh(clips, [day or clip.path.stem for clip, day in zip(clips, days, strict=True)])
    return _weigh(clips, _sources(clips))


def group_names(clips: Sequence[Clip], group: str | None) -> list[str]:
    """Return the group of each clip.

    Parameters
    ----------
    clips
        Of a manifest, or of a folder.
    group
        Name of the column with the groups. If None: the first of `GROUP_COLUMNS` that the
        clips have; else their folders; else their file names without a trailing number;
        else each recording is its own group.
    """
    columns = [group] if group else GROUP_COLUMNS
    for column in columns:
        if all(column in clip.columns for clip in clips):
            return [clip.columns[column] or str(clip.path) for clip in clips]
    guesses = (
        [str(clip.path.parent) for clip in clips],
        [str(clip.path.parent / PIECE_NUMBER.sub("", clip.path.stem)) for clip in clips],
    )
    for names in guesses:
        if len(set(names)) >= FEWEST_GROUPS:
            return names
    return [str(clip.path) for clip in clips]


def with_groups(
    clips: Sequence[Clip], group: str | None, tell: Callable[[str], None]
) -> list[Clip]:
    """Add the groups that file names suggest if they are asked for, and warn if no group is given.

    Parameters
    ----------
    clips
        As read.
    group
        Column that was named, `BY_NAME` for the groups that the names suggest (unless a
        column has that name), or None.
    tell
        Called with a warning about suggested groups.

    Returns
    -------
    list of Clip
        The same, with a column `BY_NAME` if that was asked for.

    Raises
    ------
    DatasetError
        If it was asked for and the names suggest nothing.
    """
    if group is None:
        if found := suggest_groups(clips):
            tell(f"warning: {found}")
        return list(clips)
    if group != BY_NAME or any(BY_NAME in clip.columns for clip in clips):
        return list(clips)
    bare = [replace(clip, columns={}) for clip in clips]
    found = suggest_groups(bare)
    if found is None:
        raise no_column(str(clips[0].path), group, clips[0].columns)
    return [
        replace(clip, columns={**clip.columns, BY_NAME: value})
        for clip, value in zip(clips, found.groups, strict=True)
    ]


def _weigh(
    clips: Sequence[Clip], values: Sequence[str], column: str = BY_NAME
) -> Suggestion | None:
    """Return the suggestion that values make; None if it does not matter."""
    members: dict[str, list[int]] = defaultdict(list)
    for index, value in enumerate(values):
        members[value].append(index)
    # The clips of one recording stay together of their own accord.
    shared = {
        value: rows for value, rows in members.items() if len({clips[k].path for k in rows}) > 1
    }
    labels = {value: {clips[k].labels for k in rows} for value, rows in members.items()}
    n_sharing = sum(map(len, shared.values()))
    n_classes = len({clip.labels for clip in clips})
    if len(members) < 2 or n_sharing < max(2, FEWEST * len(clips)):
        return None
    if len(members) <= n_classes and all(len(of) == 1 for of in labels.values()):
        return None  # these are the classes, by another name
    biggest = sorted(shared, key=lambda v: (-len(labels[v]), -len(shared[v]), v))[:SHOWN]
    examples = tuple(
        f"{v}: {', '.join(dict.fromkeys(clips[k].path.name for k in _spread(clips, shared[v])))}"
        for v in biggest
    )
    across = sum(len(of) > 1 for of in labels.values())
    return Suggestion(column, tuple(values), len(members), n_sharing, across, examples)


def _spread(clips: Sequence[Clip], rows: Sequence[int]) -> list[int]:
    """Choose two clips of a group, of two classes if it has them."""
    first = rows[0]
    other = next((k for k in rows if clips[k].labels != clips[first].labels), rows[-1])
    return [first, other]


def _day(clip: Clip) -> str | None:
    found = DATE.search(clip.path.stem)
    if not found:
        return None
    before = re.sub(r"\W|_", " ", clip.path.stem[: found.start()]).strip()
    return " ".join(filter(None, (before, "-".join(found.groups()))))


def _parts(stem: str) -> list[str]:
    parts = [part for part in re.split(r"[-_.\s]+", stem) if part]
    if len(parts) == 1 and (split := re.fullmatch(r"(\D+)(\d{1,4})", stem)):
        return list(split.groups())  # dog12
    return parts


def _sources(clips: Sequence[Clip]) -> list[str]:
    """Strip names of what says the class and the take."""
    names = [_parts(clip.path.stem) for clip in clips]
    usual = Counter(map(len, names)).most_common(1)[0][0]
    of_class = {at for at in range(usual) if _follows_class(clips, names, at, usual)}
    values = []
    for clip, parts in zip(clips, names, strict=True):
        words = {w.casefold() for label in clip.labels for w in (label, *_parts(label))}
        left = [
            part
            for at, part in enumerate(parts)
            if part.casefold() not in words and not (len(parts) == usual and at in of_class)
        ]
        while len(left) > 1 and TAKE.fullmatch(left[-1]):
            left.pop()
        if left and len(left) == 1 and re.fullmatch(r"[a-z]|\d{1,4}", left[0], re.IGNORECASE):
            left = []  # a mere count
        values.append("-".join(left) or str(clip.path))
    return values


def _follows_class(clips: Sequence[Clip], names: Sequence[list[str]], at: int, usual: int) -> bool:
    """Return whether a part of the names is the class, by this or another name."""
    classes: dict[str, set[tuple[str, ...]]] = defaultdict(set)
    for clip, parts in zip(clips, names, strict=True):
        if len(parts) == usual:
            classes[parts[at]].add(clip.labels)
    n_classes = len({labels for of in classes.values() for labels in of})
    return 1 < len(classes) <= n_classes and all(len(of) == 1 for of in classes.values())
