"""Where models are kept: those that ship with the package, and those that were installed."""

from __future__ import annotations

import os
from pathlib import Path

from audiocnn.errors import BundleError, did_you_mean

SHIPPED = Path(__file__).parents[1] / "pretrained"
CACHE_VARIABLE = "AUDIOCNN_CACHE"


def cache_folder() -> Path:
    """Return the folder of downloads: ``$AUDIOCNN_CACHE``, or the platform's cache folder."""
    if given := os.environ.get(CACHE_VARIABLE):
        return Path(given).expanduser()
    import platformdirs  # here: most commands need no installed model

    return Path(platformdirs.user_cache_dir("audiocnn", appauthor=False))


def models_folder() -> Path:
    """Return the folder in which each installed model has its own."""
    return cache_folder() / "models"


def shipped_models() -> list[str]:
    """Return the names of the models that ship with the package."""
    return sorted(p.parent.name for p in SHIPPED.glob("*/bundle.json"))


def installed_models() -> list[str]:
    """Return the names of the models that were installed."""
    return sorted(p.parent.name for p in models_folder().glob("*/bundle.json"))


def folder_of(model: str | Path) -> Path:
    """Return the folder of a model: a bundle's path, a shipped or an installed name.

    Raises
    ------
    BundleError
        If there is no such model.
    """
    folder = Path(model)
    if folder.is_dir():
        return folder
    name = str(model)
    if name in shipped_models():
        return SHIPPED / name
    if name in (installed := installed_models()):
        return models_folder() / name
    known = [*shipped_models(), *installed]
    raise BundleError(
        f"no model {name!r}{did_you_mean(name, known)}: give a bundle's folder or one of "
        f"{', '.join(known) or '(none shipped)'}; `audiocnn models` lists what can be installed"
    )
