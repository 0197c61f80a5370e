"""Networks with an input window, and heads: a stream gives what the file gives, per window."""

import dataclasses
import itertools
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import audiocnn
from audiocnn import Block
from audiocnn.errors import ArgumentError, BundleError
from audiocnn.inference import windowed_network
from audiocnn.inference.bundle import Bundle, checksum, grid_of
from audiocnn.inference.head import head_bytes, head_from
from audiocnn.inference.runtimes import open_runtime
from audiocnn.inference.windowed_network import LAYOUTS, WindowedNetwork, logits_of
from audiocnn.inference.windows import Scores
from tests.bundles import LABELS, N_EMBEDDINGS, windowed_bundle, windowed_graph, with_head, write

RATE = 8000
ALLOWED = 1e-5
NAMES = ("frames", "waveform", "frames-head", "several-head", "streaming-head")


def sound(n: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    swell = np.abs(np.sin(np.linspace(0, n / 1500, n)))
    return (0.1 * swell * rng.standard_normal(n)).astype(np.float32)


SOUND = sound(20_300)


@pytest.fixture(scope="module", params=NAMES)
def bundle(request, windowed_folders) -> Bundle:
    return audiocnn.load(windowed_folders[request.param])


@pytest.fixture(scope="module", params=["frames", "waveform"])
def windowed(request, windowed_folders) -> Bundle:
    return audiocnn.load(windowed_folders[request.param])


def windows_of(runs: list[Scores]) -> tuple[np.ndarray, np.ndarray]:
    """Give the times (2, W) and values (C, W) of runs."""
    return (
        np.concatenate([run.times for run in runs], axis=1),
        np.concatenate([run.values for run in runs], axis=1),
    )


def listen(bundle: Bundle, samples: np.ndarray, hop: float | None = None, start: int = 0):
    return windows_of(list(audiocnn.listen(bundle, [Block(samples, start, RATE)], hop)))


# Stream equals file -----------------------------------------------------------------------


@settings(max_examples=20)
@given(cuts=st.lists(st.integers(0, SOUND.size), max_size=12), hop=st.sampled_from([0.1, 0.7]))
def test_any_cutting_gives_the_same_scores(bundle, cuts, hop):
    edges = [0, *sorted(cuts), SOUND.size]
    blocks = [Block(SOUND[a:b], a, RATE) for a, b in itertools.pairwise(edges)]
    times, values = windows_of(list(audiocnn.listen(bundle, blocks, hop)))
    expected_times, expected = listen(bundle, SOUND, hop)
    np.testing.assert_allclose(times, expected_times, atol=1e-9)
    np.testing.assert_allclose(values, expected, atol=ALLOWED)
    assert expected.std(axis=1).max() > 1e-2  # the comparison is of something


def test_single_samples_and_long_blocks_give_the_same_scores(windowed, monkeypatch):
    x = SOUND[:9000]
    expected = listen(windowed, x)
    pieces = [Block(x[a : a + 1], a, RATE) for a in range(200)] + [Block(x[200:], 200, RATE)]
    found = windows_of(list(audiocnn.listen(windowed, pieces)))
    monkeypatch.setattr(WindowedNetwork, "samples_at_once", 1 << 9)
    again = listen(windowed, x)
    for times, values in (found, again):
        np.testing.assert_allclose(times, expected[0], atol=1e-9)
        np.testing.assert_allclose(values, expected[1], atol=ALLOWED)


@settings(max_examples=15)
@given(at=st.integers(0, SOUND.size - 1), width=st.integers(1, 3000))
def test_a_score_depends_on_the_samples_of_its_window_only(bundle, at, width):
    changed = SOUND.copy()
    changed[at : at + width] = 0.3 * sound(changed[at : at + width].size, seed=7) + 0.2
    times, before = listen(bundle, SOUND)
    after = listen(bundle, changed)[1]
    first, last = at / RATE, min(at + width, SOUND.size) / RATE
    apart = (times[1] <= first + 1e-9) | (times[0] >= last - 1e-9)
    np.testing.assert_allclose(after[:, apart], before[:, apart], atol=ALLOWED)
    if width > 200 and not apart.all():
        assert np.abs(after - before).max() > ALLOWED


@settings(max_examples=15)
@given(
    lengths=st.lists(st.integers(1, 9000), min_size=1, max_size=3),
    jumps=st.lists(st.integers(1, 5000), min_size=3, max_size=3),
)
def test_each_segment_is_scored_like_a_file(bundle, lengths, jumps):
    at, blocks, expected_times, expected = 0, [], [], []
    for number, (n, jump) in enumerate(zip(lengths, jumps, strict=False)):
        at += jump
        x = sound(n, number)
        blocks += [Block(x[: n // 2], at, RATE), Block(x[n // 2 :], at + n // 2, RATE)]
        times, values = listen(bundle, x)
        expected_times.append(times + at / RATE)
        expected.append(values)
        at += n
    runs = list(audiocnn.listen(bundle, blocks))
    times, values = windows_of(runs)
    np.testing.assert_allclose(times, np.concatenate(expected_times, axis=1), atol=1e-9)
    np.testing.assert_allclose(values, np.concatenate(expected, axis=1), atol=ALLOWED)
    assert [run.last for run in runs].count(True) == len(lengths)


# Windows ----------------------------------------------------------------------------------


@pytest.mark.parametrize("hop", [0.2, 0.5, 0.9])  # overlapping, adjacent, with holes
def test_windows_are_those_of_the_graph_run_on_each_alone(windowed, hop):
    times, values = listen(windowed, SOUND, hop)
    grid = grid_of(windowed, hop)
    assert (grid.size, grid.step) == (1, 1)
    n_whole = (SOUND.size - grid.window_samples) // grid.hop_samples + 1
    begins = [k * grid.hop_samples for k in range(n_whole)]
    np.testing.assert_allclose(times[0, :n_whole], np.array(begins) / RATE)
    runtime = open_runtime(windowed.model)
    for k, begin in enumerate(begins):
        x = SOUND[begin : begin + grid.window_samples]
        frames = windowed.front.frames(x)
        feed = frames[None] if windowed.network.layout == "NPMT" else frames[0]
        logits = runtime.run(["scores"], {"input": feed})[0][0]
        slope, offset = (np.array(v) for v in dataclasses.astuple(windowed.calibration))
        expected = 1 / (1 + np.exp(-(slope * logits + offset)))
        np.testing.assert_allclose(values[:, k], expected, atol=ALLOWED)


@pytest.mark.parametrize("more", [0, 1, 99, 100, 1500, 1599])
def test_the_last_window_ends_with_the_last_whole_frame(windowed, more):
    grid = grid_of(windowed)
    n = grid.window_samples + 2 * grid.hop_samples + more
    times, values = listen(windowed, sound(n))
    unit = windowed.front.hop
    last = (n - grid.window_samples) // unit * unit
    begins = [k * grid.hop_samples for k in range(3)]
    assert np.rint(times[0] * RATE).tolist() == begins + [last] * (last > begins[-1])
    alone = listen(windowed, sound(n)[last : last + grid.window_samples])[1]
    np.testing.assert_allclose(values[:, -1], alone[:, 0], atol=ALLOWED)


@pytest.mark.parametrize("n", [1, 300, 3000])
def test_what_is_shorter_than_a_window_is_padded_to_exactly_one(bundle, n):
    window = grid_of(bundle).window_samples
    (run,) = (r for r in audiocnn.listen(bundle, [Block(sound(n), 0, RATE)]) if r.values.size)
    assert (run.values.shape[1], run.last) == (1, True)
    assert run.padded == pytest.approx((window - n) / RATE)
    padded = np.concatenate((sound(n), np.zeros(window - n, np.float32)))
    np.testing.assert_allclose(run.values, listen(bundle, padded)[1], atol=ALLOWED)


def test_a_window_of_several_network_windows_pools_them():
    bundle = windowed_bundle("frames", window=1.5)
    grid = grid_of(bundle, 0.25)
    length = bundle.network.length
    assert grid.period == length // 2 * 100
    assert grid.size > 3
    assert grid.window == pytest.approx(1.5, abs=grid.period / RATE)
    times, values = listen(bundle, SOUND, 0.25)
    single = windowed_bundle("frames")
    run, front = single.opened.runtime.run, single.front
    begins = range(0, grid.window_samples - grid.reach + 1, grid.period)
    columns = [
        run(["scores"], {"input": front.frames(SOUND[a : a + grid.reach])[None]})[0] for a in begins
    ]
    mean = np.concatenate(columns).mean(axis=0)
    slope, offset = (np.array(v) for v in dataclasses.astuple(bundle.calibration))
    expected = 1 / (1 + np.exp(-(slope * mean + offset)))
    np.testing.assert_allclose(values[:, 0], expected, atol=ALLOWED)
    assert times[0, 1] - times[0, 0] == pytest.approx(grid.hop)


def test_a_network_that_takes_any_length_follows_the_bundle():
    free = windowed_bundle("frames")
    spec = dataclasses.replace(free.network, length=None)
    model = windowed_graph("frames", None)
    free = dataclasses.replace(free, network=spec, model=model, window=0.9)
    grid = grid_of(free)
    assert (grid.size, round(grid.window, 1)) == (1, 0.9)


@pytest.mark.parametrize("size", [1, 3, 64])
def test_the_size_of_batches_changes_nothing(windowed, monkeypatch, size):
    expected = listen(windowed, SOUND, 0.05)[1]
    monkeypatch.setattr(windowed_network, "BATCH", size)
    again = dataclasses.replace(windowed, name="again")  # opened anew
    np.testing.assert_allclose(listen(again, SOUND, 0.05)[1], expected, atol=ALLOWED)
    assert again.opened.batch == size


def test_a_graph_for_batches_of_one_size_is_fed_batches_of_it():
    import onnx

    bundle = windowed_bundle("waveform")
    model = onnx.load_from_string(bundle.model)
    for tensor in (*model.graph.input, *model.graph.output):
        tensor.type.tensor_type.shape.dim[0].dim_value = 4
    fixed = dataclasses.replace(bundle, model=model.SerializeToString())
    assert fixed.opened.batch == 4
    np.testing.assert_allclose(
        listen(fixed, SOUND, 0.3)[1], listen(bundle, SOUND, 0.3)[1], atol=ALLOWED
    )


def test_probabilities_become_logits_again():
    import onnx
    from onnx import helper

    bundle = windowed_bundle("frames")
    model = onnx.load_from_string(bundle.model)
    model.graph.node[-1].output[0] = "before"
    model.graph.node.append(helper.make_node("Sigmoid", ["before"], ["scores"]))
    spec = dataclasses.replace(bundle.network, activation="sigmoid")
    squashed = dataclasses.replace(bundle, model=model.SerializeToString(), network=spec)
    np.testing.assert_allclose(listen(squashed, SOUND)[1], listen(bundle, SOUND)[1], atol=1e-4)
    assert logits_of(np.array([0.0, 0.5, 1.0], np.float32)).tolist() == pytest.approx(
        [-16.118, 0.0, 16.118], abs=1e-3
    )


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_is_what_its_letters_say(layout):
    rng = np.random.default_rng(0)
    bands = 5 if "M" in layout else 1
    x = rng.standard_normal((3, 1, bands, 7)).astype(np.float32)
    x = x[:1] if "N" not in layout else x
    found = windowed_network._arranged(x, layout)
    lengths = {"N": x.shape[0], "P": 1, "M": bands, "T": 7, "1": 1}
    assert found.shape == tuple(lengths[axis] for axis in layout)
    order = [axis for axis in layout if axis in "NMT"]
    whole = x[:, 0].transpose([("N", "M", "T").index(a) for a in order if a in "NMT"]) if len(
        order
    ) == 3 else x.reshape(found.shape)  # fmt: skip
    np.testing.assert_array_equal(found.ravel(), whole.ravel())


def test_columns_have_scores_of_their_own(bundle):
    """A column's score is that of a window of this column alone; not where columns are joined."""
    pipeline, runs = bundle.pipeline(), []
    list(pipeline.scores([Block(SOUND, 0, RATE)], observe=runs.append))
    found = pipeline.column_scores(runs[0])
    assert pipeline.column_scores(dataclasses.replace(runs[0], values=None)) is None
    if bundle.head and bundle.head.pooling == "concat":
        assert found is None
        return
    alone = dataclasses.replace(pipeline, grid=dataclasses.replace(pipeline.grid, size=1, step=1))
    expected = windows_of(list(alone.scores([Block(SOUND, 0, RATE)])))[1]
    np.testing.assert_allclose(found, expected[:, : found.shape[1]], atol=ALLOWED)


# Heads and embeddings ---------------------------------------------------------------------


def test_embeddings_are_those_of_the_graph(windowed):
    runs = list(audiocnn.embed(windowed, [Block(SOUND, 0, RATE)]))
    values = np.concatenate([run.values for run in runs], axis=1)
    grid = grid_of(windowed)
    frames = windowed.front.frames(SOUND[grid.hop_samples :][: grid.window_samples])
    feed = frames[None] if windowed.network.layout == "NPMT" else frames[0]
    expected = open_runtime(windowed.model).run(["embeddings"], {"input": feed})[0][0]
    np.testing.assert_allclose(values[:, 1], expected, atol=ALLOWED)
    assert values.shape[0] == N_EMBEDDINGS


@pytest.mark.parametrize("hidden", [0, 6])
@pytest.mark.parametrize("pooling", ["mean", "mean+max", "concat"])
@pytest.mark.parametrize("name", ["frames", "streaming"])
def test_a_head_is_its_formula_on_pooled_embeddings(name, pooling, hidden, windowed_folders):
    base = (
        windowed_bundle("frames", window=1.5)
        if name == "frames"
        else dataclasses.replace(audiocnn.load(windowed_folders["streaming-head"]), head=None)
    )
    bundle = with_head(base, pooling, hidden)
    head, grid = bundle.head, grid_of(bundle)
    runs = list(audiocnn.embed(base, [Block(SOUND, 0, RATE)], pooling=pooling))
    x = np.concatenate([run.values for run in runs], axis=1)[:, 0].astype(np.float64)
    assert (
        x.size
        == base.opened.n_embeddings * {"mean": 1, "mean+max": 2, "concat": grid.size}[pooling]
    )
    x = (x - head.offset) * head.scale
    for at, (weight, bias) in enumerate(head.layers):
        x = weight @ (np.maximum(x, 0) if at else x) + bias
    slope, offset = (np.array(v) for v in dataclasses.astuple(bundle.calibration))
    expected = 1 / (1 + np.exp(-(slope * x + offset)))
    np.testing.assert_allclose(listen(bundle, SOUND)[1][:, 0], expected, atol=2e-4)


def test_a_head_comes_back_from_its_file():
    head = with_head(windowed_bundle("frames"), "mean+max", hidden=4).head
    again = head_from(head_bytes(head))
    assert (again.labels, again.pooling) == (head.labels, head.pooling)
    for (weight, bias), (weight_again, bias_again) in zip(head.layers, again.layers, strict=True):
        np.testing.assert_array_equal(weight, weight_again)
        np.testing.assert_array_equal(bias, bias_again)
    assert head_bytes(again) == head_bytes(head)  # the checksum of a model depends on it


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"pooling": "sum"}, "pooling must be one of mean, mean"),
        ({"labels": ("bell", "frog")}, "shapes do not fit 2 labels"),
        ({"offset": np.zeros(3, np.float32)}, "shapes do not fit"),
        ({"layers": ()}, "shapes do not fit"),
        ({"scale": np.full(N_EMBEDDINGS, np.nan, np.float32)}, "is not finite"),
    ],
)
def test_a_head_that_makes_no_sense_is_refused(changes, message):
    head = with_head(windowed_bundle("frames"), "mean").head
    with pytest.raises(BundleError, match=message):
        dataclasses.replace(head, **changes)


