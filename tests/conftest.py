"""What several test modules share."""

import os
from pathlib import Path

import pytest

# Threads of their own for tiny tensors only get into each other's way: with other work on
# the machine, tests took ten times as long.
os.environ.setdefault("OMP_NUM_THREADS", "1")

SHARED_DATA = Path(__file__).parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Give the folder with ESC-10 and spoken digits, which are no part of the repository."""
    if not SHARED_DATA.is_dir():
        pytest.skip(f"no real recordings here: {SHARED_DATA} is missing")
    return SHARED_DATA
