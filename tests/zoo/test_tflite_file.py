"""Inner tensors of TFLite files as outputs: same scores, and the tensor beside them."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from audiocnn.errors import BundleError
from audiocnn.zoo.tflite_file import find_tensor, is_tflite, list_tensors, with_outputs

litert = pytest.importorskip("ai_edge_litert.interpreter")

from tests.zoo.tflite_models import write_tflite  # noqa: E402  (needs LiteRT's schema)

RNG = np.random.default_rng(3)
HIDDEN = RNG.standard_normal((5, 40)).astype(np.float32)
CLASSES = RNG.standard_normal((3, 5)).astype(np.float32)
NETWORK = write_tflite(HIDDEN, CLASSES)
SAMPLES = RNG.standard_normal((1, 40)).astype(np.float32)


def run(content: bytes, samples: NDArray[np.float32]) -> list[NDArray[np.float32]]:
    """Run a file; give all outputs, quantised ones as numbers."""
    interpreter = litert.Interpreter(model_content=content, num_threads=1)
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], samples)
    interpreter.invoke()
    found = []
    for details in interpreter.get_output_details():
        values = interpreter.get_tensor(details["index"]).astype(np.float32)
        scale, zero = details["quantization"]
        found.append((values - zero) * scale if scale else values)
    return found


def test_tensors_are_listed() -> None:
    tensors = list_tensors(NETWORK)
    assert [(t.name, t.shape) for t in tensors[:4]] == [
        ("samples", (1, 40)), ("net/hidden", (1, 5)), ("net/logits", (1, 3)),
        ("net/scores", (1, 3)),
    ]  # fmt: skip
    assert [t.index for t in tensors] == list(range(6))


@pytest.mark.parametrize("name", ["net/hidden", "hidden"])
def test_inner_tensor_becomes_an_output(name: str) -> None:
    (scores,) = run(NETWORK, SAMPLES)
    again, inner = run(with_outputs(NETWORK, [name]), SAMPLES)
    np.testing.assert_array_equal(again, scores)
    np.testing.assert_allclose(inner, np.maximum(SAMPLES @ HIDDEN.T, 0), atol=1e-5)


def test_several_and_those_that_are_outputs_already() -> None:
    changed = with_outputs(NETWORK, ["logits", "scores", "hidden"])
    scores, logits, inner = run(changed, SAMPLES)
    np.testing.assert_allclose(scores, 1 / (1 + np.exp(-logits)), atol=1e-6)
    np.testing.assert_allclose(logits, inner @ CLASSES.T, atol=1e-5)
    assert len(run(with_outputs(changed, ["hidden"]), SAMPLES)) == 3


def test_only_the_list_of_outputs_changes() -> None:
    changed = with_outputs(NETWORK, ["hidden"])
    differing = [i for i, (a, b) in enumerate(zip(NETWORK, changed, strict=False)) if a != b]
    assert len(differing) <= 4
    assert len(changed) <= len(NETWORK) + 3 + 12


def test_unknown_tensors() -> None:
    with pytest.raises(BundleError, match=r"no tensor 'hiden' \(did you mean 'net/hidden'\?\)"):
        with_outputs(NETWORK, ["hiden"])
    doubled = [*list_tensors(NETWORK)[1:2], *list_tensors(with_outputs(NETWORK, []))[1:2]]
    with pytest.raises(BundleError, match="2 tensors are called 'hidden'"):
        find_tensor(doubled, "hidden")


def test_other_and_damaged_files_are_refused() -> None:
    assert is_tflite(NETWORK)
    assert not is_tflite(b"")
    for content in (b"", b"no such file", NETWORK[:4] + b"XXXX" + NETWORK[8:]):
        with pytest.raises(BundleError, match="no TFLite file"):
            list_tensors(content)
    refused = 0
    for cut in range(8, len(NETWORK), 13):
        try:
            list_tensors(NETWORK[:cut])
        except BundleError:
            refused += 1
    assert refused > 0
    rng = np.random.default_rng(0)
    for _ in range(300):  # whatever is wrong with it, the error is ours
        damaged = bytearray(NETWORK)
        for at in rng.integers(8, len(damaged), 5):
            damaged[at] = rng.integers(256)
        damaged[:4] = NETWORK[:4]
        try:
            with_outputs(bytes(damaged), ["hidden"])
        except BundleError:
            continue


def test_yamnets_embedding(real_models: Path) -> None:
    content = (real_models / "yamnet.tflite").read_bytes()
    samples = (0.1 * RNG.standard_normal(15600)).astype(np.float32)
    (scores,) = run(content, samples)
    again, embedding = run(with_outputs(content, ["layer28/reduce_mean"]), samples)
    np.testing.assert_array_equal(again, scores)
    assert embedding.size == 1024
    assert embedding.min() >= 0
    assert embedding.std() > 0