def test_a_head_for_other_windows_is_refused():
    bundle = with_head(windowed_bundle("frames", window=1.5), "concat")
    with pytest.raises(BundleError, match="use the window that it was trained with"):
        listen(dataclasses.replace(bundle, window=2.5), SOUND)


# Bundles ----------------------------------------------------------------------------------


def test_a_bundle_comes_back_whole(bundle, tmp_path):
    write(bundle, tmp_path / "again")
    again = audiocnn.load(tmp_path / "again")
    assert checksum(again) == checksum(bundle)
    np.testing.assert_array_equal(listen(again, SOUND)[1], listen(bundle, SOUND)[1])


def test_what_computes_other_scores_has_another_checksum(windowed_folders):
    frames = audiocnn.load(windowed_folders["frames"])
    head = audiocnn.load(windowed_folders["frames-head"])
    spec = dataclasses.replace(frames.network, activation="sigmoid")
    other = with_head(frames, "mean+max", hidden=3)
    sums = {checksum(b) for b in (frames, head, dataclasses.replace(frames, network=spec), other)}
    assert len(sums) == 4


def test_a_replaced_bundle_leaves_no_file_of_the_model_before(tmp_path):
    bundle = windowed_bundle("frames")
    write(with_head(bundle, "mean"), tmp_path / "m")
    assert (tmp_path / "m" / "head.npz").exists()
    write(bundle, tmp_path / "m")
    assert not (tmp_path / "m" / "head.npz").exists()
    assert audiocnn.load(tmp_path / "m").head is None


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"kind": "forest"}, "network kind 'forest' is not known here.*update"),
        ({"runtime": "tensorrt"}, "runtime 'tensorrt' is not known here|cannot be read"),
        ({"layout": "MTN"}, "layout must be one of"),
        ({"layout": "NT"}, "layout 'NT' does not fit an input of 4 axes"),
        ({"length": 0}, "whole numbers above 0; length is 0"),
        ({"length": 37}, "does not reproduce its own scores|takes"),
        ({"scores": "logits"}, "has no output 'logits', but scores, embeddings"),
        ({"scores": "embeddings"}, "gives 12 scores for 3 labels"),
        ({"activation": "tanh"}, "activation one of none, sigmoid, softmax"),
        ({"activation": "sigmoid"}, "does not reproduce its own scores"),
        ({"speed": 3}, "speed is not known here"),
        ({"scores": "", "embeddings": ""}, "names its output of scores, or of embeddings"),
    ],
)
def test_a_description_that_does_not_fit_is_refused(windowed_folders, tmp_path, fields, message):
    folder = Path(shutil.copytree(windowed_folders["frames"], tmp_path / "m"))
    described = json.loads((folder / "bundle.json").read_text())
    described["network"] |= fields
    (folder / "bundle.json").write_text(json.dumps(described))
    with pytest.raises(BundleError, match=message):
        audiocnn.load(folder)


