"""What several test modules share."""

from pathlib import Path

import pytest

SHARED_DATA = Path(__file__).parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Give the folder with ESC-10 and spoken digits, which are no part of the repository."""
    if not SHARED_DATA.is_dir():
        pytest.skip(f"no real recordings here: {SHARED_DATA} is missing")
    return SHARED_DATA
