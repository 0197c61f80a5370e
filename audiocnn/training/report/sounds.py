"""Recordings read again for a page; sound in it: short, compressed, and not more than fits."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from audiocnn.datasets.manifest import Clip
from audiocnn.errors import AudioError
from audiocnn.frontend.base import FrontEnd
from audiocnn.inference.model_input import read_part
from audiocnn.io.signals.reader import SignalReadOptions

Samples = NDArray[np.float32]
RATES = (48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000)  # of MP3
LONGEST = 6.0  # seconds of a clip that are shown and played
WINDOWS = 4  # of another signal than sound that are shown
BUDGET = 4_500_000  # bytes of all players of a page
PEAK = 0.9


@dataclass
class Room:
    """What a page may still hold of sound, in bytes; players lower it."""

    left: int = BUDGET


def player(samples: Samples, rate: int, room: Room, gain: float | None = None) -> str:
    """Return an audio element that holds its sound; a word instead where no room is left.

    Parameters
    ----------
    samples, rate
        What is played, its first `LONGEST` seconds.
    room
        Of the page; lowered by what this takes.
    gain
        Factor; so that the loudest sample is nearly full scale if None: sounds from far
        away are heard too.

    Notes
    -----
    MP3, because all browsers play it, telephones too.
    """
    heard = samples[: round(LONGEST * rate)]
    factor = loudness_gain(heard) if gain is None else gain
    if rate not in RATES:
        lower = next((r for r in RATES if r < rate), RATES[-1])
        heard, rate = np.asarray(soxr.resample(heard, rate, lower), np.float32), lower
    written = io.BytesIO()
    soundfile.write(
        written, np.clip(heard * factor, -1, 1), rate, format="MP3", subtype="MPEG_LAYER_III",
        compression_level=0.7,
    )  # fmt: skip
    encoded = base64.b64encode(written.getvalue()).decode()
    if len(encoded) > room.left:
        return "<small>not embedded: the page holds as much sound as it may</small>"
    room.left -= len(encoded)
    return f'<audio controls preload="none" src="data:audio/mpeg;base64,{encoded}"></audio>'


def loudness_gain(samples: Samples) -> float:
    """Return the factor that brings the loudest sample near to full scale."""
    peak = float(np.abs(samples).max(initial=0))
    return PEAK / peak if peak > 0 else 1.0


def read_clip(clip: Clip, front: FrontEnd, window: float, begin: float = 0.0) -> Samples | None:
    """Read the first seconds of a clip; None if it is not there any more.

    Parameters
    ----------
    clip
        What is read.
    front
        Of the model: sound is read for it as (N,), other signals as (K, N).
    window
        Seconds, of the model's window.
    begin
        Seconds in the clip.
    """
    start = clip.start + begin
    length = LONGEST if front.sound else WINDOWS * window
    end = start + length if clip.end is None else min(clip.end, start + length)
    try:
        blocks = read_part(clip.path, front, start, end, SignalReadOptions(missing="interpolate"))
        return np.concatenate([block.samples for block in blocks], axis=-1)
    except AudioError:
        return None