def test_a_damaged_head_is_refused(windowed_folders, tmp_path):
    folder = Path(shutil.copytree(windowed_folders["frames-head"], tmp_path / "m"))
    content = bytearray((folder / "head.npz").read_bytes())
    content[200] ^= 1
    (folder / "head.npz").write_bytes(content)
    with pytest.raises(BundleError, match=r"head\.npz: is damaged"):
        audiocnn.load(folder)


def test_a_backbone_gives_embeddings_and_says_what_it_lacks(tmp_path):
    bundle = windowed_bundle("frames")
    spec = dataclasses.replace(bundle.network, scores="")
    backbone = dataclasses.replace(
        bundle, labels=(), rules={}, network=spec, calibration=audiocnn_calibration(), name="words"
    )
    write(backbone, tmp_path / "words")
    again = audiocnn.load(tmp_path / "words")
    (run,) = audiocnn.embed(again, [Block(SOUND[:4000], 0, RATE)])
    assert run.values.shape == (N_EMBEDDINGS, 1)
    for use in (lambda: again.stream(), lambda: again.detect("x.wav")):
        with pytest.raises(ArgumentError, match=r"no classes of its own.*--backbone words"):
            use()
    with pytest.raises(ArgumentError, match="no class scores"):
        listen(again, SOUND)


