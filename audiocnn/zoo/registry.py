"""Networks that others trained and that `audiocnn models get` can fetch.

Every file is pinned by size and SHA-256; nothing else is ever opened. Sizes and sums of
what the addresses deliver were compared with several independent public records of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from audiocnn.errors import ArgumentError, did_you_mean


@dataclass(frozen=True)
class Content:
    """What a file contains.

    Parameters
    ----------
    size
        Bytes.
    sha256
        In hexadecimal digits.
    """

    size: int
    sha256: str


@dataclass(frozen=True)
class Source:
    """A published file.

    Parameters
    ----------
    name
        Under which it is published.
    url
        Where.
    content
        What the address delivers.
    variants
        Other forms of the same network that a user may have at hand.
    """

    name: str
    url: str
    content: Content
    variants: tuple[Content, ...] = ()


@dataclass(frozen=True)
class Licence:
    """Terms of a network's weights.

    Parameters
    ----------
    name
        SPDX identifier or usual name.
    commercial
        Whether commercial use is allowed; None if unknown.
    holder
        Who must be named.
    """

    name: str
    commercial: bool | None
    holder: str


UNKNOWN_LICENCE = Licence("not stated", None, "not stated")


@dataclass(frozen=True)
class Described:
    """A network of others.

    Parameters
    ----------
    name
        For the command line.
    title
        One line for a list.
    sources
        The files that it consists of.
    licence
        Its terms.
    n_classes
        Scores that it gives; 0 for a backbone, which gives embeddings only.
    n_features
        Length of its embedding.
    paper
        To cite.
    needs
        Packages that converting or running it needs, by the extra that brings them.
    """

    name: str
    title: str
    sources: tuple[Source, ...]
    licence: Licence
    n_classes: int
    n_features: int
    paper: str
    needs: Mapping[str, str]

    @property
    def size(self) -> int:
        """Bytes to download."""
        return sum(source.content.size for source in self.sources)


_OPEN_WAKE_WORD = "https://github.com/dscripka/openWakeWord/releases/download/v0.5.1"

NETWORKS: Mapping[str, Described] = {
    network.name: network
    for network in (
        Described(
            "mn04",
            "AudioSet's 527 classes; MobileNetV3, width 0.4 (EfficientAT)",
            (
                Source(
                    "mn04_as_mAP_432.pt",
                    "https://github.com/fschmid56/EfficientAT/releases/download/v0.0.1/"
                    "mn04_as_mAP_432.pt",
                    Content(
                        4_066_513,
                        "899a8c6217063f6941793102a2780b3dd788ab11fce468d9cf5f0577c453321c",
                    ),
                ),
            ),
            Licence("MIT", True, "Florian Schmid"),
            527,
            896,
            "F. Schmid, K. Koutini, G. Widmer, Efficient Large-Scale Audio Tagging via "
            "Transformer-to-CNN Knowledge Distillation, ICASSP 2023",
            {"zoo": "onnx"},
        ),
        Described(
            "speech-embedding",
            "spoken words: a backbone for keywords, without classes (Google)",
            (
                Source(
                    "melspectrogram.onnx",
                    f"{_OPEN_WAKE_WORD}/melspectrogram.onnx",
                    Content(
                        1_087_958,
                        "ba2b0e0f8b7b875369a2c89cb13360ff53bac436f2895cced9f479fa65eb176f",
                    ),
                ),
                Source(
                    "embedding_model.onnx",
                    f"{_OPEN_WAKE_WORD}/embedding_model.onnx",
                    Content(
                        1_326_578,
                        "70d164290c1d095d1d4ee149bc5e00543250a7316b59f31d056cff7bd3075c1f",
                    ),
                    variants=(  # the export in the package openwakeword 0.4
                        Content(
                            1_328_103,
                            "ba754db3cd768a524c655ea90655ee5e6055a43b8dfd29366a11e93716ae9e51",
                        ),
                    ),
                ),
            ),
            Licence("Apache-2.0", True, "Google; conversion by David Scripka (openWakeWord)"),
            0,
            96,
            "J. Lin, K. Kilgour, D. Roblek, M. Sharifi, Training Keyword Spotters with Limited "
            "and Synthesized Speech Data, ICASSP 2020",
            {"zoo": "onnx"},
        ),
        Described(
            "yamnet",
            "521 of AudioSet's classes; MobileNetV1, 8-bit weights (Google, MediaPipe)",
            (
                Source(
                    "yamnet.tflite",
                    "https://storage.googleapis.com/mediapipe-models/audio_classifier/yamnet/"
                    "float32/1/yamnet.tflite",
                    Content(
                        4_126_810,
                        "10c95ea3eb9a7bb4cb8bddf6feb023250381008177ac162ce169694d05c317de",
                    ),
                ),
            ),
            Licence("Apache-2.0", True, "The TensorFlow Authors"),
            521,
            1024,
            "M. Plakal, D. Ellis, YAMNet, github.com/tensorflow/models/tree/master/research/"
            "audioset/yamnet, 2020",
            {"litert": "ai_edge_litert"},
        ),
    )
}


def describe_network(name: str) -> Described:
    """Return the description of a network.

    Raises
    ------
    ArgumentError
        If there is none of that name.
    """
    if name not in NETWORKS:
        raise ArgumentError(
            f"no network {name!r} is known{did_you_mean(name, NETWORKS)}; audiocnn models lists "
            f"what can be fetched ({', '.join(NETWORKS)}); for a file of your own: audiocnn "
            "models add FILE"
        )
    return NETWORKS[name]
