"""Any network's file as a model: what is read off it, what must be said, what is refused."""

import json
import zipfile
from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray

import audiocnn
from audiocnn.errors import ArgumentError, BundleError
from audiocnn.io.audio.blocks import Block
from audiocnn.zoo.add import Request, add
from audiocnn.zoo.label_files import labels_within, parse_labels, read_labels
from audiocnn.zoo.onnx_writer import OnnxWriter
from audiocnn.zoo.probe import activation_of, probe
from tests.bundles import FRONT

LABELS = ("bell", "frog", "saw")
RNG = np.random.default_rng(5)
WEIGHTS = RNG.standard_normal((400, 3)).astype(np.float32) / 5


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("AUDIOCNN_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def labels(tmp_path: Path) -> Path:
    path = tmp_path / "labels.txt"
    path.write_text("\n".join(LABELS) + "\n")
    return path


def network(path: Path, activation: str = "", axes: int = 2, batch: int | str = "windows") -> Path:
    """Write samples -> linear -> 3 scores, and 5 features beside them."""
    out = OnnxWriter("net")
    shape = {1: [400], 2: [batch, 400], 3: [batch, 1, 400]}[axes]
    x = out.input("samples", shape)
    if axes != 2:
        x = out.node("Reshape", [x, out.array(np.array([-1, 400]), np.int64)])
    scores = out.node("MatMul", [x, out.array(WEIGHTS)])
    scores = out.node(activation, [scores]) if activation else scores
    rows = 1 if axes == 1 else batch
    out.output("classes", scores, [rows, 3])
    out.output("features", out.node("MatMul", [x, out.array(RNG.standard_normal((400, 5)))]),
               [rows, 5])  # fmt: skip
    path.write_bytes(out.serialize())
    return path


def scores_of(name: str, samples: NDArray[np.float32]) -> NDArray[np.float32]:
    bundle = audiocnn.load(name)
    runs = audiocnn.listen(bundle, [Block(samples, 0, bundle.rate)])
    return np.concatenate([run.values for run in runs], axis=1)


def sigmoid(x: NDArray[np.float32]) -> NDArray[np.float32]:
    return 1 / (1 + np.exp(-x))


@pytest.mark.parametrize("axes", [1, 2, 3])
@pytest.mark.parametrize("activation", ["", "Sigmoid", "Softmax"])
def test_only_what_no_file_says_must_be_given(
    tmp_path: Path, labels: Path, axes: int, activation: str
) -> None:
    path = network(tmp_path / "net.onnx", activation, axes)
    folder = add(Request(path, "net", sample_rate=8000, labels=labels))
    bundle = audiocnn.load("net")
    assert bundle.labels == LABELS
    assert (bundle.window, bundle.hop, bundle.rate) == (0.05, 0.025, 8000)
    assert bundle.network.embeddings == "features"
    assert bundle.network.activation == (activation.lower() or "none")
    assert json.loads((folder / "bundle.json").read_text())["card"]["calibrated"] is False
    samples = (0.3 * RNG.standard_normal(1000)).astype(np.float32)
    windows = np.stack([samples[i : i + 400] for i in (0, 200, 400, 600)])
    logits = windows @ WEIGHTS
    if activation == "Softmax":
        expected = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    else:
        expected = sigmoid(logits)
    np.testing.assert_allclose(scores_of("net", samples), expected.T, atol=1e-5)


def test_fixed_batch_of_one(tmp_path: Path, labels: Path) -> None:
    add(Request(network(tmp_path / "net.onnx", batch=1), "net", sample_rate=8000, labels=labels))
    samples = (0.3 * RNG.standard_normal(800)).astype(np.float32)
    windows = np.stack([samples[i : i + 400] for i in (0, 200, 400)])
    np.testing.assert_allclose(
        scores_of("net", samples), sigmoid(windows @ WEIGHTS).T, atol=1e-5
    )  # fmt: skip


def test_gain(tmp_path: Path, labels: Path) -> None:
    path = network(tmp_path / "net.onnx")
    add(Request(path, "net", sample_rate=8000, labels=labels, gain=4.0))
    samples = (0.1 * RNG.standard_normal(400)).astype(np.float32)
    np.testing.assert_allclose(
        scores_of("net", samples)[:, 0], sigmoid(4 * samples @ WEIGHTS), atol=1e-5
    )  # fmt: skip


def test_frames_of_a_front_end(tmp_path: Path, labels: Path) -> None:
    out = OnnxWriter("frames")
    x = out.input("frames", ["windows", FRONT.n_bands, 20])
    mean = out.node("ReduceMean", [x], axes=[2], keepdims=0)
    weights = RNG.standard_normal((FRONT.n_bands, 3))
    out.output("scores", out.node("MatMul", [mean, out.array(weights)]), ["windows", 3])
    (tmp_path / "net.onnx").write_bytes(out.serialize())
    front = tmp_path / "front.json"
    front.write_text(json.dumps(FRONT.describe()))
    add(Request(tmp_path / "net.onnx", "net", labels=labels, front=str(front)))
    bundle = audiocnn.load("net")
    assert bundle.front == FRONT
    assert bundle.window == pytest.approx((19 * FRONT.hop + FRONT.n_fft) / FRONT.rate)
    front.write_text('{"kind": "none"}')
    with pytest.raises(ArgumentError, match=r"front\.json: is no front end as"):
        add(Request(tmp_path / "net.onnx", "other", labels=labels, front=str(front)))
    narrow = front.with_name("narrow.json")
    narrow.write_text(json.dumps({**FRONT.describe(), "n_mels": 12}))
    with pytest.raises(ArgumentError, match=r"shape \(\?, 16, 20\), which has no axis of 12 bands"):
        add(Request(tmp_path / "net.onnx", "other", labels=labels, front=str(narrow)))
    with pytest.raises(ArgumentError, match=r"name their front end with --front"):
        add(Request(tmp_path / "net.onnx", "other", sample_rate=8000, labels=labels))


def test_input_of_any_length_needs_a_window(tmp_path: Path, labels: Path) -> None:
    out = OnnxWriter("any")
    x = out.input("samples", ["windows", "n"])
    mean = out.node("ReduceMean", [out.node("Abs", [x])], axes=[1], keepdims=1)
    out.output("scores", out.node("MatMul", [mean, out.array(np.ones((1, 3)))]), ["windows", 3])
    (tmp_path / "net.onnx").write_bytes(out.serialize())
    request = Request(tmp_path / "net.onnx", "net", sample_rate=8000, labels=labels)
    with pytest.raises(ArgumentError, match="takes an input of any length: give --window"):
        add(request)
    add(Request(tmp_path / "net.onnx", "net", 8000, 0.5, 0.1, labels))
    assert (audiocnn.load("net").window, audiocnn.load("net").hop) == (0.5, 0.1)


def test_backbone_without_scores(tmp_path: Path) -> None:
    path = network(tmp_path / "net.onnx")
    add(Request(path, "net", sample_rate=8000, scores="", embeddings="features"))
    bundle = audiocnn.load("net")
    assert bundle.labels == ()
    samples = RNG.standard_normal(800).astype(np.float32)
    (run,) = audiocnn.embed(bundle, [Block(samples, 0, 8000)])
    assert run.values.shape == (5, 3)


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({}, r"does not say at which rate it was trained: give --sample-rate"),
        ({"sample_rate": 8000}, r"which output is the scores: name it with --scores; outputs: 'cl"),
        ({"sample_rate": 8000, "scores": "classes"}, r"has 3 scores and no labels: give --labels"),
        (
            {"sample_rate": 8000, "scores": "class"},
            r"no output 'class'; outputs: 'classes' \(\?, 3",
        ),
        ({"sample_rate": 8000, "embeddings": "x"}, r"no output 'x'"),
    ],
)
def test_what_must_be_said_is_asked(tmp_path: Path, how: dict[str, object], message: str) -> None:
    path = network(tmp_path / "net.onnx")
    with pytest.raises(ArgumentError, match=message):
        add(Request(path, "net", **how))  # type: ignore[arg-type]


