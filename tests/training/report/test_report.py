"""The report of a training: whole, safe, small, and true to what was measured."""

import base64
import io
import json
import re
from dataclasses import fields, replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from audiocnn.cli.main import main
from audiocnn.errors import DatasetError
from audiocnn.evaluation.metrics import average_precision
from audiocnn.frontend.log_mel import MelSpec
from audiocnn.frontend.signals import RawSpec, SpectrumSpec
from audiocnn.networks.classifier import Classifier, TrunkSpec
from audiocnn.training.config import Augmentation
from audiocnn.training.report.drawing import canvas, mosaic, svg_of
from audiocnn.training.report.inside import first_kernels, kernel_picture, layer_maps
from audiocnn.training.report.judged import class_section, precision_recall, reliability
from audiocnn.training.report.page import LIMIT
from audiocnn.training.report.shifting import moved
from audiocnn.training.report.size import counted
from audiocnn.training.report.sounds import Room, player
from audiocnn.training.report.subject import open_subject
from audiocnn.training.report.summary import number
from audiocnn.training.report.variation import SIGNAL_WORDS, WORDS, Sound, is_on, only, vary
from audiocnn.training.torch_frontend import torch_front_end

RATE = 8000
SPEC = MelSpec(RATE, 256, 100, 24, 60.0, 4000.0)
BAD_LABEL, DOLLARS, BAD_FILE = "<script>alert(1)<b>", "a $b$ & c", '"><img src=x>'
FINDINGS = {"findings": [{
    "severity": "error", "kind": "<i>same sound", "message": "9 are alike",
    "advice": "keep one & drop the others", "places": [{"path": "a/<u>.wav", "detail": "1 s"}] * 9,
}]}  # fmt: skip


def sound(kind: int, rng: np.random.Generator) -> np.ndarray:
    t = np.arange(RATE) / RATE
    tone = np.sin(2 * np.pi * (300, 900, 2500, 1500)[kind] * rng.uniform(0.8, 1.25) * t)
    return (0.2 * tone + 0.05 * rng.standard_normal(RATE)).astype(np.float32)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Train on classes with evil names, by the command; the report is written beside."""
    folder, rng = tmp_path_factory.mktemp("report"), np.random.default_rng(0)
    for kind, label in enumerate((BAD_LABEL, DOLLARS, "rain", "../other")):
        place = folder / ("sounds" if kind < 3 else "") / label.replace("../", "")
        place.mkdir(parents=True)
        for i in range(8):
            name = f"{BAD_FILE}{i}.wav" if kind == 0 else f"{i}.wav"
            soundfile.write(place / name, sound(kind, rng), RATE)
    assert main([
        "train", str(folder / "sounds"), "-o", str(folder / "model"), "--arch", "cnn1d",
        "--epochs", "2", "--batch", "8", "--window", "0.8", "--folds", "1",
        "--background", str(folder / "other"),
    ]) == 0  # fmt: skip
    return folder


@pytest.fixture(scope="module")
def page(trained: Path) -> str:
    return (trained / "model.html").read_text(encoding="utf-8")


class Reader(HTMLParser):
    """Collects tags, what they point at, and whether all are closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.points: list[str] = []
        self.ids: list[str] = []
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.points += [v or "" for k, v in attrs if k in ("src", "href", "xlink:href")]
        self.ids += [v or "" for k, v in attrs if k == "id"]
        assert not any(k.startswith("on") for k, _ in attrs)
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        self.open = self.open[:-1]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_is_whole_and_needs_nothing_from_outside(page):
    read = Reader(page)
    assert not read.open
    assert len(read.ids) == len(set(read.ids))
    assert not {"script", "iframe", "link", "img"} & set(read.tags)
    for point in read.points:
        assert point.startswith(("data:", "#")), point[:80]
        if point.startswith("#"):
            assert point[1:] in read.ids, point
    assert not re.search(r"@import|url\((?!#)", page)
    assert read.tags.count("section") == 14
    assert len(page) < LIMIT


def test_names_are_text_and_not_html(page):
    assert "&lt;script&gt;alert(1)&lt;b&gt;" in page
    assert "<script" not in page
    assert "<img" not in page
    assert "a $b$ &amp; c" in page  # and no formula


def test_every_picture_says_how_to_read_it(page):
    parts = re.findall(r"<figure.*?</figure>", page, re.S)
    assert len(parts) > 12
    for part in parts:
        assert len(re.search(r"<figcaption>(.*?)</figcaption>", part, re.S)[1]) > 40
    for svg in re.findall(r"<svg [^>]*>", page):
        assert 'aria-label="' in svg


