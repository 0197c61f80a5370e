"""Chunks of samples to blocks: mixed to mono, resampled, cut to a length.

The path that all samples take, from a file, a pipe or a microphone. How they
were cut on the way changes no bit of them. Samples that are not finite are never
handed on and never replaced; they split the stream into gap-free segments, and
each segment is resampled like a stream of its own:

    pieces    |======|======NaN==|=======|          samples at the source's rate
    blocks    |=====|=====|==|  |=====|==|          start jumps over the gap

Nothing here knows where the samples come from or what they are used for.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import soxr
from numpy.typing import NDArray

from audiocnn.errors import ArgumentError

Samples = NDArray[np.float32]

LOUDEST = 1e15  # full scale is 1; beyond it the power of a frame is not finite in float32


@dataclass(frozen=True, eq=False)
class Block:
    """Some consecutive samples of a stream.

    Parameters
    ----------
    samples
        (N,) mono sound, full scale at 1; or (K, N) the channels of another signal,
        in its own units. All finite.
    start
        Samples, at ``rate``, since the stream began. Larger than where the
        block before ended: samples were lost in between.
    rate
        Samples per second.
    """

    samples: Samples
    start: int
    rate: float

    def __post_init__(self) -> None:
        """Check the shape and the ranges, once."""
        if self.samples.ndim not in (1, 2) or self.samples.dtype != np.float32:
            found = f"{self.samples.dtype} of shape {self.samples.shape}"
            raise ArgumentError(f"samples must be float32 of shape (N,) or (K, N), got {found}")
        if self.start < 0 or not self.rate > 0:
            raise ArgumentError(
                f"start must be at least 0 and rate above 0, got {self.start} and {self.rate}"
            )


def mix(frames: Samples, channel: int | None = None) -> Samples:
    """Make one channel of several.

    Parameters
    ----------
    frames
        (N, channels) samples.
    channel
        Which one, counted from 0; the mean of all if None.

    Returns
    -------
    array (N,)
        Not finite where a channel in it is not.
    """
    if channel is not None:
        return frames[:, channel]
    mono = frames[:, 0]
    with np.errstate(over="ignore", invalid="ignore"):
        for other in range(1, frames.shape[1]):  # one order of adding, however it is cut
            mono = mono + frames[:, other]
        return mono if frames.shape[1] == 1 else mono / np.float32(frames.shape[1])


def resample_blocks(
    pieces: Iterable[Samples], rate_in: float, rate_out: float
) -> Iterator[Samples]:
    """Change the rate of one gap-free stream, as it comes.

    Parameters
    ----------
    pieces
        (N,) mono, finite, of any lengths; (K, N) too where the rates are equal.
    rate_in, rate_out
        Samples per second; where they are equal, the samples go through as they are.

    Yields
    ------
    array (M,)
        In total what ``soxr.resample`` gives for the whole, bit for bit; but
        never nothing for something: where even the whole is less than half an
        output sample long, its first sample stands for it.
    """
    resampler = Resampler(rate_in, rate_out)
    for piece in pieces:
        ready = resampler.push(piece)
        if ready.shape[-1]:
            yield ready
    rest = resampler.close()
    if rest.shape[-1]:
        yield rest


class Resampler:
    """Changes the rate of one gap-free stream that is pushed piece by piece.

    Parameters
    ----------
    rate_in, rate_out
        As for `resample_blocks`.
    """

    def __init__(self, rate_in: float, rate_out: float) -> None:
        self._soxr = None
        if rate_in != rate_out:
            self._soxr = soxr.ResampleStream(rate_in, rate_out, 1, dtype="float32", quality="HQ")
        self._first, self._given = np.empty(0, np.float32), 0

    def push(self, samples: Samples) -> Samples:
        """Take the next samples; return those that are complete at the other rate."""
        if self._soxr is None:
            return samples
        new = np.ascontiguousarray(samples)
        self._first = self._first if len(self._first) else new[:1]
        ready = self._soxr.resample_chunk(new)
        self._given += len(ready)
        return np.asarray(ready)

    def close(self) -> Samples:
        """Return the rest; the first sample, if the whole was too short for one."""
        if self._soxr is None:
            return self._first
        rest = self._soxr.resample_chunk(np.empty(0, np.float32), last=True)
        return np.asarray(rest) if self._given + len(rest) else self._first


def cut_blocks(
    pieces: Iterable[Samples], rate_in: float, rate_out: float, *, seconds: float = 10.0
) -> Iterator[Block]:
    """Turn samples from anywhere into blocks: the path that all of them take.

    Parameters
    ----------
    pieces
        (N,) mono or (K, N) float32, of any lengths; what is not finite (in any
        channel) is a gap.
    rate_in, rate_out
        Samples per second of the pieces and of the blocks.
    seconds
        Length of a block.

    Yields
    ------
    Block
        A segment starts at the output sample nearest to its first input sample,
        and at least one after the segment before, so that every gap shows. As soon
        as a gap begins, an empty block behind a jump marks it, so that the end of a
        segment is known before the next one begins.
    """
    size, end = max(1, round(min(seconds, 1e6) * rate_out)), -1
    open_segment = False
    nothing = np.empty(0, np.float32)
    for index, segment in _segments(_finite_runs(pieces)):
        begin = at = max(end + 1, nearest_sample(index, rate_in, rate_out))
        if open_segment:
            yield Block(nothing, at, rate_out)
        for samples in _recut(resample_blocks(segment, rate_in, rate_out), size):
            yield Block(samples, at, rate_out)
            at += samples.shape[-1]
            nothing = samples[..., :0]
        open_segment = at > begin
        end = at if open_segment else end


def nearest_sample(index: int, rate_in: float, rate_out: float) -> int:
    """Return the output sample nearest to an input sample; exact for whole rates of any size."""
    if rate_in == rate_out:
        return index
    return int((2 * index * rate_out + rate_in) // (2 * rate_in))


def finite(samples: Samples) -> NDArray[np.bool_]:
    """Return which samples (N,) are usable in every channel."""
    good = np.abs(samples) <= LOUDEST
    return good if good.ndim == 1 else np.logical_and.reduce(good)


def _finite_runs(pieces: Iterable[Samples]) -> Iterator[tuple[int, Samples]]:
    at = 0
    for piece in pieces:
        good = finite(piece)
        if good.all():
            yield at, piece
        else:
            edges = np.flatnonzero(np.diff(good, prepend=False, append=False)).reshape(-1, 2)
            yield from ((at + a, piece[..., a:b]) for a, b in edges.tolist())
            if not good[-1]:  # a gap has begun, and what comes next may be long in coming
                yield at + piece.shape[-1], piece[..., :0]
        at += piece.shape[-1]


def _segments(runs: Iterator[tuple[int, Samples]]) -> Iterator[tuple[int, Iterator[Samples]]]:
    """Group runs that follow without a gap; each group must be used up before the next."""
    ahead = next(runs, None)

    def segment() -> Iterator[Samples]:
        nonlocal ahead
        end = ahead[0] if ahead else 0
        while ahead and ahead[0] == end:
            run = ahead[1]
            end += run.shape[-1]
            yield run
            ahead = next(runs, None)

    while ahead:
        yield ahead[0], segment()


def _recut(pieces: Iterable[Samples], size: int) -> Iterator[Samples]:
    held: list[Samples] = []
    n_held = 0
    for piece in pieces:
        at, n = 0, piece.shape[-1]
        while n_held + n - at >= size:
            cut = at + size - n_held
            yield np.concatenate([*held, piece[..., at:cut]], axis=-1)
            held, n_held, at = [], 0, cut
        if at < n:
            held.append(piece[..., at:])
            n_held += n - at
    if n_held:
        yield np.concatenate(held, axis=-1)
