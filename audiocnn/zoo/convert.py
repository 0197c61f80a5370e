"""Published files of the described networks to bundles: front end, window, graph."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path

from audiocnn.frontend.log_mel import MelSpec
from audiocnn.frontend.waveform import WaveformSpec
from audiocnn.inference.description import NetworkSpec
from audiocnn.zoo import speech_embedding
from audiocnn.zoo.audioset import audioset_labels
from audiocnn.zoo.mobilenet import build_mobilenet
from audiocnn.zoo.network_bundle import write_bundle
from audiocnn.zoo.registry import Described
from audiocnn.zoo.speech_embedding import build_speech_embedding
from audiocnn.zoo.tflite_file import find_tensor, list_tensors, with_outputs
from audiocnn.zoo.torch_file import read_state_dict

Files = Mapping[str, bytes]


def _card(described: Described, files: Files) -> dict[str, object]:
    return {
        "title": described.title,
        "source": ", ".join(source.url for source in described.sources),
        "sha256": {name: hashlib.sha256(content).hexdigest() for name, content in files.items()},
        "paper": described.paper,
    }


def convert_mn04(described: Described, files: Files, folder: Path) -> None:
    """EfficientAT: state dict to ONNX, behind its log-mel front end."""
    (source,) = described.sources
    # models/preprocess.py of github.com/fschmid56/EfficientAT, as in evaluation.
    front = MelSpec(
        32000, 1024, 320, 128, 0.0, 15000.0, floor=1e-5, window_length=800,
        window="hann-symmetric", mel_scale="kaldi", full_scale=False, pre_emphasis=0.97,
        log_shift=4.5, log_scale=0.2,
    )  # fmt: skip
    write_bundle(
        folder,
        front=front,
        network=NetworkSpec(
            kind="windowed", layout="NPMT", scores="logits", embeddings="embeddings",
            details={"arch": "MobileNetV3, width 0.4", "parameters": 993_485},
        ),
        model=build_mobilenet(read_state_dict(files[source.name], source.name), front.n_bands),
        labels=audioset_labels("mn04"),
        window=2.0,
        hop=1.0,
        licence=described.licence,
        card=_card(described, files),
    )  # fmt: skip


def convert_yamnet(described: Described, files: Files, folder: Path) -> None:
    """YAMNet: its embedding becomes an output; windows every half of one."""
    (source,) = described.sources
    content = files[source.name]
    tensors = list_tensors(content)
    embedding = find_tensor(tensors, "layer28/reduce_mean").name
    rate, length = 16000, 15600
    write_bundle(
        folder,
        front=WaveformSpec(rate),
        network=NetworkSpec(
            kind="windowed", runtime="litert", length=length, layout="T", activation="sigmoid",
            scores=find_tensor(tensors, "layer32/final_output").name, embeddings=embedding,
            details={"arch": "MobileNetV1, 8-bit weights"},
        ),
        model=with_outputs(content, [embedding]),
        labels=audioset_labels("yamnet"),
        window=length / rate,
        hop=length / rate / 2,
        licence=described.licence,
        card=_card(described, files),
    )  # fmt: skip


def convert_speech_embedding(described: Described, files: Files, folder: Path) -> None:
    """Join the spectrogram and the network; an embedding every 80 ms."""
    mel, embedding = (files[source.name] for source in described.sources)
    write_bundle(
        folder,
        front=WaveformSpec(speech_embedding.RATE, speech_embedding.GAIN),
        network=NetworkSpec(
            kind="windowed", length=speech_embedding.WINDOW_SAMPLES,
            period=speech_embedding.PERIOD, layout="NT", embeddings="embeddings",
            details={"arch": "convolutions over 76 frames of 10 ms"},
        ),
        model=build_speech_embedding(mel, embedding),
        labels=(),
        window=1.5,
        hop=0.24,
        licence=described.licence,
        card=_card(described, files),
    )  # fmt: skip


CONVERTERS: Mapping[str, Callable[[Described, Files, Path], None]] = {
    "mn04": convert_mn04,
    "speech-embedding": convert_speech_embedding,
    "yamnet": convert_yamnet,
}