def test_players_hold_the_sound(page, trained):
    encoded = re.findall(r"data:audio/mpeg;base64,([^\"]+)", page)
    assert len(encoded) > 6
    heard, rate = soundfile.read(io.BytesIO(base64.b64decode(encoded[0])))
    assert rate == RATE
    assert 0.7 < heard.size / rate < 1.3
    assert 0.5 < np.abs(heard).max() <= 1


def test_figures_are_those_of_the_training(page, trained):
    figures = open_subject(trained / "model.run", trained / "model").training.figures
    assert f"{100 * figures['accuracy']:.1f} %" in page
    assert f"<b>{number(figures['false_alarms']['rate']['per_hour'])} an hour</b>" in page


def test_findings_are_shown_and_missing_recordings_are_told(trained, tmp_path):
    run = tmp_path / "model.run"
    run.mkdir()
    for file in (trained / "model.run").iterdir():
        if file.is_file():
            told = file.read_bytes().replace(str(trained).encode(), b"/gone")
            (run / file.name).write_bytes(told)
    found, out = tmp_path / "found.json", tmp_path / "r.html"
    found.write_text(json.dumps(FINDINGS))
    assert main(["report", str(trained / "model"), "--run", str(run), "-o", str(out),
                 "--findings", str(found)]) == 0  # fmt: skip
    page = out.read_text(encoding="utf-8")
    assert "&lt;i&gt;same sound" in page
    assert "&lt;u&gt;.wav: 1 s" in page
    assert "and 3 more" in page
    assert "keep one &amp; drop the others" in page
    assert "not there any more" in page
    assert "<audio" not in page
    Reader(page)


def test_findings_must_be_what_check_prints(trained, tmp_path, capsys):
    (tmp_path / "found.json").write_text('{"findings": [{"kind": "x"}]}')
    said = ["report", str(trained / "model"), "--findings", str(tmp_path / "found.json")]
    assert main(said) == 1
    assert "audiocnn check DATA --json" in capsys.readouterr().err


def test_a_bundle_of_another_training_is_refused(trained, tmp_path):
    shipped = Path(__file__).parents[3] / "audiocnn" / "pretrained" / "digits"
    with pytest.raises(DatasetError, match=r"labels of|another training|--model"):
        open_subject(trained / "model.run", shipped)
    with pytest.raises(DatasetError, match="no finished training"):
        open_subject(tmp_path, trained / "model")


def test_precision_over_recall_has_the_area_that_is_reported():
    rng = np.random.default_rng(0)
    for n in (1, 5, 200):
        scores = rng.integers(0, 20, n).astype(np.float32) / 20  # with ties
        true = rng.random(n) < 0.5
        true[0] = True
        recall, precision, limits = precision_recall(scores, true)
        area = float((np.diff(recall, prepend=0) * precision).sum())
        assert area == pytest.approx(average_precision(scores, true), abs=1e-6)
        assert (np.diff(limits) < 0).all()
        assert recall[-1] == 1


def test_reliability_counts_every_clip_once():
    confidence = np.array([0.05, 0.93, 0.97, 1.0])
    bins = reliability(confidence, np.array([False, True, True, False]))
    assert [b[4] for b in bins] == [1, 3]
    assert bins[1][:2] == (pytest.approx(0.9667, abs=1e-3), pytest.approx(2 / 3))
    assert bins[1][2] < 2 / 3 < bins[1][3]


def test_a_moved_sound_stays_whole_until_it_leaves_the_window():
    x = np.zeros(1000, np.float32)
    x[300:800] = 1

    def laid(share: float) -> np.ndarray:
        return moved(x, x**2, share, SPEC)

    assert np.flatnonzero(laid(0))[[0, -1]].tolist() == [250, 749]
    assert np.flatnonzero(laid(0.25))[[0, -1]].tolist() == [500, 999]
    assert laid(0.5).sum() == 250
    assert laid(-0.5)[:250].sum() == 250
    assert laid(0.75).sum() == 0


def test_a_moved_signal_lies_among_its_means():
    front = RawSpec(50.0, ("x", "y"), (1.0, 5.0), (1.0, 2.0))
    x = front.padding(100)
    x[0, 30:80] += 3
    laid = moved(x, ((x - front.padding(1)) ** 2).sum(0), 0.25, front)
    assert np.flatnonzero(laid[0] > 2)[[0, -1]].tolist() == [50, 99]
    assert np.all(laid[1] == 5)


def test_every_variation_of_a_recipe_is_shown():
    strengths = {"pitch_ratio", "reverb_time", "background_snr_db", "noise_snr_db", "clipping_db",
                 "codec_db", "freq_mask", "time_mask"}  # fmt: skip
    unseen = {"polarity"}  # neither seen nor heard
    assert {f.name for f in fields(Augmentation)} == {*WORDS} | strengths | unseen
    assert unseen < {*SIGNAL_WORDS}


