"""Google's speech_embedding, the second teacher: 96 numbers on the last 775 ms of sound.

It was trained to tell thousands of spoken phrases apart [1]_, so it knows what mn04, which
recognises sounds, does not: which word is spoken. Each of the student's columns learns the
embedding of the sound that ends where the column ends.

References
----------
.. [1] J. Lin, K. Kilgour, D. Roblek, M. Sharifi, Training keyword spotters with limited and
   synthesized speech data, ICASSP 2020.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
import soxr
from numpy.typing import NDArray

Array = NDArray[np.float32]
RATE = 16000
N_FRAMES, HOP, REACH = 76, 160, 512  # frames that it sees; samples from one to the next; of one
N_EMBEDDING = 96


class SpeechTeacher:
    """The two published graphs under ONNX Runtime.

    Parameters
    ----------
    mel, embedding
        ``speech_melspectrogram.onnx`` and ``speech_embedding.onnx``.
    """

    def __init__(self, mel: Path, embedding: Path) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 3
        self.mel, self.embedding = (
            onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
            for file in (mel, embedding)
        )

    def __call__(self, samples: Array, rate: int, ends: NDArray[np.float64]) -> Array:
        """Give (B, K, 96) for windows (B, N) of samples and K ends of columns, in seconds."""
        low = soxr.resample(samples.T, rate, RATE).T * 32767
        name = self.mel.get_inputs()[0].name
        mel = self.mel.run(None, {name: np.ascontiguousarray(low, np.float32)})[0]
        mel = mel.reshape(len(samples), -1, 32) / 10 + 2
        last = ((ends * RATE - REACH) // HOP).astype(int)
        place = last[:, None] + np.arange(1 - N_FRAMES, 1)
        cut = np.ascontiguousarray(mel[:, place].reshape(-1, N_FRAMES, 32, 1), np.float32)
        given = self.embedding.run(None, {self.embedding.get_inputs()[0].name: cut})[0]
        return np.asarray(given, np.float32).reshape(len(samples), len(ends), N_EMBEDDING)