def audiocnn_calibration():
    from audiocnn.inference.windows import Calibration

    return Calibration((), ())


# Events of files and of streams -----------------------------------------------------------


@pytest.fixture(scope="module")
def recording(tmp_path_factory) -> Path:
    import soundfile

    path = tmp_path_factory.mktemp("recordings") / "a.wav"
    soundfile.write(path, sound(60_000), RATE, subtype="FLOAT")
    return path


def assert_alike(found: list[audiocnn.Event], expected: list[audiocnn.Event]) -> None:
    """Hold the events equal, but for rounding of times and scores."""
    assert [e.label for e in found] == [e.label for e in expected]
    numbers = [[(e.start, e.end, e.score) for e in events] for events in (found, expected)]
    np.testing.assert_allclose(*numbers, atol=ALLOWED)


@settings(max_examples=12)
@given(cuts=st.lists(st.integers(0, 60_000), max_size=10), onsets=st.booleans())
def test_a_stream_gives_the_events_of_the_file(bundle, recording, cuts, onsets):
    samples = audiocnn.read_audio(recording, RATE)
    stream = bundle.stream(source=str(recording), onsets=onsets)
    events = [e for part in np.split(samples, sorted(cuts)) for e in stream.push(part)]
    events += stream.close()
    key = lambda e: (e.start, e.label)  # noqa: E731
    found = sorted((e for e in events if e.end is not None), key=key)
    expected = bundle.detect(recording)
    assert expected
    assert_alike(found, expected)
    assert {e.source for e in found} == {str(recording)}
    if onsets:
        began = sorted((e for e in events if e.end is None), key=key)
        assert [e.label for e in began] == [e.label for e in expected]


