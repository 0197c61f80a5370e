"""A recording's own samples, a piece at a time, and what came of reading it.

libsndfile decodes; what it cannot open goes to PyAV (``audiocnn[av]``). Both may
end early without a word, so what the header promises is held against what was
delivered. Damage does not raise here: the good part comes first, and ``damage``
says what happened, so that a reader can finish what it holds.

Nothing here mixes, resamples or looks at a sample.
"""

from __future__ import annotations

import itertools
import re
import stat
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

from audiocnn.errors import AudioError
from audiocnn.io.audio.libsndfile import ENDLESS, Unending, Unsought, states_length
from audiocnn.io.recording import RecordingRef

PIECE = 65536  # samples decoded at once, all channels together: 0.25 MiB
MP3_SLACK = 0.1  # seconds that an MP3 may lack: its header counts frames, not samples
AV_SLACK = 0.5  # the same for FFmpeg, whose containers round
AV_PROMISES = frozenset({"mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm", "asf"})  # others guess
CUT_SHORT = re.compile(
    r"^\s*(?:data|SSND|riff|Data Size)\s*: (?P<want>\d+) \(should be (?P<have>\d+)\)"
    r"|does not match value from 'ds64' chunk of (?P<frames>\d+)"
    r"|^Ogg ?: (?P<junk>Junk after the last page)",
    re.MULTILINE,
)  # how libsndfile's log says that less is there than the header promises


@dataclass(frozen=True)
class AudioInfo:
    """What a recording's header says.

    Parameters
    ----------
    rate
        Samples per second, as recorded.
    channels
        Number of channels.
    frames
        Samples per channel; None if the header does not say.
    duration
        Seconds; None if the header does not say.
    format, subtype
        The container and the coding, as the decoder calls them.
    cut
        Whether the decoder saw at once that less is there than the header promises.
    """

    rate: int
    channels: int
    frames: int | None
    duration: float | None
    format: str
    subtype: str
    cut: bool = False


@dataclass
class Source:
    """An open recording; ``n_frames`` and ``damage`` grow while ``pieces`` are taken.

    Parameters
    ----------
    path, info
        What it is.
    pieces
        (N, channels) arrays of samples, full scale at 1, in order.
    n_frames
        Samples per channel that came out so far.
    damage
        What is wrong with it, once the pieces have ended; empty if nothing is.
    """

    path: Path
    info: AudioInfo
    pieces: Iterator[NDArray[np.float32]] = field(default_factory=lambda: iter(()))
    n_frames: int = 0
    damage: str = ""

    def __post_init__(self) -> None:
        """Refuse a header that makes no sense."""
        if self.info.rate < 1 or self.info.channels < 1:
            raise AudioError(f"{self.path}: a header without a rate or channels: {self.info}")


