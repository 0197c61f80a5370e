"""Options of `audiocnn label`, and which of them go together."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from audiocnn.annotations.start_times import Clock, parse_zone
from audiocnn.cli.paths import ReadingOptions
from audiocnn.errors import ArgumentError, DatasetError
from audiocnn.io.files.near_paths import find_near
from audiocnn.io.files.tables import read_lines
from audiocnn.io.recording import RecordingRef
from audiocnn.labeling.remote import is_url


@dataclass(frozen=True, kw_only=True)
class LabelOptions(ReadingOptions):
    """Options of `audiocnn label`; see its ``--help``."""

    paths: Sequence[str]
    list: str | None
    include: Sequence[str]
    exclude: Sequence[str]
    output: str | None
    format: str | None
    times: bool
    timezone: str | None
    cluster: str | None
    model: str
    hop: float | None
    threshold: float | None
    classes: str | None
    windows: str | None
    frames: str | None
    levels: str | None
    calibration: float | None
    workers: int | None
    accelerator: str
    retry: bool
    restart: bool
    by_content: bool
    ledger: str | None
    only_write: bool
    prune: bool
    json: bool
    table: bool

    @property
    def streamed(self) -> bool:
        """Whether scores or levels are written while they are computed, by one process."""
        return bool(self.windows or self.frames or self.levels)

    @property
    def kept(self) -> bool:
        """Whether the run is kept in a ledger."""
        return bool(self.output) and not self.streamed

    @property
    def stored_times(self) -> str | None:
        """Wall-clock times as a ledger stores them, see `RunSettings`."""
        return self.timezone or ("" if self.times else None)

    def clock(self) -> Clock | None:
        """Return the clock of wall-clock times; None if none are wanted."""
        return clock_from(self.stored_times)

    def all_paths(self) -> Iterator[str]:
        """Give the paths from the command line, and those of ``--list``."""
        yield from self.paths
        if self.list == "-":
            yield from (line.rstrip("\r\n") for line in sys.stdin if line.strip())
        elif self.list:
            try:
                for _, line in read_lines(self.list):
                    if line.strip():
                        yield listed_path(line)
            except DatasetError as error:
                raise ArgumentError(f"--list: {error}") from error


def listed_path(line: str) -> str:
    """Return the path on a line of a list: quotes, and how another system writes it, are undone."""
    name = line.rstrip("\r\n")
    if is_url(name) or RecordingRef.of(name).file.exists():
        return name
    bare = name.strip()
    if len(bare) > 1 and bare[0] == bare[-1] == '"':
        bare = bare[1:-1]
    near = find_near(Path(bare))
    return name if near is None else str(near)


def clock_from(times: str | None) -> Clock | None:
    """Return the clock for what a ledger stores, see `RunSettings`."""
    if times is None:
        return None
    return Clock(parse_zone(times)) if times else Clock()


def check_options(options: LabelOptions) -> None:
    """Refuse options that do not go together.

    Raises
    ------
    ArgumentError
        Names the options and the remedy.
    """
    of_a_ledger = {
        "--workers": options.workers, "--cluster": options.cluster, "--retry": options.retry,
        "--restart": options.restart, "--by-content": options.by_content,
        "--ledger": options.ledger, "--only-write": options.only_write, "--prune": options.prune,
    }  # fmt: skip
    given = [name for name, value in of_a_ledger.items() if value]
    streams = [f"--{name}" for name in ("windows", "frames", "levels") if getattr(options, name)]
    if given and streams:
        raise ArgumentError(
            f"{streams[0]} is written by one process as it goes: not with {given[0]}"
        )
    if given and not options.output:
        raise ArgumentError(f"{given[0]} is for a run that is kept: give -o OUT as well")
    if options.calibration is not None and not options.levels:
        raise ArgumentError("--calibration is of sound levels: give --levels FILE as well")
    if options.format and not options.output:
        raise ArgumentError(
            "--format is of files: give -o FOLDER as well; on stdout events are CSV, --json or "
            "--table"
        )
    if options.workers is not None and options.workers < 1:
        raise ArgumentError(f"--workers must be at least 1, got {options.workers}")
    if options.workers and options.cluster:
        raise ArgumentError(
            "--workers are processes of this machine, --cluster is for others: give one"
        )
    if not options.paths and not options.list and not options.only_write:
        raise ArgumentError("nothing to label: name recordings, folders, or a --list of them")


def check_not_a_recording(options: LabelOptions, recordings: Sequence[str]) -> None:
    """Refuse to write over one of the recordings."""
    for name in ("output", "windows", "frames", "levels", "ledger"):
        out = getattr(options, name)
        if out and os.path.isfile(out):
            for path in recordings:
                file = RecordingRef.of(path).file
                if not is_url(path) and file.exists() and os.path.samefile(out, file):
                    raise ArgumentError(
                        f"--{name} {out} is a recording that is to be labelled: name another file"
                    )
