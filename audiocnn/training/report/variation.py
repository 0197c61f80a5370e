"""What the augmentation does: one sound, before and after each thing that the recipe does to it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from audiocnn.training.augment import hide, vary_power
from audiocnn.training.augment_samples import vary_samples
from audiocnn.training.batches import stretch
from audiocnn.training.frontend import MelPower
from audiocnn.training.recipe import Augmentation
from audiocnn.training.report import drawing
from audiocnn.training.report.page import Section, grid, paragraph, text
from audiocnn.training.report.sounds import Samples, loudness_gain, player, read_clip
from audiocnn.training.report.subject import Subject

NOTHING = Augmentation(
    speed=1, roll=0, pitch=0, reverb=0, polarity=0, background=0, noise=0, clipping=0,
    companding=0, gain_db=(0, 0), mixup=0, tilt_db=0, band_limit=0, codec=0, warp=1,
    freq_masks=0, time_masks=0,
)  # fmt: skip
WORDS = {
    "speed": "faster or slower, and so higher or lower",
    "roll": "begun somewhere else, the beginning put behind the end",
    "pitch": "higher or lower, and as long as before",
    "reverb": "in a room",
    "background": "with something else in the background",
    "noise": "with noise",
    "clipping": "too loud for the microphone",
    "companding": "over a telephone",
    "gain_db": "louder or quieter",
    "mixup": "mixed with another clip, and labelled as both",
    "tilt_db": "through another microphone",
    "band_limit": "without its high frequencies",
    "codec": "through a codec that drops what is quiet",
    "warp": "from a larger or a smaller body",
    "freq_masks": "with bands hidden",
    "time_masks": "with moments hidden",
}
HEARD = {"speed", "roll", "pitch", "reverb", "background", "noise", "clipping", "companding"}
ALL_TOGETHER = 3


@dataclass(frozen=True)
class Sound:
    """An example window, another one to mix in, and a background; None where there is none."""

    label: str
    samples: Samples
    other: Samples | None
    under: Samples | None


def variation_section(subject: Subject) -> Section:
    """Show each variation that the recipe switches on, and all together."""
    title, examples = "What was done to the sounds", subject.examples()
    if not examples:
        return Section("variation", title, paragraph("No recording is there any more to show it."))
    a = subject.training.recipe.augmentation
    sound = _gather(subject, examples)
    mel = MelPower(subject.bundle.front)
    lowest = float(np.log(subject.bundle.front.floor))
    before = _frames(mel, torch.from_numpy(sound.samples)[None])
    gain = 0.5 * loudness_gain(sound.samples)  # one for all, so that they compare
    cells = [
        f"<h4>{text(sound.label)}, as it is</h4>"
        + drawing.spectrogram(before, subject.bundle.front, "before", 2.6, lowest)
        + player(sound.samples, subject.rate, subject.room, gain)
    ]
    for at, name in enumerate(name for name in WORDS if is_on(a, name)):
        if (name == "background" and sound.under is None) or (
            name == "mixup" and sound.other is None
        ):
            continue
        seed = _swapping(100) if name == "mixup" else 100 + at
        samples, frames = vary(sound, only(a, name), name, mel, seed)
        heard = player(samples, subject.rate, subject.room, gain) if name in HEARD else ""
        drawn = drawing.spectrogram(frames, subject.bundle.front, WORDS[name], 2.6, lowest)
        cells.append(f"<h4>{text(WORDS[name])}</h4>{drawn}{heard}")
    for at in range(ALL_TOGETHER):
        frames = vary(sound, a, "", mel, 200 + at)[1]
        drawn = drawing.spectrogram(frames, subject.bundle.front, "all together", 2.6, lowest)
        cells.append(f"<h4>all of it, by chance ({at + 1})</h4>{drawn}")
    head = (
        "Each time a clip is learnt from it is varied, so that the network cannot learn it by "
        "heart, and knows the sound again in another place, through another microphone."
    )
    said = (
        "One sound and what each variation alone makes of it; where it acts on the sound itself, "
        "hear it. The last pictures are what the network really gets, with everything drawn by "
        "chance. All pictures have one scale of brightness."
    )
    return Section("variation", title, paragraph(head) + grid(cells, said, "cells varied"))


def is_on(a: Augmentation, name: str) -> bool:
    """Say whether a recipe uses a variation."""
    return bool(getattr(a, name) != getattr(NOTHING, name))


def only(a: Augmentation, name: str) -> Augmentation:
    """Give the recipe's variation of one kind, done every time."""
    value: Any = getattr(a, name)
    chances = {"roll", "pitch", "reverb", "background", "noise", "clipping", "companding", "mixup",
               "band_limit", "codec"}  # fmt: skip
    strengths = ("pitch_ratio", "reverb_time", "background_snr_db", "noise_snr_db", "clipping_db",
                 "codec_db", "freq_mask", "time_mask")  # fmt: skip
    kept: dict[str, Any] = {strength: getattr(a, strength) for strength in strengths}
    return replace(NOTHING, **(kept | {name: 1.0 if name in chances else value}))


