"""The speech embedding as one graph: what the two published files give one after the other."""

from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest

from audiocnn import read_audio
from audiocnn.errors import BundleError
from audiocnn.zoo.onnx_writer import OnnxWriter
from audiocnn.zoo.speech_embedding import (
    FRAME,
    GAIN,
    HOP,
    N_BANDS,
    N_FEATURES,
    N_FRAMES,
    WINDOW_SAMPLES,
    build_speech_embedding,
)

TOLERANCE = 2e-4  # of embeddings up to 100; float32 sums in another order


def small_pair() -> tuple[bytes, bytes]:
    """Make graphs with the shapes of the published ones and random weights."""
    rng = np.random.default_rng(0)
    mel = OnnxWriter("mel", 13, 7)
    x = mel.input("input", ["batch", "samples"])
    shapes = {"0.stft.conv_real.weight": (FRAME // 2 + 1, 1, FRAME),
              "0.stft.conv_imag.weight": (FRAME // 2 + 1, 1, FRAME),
              "1.melW": (FRAME // 2 + 1, N_BANDS)}  # fmt: skip
    arrays = {name: rng.standard_normal(shape) for name, shape in shapes.items()}
    arrays["1.melW"] = np.abs(arrays["1.melW"])
    for name, values in arrays.items():
        tensor = mel.onnx.numpy_helper.from_array(values.astype(np.float32), name)
        mel.arrays.append(tensor)
    mel.output("output", x, ["batch", "samples"])
    net = OnnxWriter("net", 13, 7)
    y = net.input("input_1", ["batch", N_FRAMES, N_BANDS, 1])
    shape = net.array(np.array([0, N_FRAMES * N_BANDS]), np.int64)
    flat = net.node("Reshape", [y, shape])
    weight = net.array(rng.standard_normal((N_FRAMES * N_BANDS, N_FEATURES)) / 50)
    given = net.node("MatMul", [flat, weight])
    last = net.node("Reshape", [given, net.array(np.array([0, 1, 1, N_FEATURES]), np.int64)])
    net.output("conv2d_19", last, ["batch", 1, 1, N_FEATURES])
    return mel.serialize(), net.serialize()


def test_windows_in_a_batch_do_not_influence_each_other() -> None:
    session = ort.InferenceSession(build_speech_embedding(*small_pair()))
    rng = np.random.default_rng(1)
    loud, quiet = (
        level * rng.standard_normal((1, WINDOW_SAMPLES)).astype(np.float32)
        for level in (10000, 1e-6)
    )
    (together,) = session.run(["embeddings"], {"waveform": np.concatenate((loud, quiet))})
    (alone,) = session.run(["embeddings"], {"waveform": quiet})
    assert together.shape == (2, N_FEATURES)
    np.testing.assert_allclose(together[1], alone[0], atol=1e-4)


def test_samples_of_silence_give_finite_numbers() -> None:
    session = ort.InferenceSession(build_speech_embedding(*small_pair()))
    (found,) = session.run(None, {"waveform": np.zeros((1, WINDOW_SAMPLES), np.float32)})
    assert np.isfinite(found).all()


def test_other_files_are_refused() -> None:
    net = small_pair()[1]
    with pytest.raises(BundleError, match=r"has no '0\.stft\.conv_real\.weight' of shape"):
        build_speech_embedding(net, net)


def test_published_graphs_agree(real_models: Path, real_data: Path) -> None:
    mel = (real_models / "speech_melspectrogram.onnx").read_bytes()
    net = (real_models / "speech_embedding.onnx").read_bytes()
    joined = ort.InferenceSession(build_speech_embedding(mel, net))
    first, second = ort.InferenceSession(mel), ort.InferenceSession(net)
    clips = sorted(p for p in real_data.rglob("*") if p.suffix in (".wav", ".flac", ".ogg"))
    for clip in clips[:: len(clips) // 5]:
        samples = np.pad(GAIN * read_audio(clip, 16000), (0, 2 * WINDOW_SAMPLES))
        starts = range(0, WINDOW_SAMPLES, 8 * HOP)
        windows = np.stack([samples[i : i + WINDOW_SAMPLES] for i in starts]).astype(np.float32)
        (found,) = joined.run(["embeddings"], {"waveform": windows})
        for window, embedding in zip(windows, found, strict=True):
            (frames,) = first.run(None, {"input": window[None]})
            frames = frames.reshape(1, N_FRAMES, N_BANDS, 1) / 10 + 2
            (expected,) = second.run(None, {second.get_inputs()[0].name: frames})
            np.testing.assert_allclose(embedding, expected.ravel(), atol=TOLERANCE)