@settings(max_examples=10)
@given(data=st.data())
def test_a_stream_at_another_rate_with_gaps_is_the_file_with_gaps(bundle, data):
    x = sound(44_100, 5)
    bad = data.draw(st.lists(st.integers(0, x.size - 1), max_size=3))
    x[bad] = np.nan
    cuts = sorted(data.draw(st.lists(st.integers(0, x.size), max_size=6)))
    from audiocnn.io.audio.blocks import cut_blocks

    runs = audiocnn.listen(bundle, cut_blocks([x], 11025, RATE))
    expected = sorted(audiocnn.find_events(runs, bundle.rules), key=lambda e: (e.start, e.label))
    stream = bundle.stream(rate=11025)
    found = [e for part in np.split(x, cuts) for e in stream.push(part)] + stream.close()
    found.sort(key=lambda e: (e.start, e.label))
    assert_alike(found, expected)


def test_lost_samples_are_a_gap(bundle):
    stream = bundle.stream()
    found = stream.push(SOUND) + stream.push(SOUND, lost=800) + stream.close()
    again = bundle.stream()
    once = again.push(SOUND) + again.close()
    moved = [dataclasses.replace(e, start=e.start + (SOUND.size + 800) / RATE,
                                 end=e.end + (SOUND.size + 800) / RATE) for e in once]  # fmt: skip
    assert_alike(found, once + moved)


def test_a_stream_refuses_what_it_cannot_take(bundle):
    stream = bundle.stream()
    with pytest.raises(ArgumentError, match=r"takes samples of shape \(N,\), got .* \(2, 9\)"):
        stream.push(np.zeros((2, 9)))
    with pytest.raises(ArgumentError, match="lost counts samples"):
        stream.push(SOUND, lost=-1)
    stream.close()
    with pytest.raises(ArgumentError, match="the stream is closed"):
        stream.push(SOUND)


def test_labels_are_in_their_order(bundle):
    assert bundle.labels == LABELS
