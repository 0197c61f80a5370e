"""What the tests of networks of others share."""

from pathlib import Path

import pytest

REAL_MODELS = Path(__file__).parents[3] / "shared" / "models"


@pytest.fixture(scope="session")
def real_models() -> Path:
    """Give the folder with networks that others trained, which are no part of the repository."""
    if not REAL_MODELS.is_dir():
        pytest.skip(f"no networks of others here: {REAL_MODELS} is missing")
    return REAL_MODELS
