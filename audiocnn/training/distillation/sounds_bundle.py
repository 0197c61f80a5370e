"""The finished student as a bundle, with a card that says what it was made from."""

from __future__ import annotations

import csv
from dataclasses import asdict
from pathlib import Path
from typing import Any

from audiocnn.networks.cost import macs_per_column, n_parameters
from audiocnn.training.config import TrainingConfig
from audiocnn.training.distillation.class_head import PRESENT, Chosen
from audiocnn.training.distillation.shards import FRONT
from audiocnn.training.distillation.student import Run
from audiocnn.training.pack import pack

WINDOW, HOP = 2.0, 0.5  # seconds
CARD = """# sounds

A general model: {n} kinds of sound, and embeddings for models of one's own
(`audiocnn train --backbone sounds`). Made by `scripts/gather_sounds` and
`scripts/train_sounds` of audiocnn.

- Network: cnn2d1d large, {parameters:,} parameters, {mmac:.1f} million multiplications a
  second of sound. Streaming: each frame is computed once, for any hop.
- Sound at {rate} Hz, windows of {window:g} s every {hop:g} s; embeddings of {width} numbers
  every 100 ms.
- Teachers: EfficientAT mn04 (F. Schmid, K. Koutini, G. Widmer, ICASSP 2023; MIT), its
  embeddings and its probabilities of AudioSet's classes; Google's speech_embedding (J. Lin and
  others, 2020; Apache 2.0), where it hears speech. The student learnt what they answer for
  mixtures of the recordings below. No label of a person was used.
- Trained for {minutes:.0f} minutes, {steps:,} steps of 64 windows, on one core that other
  work shared.
- Sound: {hours:.1f} hours, {recordings:,} recordings, {sources} sources: packages of Debian
  and public repositories, each under a licence that permits it; words spoken by espeak-ng;
  computed sirens, alarms and noises. None of UrbanSound8K, FSDD or of the recordings that
  thresholds and figures of the shipped models come from, and none of ESC-10 but the
  recordings of two of its rain clips (freesound 157149 and 163264), which a sound pack
  contained: those two clips take no part in any figure.

## What a score means

It is calibrated against the teacher, not against people: 0.7 means that the teacher's own
probability is 0.7 on average. A class is in the model if student and teacher agree on sounds
held out of training (average precision at least 0.35, where the teacher's probability is at
least {present:g}), or if it ranks clips of ESC-10 as people labelled them (at least 0.6). Its
threshold is the lowest at which the teacher agrees to four of five windows; "found" is the
share of the teacher's windows that reach it. What the teacher confuses, the student confuses
too.

| class | teacher's windows | average precision | threshold | found | by people (ESC-10) |
|---|---|---|---|---|---|
{table}

Groups that did not reach this: {dropped}.

## Limits

- Most of the sound comes from games and repositories: close, clean, often edited. Sounds far
  away, under noise, or of kinds that games do not have are recognised less often.
- It says what is heard in the last 2 s, not who speaks or which word.

## Sources and licences

| source | licence | recordings | minutes |
|---|---|---|---|
{listed}
"""


def read_sources(table: Path) -> list[dict[str, str]]:
    """Read sources.csv of scripts/gather_sounds; one row a source, its licences joined."""
    with table.open(newline="", encoding="utf-8") as opened:
        rows = [row for row in csv.DictReader(opened) if float(row["seconds"]) > 0]
    joined: dict[str, dict[str, str]] = {}
    for row in rows:
        known = joined.setdefault(row["source"], {**row, "recordings": "0", "seconds": "0"})
        for name in ("recordings", "seconds"):
            known[name] = str(float(known[name]) + float(row[name]))
    return sorted(joined.values(), key=lambda row: -float(row["seconds"]))


def describe(made: Chosen, run: Run, sources: list[dict[str, str]]) -> dict[str, Any]:
    """Write the card: figures for programs, and the text for people."""
    seconds = sum(float(row["seconds"]) for row in sources)
    figures = {
        name: {key: value for key, value in asdict(found).items() if value is not None}
        for name, found in made.agreements.items()
    }
    columns_a_second = FRONT.rate / FRONT.hop / made.network.stride
    text = CARD.format(
        n=len(made.labels),
        parameters=n_parameters(made.network),
        mmac=macs_per_column(made.network) * columns_a_second / 1e6,
        rate=FRONT.rate,
        window=WINDOW,
        hop=HOP,
        width=made.network.n_features,
        minutes=run.seconds / 60,
        steps=run.steps,
        hours=seconds / 3600,
        recordings=int(sum(float(row["recordings"]) for row in sources)),
        sources=len(sources),
        present=PRESENT,
        table="\n".join(
            f"| {name} | {found.windows} | {found.average_precision:.2f} "
            f"| {made.rules[name].on:g} | {found.found:.2f} "
            f"| {'' if found.labelled is None else format(found.labelled, '.2f')} |"
            for name, found in made.agreements.items()
            if name in made.labels
        ),
        dropped=", ".join(name for name in figures if name not in made.labels) or "none",
        listed="\n".join(
            f"| {row['source']} | {row['licence']} | {float(row['recordings']):.0f} "
            f"| {float(row['seconds']) / 60:.1f} |"
            for row in sources
        ),
    )
    return {
        "licence": "MIT; data: see card",
        "teachers": "EfficientAT mn04 (MIT), speech_embedding (Apache 2.0)",
        "hours": round(seconds / 3600, 2),
        "steps": run.steps,
        "training_minutes": round(run.seconds / 60, 1),
        "agreement": figures,
        "calibrated_against": "the teacher",
        "readme": text,
    }


def write_bundle(made: Chosen, card: dict[str, Any], folder: Path) -> None:
    """Write the bundle."""
    size = made.network.spec.size
    recipe = TrainingConfig(
        FRONT, arch="cnn2d1d", size=size, window=WINDOW, hop=HOP, clip_score="max"
    )
    pack(made.network, recipe, made.labels, made.calibration, made.rules, card, folder)