def test_labels_that_do_not_fit(tmp_path: Path) -> None:
    path = network(tmp_path / "net.onnx")
    few = tmp_path / "few.txt"
    few.write_text("a\nb\n")
    with pytest.raises(ArgumentError, match=r"which output of 2 numbers is the scores"):
        add(Request(path, "net", sample_rate=8000, labels=few))
    with pytest.raises(ArgumentError, match=r"few\.txt has 2 labels, and the network 3 scores"):
        add(Request(path, "net", sample_rate=8000, labels=few, scores="classes"))


def test_window_shorter_than_the_network_takes(tmp_path: Path, labels: Path) -> None:
    path = network(tmp_path / "net.onnx")
    with pytest.raises(ArgumentError, match=r"takes 400 samples or frames, 0\.05 s at 8000 Hz"):
        add(Request(path, "net", 8000, 0.02, labels=labels))


def test_name_that_is_taken(tmp_path: Path, labels: Path) -> None:
    request = Request(network(tmp_path / "net.onnx"), "net", sample_rate=8000, labels=labels)
    add(request)
    with pytest.raises(ArgumentError, match="'net' is installed already"):
        add(request)
    add(request, overwrite=True)


def test_files_that_are_no_networks(tmp_path: Path, labels: Path) -> None:
    (tmp_path / "x.onnx").write_bytes(b"no network")
    with pytest.raises(BundleError):
        add(Request(tmp_path / "x.onnx", "net", sample_rate=8000, labels=labels))
    with pytest.raises(ArgumentError, match=r"nowhere\.onnx: cannot be read: No such file"):
        add(Request(tmp_path / "nowhere.onnx", "net", sample_rate=8000, labels=labels))


