"""What the augmentation does: one sound, before and after each thing that the config does to it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from audiocnn.frontend.base import FrontEnd
from audiocnn.training.augment.waveform import vary_samples
from audiocnn.training.config import Augmentation
from audiocnn.training.data.sampler import stretch
from audiocnn.training.report import drawing
from audiocnn.training.report.page import Section, grid, paragraph, text
from audiocnn.training.report.sounds import Samples, loudness_gain
from audiocnn.training.report.subject import Subject
from audiocnn.training.torch_frontend import hide_frames, torch_front_end

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
SIGNAL_WORDS = {
    "speed": "slower or faster",
    "roll": "begun somewhere else, the beginning put behind the end",
    "polarity": "upside down",
    "background": "with something else under it",
    "noise": "with noise",
    "gain_db": "stronger or weaker",
    "mixup": "mixed with another clip, and labelled as both",
    "freq_masks": "with channels or bands hidden",
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
    """Show each variation that the config switches on, and all together."""
    title, examples = "How what it learnt from was varied", subject.examples()
    if not examples:
        return Section("variation", title, paragraph("No recording is there any more to show it."))
    a = subject.config.augmentation
    sound = _gather(subject, examples)
    front = subject.bundle.front
    lowest = front.log_floor
    before = subject.frames(sound.samples)
    gain = 0.5 * loudness_gain(sound.samples)  # one for all, so that they compare
    cells = [
        f"<h4>{text(sound.label)}, as it is</h4>"
        + drawing.picture_of(before, front, "before", 2.6, lowest)
        + subject.play(sound.samples, gain)
    ]
    words = WORDS if subject.sound else SIGNAL_WORDS
    for at, name in enumerate(name for name in words if is_on(a, name)):
        if (name == "background" and sound.under is None) or (
            name == "mixup" and sound.other is None
        ):
            continue
        seed = _swapping(100) if name == "mixup" else 100 + at
        samples, frames = vary(sound, only(a, name), name, front, seed)
        heard = subject.play(samples, gain) if name in HEARD else ""
        drawn = drawing.picture_of(frames, front, words[name], 2.6, lowest)
        cells.append(f"<h4>{text(words[name])}</h4>{drawn}{heard}")
    for at in range(ALL_TOGETHER):
        frames = vary(sound, a, "", front, 200 + at)[1]
        drawn = drawing.picture_of(frames, front, "all together", 2.6, lowest)
        cells.append(f"<h4>all of it, by chance ({at + 1})</h4>{drawn}")
    head = (
        "Each time a clip is learnt from it is varied, so that the network cannot learn it by "
        "heart, and knows it again in another place, through another microphone or sensor."
    )
    said = (
        "One example and what each variation alone makes of it; where it acts on sound itself, "
        "hear it. The last pictures are what the network really gets, with everything drawn by "
        "chance. Spectrograms have one scale of brightness."
    )
    return Section("variation", title, paragraph(head) + grid(cells, said, "cells varied"))


def is_on(a: Augmentation, name: str) -> bool:
    """Return whether a config uses a variation."""
    return bool(getattr(a, name) != getattr(NOTHING, name))


def only(a: Augmentation, name: str) -> Augmentation:
    """Return the config's variation of one kind, done every time."""
    value: Any = getattr(a, name)
    chances = {"roll", "pitch", "reverb", "background", "noise", "clipping", "companding", "mixup",
               "band_limit", "codec"}  # fmt: skip
    strengths = ("pitch_ratio", "reverb_time", "background_snr_db", "noise_snr_db", "clipping_db",
                 "codec_db", "freq_mask", "time_mask")  # fmt: skip
    kept: dict[str, Any] = {strength: getattr(a, strength) for strength in strengths}
    return replace(NOTHING, **(kept | {name: 1.0 if name in chances else value}))


def vary(
    sound: Sound, a: Augmentation, name: str, front: FrontEnd, seed: int
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
    front
        The front end.
    seed
        Of the draws.

    Returns
    -------
    samples (N,), frames (P, M, T)
        What is heard of it, and what the network gets. Samples of signals that are not
        sound, (K, N), are not varied: nobody hears them.
    """
    rng, draw = torch.Generator().manual_seed(seed), np.random.default_rng(seed)
    x = sound.samples
    if a.speed > 1:
        away = a.speed if name and seed % 2 else 1 / a.speed  # alone: as far as it goes
        x = changed_speed(x, away if name else a.speed ** draw.uniform(-1, 1), front)
    n = x.shape[-1]
    if draw.random() < a.roll:
        x = np.roll(x, int(draw.integers(n // 4, 3 * n // 4)), axis=-1)
    x, beside, below = (as_seen(y, front) for y in (x, sound.other, sound.under))
    under = np.zeros_like(x)
    if below.any() and draw.random() < a.background:
        own, other = float(np.mean(x**2)), float(np.mean(below**2))
        snr = (
            draw.uniform(*a.background_snr_db) if not name else float(np.mean(a.background_snr_db))
        )
        under = below * np.float32(np.sqrt(own / max(other, 1e-12)) * 10 ** (-snr / 20))
    batch = torch.from_numpy(np.stack([x, beside if sound.other is not None else x]))
    lies = torch.from_numpy(np.stack([under, np.zeros_like(x)]))
    heard = x
    if front.sound:
        again = torch.Generator().manual_seed(seed)  # the same draws, to hear them
        heard = vary_samples(batch, lies, a, round(front.rate), again)[0].numpy()
    frames = torch_front_end(front).varied(batch, lies, torch.eye(2), a, rng)[0]
    mean = frames.mean((0, 3))[None, ..., None]
    frames = hide_frames(frames - mean, a, rng) + mean
    return heard, frames[0].numpy()


def as_seen(samples: Samples | None, front: FrontEnd) -> Samples:
    """Return samples as training has them: signals about their means, in their deviations."""
    if samples is None:
        return np.zeros(1, np.float32)
    return front.centred(samples)


def changed_speed(samples: Samples, ratio: float, front: FrontEnd) -> Samples:
    """Play faster (above 1) or slower, in a window as long as before; nothing behind."""
    n = samples.shape[-1]
    changed = stretch(samples, max(1, round(n / ratio)))[..., :n]
    return np.concatenate((changed, front.padding(n - changed.shape[-1])), axis=-1)


def _swapping(seed: int) -> int:
    """Return the first seed from this on with which two windows are mixed with each other."""
    while torch.randperm(2, generator=torch.Generator().manual_seed(seed))[0] == 0:
        seed += 1
    return seed


def _gather(subject: Subject, examples: list[tuple[str, Samples]]) -> Sound:
    label, samples = examples[0]
    other = examples[1][1] if len(examples) > 1 else None
    for clip in subject.training.background[:20]:
        found = subject.read(clip)
        n = samples.shape[-1]
        if found is not None and found.shape[-1] >= n and subject.energy(found).mean() > 1e-7:
            return Sound(label, samples, other, found[..., :n])
    return Sound(label, samples, other, None)
