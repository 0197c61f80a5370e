"""Why a window was an event or was not: its best scores, and which rule decided."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence

from audiocnn.inference.events import Decision
from audiocnn.inference.windows import Scores


class Explainer:
    """Puts the scores of a window and the decisions about them into a line.

    Parameters
    ----------
    labels
        In the order of the scores.
    write
        Takes a line.
    top
        How many scores are written.
    """

    def __init__(self, labels: Sequence[str], write: Callable[[str], None], top: int = 3) -> None:
        self._labels, self._write, self._top = labels, write, top
        self._run: Scores | None = None
        self._decisions: defaultdict[str, list[Decision]] = defaultdict(list)

    def scored(self, run: Scores) -> None:
        """Take the next run of windows: what there was to decide on the one before is known."""
        self.finish()
        self._run = run

    def decided(self, decision: Decision) -> None:
        """Take a decision on a window of the newest run."""
        self._decisions[decision.label].append(decision)

    def finish(self) -> None:
        """Write the lines of the newest run."""
        if self._run is not None:
            for at in range(self._run.values.shape[1]):
                self._write(self._line(self._run, at))
        self._run, self._decisions = None, defaultdict(list)

    def _line(self, run: Scores, at: int) -> str:
        values = run.values[:, at]
        start = run.start + at * run.hop
        parts, kept = [], False
        for i in (-values).argsort(kind="stable")[: self._top].tolist():
            decisions = self._decisions[self._labels[i]]
            verdict, smoothed = "", float(values[i])
            if at < len(decisions):
                verdict, smoothed = decisions[at].verdict, decisions[at].score
            mean = f" (mean {smoothed:.2f})" if abs(smoothed - values[i]) >= 0.005 else ""
            parts.append(f"{self._labels[i]} {values[i]:.2f}{mean} {verdict}")
            kept = kept or verdict in ("begins", "lasts", "pauses", "too short yet")
        others = self._decisions.items()
        kept = kept or any(at < len(d) and d[at].verdict in ("begins", "lasts") for _, d in others)
        end = start + run.window - run.padded
        text = "; ".join(part.rstrip() for part in parts)
        return f"{start:.2f}-{end:.2f} s: {text}{'' if kept else ' -> nothing known'}"
