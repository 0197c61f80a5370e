"""Two recordings of clicks and hums, and a labelling run of them, made in no time."""

import csv
from pathlib import Path

import numpy as np
import soundfile

RATE = 16000
SECONDS = 80.0


def write_run(folder: Path, n: int = 20) -> Path:
    """Write two recordings with n sounds of two kinds, and ``events.csv`` that lists them."""
    random = np.random.default_rng(1)
    rows = []
    for name in ("night", "rain"):
        samples = 0.003 * random.standard_normal(round(SECONDS * RATE)).astype(np.float32)
        for number in range(n // 2):
            start = 3.0 + number * (SECONDS - 6) / (n // 2)
            label = "hum" if number % 2 else "click"
            first = round(start * RATE)
            t = np.arange(RATE // 2) / RATE
            if label == "hum":
                sound = 0.3 * np.sin(2 * np.pi * 220 * t) + 0.1 * np.sin(2 * np.pi * 440 * t)
            else:
                sound = random.standard_normal(t.size) * np.exp(-60 * (t % 0.1))
            samples[first : first + t.size] += sound.astype(np.float32)
            score = 0.5 + 0.49 * number / n
            rows.append((f"{folder}/{name}.flac", f"{start:.6f}", f"{start + 0.5:.6f}", label,
                         f"{score:.6f}"))  # fmt: skip
        folder.mkdir(parents=True, exist_ok=True)
        soundfile.write(folder / f"{name}.flac", np.clip(samples, -1, 1), RATE)
    path = folder / "events.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("path", "start", "end", "label", "score"))
        writer.writerows(sorted(rows))
    return path


def verdicts_in(path: Path) -> list[tuple[str, str, str]]:
    """Give (start, label, verdict) of each row with a verdict, in the order of the file."""
    with path.open(newline="") as file:
        return [(row["start"], row["label"], row["verdict"])
                for row in csv.DictReader(file) if row["verdict"]]  # fmt: skip