@pytest.mark.parametrize("name", WORDS)
def test_each_variation_alone_changes_the_sound(name):
    rng = np.random.default_rng(1)
    other = (0.1 * rng.standard_normal(RATE)).astype(np.float32)
    clip = Sound("it", sound(1, rng), other, other)
    full = Augmentation(pitch=0.5, reverb=0.5, noise=0.5, clipping=0.5, companding=0.5, codec=0.5,
                        warp=1.3, band_limit=0.5)  # fmt: skip
    assert is_on(full, name)
    before = torch_front_end(SPEC).plain(torch.from_numpy(clip.samples)[None])[0].numpy()
    changes = []
    for seed in range(6):
        samples, frames = vary(clip, only(full, name), name, SPEC, seed)
        assert samples.shape == clip.samples.shape
        assert frames.shape == before.shape
        changes.append(np.abs(frames - before).max())
    assert max(changes) > 0.1


@pytest.mark.parametrize("name", SIGNAL_WORDS)
@pytest.mark.parametrize("kind", ["raw", "log-spectrum"])
def test_each_variation_alone_changes_a_signal(name, kind):
    rng = np.random.default_rng(1)
    about = (50.0, ("x", "y")), ((1.0, 5.0), (1.0, 2.0))
    front = RawSpec(*about[0], *about[1])
    if kind == "log-spectrum":
        front = SpectrumSpec(50.0, 32, 8, about[0][1], *about[1])
    one, other = front.example(300, rng), front.example(300, rng)
    full = Augmentation(polarity=0.5, noise=0.5, freq_mask=0.9)
    assert is_on(full, name)
    before = front.frames(one)
    frames = [vary(Sound("it", one, other, other), only(full, name), name, front, seed)[1]
              for seed in range(6)]  # fmt: skip
    assert all(found.shape == before.shape for found in frames)
    changed = max(np.abs(found - before).max() for found in frames) > 0.1
    assert changed != (name == "polarity" and kind == "log-spectrum")  # power has no sign


def test_sound_stops_where_the_page_is_full():
    room, x = Room(20_000), np.sin(np.arange(RATE)).astype(np.float32)
    given = [player(x, RATE, room) for _ in range(12)]
    assert given[0].startswith("<audio")
    assert "not embedded" in given[-1]
    assert sum(len(html) for html in given if html.startswith("<audio")) < 22_000
    assert room.left >= 0


def test_a_rate_that_mp3_does_not_know_is_played_at_one_that_it_does():
    x = np.sin(np.arange(10_000) / 5).astype(np.float32)
    html = player(x, 10_000, Room())
    encoded = re.search(r"base64,([^\"]+)", html)[1]
    assert soundfile.info(io.BytesIO(base64.b64decode(encoded))).samplerate == 8000


@pytest.mark.parametrize(("arch", "shape"), [("cnn2d", (16, 5, 5)), ("cnn1d", (64, 24, 5))])
def test_kernels_and_maps_are_those_of_the_network(arch, shape):
    model = Classifier(TrunkSpec(arch, "small", 1, 24, 3)).eval()
    kernels = first_kernels(model)
    assert kernels.shape == shape
    assert "<svg" in kernel_picture(model)
    maps = layer_maps(model, np.ones((1, 24, 160), np.float32))
    assert maps[-1][1].shape[0] == model.n_features
    assert maps[0][0] == "convolution"
    assert not any(m._forward_hooks for m in model.modules())


def test_a_class_that_was_never_held_out_has_no_figures(trained):
    subject = open_subject(trained / "model.run", trained / "model")
    figures = dict(subject.training.figures)
    figures["per_class"] = figures["per_class"] | {
        "rain": dict.fromkeys(figures["per_class"]["rain"]) | {"n": 0}
    }
    scores = subject.training.scores.copy()
    scores[subject.training.targets[:, 2] > 0] = np.nan
    body = class_section(
        replace(subject, training=replace(subject.training, figures=figures, scores=scores))
    ).body
    row = re.search(r'<th scope="row">rain</th>(.*?)</tr>', body)[1]
    assert row.count("\N{EN DASH}") == 4


def test_small_pictures():
    laid = mosaic([np.full((2, 3), v) for v in (1.0, 2.0, 3.0)], columns=2)
    assert laid.shape == (5, 7)
    assert np.isnan(laid[2]).all()
    assert laid[0, 0] == 1
    assert laid[0, 4] == 2
    with canvas() as figure:
        figure.subplots().plot([0, 1], label="<&")
        svg = svg_of(figure, 'it "says"')
    assert 'aria-label="it &quot;says&quot;"' in svg
    assert "#0a0b" not in svg  # all colours are the page's
    assert [counted(v) for v in (1, 1e3, 1e5, 1e6, 1e9)] == ["1", "1 k", "100 k", "1 m", "1 bn"]
