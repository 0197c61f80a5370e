"""The exception tree of the package.

    AudiocnnError
    ├── ArgumentError   a value that a caller passed: also a ValueError
    ├── AudioError      a recording that cannot be opened, decoded or used
    ├── DatasetError    a manifest, folder or annotation file
    ├── BundleError     a model that is missing, damaged, or of another version
    ├── DeviceError     a microphone or other device
    └── Cancelled       the caller stopped the work

A message says what is wrong, what was found (value, shape, ``path:line``) and
what to do. Input is validated once, at the border; ``assert`` is for internal
guarantees.
"""

from __future__ import annotations

import contextlib
import difflib
import os
from collections.abc import Iterable, Iterator


class AudiocnnError(Exception):
    """Base of every error that this package raises on purpose."""


class ArgumentError(AudiocnnError, ValueError):
    """A value that a caller passed cannot be used."""


class AudioError(AudiocnnError):
    """A recording cannot be opened, decoded or used.

    Parameters
    ----------
    message
        What is wrong, what was found, and what to do.
    path
        The file or folder concerned, as the message names it; None where the message
        does not concern one.
    """

    def __init__(self, message: str, path: str | None = None) -> None:
        super().__init__(message)
        self.path = path

    def renamed(self, name: str) -> AudioError:
        """Return the same error about the file under another name.

        Workers read a recording by its absolute path, and one at a URL from a copy; its
        error names it as the user did.
        """
        if self.path is None or self.path == name:
            return self
        return AudioError(str(self).replace(self.path, name), name)


class DatasetError(AudiocnnError):
    """A manifest, a folder of clips or an annotation file is wrong."""


class BundleError(AudiocnnError):
    """A model is missing, damaged, unsafe or of another version."""


class DeviceError(AudiocnnError):
    """A microphone or other device cannot be used."""


@contextlib.contextmanager
def about(path: str | os.PathLike[str]) -> Iterator[None]:
    """Give errors about a recording that are raised in the context its path."""
    try:
        yield
    except AudioError as error:
        if error.path is None:
            error.path = os.fspath(path)
        raise


class Cancelled(AudiocnnError):
    """The caller stopped the work, for example by Ctrl-C; finished parts are kept."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return the nearest known name as the end of a sentence.

    Parameters
    ----------
    name
        The name that was given.
    known
        The valid names.

    Returns
    -------
    str
        ``" (did you mean 'rooster'?)"``, or ``""`` if none is near.
    """
    near = difflib.get_close_matches(name, list(known), n=1)
    return f" (did you mean {near[0]!r}?)" if near else ""
