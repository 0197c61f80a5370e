"""Sound levels of recordings, by minute, at their own sample rate."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from audiocnn.annotations.start_times import Clock, start_time
from audiocnn.errors import AudioError
from audiocnn.frontend.sound_level import LevelSpec, SoundLevel, measure_levels
from audiocnn.io.audio.blocks import Block
from audiocnn.io.audio.reader import audio_info, read_blocks
from audiocnn.labeling.remote import local_copy

PERIOD = 60.0  # seconds
CHUNK = 1 << 20  # lost samples that are passed on at once


def recording_levels(
    path: str,
    *,
    offset: float | None = None,
    clock: Clock | None = None,
    channel: int | None = None,
) -> Iterator[SoundLevel]:
    """Measure a recording by minute, up to its end or the first damage.

    Parameters
    ----------
    path
        A recording of sound, or its URL.
    offset
        Calibration in dB, see `LevelSpec`; None for levels re full scale.
    clock
        With one, periods begin at full minutes of the clock where the recording's name
        tells when it began.
    channel
        Which channel, from 0; None for the mean of all.

    Raises
    ------
    AudioError
        If it cannot be opened.
    ArgumentError
        If its sample rate is outside of what `LevelSpec` takes.
    """
    with local_copy(path) as file:
        rate = audio_info(file).rate
        start = None if clock is None else start_time(path, clock)
        spec = LevelSpec(rate, offset, PERIOD, _until_full_minute(start))
        yield from measure_levels(_chunks(read_blocks(file, rate, channel=channel)), spec)


def _until_full_minute(start: datetime | None) -> float | None:
    if start is None:
        return None
    into = timedelta(seconds=start.second, microseconds=start.microsecond).total_seconds()
    return PERIOD - into if into else None


def _chunks(blocks: Iterable[Block]) -> Iterator[NDArray[np.float32]]:
    """Give the samples of blocks, and NaN for those that were lost between them."""
    end = 0
    try:
        for block in blocks:
            for at in range(end, block.start, CHUNK):
                yield np.full(min(CHUNK, block.start - at), np.nan, np.float32)
            yield block.samples
            end = block.start + len(block.samples)
    except AudioError:  # labelling the recording reports it
        return
