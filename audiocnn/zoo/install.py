"""Putting networks of others among the installed models: whole, checked, or not at all.

    get:  files (downloaded or at hand) -> verified -> converted  \
    add:  a file of the user's          -> probed                  -> written beside the models
          -> loaded as any user would, which replays its check -> renamed to its place

One process at a time installs under a name; whatever ends it before the renaming leaves
what was there before.
"""

from __future__ import annotations

import contextlib
import errno
import importlib.util
import re
import shutil
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from audiocnn.errors import ArgumentError, BundleError, did_you_mean
from audiocnn.inference.bundle import load
from audiocnn.inference.installed import (
    cache_folder,
    installed_models,
    models_folder,
    shipped_models,
)
from audiocnn.io.files.atomic import is_left_over
from audiocnn.io.files.locks import alone
from audiocnn.zoo.convert import CONVERTERS
from audiocnn.zoo.fetch import FetchError, Progress, gather_files, no_progress
from audiocnn.zoo.registry import Described, describe_network

NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,59}")


@dataclass(frozen=True)
class Installed:
    """A model that is installed.

    Parameters
    ----------
    name, folder
        Under which `audiocnn.load` finds it, and where it is.
    new
        Whether it was put there just now.
    """

    name: str
    folder: Path
    new: bool


def install(
    name: str, places: Iterable[str | Path] = (), *, overwrite: bool = False,
    progress: Progress = no_progress,
) -> Installed:  # fmt: skip
    """Fetch a network of the registry, convert it and install it.

    Parameters
    ----------
    name
        Of the registry.
    places
        Files or folders with copies of its published files; empty: they are downloaded.
    overwrite
        Whether to replace it if it is installed already.
    progress
        Called during downloads.

    Returns
    -------
    Installed
        Where it is; unchanged if it was there and may not be replaced.

    Raises
    ------
    ArgumentError
        If no such network is known.
    FetchError
        If a file could not be had, or is another one.
    BundleError
        If it cannot be converted or fails its check here.
    """
    described = describe_network(name)
    if not overwrite and name in installed_models():
        return Installed(name, models_folder() / name, new=False)
    check_packages(described)
    downloads = cache_folder() / "downloads" / name

    def write(folder: Path) -> None:
        _clear_left_overs(downloads)
        files = gather_files(described.sources, places, downloads, progress)
        convert(described, files, folder)

    folder = place(name, write, overwrite=overwrite)
    shutil.rmtree(downloads, ignore_errors=True)
    return Installed(name, folder, new=True)


def check_packages(described: Described) -> None:
    """Refuse a network whose packages are missing, before anything is downloaded.

    Raises
    ------
    BundleError
        If one is missing; names the command that installs it.
    """
    for extra, package in described.needs.items():
        if importlib.util.find_spec(package) is None:
            raise BundleError(
                f"{described.name} needs the package {package}: pip install 'audiocnn[{extra}]'"
            )


def convert(described: Described, files: Mapping[str, Path], folder: Path) -> None:
    """Convert verified files of a network into a bundle in a new folder."""
    CONVERTERS[described.name](described, {n: p.read_bytes() for n, p in files.items()}, folder)


def place(name: str, write: Callable[[Path], None], *, overwrite: bool = False) -> Path:
    """Write a model beside the installed ones, check it, and put it in its place.

    Parameters
    ----------
    name
        Under which it is to be found.
    write
        Writes the bundle into the folder that it is given.
    overwrite
        Whether to replace one that is there.

    Returns
    -------
    pathlib.Path
        Its folder.

    Raises
    ------
    ArgumentError
        If the name cannot be used, or is taken.
    FetchError
        If the disk is full or the cache cannot be written.
    BundleError
        If the model fails its check.
    """
    check_name(name)
    models, parts = models_folder(), cache_folder() / "partial"
    target = models / name
    with _writable(models), alone(target, "another process is installing it"):
        if target.exists() and not overwrite:
            raise ArgumentError(
                f"a model {name!r} is installed already ({target}): choose another --name, or "
                "replace it with --overwrite"
            )
        for left in parts.glob(f"{name}.*"):  # of a process that was killed
            shutil.rmtree(left, ignore_errors=True)
        part = parts / f"{name}.{uuid.uuid4().hex[:8]}"
        try:
            part.mkdir(parents=True)
            write(part)
            load(part)
            _swap(part, target)
        finally:
            shutil.rmtree(part, ignore_errors=True)
    return target


def remove(name: str) -> Path:
    """Delete an installed model; gives the folder that it was in.

    Raises
    ------
    ArgumentError
        If there is none of that name.
    """
    installed = installed_models()
    if name not in installed:
        hint = "it ships with the package and stays" if name in shipped_models() else \
            f"installed are: {', '.join(installed) or 'none'}"  # fmt: skip
        near = did_you_mean(name, installed)
        raise ArgumentError(f"no model {name!r} is installed{near}: {hint}")
    folder, parts = models_folder() / name, cache_folder() / "partial"
    with _writable(folder.parent), alone(folder, "another process is installing it"):
        parts.mkdir(exist_ok=True)
        gone = parts / f"{name}.{uuid.uuid4().hex[:8]}"
        folder.rename(gone)
        shutil.rmtree(gone)
    return folder


def check_name(name: str) -> None:
    """Refuse names that cannot be a folder's, or belong to a shipped model.

    Raises
    ------
    ArgumentError
        If it is one.
    """
    if not NAME.fullmatch(name):
        raise ArgumentError(
            f"{name!r} cannot be the name of a model: small letters, digits, '-', '_' and '.', at "
            "most 60"
        )
    if name in shipped_models():
        raise ArgumentError(f"{name!r} is the name of a model that ships: choose another")


def _swap(part: Path, target: Path) -> None:
    """Move a folder to its place; the folder it replaces is removed afterwards."""
    old = part.with_name(f"{part.name}.old")
    if target.exists():
        target.rename(old)
    try:
        part.rename(target)
    except OSError:
        if old.exists():
            old.rename(target)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _clear_left_overs(folder: Path) -> None:
    if folder.is_dir():
        for path in filter(is_left_over, folder.iterdir()):
            path.unlink(missing_ok=True)


@contextlib.contextmanager
def _writable(folder: Path) -> Iterator[None]:
    """Make the folder of the models; say what to do where nothing can be written there."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        hint = "make room" if full else "see that it can be written"
        raise FetchError(
            f"{folder}: {error.strerror or error}; {hint}, or name another folder with "
            "AUDIOCNN_CACHE; nothing was installed"
        ) from error
