"""Where models that users fetched or added are kept, and which there are.

One folder per model, each an ordinary bundle. The package only reads them here; the
verb ``models`` writes them.
"""

from __future__ import annotations

import os
from pathlib import Path

VARIABLE = "AUDIOCNN_CACHE"


def cache_folder() -> Path:
    """Return the folder for what can be fetched again: ``AUDIOCNN_CACHE``, or the platform's.

    Returns
    -------
    pathlib.Path
        Absolute; need not exist.
    """
    if named := os.environ.get(VARIABLE):
        return Path(named).expanduser().absolute()
    import platformdirs

    return platformdirs.user_cache_path("audiocnn", appauthor=False)


def installed_folder() -> Path:
    """Return the folder with the installed models; need not exist."""
    return cache_folder() / "models"


def installed_models() -> dict[str, Path]:
    """Map the names of installed models to their folders, sorted by name."""
    try:
        found = sorted(installed_folder().iterdir())
    except OSError:
        return {}
    return {
        p.name: p for p in found if not p.name.startswith(".") and (p / "bundle.json").is_file()
    }
