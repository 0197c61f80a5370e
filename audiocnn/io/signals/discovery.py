"""Finding recordings of any kind in files and folders.

A folder of signals may also hold other tables: lists of clips, annotations. They are
recognised by their columns.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from audiocnn.errors import AudioError
from audiocnn.io.audio.reader import AUDIO_SUFFIXES, search_folder
from audiocnn.io.recording import SIGNAL_SUFFIXES, RecordingRef
from audiocnn.io.signals.series import expand
from audiocnn.io.signals.tabular import column_names

PATHS = frozenset({"path", "file_name", "Begin Path", "IN FILE"})
MARKS = frozenset({"start", "end", "label"})


def find_signals(
    paths: Sequence[str | Path], on_error: Callable[[AudioError], None] | None = None
) -> list[Path]:
    """List the recordings of signals in files and folders.

    Parameters
    ----------
    paths
        Files, taken as they are, and folders, searched to any depth for tables, arrays,
        archives and sound; hidden ones are left out, and tables that list or annotate
        recordings.
    on_error
        Called for each folder below that cannot be read, in place of raising.

    Returns
    -------
    list of Path
        In the order of ``paths``, sorted within a folder, each one once; for a file that
        holds many series, the name of each.

    Raises
    ------
    AudioError
        If a path is missing, a folder or an archive cannot be read, or there is no signal.
    """
    found: dict[Path, None] = {}
    suffixes = SIGNAL_SUFFIXES | AUDIO_SUFFIXES
    for path in map(Path, paths):
        if path.is_dir():
            files = [f for f in search_folder(path, suffixes, on_error) if not lists_recordings(f)]
            found.update(dict.fromkeys(one.path for file in files for one in expand(file)))
        elif path.exists():
            found.update(dict.fromkeys(one.path for one in expand(path)))
        elif RecordingRef.of(path).file.exists():
            found[path] = None
        else:
            raise AudioError(f"no such file or folder: {path}")
    if paths and not found:
        where, known = ", ".join(map(str, paths)), " ".join(sorted(SIGNAL_SUFFIXES))
        raise AudioError(
            f"no signals in {where}: none of its files ends in {known}, or as sound does"
        )
    return list(found)


def lists_recordings(path: Path) -> bool:
    """Return whether a table lists or annotates recordings, by its columns."""
    names = column_names(path)
    return bool(PATHS & names) or names >= MARKS
