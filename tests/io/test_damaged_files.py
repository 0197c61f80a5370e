"""What people hand over, damaged: read, or refused in words; scripts/fuzz_readers does more."""

import importlib.machinery
import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "fuzz_readers"
EACH = 25


def load_script():
    loader = importlib.machinery.SourceFileLoader("fuzz_readers", str(SCRIPT))
    spec = importlib.util.spec_from_loader("fuzz_readers", loader)
    module = importlib.util.module_from_spec(spec)
    sys.modules["fuzz_readers"] = module
    loader.exec_module(module)
    return module


FUZZ = load_script()


@pytest.fixture(scope="module")
def kinds(tmp_path_factory):
    return FUZZ.kinds(tmp_path_factory.mktemp("good"))


@pytest.mark.parametrize("kind", [
    "csv", "jsonl", "parquet", "audacity", "raven", "kaleidoscope", "clips", "metadata",
    "reviews", "settings", "ledger", "bundle: bundle.json", "bundle: graph.onnx",
    "bundle: check.npz", "spreadsheet", "season", "birdnet", "phone", "archive", "joined wav",
    "joined flac", "joined ogg", "joined mp3", "joined aiff", "joined au",
])  # fmt: skip
def test_what_is_damaged_is_read_or_refused(kinds, kind, tmp_path):
    good, read = kinds[kind]
    assert FUZZ.attempt(good, read) == "read"
    data, bad = good.read_bytes(), tmp_path / f"bad_{good.name}"
    found = set()
    for k in range(EACH):
        bad.write_bytes(FUZZ.damage(data, np.random.default_rng([1, k])))
        found.add(FUZZ.attempt(bad, read))
    assert "refused" in found


def test_every_kind_is_tried(kinds):
    assert len(kinds) == 25