def vary(
    sound: Sound, a: Augmentation, name: str, mel: MelPower, seed: int
) -> tuple[Samples, NDArray[np.float32]]:
    """Vary a sound as in training.

    Parameters
    ----------
    sound
        Of one window.
    a
        What is done.
    name
        Of what is done alone; empty for all.
    mel
        The front end.
    seed
        Of the draws.

    Returns
    -------
    samples (N,), frames (M, T)
        What is heard of it, and what the network gets.
    """
    rng, draw = torch.Generator().manual_seed(seed), np.random.default_rng(seed)
    x = sound.samples
    if a.speed > 1:
        away = a.speed if name and seed % 2 else 1 / a.speed  # alone: as far as it goes
        x = changed_speed(x, away if name else a.speed ** draw.uniform(-1, 1))
    if draw.random() < a.roll:
        x = np.roll(x, int(draw.integers(x.size // 4, 3 * x.size // 4)))
    under = np.zeros_like(x)
    if sound.under is not None and draw.random() < a.background:
        own, other = float(np.mean(x**2)), float(np.mean(sound.under**2))
        snr = (
            draw.uniform(*a.background_snr_db) if not name else float(np.mean(a.background_snr_db))
        )
        under = sound.under * np.float32(np.sqrt(own / max(other, 1e-12)) * 10 ** (-snr / 20))
    rows = [x, x if sound.other is None else sound.other]
    batch = torch.from_numpy(np.stack(rows))
    below = torch.from_numpy(np.stack([under, np.zeros_like(x)]))
    varied = vary_samples(batch, below, a, mel.spec.rate, rng)
    power, _ = vary_power(mel(varied), torch.eye(2), a, rng)
    frames = mel.log(power)
    mean = frames.mean((0, 2))[None, :, None]
    frames = hide(frames - mean, a, rng) + mean
    return varied[0].numpy(), frames[0].numpy()


def changed_speed(samples: Samples, ratio: float) -> Samples:
    """Play faster (above 1) or slower, in a window as long as before; zeros behind."""
    changed = stretch(samples, max(1, round(samples.size / ratio)))[: samples.size]
    return np.pad(changed, (0, samples.size - changed.size))


def _swapping(seed: int) -> int:
    """Give the first seed from this on with which two windows are mixed with each other."""
    while torch.randperm(2, generator=torch.Generator().manual_seed(seed))[0] == 0:
        seed += 1
    return seed


def _gather(subject: Subject, examples: list[tuple[str, Samples]]) -> Sound:
    label, samples = examples[0]
    other = examples[1][1] if len(examples) > 1 else None
    for clip in subject.training.background[:20]:
        found = read_clip(clip, subject.rate)
        if found is not None and found.size >= samples.size and np.mean(found**2) > 1e-7:
            return Sound(label, samples, other, found[: samples.size])
    return Sound(label, samples, other, None)


def _frames(mel: MelPower, samples: torch.Tensor) -> NDArray[np.float32]:
    return np.asarray(mel.log(mel(samples))[0].numpy())
