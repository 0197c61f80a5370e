"""Opening recordings with libsndfile or FFmpeg.

libsndfile decodes; what it cannot open goes to PyAV (``audiocnn[av]``). Both read one
recording a file and may end early, so the bytes of the file are looked at first (see
`layout_of`), and what the header promises is compared with what was delivered.

Nothing here mixes, resamples or looks at a sample.
"""

from __future__ import annotations

import stat
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import soundfile

from audiocnn.errors import AudioError
from audiocnn.io.audio.av_decoder import open_av
from audiocnn.io.audio.layout import layout_of
from audiocnn.io.audio.libsndfile import open_sndfile
from audiocnn.io.audio.source import AudioInfo, Source
from audiocnn.io.recording import RecordingRef

__all__ = ["AudioInfo", "Source", "check_file", "check_sound", "open_recording"]


def check_file(path: str | Path) -> Path:
    """Check a path before a decoder opens it.

    Raises
    ------
    AudioError
        If it is missing, a folder, empty or not permitted.
    """
    path = Path(path)
    try:
        found = path.stat()
        if stat.S_ISDIR(found.st_mode):
            raise AudioError(f"{path} is a folder: pass its recordings, as find_recordings does")
        if not stat.S_ISREG(found.st_mode):
            raise AudioError(f"{path} is not a file: raw samples are read by 'listen --input -'")
        if found.st_size == 0:
            raise AudioError(f"{path} is empty (0 bytes): copy or record it again")
        path.open("rb").close()
    except FileNotFoundError:
        raise AudioError(f"no such file: {path}; check the name and the folder") from None
    except PermissionError:
        raise AudioError(f"not permitted to read {path}: change its owner or rights") from None
    except (OSError, ValueError) as error:
        raise AudioError(f"{path} cannot be opened: {error}") from error
    return path


def check_sound(path: str | Path) -> Path:
    """Check a path as `check_file` does, and that the file is sound.

    Raises
    ------
    AudioError
        As `check_file`, and if the file holds another kind of signal.
    """
    ref = RecordingRef.of(path)
    check_file(ref.file)
    if not ref.is_sound:
        raise AudioError(
            f"{ref} is no sound but a signal (a table, an array or an archive of series): use a "
            "model that was trained on such signals, or name a sound file"
        )
    return ref.file


@contextmanager
def open_recording(path: str | Path) -> Iterator[Source]:
    """Open a recording with whatever decoder can.

    Yields
    ------
    Source
        Open until the context ends.

    Raises
    ------
    AudioError
        If nothing can open it; says what it seems to be, and what to install.
    """
    path = check_sound(path)
    with ExitStack() as stack:
        try:
            source = open_sndfile(path, stack)
        except (soundfile.LibsndfileError, TypeError) as error:  # TypeError: headerless .raw
            reason = getattr(error, "error_string", str(error))
            if n := len(layout_of(path).extents):
                raise AudioError(
                    f"{path} is damaged: of {n} recordings in it one cannot be read ({reason})"
                ) from error
            source = open_av(path, reason, stack)
        yield source
