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
        pytest.skip("needs real recordings in ../shared/data, which are not part of the project")
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


@pytest.fixture(scope="session")
def windowed_folders(
    tmp_path_factory: pytest.TempPathFactory, bundle_folders: dict[str, Path]
) -> dict[str, Path]:
    """Give bundles of windowed networks, and of heads on both kinds, with random weights."""
    import audiocnn
    from tests.bundles import windowed_bundle, with_head, write

    root = tmp_path_factory.mktemp("windowed_bundles")
    frames, waveform = windowed_bundle("frames"), windowed_bundle("waveform")
    streaming = audiocnn.load(bundle_folders["cnn2d"])
    found = {
        "frames": frames,
        "waveform": waveform,
        "frames-head": with_head(frames, "mean+max"),
        "several-head": with_head(windowed_bundle("frames", window=1.5), "concat", hidden=7),
        "streaming-head": with_head(streaming, "mean+max", hidden=5),
    }
    for name, bundle in found.items():
        write(bundle, root / name)
    return {name: root / name for name in found}
