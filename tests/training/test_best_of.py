"""Ways of training compared by cross-validation: the better one becomes the bundle."""

from pathlib import Path

import numpy as np
import pytest

from audiocnn.cli.main import main
from audiocnn.errors import ArgumentError
from audiocnn.inference.bundle import Bundle, load
from audiocnn.training.best_of import train_best
from audiocnn.training.heads.train import train_head


def gestures(folder: Path, n: int = 12, seed: int = 0) -> Path:
    """Two kinds of movement at 50 Hz: slow and fast waves, in noise."""
    rng = np.random.default_rng(seed)
    for label, hertz in (("slow", 1.0), ("fast", 4.0)):
        (folder / label).mkdir(parents=True, exist_ok=True)
        for k in range(n):
            t = np.arange(100) / 50
            x = np.sin(2 * np.pi * (hertz * t + rng.random())) + 0.3 * rng.standard_normal(100)
            rows = "\n".join(f"{a:.3f},{b:.4f}" for a, b in zip(t, x, strict=True))
            (folder / label / f"{k}.csv").write_text(f"time,x\n{rows}\n")
    return folder


def trained(data: Path, seed: int) -> object:
    def train(out: Path) -> Bundle:
        return train_head(data, out, "rocket", seed=seed)

    return train


def test_the_better_one_is_taken(tmp_path: Path) -> None:
    good, bad = gestures(tmp_path / "good"), gestures(tmp_path / "bad")
    for path in (bad / "fast").glob("*.csv"):  # labels that mean nothing
        if int(path.stem) % 2:
            other = bad / "slow" / path.name
            one, two = path.read_text(), other.read_text()
            path.write_text(two)
            other.write_text(one)
    lines: list[str] = []
    ways = {"bad": trained(bad, 0), "good": trained(good, 0)}
    bundle = train_best(tmp_path / "m", ways, lines.append)
    assert bundle.card["compared"]["chosen"] == "good"
    figures = bundle.card["compared"]["figures"]
    assert figures["good"]["accuracy"] > figures["bad"]["accuracy"]
    assert "chosen by cross-validated accuracy: good (bad" in lines[-1]
    assert "Chosen by cross-validated accuracy: good" in (tmp_path / "m" / "README.md").read_text()
    assert (tmp_path / "m.run" / "training.json").exists()
    assert not (tmp_path / "m.run" / "candidates").exists()
    with pytest.raises(ArgumentError, match="is a model already"):
        train_best(tmp_path / "m", ways, lines.append)
    train_best(tmp_path / "m", {"good": trained(good, 1)}, lines.append, overwrite=True)
    assert load(tmp_path / "m").card["compared"]["figures"].keys() == {"good"}


def test_rocket_from_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data, new = gestures(tmp_path / "data"), gestures(tmp_path / "new", 4, seed=1)
    model = str(tmp_path / "m")
    assert main(["train", str(data), "-o", model, "--backbone", "rocket", "--no-report"]) == 0
    bundle = load(model)
    assert (bundle.network.kind, bundle.labels) == ("rocket", ("fast", "slow"))
    assert main(["evaluate", str(new), "--model", model]) == 0
    assert "accuracy                  100.0 %" in capsys.readouterr().out
    assert main(["verify", str(new / "slow" / "0.csv"), "--model", model]) == 0
    assert main(["train", str(data), "-o", model + "2", "--use-length"]) == 2
    assert "--use-length needs --backbone" in capsys.readouterr().err
