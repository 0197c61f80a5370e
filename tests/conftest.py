"""What several test modules share."""

import os
from pathlib import Path

import hypothesis
import pytest

# The same examples at every run: a red test is this change's. Others now and then, with
# HYPOTHESIS_PROFILE=search scripts/test.
hypothesis.settings.register_profile("same", derandomize=True, deadline=None)
hypothesis.settings.register_profile("search", deadline=None)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))

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


@pytest.fixture(scope="session")
def bundle_folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Give a bundle of each architecture with random weights."""
    from tests.bundles import random_bundle

    root = tmp_path_factory.mktemp("bundles")
    folders = {arch: root / arch for arch in ("cnn1d", "cnn2d")}
    for arch, folder in folders.items():
        random_bundle(arch, folder)
    return folders


@pytest.fixture(scope="session")
def signal_folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Give a bundle for signals of three channels, of each front end, with random weights."""
    from tests.bundles import SIGNAL_FRONTS, random_signal_bundle

    root = tmp_path_factory.mktemp("signal_bundles")
    folders = {kind: root / kind for kind in SIGNAL_FRONTS}
    for kind, folder in folders.items():
        random_signal_bundle(kind, folder)
    return folders
