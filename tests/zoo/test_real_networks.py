"""The published networks as installed models: their scores are those of their references."""

import itertools
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

import audiocnn
from audiocnn.inference.bundle import Bundle, grid_of
from audiocnn.io.audio.blocks import Block
from audiocnn.training.torchaudio_import import import_torchaudio
from audiocnn.zoo.install import install
from audiocnn.zoo.registry import NETWORKS
from audiocnn.zoo.torch_file import read_state_dict
from tests.zoo.reference_mobilenet import MobileNet, reference_frames


@pytest.fixture(scope="module")
def installed(
    tmp_path_factory: pytest.TempPathFactory, real_models: Path
) -> Iterator[dict[str, Bundle]]:
    """Install all networks whose files are at hand."""
    pytest.importorskip("ai_edge_litert")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AUDIOCNN_CACHE", str(tmp_path_factory.mktemp("cache")))
        for name in NETWORKS:
            install(name, [real_models])
        yield {name: audiocnn.load(name) for name in NETWORKS}


@pytest.fixture(scope="module")
def clips(real_data: Path) -> list[Path]:
    found = sorted((real_data / "esc10").glob("*/*.ogg"))[::40]
    assert len(found) >= 5
    return found


def logits_of(bundle: Bundle, samples: NDArray[np.float32]) -> NDArray[np.float32]:
    runs = bundle.pipeline().uncalibrated.scores([Block(samples, 0, bundle.rate)])
    return np.concatenate([run.values for run in runs], axis=1)


def test_mn04_agrees_with_pytorch(installed: dict[str, Bundle], clips: list[Path],
                                  real_models: Path) -> None:  # fmt: skip
    import_torchaudio()
    bundle = installed["mn04"]
    network = MobileNet(0.4, 527).eval()
    state = read_state_dict(real_models / "mn04_as_mAP_432.pt")
    network.load_state_dict({name: torch.from_numpy(v) for name, v in state.items()})
    grid = grid_of(bundle)
    for clip in clips:
        samples = audiocnn.read_audio(clip, bundle.rate)
        found = logits_of(bundle, samples)
        for at in range(found.shape[1] - 1):
            begin = at * grid.hop_samples
            window = samples[begin : begin + grid.window_samples]
            with torch.no_grad():
                expected, _ = network(reference_frames(torch.from_numpy(window))[None])
            np.testing.assert_allclose(found[:, at], expected[0], rtol=0, atol=1e-4)


def test_yamnet_agrees_with_litert(
    installed: dict[str, Bundle], clips: list[Path], real_models: Path
) -> None:
    from ai_edge_litert.interpreter import Interpreter

    bundle = installed["yamnet"]
    reference = Interpreter(model_path=str(real_models / "yamnet.tflite"), num_threads=1)
    reference.allocate_tensors()
    taken, given = reference.get_input_details()[0], reference.get_output_details()[0]
    for clip in clips:
        samples = audiocnn.read_audio(clip, bundle.rate)
        runs = audiocnn.listen(bundle, [Block(samples, 0, bundle.rate)])
        found = np.concatenate([run.values for run in runs], axis=1)
        for at in range(found.shape[1] - 1):
            reference.set_tensor(taken["index"], samples[at * 7800 : at * 7800 + 15600])
            reference.invoke()
            expected = reference.get_tensor(given["index"])[0]
            np.testing.assert_allclose(found[:, at], expected, rtol=0, atol=1e-5)


def test_embeddings_are_as_wide_as_described(
    installed: dict[str, Bundle], clips: list[Path]
) -> None:
    for name, bundle in installed.items():
        samples = audiocnn.read_audio(clips[0], bundle.rate)
        (run, *_) = audiocnn.embed(bundle, [Block(samples, 0, bundle.rate)])
        assert run.values.shape[0] == NETWORKS[name].n_features
        assert bundle.network.details["features"] == NETWORKS[name].n_features
        assert len(bundle.labels) == NETWORKS[name].n_classes
        assert np.isfinite(run.values).all()
        assert run.values.std() > 0


@pytest.mark.parametrize(
    ("network", "folder", "fitting"),
    [
        ("mn04", "dog_bark", "Dog"), ("mn04", "helicopter", "Helicopter"), ("mn04", "rain", "Rain"),
        ("yamnet", "dog_bark", "Dog"), ("yamnet", "rooster", "Chicken, rooster"),
    ],
)  # fmt: skip
def test_what_a_listener_knows(
    installed: dict[str, Bundle], real_data: Path, network: str, folder: str, fitting: str
) -> None:
    """A fitting class has a higher score in its own clips than in those of chainsaws."""
    bundle = installed[network].select([fitting])

    def best(name: str) -> float:
        clips = sorted((real_data / "esc10" / name).glob("*.ogg"))[:6]
        scores = [logits_of(bundle, audiocnn.read_audio(clip, bundle.rate)) for clip in clips]
        return float(np.median([s.max() for s in scores]))

    assert best(folder) > best("chainsaw") + 1


@pytest.mark.parametrize("network", NETWORKS)
def test_stream_equals_file(installed: dict[str, Bundle], clips: list[Path], network: str) -> None:
    bundle = installed[network]
    samples = audiocnn.read_audio(clips[1], bundle.rate)
    cuts = np.sort(np.random.default_rng(0).integers(0, len(samples), 30)).tolist()
    edges = [0, *cuts, len(samples)]
    pieces = [Block(samples[a:b], a, bundle.rate) for a, b in itertools.pairwise(edges)]
    run = audiocnn.listen if bundle.labels else audiocnn.embed
    whole = np.concatenate(
        [r.values for r in run(bundle, [Block(samples, 0, bundle.rate)], 0.32)], axis=1
    )  # fmt: skip
    parts = np.concatenate([r.values for r in run(bundle, pieces, 0.32)], axis=1)
    scale = max(1.0, float(np.abs(whole).max()))
    np.testing.assert_allclose(parts, whole, rtol=0, atol=1e-5 * scale)
