"""Classify sound, and any sampled signal, in real time.

    import audiocnn
    bundle = audiocnn.load("environment")
    blocks = audiocnn.read_blocks("night.flac", bundle.rate)
    for event in audiocnn.find_events(audiocnn.listen(bundle, blocks), bundle.rules):
        print(event)

Names are imported when they are first used: ``import audiocnn`` itself is instant.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from audiocnn.annotations import read_events, write_events
    from audiocnn.audio import Block, read_audio, read_blocks
    from audiocnn.bundle import Bundle, load, shipped_models
    from audiocnn.channels import Reading
    from audiocnn.embedding import Embeddings, embed
    from audiocnn.errors import (
        ArgumentError,
        AudiocnnError,
        AudioError,
        BundleError,
        DatasetError,
        DeviceError,
    )
    from audiocnn.events import Event, EventRule, find_events
    from audiocnn.fewshot import Head, fit_head, load_head
    from audiocnn.listening import listen
    from audiocnn.manifest import Clip, read_manifest
    from audiocnn.mel import MelSpec, log_mel
    from audiocnn.model_input import read_for
    from audiocnn.scoring import Scores

_HOME = {
    "annotations": ("read_events", "write_events"),
    "audio": ("Block", "read_audio", "read_blocks"),
    "bundle": ("Bundle", "load", "shipped_models"),
    "channels": ("Reading",),
    "embedding": ("Embeddings", "embed"),
    "errors": (
        "ArgumentError",
        "AudioError",
        "AudiocnnError",
        "BundleError",
        "DatasetError",
        "DeviceError",
    ),
    "events": ("Event", "EventRule", "find_events"),
    "fewshot": ("Head", "fit_head", "load_head"),
    "listening": ("listen",),
    "manifest": ("Clip", "read_manifest"),
    "mel": ("MelSpec", "log_mel"),
    "model_input": ("read_for",),
    "scoring": ("Scores",),
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
    "MelSpec",
    "Reading",
    "Scores",
    "embed",
    "find_events",
    "fit_head",
    "listen",
    "load",
    "load_head",
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