def check_file(path: str | Path) -> Path:
    """Say what is wrong with a path before any decoder does.

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
            file = stack.enter_context(Unsought(path))
            if file.format == "MP3" and not states_length(path):
                raw = stack.enter_context(Unending(path))
                file = stack.enter_context(Unsought(raw))
            source = _from_sndfile(path, file)
        except (soundfile.LibsndfileError, TypeError) as error:  # TypeError: headerless .raw
            source = _from_av(path, getattr(error, "error_string", str(error)), stack)
        yield source


def _from_sndfile(path: Path, file: Any) -> Source:
    rate, frames = file.samplerate, file.frames if file.frames < ENDLESS >> 10 else None
    duration = None if frames is None or rate < 1 else frames / rate
    cut = bool(_cut_short(rate, file.frames, file.extra_info))
    info = AudioInfo(rate, file.channels, frames, duration, file.format, file.subtype, cut)
    source = Source(path, info)
    source.pieces = _sndfile_pieces(source, file)
    return source


def _sndfile_pieces(source: Source, file: Any) -> Iterator[NDArray[np.float32]]:
    size = max(1024, PIECE // source.info.channels)
    error, n = "", 1
    while n and not error:
        # What libsndfile wrote before it failed is what is no longer NaN.
        piece = np.full((size, source.info.channels), np.nan, np.float32)
        try:
            n = len(file.read(out=piece))
        except soundfile.LibsndfileError as failure:
            error = failure.error_string.removeprefix("Error : ").rstrip(".")
            n = int(np.count_nonzero(~np.isnan(piece[:, -1])))
        source.n_frames += n
        yield piece[:n]
    source.damage = _damage(source, error, file.extra_info, file.name)


def _damage(source: Source, error: str, log: str, file: Any) -> str:
    info, n = source.info, source.n_frames
    read = f"{n / info.rate:.3f} s"
    promised = f" of {info.duration:.3f} s" if info.duration is not None else ""
    if error and (info.frames is None or n < info.frames):
        if info.frames is None and isinstance(file, Unending) and file.at_last_frame():
            return ""  # a stream that never said how long it is, cut wherever it was cut
        return f"is cut off or damaged: it could be read up to {read}{promised} ({error})"
    slack = MP3_SLACK * info.rate if info.format == "MP3" else 0
    if info.frames is not None and n + slack < info.frames:
        # Nobody says where: what comes after a hole inside would be timed too early.
        return f"is cut off or damaged: only {read}{promised} came out, so its times are uncertain"
    return _cut_short(info.rate, n, log)


def _cut_short(rate: int, n: int, log: str) -> str:
    """Say what libsndfile's log tells of a recording that is cut off after ``n`` samples."""
    seconds = n / max(1, rate)
    read = f"it could be read up to {seconds:.3f} s"
    for line in CUT_SHORT.finditer(log):
        if line["junk"]:
            return f"is cut off, or several recordings in one: {read}"
        part = n / int(line["frames"]) if line["frames"] else int(line["have"]) / int(line["want"])
        if not _is_placeholder(int(line["want"] or 0)):
            return f"is cut off: {read} of {seconds / part if part else 0:.3f} s"
    return ""


def _is_placeholder(n_bytes: int) -> bool:
    """Tell the sizes that recorders write while they do not know the length yet."""
    return any(abs(n_bytes - size) <= 8192 for size in (1 << 31, 1 << 32))


def _from_av(path: Path, reason: str, stack: ExitStack) -> Source:
    with path.open("rb") as file:
        head = file.read(40)
    if all(32 <= byte < 127 or byte in b"\t\r\n" for byte in head):
        raise AudioError(f"{path} is text, not sound: it begins with {head.decode()!r}")
    try:
        import av
    except ImportError:
        raise AudioError(
            f"{path} is not a recording that libsndfile knows ({reason.rstrip('.')}):"
            " copy it again if it should be; for m4a, mp4, webm and other formats of FFmpeg,"
            " pip install 'audiocnn[av]'"
        ) from None
    try:
        container: Any = stack.enter_context(av.open(stack.enter_context(path.open("rb"))))
    except (av.error.FFmpegError, OSError) as error:
        raise AudioError(
            f"{path} is not a recording that libsndfile or FFmpeg knows ({error.strerror}):"
            " copy it again"
        ) from error
    if not container.streams.audio:
        raise AudioError(f"{path} has no sound in it ({container.format.name})")
    stream = container.streams.audio[0]
    duration = None
    if container.format.name in AV_PROMISES and container.duration is not None:
        duration = container.duration / av.time_base
    codec, name = stream.codec_context, container.format.name
    info = AudioInfo(codec.sample_rate, codec.channels, None, duration, name, codec.name)
    source = Source(path, info)
    source.pieces = _av_pieces(source, av, container, stream)
    return source


def _av_pieces(source: Source, av: Any, container: Any, stream: Any) -> Iterator[Any]:
    to_float, error = av.AudioResampler(format="fltp", rate=source.info.rate), ""
    try:
        for frame in itertools.chain(container.decode(stream), [None]):
            for part in to_float.resample(frame):
                source.n_frames += part.samples
                yield part.to_ndarray().T
    except av.error.FFmpegError as failure:
        error = f" ({failure.strerror})"
    seconds, promised = source.n_frames / source.info.rate, source.info.duration or 0
    if error or seconds + AV_SLACK < promised:
        whole = f" of {promised:.3f} s" if promised else ""
        until = f"it could be read up to {seconds:.3f} s{whole}"
        source.damage = f"is cut off or damaged: {until}{error}"
