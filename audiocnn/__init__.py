"""Classify sound, and any sampled signal, in real time.

    import audiocnn
    bundle = audiocnn.load("environment")
    for event in bundle.detect("night.flac"):
        print(event)

    stream = bundle.stream()         # from an audio callback
    events = stream.push(samples)    # the same events as from the file

Names are imported when they are first used: ``import audiocnn`` itself is instant.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from audiocnn.annotations.formats import read_events, write_events
    from audiocnn.datasets.manifest import Clip, read_manifest
    from audiocnn.errors import (
        ArgumentError,
        AudiocnnError,
        AudioError,
        BundleError,
        DatasetError,
        DeviceError,
    )
    from audiocnn.frontend.log_mel import MelSpec, log_mel
    from audiocnn.inference.bundle import Bundle, load
    from audiocnn.inference.embeddings import Embeddings, embed
    from audiocnn.inference.events import Event, EventRule, find_events
    from audiocnn.inference.head import Head
    from audiocnn.inference.installed import installed_models, shipped_models
    from audiocnn.inference.linear_probe import LinearProbe, fit_probe, load_probe
    from audiocnn.inference.model_input import read_for
    from audiocnn.inference.pipeline import listen
    from audiocnn.inference.stream import Stream
    from audiocnn.inference.windows import Scores
    from audiocnn.io.audio.reader import Block, read_audio, read_blocks
    from audiocnn.io.signals.channels import SignalReadOptions

_HOME = {
    "annotations.formats": ("read_events", "write_events"),
    "io.audio.reader": ("Block", "read_audio", "read_blocks"),
    "inference.bundle": ("Bundle", "load"),
    "inference.installed": ("installed_models", "shipped_models"),
    "inference.stream": ("Stream",),
    "io.signals.channels": ("SignalReadOptions",),
    "inference.embeddings": ("Embeddings", "embed"),
    "errors": (
        "ArgumentError",
        "AudioError",
        "AudiocnnError",
        "BundleError",
        "DatasetError",
        "DeviceError",
    ),
    "inference.events": ("Event", "EventRule", "find_events"),
    "inference.head": ("Head",),
    "inference.linear_probe": ("LinearProbe", "fit_probe", "load_probe"),
    "inference.pipeline": ("listen",),
    "datasets.manifest": ("Clip", "read_manifest"),
    "frontend.log_mel": ("MelSpec", "log_mel"),
    "inference.model_input": ("read_for",),
    "inference.windows": ("Scores",),
}
_MODULE_OF = {name: module for module, names in _HOME.items() for name in names}

__all__ = [
    "ArgumentError",
    "AudioError",
    "AudiocnnError",
    "Block",
    "Bundle",
    "BundleError",
    "Clip",
    "DatasetError",
    "DeviceError",
    "Embeddings",
    "Event",
    "EventRule",
    "Head",
    "LinearProbe",
    "MelSpec",
    "Scores",
    "SignalReadOptions",
    "Stream",
    "embed",
    "find_events",
    "fit_probe",
    "installed_models",
    "listen",
    "load",
    "load_probe",
    "log_mel",
    "read_audio",
    "read_blocks",
    "read_events",
    "read_for",
    "read_manifest",
    "shipped_models",
    "write_events",
]


def __getattr__(name: str) -> Any:
    """Import a public name's module when the name is first used."""
    if name not in _MODULE_OF:
        raise AttributeError(f"module 'audiocnn' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"audiocnn.{_MODULE_OF[name]}"), name)
    globals()[name] = value
    return value
