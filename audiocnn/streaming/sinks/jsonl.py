"""Messages to a file, one JSON object a line, with rotation.

    night.jsonl  ->  night.jsonl.1  ->  night.jsonl.2  ->  gone

A line is written with one call and is whole or not there: if the disk is full,
what was written of it is cut off again and the line is kept for later.
"""

from __future__ import annotations

import contextlib
import errno
import os
from itertools import pairwise
from pathlib import Path

from audiocnn.errors import ArgumentError
from audiocnn.streaming.messages import Message, format_message
from audiocnn.streaming.sinks.base import MessageFilter, TryAgain
from audiocnn.streaming.units import Size

ALL_BUT_SCORES = MessageFilter()


class JsonLines:
    """Write messages to a file, one a line.

    Parameters
    ----------
    path
        The file; its folder is made if need be. An existing file is continued.
    max_size
        Bytes; a file that would grow beyond is set aside first. 0 for no limit.
    keep
        Older files that are kept, named ``path.1`` (the newest) and so on.
    wants
        What is written.
    name
        For messages to the user.

    Raises
    ------
    ArgumentError
        If a limit is negative or the folder cannot be made.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        max_size: Size = 10_000_000,
        keep: int = 5,
        wants: MessageFilter = ALL_BUT_SCORES,
        name: str = "jsonl",
    ) -> None:
        if max_size < 0 or keep < 0:
            raise ArgumentError(f"{name}: max_size and keep must be 0 or more")
        self.name, self.wants = name, wants
        self._path, self._max_size, self._keep = make_folder_of(path, name), max_size, keep
        self._file: int | None = None

    def handle(self, message: Message) -> None:
        """Write a line."""
        line = (format_message(message) + "\n").encode()
        try:
            self._write(line)
        except OSError as error:
            self.close()
            raise TryAgain(f"{self._path}: {error.strerror or error}", soon=True) from error

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            with contextlib.suppress(OSError):
                os.close(self._file)
            self._file = None

    def _write(self, line: bytes) -> None:
        file = self._open()
        size = os.fstat(file).st_size
        if self._max_size and size and size + len(line) > self._max_size:
            self._rotate()
            file, size = self._open(), 0
        try:
            n_written = os.write(file, line)
            if n_written < len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError:
            with contextlib.suppress(OSError):
                if size < os.fstat(file).st_size < size + len(line):
                    os.ftruncate(file, size)
            raise

    def _open(self) -> int:
        """Give the open file; a new one if it was moved or deleted under us."""
        if self._file is not None:
            try:
                if os.path.samestat(os.stat(self._path), os.fstat(self._file)):
                    return self._file
            except FileNotFoundError:
                self._path.parent.mkdir(parents=True, exist_ok=True)
            self.close()
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | getattr(os, "O_BINARY", 0)
        self._file = os.open(self._path, flags, 0o644)
        size = os.fstat(self._file).st_size
        if size:
            os.lseek(self._file, size - 1, os.SEEK_SET)
            if os.read(self._file, 1) != b"\n":  # the last line was cut off by a crash
                os.write(self._file, b"\n")
        return self._file

    def _rotate(self) -> None:
        self.close()
        older = [self._path, *(Path(f"{self._path}.{i}") for i in range(1, self._keep + 1))]
        for source, target in reversed(list(pairwise(older))):
            with contextlib.suppress(FileNotFoundError):
                os.replace(source, target)
        if not self._keep:
            self._path.unlink(missing_ok=True)


def make_folder_of(path: str | Path, name: str) -> Path:
    """Make the folder that a file is to lie in.

    Raises
    ------
    ArgumentError
        If that is impossible, or the path is a folder itself.
    """
    path = Path(path).expanduser().absolute()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ArgumentError(f"{name}: {path.parent} is no folder to write to: {error}") from error
    if path.is_dir():
        raise ArgumentError(f"{name}: {path} is a folder; give the name of a file in it")
    return path
