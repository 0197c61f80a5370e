"""Open what a `[[source]]` names: a microphone, a recording, a URL, or samples on stdin."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from audiocnn.errors import ArgumentError
from audiocnn.frontend.base import FrontEnd
from audiocnn.inference.bundle import Bundle
from audiocnn.io.signals.channels import DEFAULT_OPTIONS, SignalReadOptions
from audiocnn.streaming.config import SourceSettings
from audiocnn.streaming.inputs.chunk import Input
from audiocnn.streaming.inputs.file_and_pipe import FileInput, PipeInput
from audiocnn.streaming.inputs.signals import TEXT, SignalFile, SignalPipe
from audiocnn.streaming.session import SoundFetcher


def is_url(source: SourceSettings) -> bool:
    """Whether a source is a network stream."""
    return bool(source.input) and "://" in str(source.input)


def is_live(source: SourceSettings) -> bool:
    """Whether samples come as they sound, and cannot wait."""
    return not source.input or source.input == "-" or is_url(source) or source.realtime


def is_endless(source: SourceSettings) -> bool:
    """Whether a source that fails may come back: a microphone or a network stream."""
    return not source.input or is_url(source)


def open_source(
    source: SourceSettings,
    bundle: Bundle,
    notify: Callable[[str], None],
    reading: SignalReadOptions = DEFAULT_OPTIONS,
) -> Input:
    """Open a source for a model.

    Parameters
    ----------
    source
        What to open.
    bundle
        The model it is for.
    notify
        Called with a sentence when a device or a connection is lost or back.
    reading
        How signals other than sound are read.

    Raises
    ------
    ArgumentError
        If the settings contradict each other or the model.
    AudiocnnError
        If it cannot be opened.
    """
    if not bundle.front.sound:
        if source.rate is not None:
            reading = replace(reading, rate=source.rate)
        return _open_signal(source, bundle.front, reading)
    _check_sound(source)
    if not source.input:
        from audiocnn.streaming.inputs.microphone import Microphone

        return Microphone(
            source.device, channels=source.channels or 1, channel=reading.channel, notify=notify,
            on_move=source.on_move,
        )  # fmt: skip
    if is_url(source):
        from audiocnn.streaming.inputs.url import UrlInput

        return UrlInput(
            str(source.input), user=source.user, password_env=source.password_env,
            transport=source.transport, audio_only=source.audio_only, timeout=source.timeout,
            notify=notify,
        )  # fmt: skip
    if source.input != "-":
        return FileInput(Path(source.input), realtime=source.realtime, channel=reading.channel)
    return PipeInput(
        sys.stdin.fileno(), round(source.rate or 0), source.channels or 1, source.format or "s16",
        reading.channel,
    )  # fmt: skip


def _check_sound(source: SourceSettings) -> None:
    if source.input and source.device is not None:
        raise ArgumentError("--device and --input: give one of them")
    if source.format == TEXT:
        raise ArgumentError(
            f"--format {TEXT} is for signals other than sound, and the model takes sound"
        )
    raw = [name for name in ("rate", "channels", "format") if getattr(source, name) is not None]
    if source.input not in (None, "", "-") and raw:
        raise ArgumentError(f"--{raw[0]} is for raw samples (--input -); a recording says its own")
    if source.input == "-" and source.rate is None:
        raise ArgumentError("--input - needs --rate HZ: raw samples do not say their own")
    if source.rate is not None and source.rate != round(source.rate):
        raise ArgumentError(f"--rate of sound is a whole number, got {source.rate:g}")


def _open_signal(source: SourceSettings, front: FrontEnd, reading: SignalReadOptions) -> Input:
    """Open a recording or stdin, for a model of signals other than sound."""
    if source.device is not None or not source.input:
        raise ArgumentError(
            "the model takes signals other than sound, and a microphone gives only sound: give "
            "--input FILE, or --input - for values on stdin"
        )
    if is_url(source):
        raise ArgumentError("a URL gives sound, and the model takes signals other than sound")
    if source.input == "-":
        return SignalPipe(
            sys.stdin.fileno(), front, reading, source.format or TEXT, source.channels
        )
    for name in ("channels", "format"):
        if getattr(source, name) is not None:
            raise ArgumentError(f"--{name} is for values on stdin (--input -); a recording says")
    return SignalFile(Path(source.input), front, reading, realtime=source.realtime)


def sound_of_file(
    source: SourceSettings, bundle: Bundle, channel: int | None = None
) -> SoundFetcher | None:
    """Give the sound of a recording that is read faster than it sounds, from the file itself.

    None for anything else: there the ring buffer of the session has it.
    """
    if is_live(source) or not bundle.front.sound:
        return None
    from audiocnn.io.audio.reader import audio_info, read_audio

    path = Path(str(source.input))
    info = audio_info(path)
    rate, last = info.rate, info.duration or float("inf")

    def fetch(start: float, end: float) -> Any:
        start = round(start * rate) / rate
        if start >= last:
            return np.empty(0, np.float32), rate, start
        found = read_audio(path, rate, start=start, end=min(end, last), channel=channel)
        return found, rate, start

    return fetch
