"""The whole path: blocks of samples in, runs of window scores out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from audiocnn.inference.bundle import Bundle, grid_of
from audiocnn.inference.engine import run_network
from audiocnn.inference.model_input import check_block
from audiocnn.inference.windows import Scores, score_windows
from audiocnn.io.audio.reader import Block


def listen(bundle: Bundle, blocks: Iterable[Block], hop: float | None = None) -> Iterator[Scores]:
    """Score a stream in sliding windows.

    However the stream is cut into blocks, the scores are the same.

    Parameters
    ----------
    bundle
        The model.
    blocks
        At ``bundle.rate``. A jump in ``Block.start`` begins a new segment.
    hop
        Seconds from one window to the next, rounded to whole columns; the
        bundle's own if left out. May be longer than a window.

    Yields
    ------
    Scores
        Calibrated probabilities, classes in the order of ``bundle.labels``.

    Raises
    ------
    ArgumentError
        If a block has another rate, or other channels, than the model.

    Notes
    -----
    Each frame and each column is computed once; the cost does not depend on the
    hop.

    Examples
    --------
    >>> import audiocnn
    >>> bundle = audiocnn.load("environment")
    >>> blocks = audiocnn.read_blocks("data/demo.flac", bundle.rate)
    >>> next(audiocnn.listen(bundle, blocks)).values.shape[0] == len(bundle.labels)
    True
    """
    grid = grid_of(bundle, hop)
    checked = (check_block(block, bundle.front) for block in blocks)
    return score_windows(
        run_network(bundle.graph, bundle.front, grid, checked), grid, bundle.calibration
    )
