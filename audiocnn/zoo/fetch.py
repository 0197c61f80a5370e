"""Published files, downloaded or found on this machine, and verified before anything opens them.

A file is what its size and SHA-256 say, whatever it is called. A download goes to a
temporary file in the cache and gets its name when it is whole and verified; whatever ends
it before leaves nothing behind that could be taken for it.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import http.client
import shutil
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from audiocnn.errors import AudiocnnError
from audiocnn.io.files.atomic import replacing
from audiocnn.zoo.registry import Content, Source

TIMEOUT = 30.0  # seconds without a byte after which a server is given up
CHUNK = 1 << 16
DEEPEST = 4  # levels of folders that are searched for files
MOST_FILES = 20_000  # in a folder that is searched

Progress = Callable[[str, int, int], None]  # file, bytes so far, bytes in all


class FetchError(AudiocnnError):
    """A published file could not be had."""


def no_progress(name: str, done: int, total: int) -> None:
    """Show nothing."""


def find_files(sources: Iterable[Source], places: Iterable[str | Path]) -> dict[str, Path]:
    """Recognise files by their content.

    Parameters
    ----------
    sources
        What is wanted; their variants count, too.
    places
        Files, or folders that contain them, at any depth up to `DEEPEST`.

    Returns
    -------
    dict
        Path by the name of the source, of those that were found.

    Raises
    ------
    FetchError
        If a place does not exist.
    """
    wanted: dict[int, list[tuple[Content, str]]] = {}
    for source in sources:
        for content in (source.content, *source.variants):
            wanted.setdefault(content.size, []).append((content, source.name))
    found: dict[str, Path] = {}
    for path in _files(places):
        with contextlib.suppress(OSError):
            candidates = wanted.get(path.stat().st_size, ())
            digest = digest_of(path) if candidates else ""
            for content, name in candidates:
                if digest == content.sha256:
                    found.setdefault(name, path)
    return found


def _files(places: Iterable[str | Path]) -> Iterator[Path]:
    for place in map(Path, places):
        if not place.exists():
            raise FetchError(f"{place}: no such file or folder; check the name")
        if place.is_file():
            yield place
            continue
        left = MOST_FILES
        for depth in range(1, DEEPEST + 1):
            for path in sorted(place.glob("/".join("*" * depth))):
                left -= 1
                if left < 0:
                    raise FetchError(
                        f"{place}: holds more than {MOST_FILES:,} files; name the file, or the "
                        "folder that it is in"
                    )
                if path.is_file():
                    yield path


def digest_of(path: str | Path) -> str:
    """Return the SHA-256 of a file in hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_content(path: Path, source: Source) -> None:
    """Compare a file with what is pinned.

    Raises
    ------
    FetchError
        If it is neither the published file nor a variant of it.
    """
    digest, size = digest_of(path), path.stat().st_size
    if digest not in {content.sha256 for content in (source.content, *source.variants)}:
        raise FetchError(
            f"{path}: is not {source.name}: {size:,} bytes with SHA-256 {digest[:16]}..., "
            f"expected {source.content.size:,} bytes with {source.content.sha256[:16]}...; it was "
            "not opened"
        )


def download(source: Source, folder: Path, progress: Progress = no_progress) -> Path:
    """Download a file.

    Parameters
    ----------
    source
        What, from where, and its checksum.
    folder
        Where it goes, under its published name; made if it is missing.
    progress
        Called with the name, the bytes so far and those in all.

    Returns
    -------
    pathlib.Path
        The verified file.

    Raises
    ------
    FetchError
        If the server cannot be reached, breaks off, or delivers something else; if the disk
        is full. Nothing is left in the folder then.
    """
    target = folder / source.name
    try:
        folder.mkdir(parents=True, exist_ok=True)
        room = shutil.disk_usage(folder).free
        if room < 2 * source.content.size:
            raise OSError(errno.ENOSPC, "No space left on device")
        with replacing(target) as part:
            with part.open("wb") as file:
                _receive(source, file, progress)
            check_content(part, source)
    except OSError as error:
        full = error.errno == errno.ENOSPC
        hint = (
            "make room, or name another folder with AUDIOCNN_CACHE"
            if full
            else "see that it \
can be written, or name another with AUDIOCNN_CACHE"
        )
        raise FetchError(f"{folder}: cannot be written: {error.strerror}; {hint}") from error
    return target


def _receive(source: Source, file: IO[bytes], progress: Progress) -> None:
    size = source.content.size
    by_hand = f"; or get it by other means and name it with --file (from {source.url})"
    done = 0
    with _opened(source.url, by_hand) as answer:
        length = answer.headers.get("Content-Length")
        if length is not None and length != str(size):
            raise FetchError(
                f"{source.url}: the server offers {length} bytes, expected {size:,}: it is "
                f"another file than the one that was checked; nothing was kept{by_hand}"
            )
        while True:
            try:
                chunk = answer.read1(CHUNK)
            except (OSError, http.client.HTTPException) as error:
                raise FetchError(
                    f"{source.url}: broke off after {done:,} of {size:,} bytes "
                    f"({_reason(error)}); nothing was kept; try again{by_hand}"
                ) from error
            if not chunk:
                break
            done += len(chunk)
            if done > size:
                raise FetchError(
                    f"{source.url}: sends more than the expected {size:,} bytes: it is another "
                    f"file; nothing was kept{by_hand}"
                )
            file.write(chunk)
            progress(source.name, done, size)
    if done < size:
        raise FetchError(
            f"{source.url}: broke off after {done:,} of {size:,} bytes; nothing was kept; try "
            f"again{by_hand}"
        )


@contextlib.contextmanager
def _opened(url: str, by_hand: str) -> Iterator[Any]:
    from audiocnn import __version__

    request = urllib.request.Request(url, headers={"User-Agent": f"audiocnn/{__version__}"})
    try:
        answer = urllib.request.urlopen(request, timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        with error:
            raise FetchError(
                f"{url}: the server answers {error.code} {error.reason}{by_hand}"
            ) from error
    except (OSError, http.client.HTTPException) as error:
        raise FetchError(
            f"{url}: cannot be reached ({_reason(error)}): is this machine online?{by_hand}"
        ) from error
    with answer:
        yield answer


def _reason(error: BaseException) -> str:
    cause = getattr(error, "reason", None) or error
    if isinstance(cause, TimeoutError):
        return f"no answer for {TIMEOUT:g} s"
    return str(getattr(cause, "strerror", None) or cause or type(cause).__name__)


def gather_files(
    sources: Iterable[Source],
    places: Iterable[str | Path],
    folder: Path,
    progress: Progress = no_progress,
) -> Mapping[str, Path]:
    """Get all files of a network: from named places if there are any, else by download.

    Raises
    ------
    FetchError
        If a place lacks one of them, or a download fails.
    """
    sources, places = tuple(sources), tuple(places)
    if not places:
        return {source.name: download(source, folder, progress) for source in sources}
    found = find_files(sources, places)
    for source in sources:
        if source.name not in found:
            raise FetchError(
                f"{', '.join(map(str, places))}: no file there is {source.name} (SHA-256 "
                f"{source.content.sha256[:16]}..., {source.content.size:,} bytes; files are "
                f"recognised by their content, whatever they are called); it is published at "
                f"{source.url}"
            )
    return found
