"""Some of a model's classes: their scores stay what they were, in every kind of model."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

import audiocnn
from audiocnn.errors import ArgumentError
from audiocnn.inference.bundle import Bundle, checksum, load
from audiocnn.inference.description import NetworkSpec
from audiocnn.io.audio.blocks import Block
from audiocnn.labeling.label import LabelResult
from audiocnn.labeling.tasks import LabelJob, WorkerJob, label_task_in_worker, model_files, task_of
from tests.bundles import LABELS, write

CHOSEN = (LABELS[2], LABELS[0])


@pytest.fixture(scope="module", params=["cnn2d", "frames", "frames-head", "streaming-head"])
def folder(
    request: pytest.FixtureRequest, bundle_folders: dict[str, Path],
    windowed_folders: dict[str, Path],
) -> Path:  # fmt: skip
    """Give the folder of a bundle of each kind."""
    return (bundle_folders | windowed_folders)[request.param]


def samples_of(bundle: Bundle) -> np.ndarray:
    return 0.1 * np.random.default_rng(0).standard_normal(40_000).astype(np.float32)


def scores_of(bundle: Bundle) -> np.ndarray:
    samples = samples_of(bundle)
    blocks = [Block(samples[:12_345], 0, bundle.rate), Block(samples[12_345:], 12_345, bundle.rate)]
    return np.concatenate([run.values for run in audiocnn.listen(bundle, blocks)], axis=1)


def assert_same(found: np.ndarray, expected: np.ndarray) -> None:
    """Compare scores; a head of fewer rows is summed in another order."""
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)


def test_scores_of_chosen_classes_are_what_they_were(folder: Path) -> None:
    whole = load(folder)
    chosen = whole.select(CHOSEN)
    assert chosen.labels == tuple(chosen.rules) == CHOSEN
    assert_same(scores_of(chosen), scores_of(whole)[[2, 0]])
    again = chosen.select(LABELS[:1])
    assert_same(scores_of(again), scores_of(whole)[:1])


def test_selection_is_another_model_to_a_ledger(folder: Path) -> None:
    whole = load(folder)
    sums = {checksum(whole.select(labels)) for labels in (CHOSEN, CHOSEN[::-1], LABELS[:1])}
    assert len(sums | {checksum(whole)}) == 4
    assert whole.select(LABELS) is whole


def test_selection_is_written_and_read(folder: Path, tmp_path: Path) -> None:
    chosen = load(folder).select(CHOSEN)
    write(chosen, tmp_path / "some")
    again = load(tmp_path / "some")
    assert again.labels == CHOSEN
    assert_same(scores_of(again), scores_of(chosen))


def test_embeddings_do_not_change(folder: Path) -> None:
    whole = load(folder)
    blocks = [Block(samples_of(whole), 0, whole.rate)]
    for a, b in zip(
        audiocnn.embed(whole, blocks), audiocnn.embed(whole.select(CHOSEN), blocks), strict=True
    ):
        np.testing.assert_array_equal(a.values, b.values)


def test_workers_score_the_chosen_classes(folder: Path, tmp_path: Path) -> None:
    whole = load(folder)
    path = tmp_path / "sound.wav"
    sf.write(path, samples_of(whole), int(whole.rate), subtype="FLOAT")
    chosen = whole.select(CHOSEN)
    shared = WorkerJob(LabelJob(None, chosen.rules), model_files(folder))
    result = label_task_in_worker(shared, task_of(str(path)))
    assert isinstance(result, LabelResult)
    assert result.error == ""
    expected = chosen.detect(path)
    found = sorted(result.events, key=lambda event: (event.start, event.label))
    assert [(e.label, e.start, e.end) for e in found] == [
        (e.label, e.start, e.end) for e in expected
    ]
    assert found


def test_unknown_and_repeated_classes_are_refused(folder: Path) -> None:
    whole = load(folder)
    with pytest.raises(ArgumentError, match=r"has no class 'bel' \(did you mean 'bell'\?\)"):
        whole.select(["bel"])
    for labels in ([], ["bell", "bell"]):
        with pytest.raises(ArgumentError, match="name classes, each once"):
            whole.select(labels)


def test_bad_indices_are_refused() -> None:
    with pytest.raises(audiocnn.BundleError, match="classes must be whole numbers"):
        NetworkSpec(receptive_field=1, stride=1, classes=(-1,))


def test_class_that_the_network_does_not_have_is_refused(bundle_folders: dict[str, Path]) -> None:
    whole = load(bundle_folders["cnn2d"])
    beyond = replace(whole.network, classes=(0, 1, 9))
    with pytest.raises(audiocnn.BundleError, match="class 9 is chosen of a network with 3 scores"):
        _ = replace(whole, network=beyond).opened
