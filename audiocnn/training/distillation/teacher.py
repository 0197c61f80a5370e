"""EfficientAT mn04, the teacher: 2 s of sound to embeddings and AudioSet probabilities.

The graph is built from the published weights by `audiocnn.zoo` and run by ONNX Runtime, on
2 s at once. Its front end is computed here: pre-emphasis, frames centred with reflection,
Kaldi's mel filters [2]_.

References
----------
.. [1] F. Schmid, K. Koutini, G. Widmer, Efficient large-scale audio tagging via
   transformer-to-CNN knowledge distillation, ICASSP 2023.
.. [2] D. Povey and others, The Kaldi speech recognition toolkit, ASRU 2011.
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnxruntime
import scipy.fft
from numpy.typing import NDArray

from audiocnn.zoo.mobilenet import build_mobilenet
from audiocnn.zoo.torch_file import read_state_dict

Array = NDArray[np.float32]
RATE = 32000
N_FFT, WINDOW, HOP, N_MELS, F_MAX = 1024, 800, 320, 128, 15000
FRAMES_AT_ONCE = 100  # spectra that stay in a core's cache
N_CLASSES, N_EMBEDDING = 527, 384 + 512


class Answers(NamedTuple):
    """What the teacher gives for a batch of windows.

    Attributes
    ----------
    embeddings
        (B, 896): the mean of the last feature map (384), and the hidden layer (512).
    probabilities
        (B, 527), in the order of AudioSet's classes.
    """

    embeddings: Array
    probabilities: Array


@functools.cache
def _filters() -> Array:
    """Kaldi's triangles: even in mel, 1127 ln(1 + f / 700), and linear in it."""

    def mel(f: NDArray[np.float64] | float) -> NDArray[np.float64]:
        return 1127 * np.log(1 + np.asarray(f) / 700)

    edges = np.linspace(mel(0.0), mel(float(F_MAX)), N_MELS + 2)
    bins = mel(np.arange(N_FFT // 2) * RATE / N_FFT)[:, None]
    rising = (bins - edges[:-2]) / np.diff(edges)[:-1]
    falling = (edges[2:] - bins) / np.diff(edges)[1:]
    triangles = np.maximum(0, np.minimum(rising, falling))
    return np.asarray(np.pad(triangles, ((0, 1), (0, 0))), np.float32)  # nothing at half the rate


@functools.cache
def _window() -> Array:
    side = (N_FFT - WINDOW) // 2
    return np.pad(np.hanning(WINDOW), side).astype(np.float32)


def frames_of(samples: Array) -> Array:
    """Turn windows (B, N) of samples at 32 kHz into the network's input (B, 1, 128, T)."""
    x = samples[:, 1:] - np.float32(0.97) * samples[:, :-1]
    x = np.pad(x, ((0, 0), (N_FFT // 2, N_FFT // 2)), mode="reflect")
    cut = np.lib.stride_tricks.sliding_window_view(x, N_FFT, axis=1)[:, ::HOP]
    mel = np.empty((len(x), N_MELS, cut.shape[1]), np.float32)
    for window, frames in zip(mel, cut, strict=True):
        for at in range(0, len(frames), FRAMES_AT_ONCE):
            spectra = scipy.fft.rfft(frames[at : at + FRAMES_AT_ONCE] * _window(), axis=1)
            power = spectra.real**2 + spectra.imag**2
            window[:, at : at + FRAMES_AT_ONCE] = (power @ _filters()).T
    return np.asarray((np.log(mel + np.float32(1e-5)) + 4.5) / 5, np.float32)[:, None]


class Teacher:
    """The network under ONNX Runtime.

    Parameters
    ----------
    weights
        The published state dict, ``mn04_as_mAP_432.pt``.
    threads
        For one call.
    """

    def __init__(self, weights: Path, threads: int = 1) -> None:
        graph = build_mobilenet(read_state_dict(weights), N_MELS)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        self.session = onnxruntime.InferenceSession(
            graph, options, providers=["CPUExecutionProvider"]
        )

    def __call__(self, samples: Array) -> Answers:
        """Answer for windows (B, N) of one length."""
        wanted, given = ["embeddings", "logits"], {"frames": frames_of(samples)}
        embeddings, logits = self.session.run(wanted, given)
        return Answers(embeddings, 1 / (1 + np.exp(-logits)))