def test_weights_in_another_file_are_refused(tmp_path: Path, labels: Path) -> None:
    model = onnx.load(network(tmp_path / "net.onnx"))
    onnx.save_model(model, tmp_path / "out.onnx", save_as_external_data=True, location="w.bin",
                    size_threshold=0)  # fmt: skip
    with pytest.raises(BundleError, match=r"reads another file .*w\.bin"):
        add(Request(tmp_path / "out.onnx", "net", sample_rate=8000, labels=labels))


def test_two_inputs_are_refused(labels: Path) -> None:
    out = OnnxWriter("two")
    a, b = out.input("a", [1, 4]), out.input("b", [1, 4])
    out.output("scores", out.node("Add", [a, b]), [1, 4])
    with pytest.raises(BundleError, match=r"2 inputs \(a, b\), expected one"):
        probe(out.serialize())


def test_tflite_with_labels_and_an_inner_tensor(tmp_path: Path) -> None:
    pytest.importorskip("ai_edge_litert")
    from tests.zoo.tflite_models import write_tflite

    hidden = RNG.standard_normal((5, 400)).astype(np.float32) / 5
    classes = RNG.standard_normal((3, 5)).astype(np.float32)
    path = tmp_path / "net.tflite"
    path.write_bytes(write_tflite(hidden, classes))
    with zipfile.ZipFile(path, "a") as packed:
        packed.writestr("labels.txt", "\n".join(LABELS))
    add(Request(path, "net", sample_rate=8000, embeddings="hidden"))
    bundle = audiocnn.load("net")
    assert bundle.labels == LABELS
    assert bundle.network.activation == "sigmoid"
    samples = (0.3 * RNG.standard_normal(400)).astype(np.float32)
    inner = np.maximum(samples @ hidden.T, 0)
    np.testing.assert_allclose(
        scores_of("net", samples)[:, 0], sigmoid(inner @ classes.T), atol=1e-5
    )  # fmt: skip
    (run,) = audiocnn.embed(bundle, [Block(samples, 0, 8000)])
    np.testing.assert_allclose(run.values[:, 0], inner, atol=1e-5)


def test_activations_are_told_apart() -> None:
    logits = RNG.standard_normal((4, 6)).astype(np.float32)
    assert activation_of(logits) == "none"
    assert activation_of(sigmoid(logits)) == "sigmoid"
    exp = np.exp(logits)
    assert activation_of(exp / exp.sum(1, keepdims=True)) == "softmax"
    with pytest.raises(BundleError, match="no numbers"):
        activation_of(np.full((1, 2), np.nan, np.float32))


def test_lists_of_labels(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    path.write_text('index,mid,display_name\n0,/m/1,Speech\n1,/m/2,"Male speech, man"\n')
    assert read_labels(path) == ("Speech", "Male speech, man")
    path.write_text("\ufeffSpeech\r\nMale speech, man\r\n", encoding="utf-8")
    assert read_labels(path) == ("Speech", "Male speech, man")
    assert parse_labels("0 Background Noise\n1 clap\n", "x") == ("Background Noise", "clap")
    assert parse_labels("2 stroke engine\n1 clap\n", "x") == ("2 stroke engine", "1 clap")
    assert labels_within(b"TFL3 no zip") == ()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a\n\nb\n", "label 2 is empty"),
        ("a\nb\na\n", "label 'a' is there twice"),
        ("", "contains no labels"),
    ],
)
def test_bad_lists_of_labels(text: str, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        parse_labels(text, "labels.txt")


def test_unreadable_list_of_labels(tmp_path: Path) -> None:
    (tmp_path / "labels").write_bytes(b"\xff\xfe")
    with pytest.raises(ArgumentError, match="cannot be read as a list of labels"):
        read_labels(tmp_path / "labels")


def test_yamnets_labels_are_in_its_file(real_models: Path) -> None:
    from audiocnn.zoo.audioset import audioset_labels

    found = labels_within((real_models / "yamnet.tflite").read_bytes())
    assert found == audioset_labels("yamnet")
