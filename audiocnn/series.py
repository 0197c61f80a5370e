"""Series in files that hold many."""

from pathlib import Path


def file_of(path: str | Path) -> Path:
    """Give the file."""
    return Path(path)
