"""How a head is made: one value, stored in the bundle's card and in what the training leaves."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from audiocnn.errors import ArgumentError
from audiocnn.frontend.specs import Front

BALANCES = ("weights", "none")


@dataclass(frozen=True)
class Variation:
    """How the sound of a training window is varied before it is embedded.

    Parameters
    ----------
    copies
        Varied windows for each window length of a clip; 0 for none.
    background
        Probability of mixing background under a window.
    background_snr_db
        Range of the signal-to-noise ratio.
    gain_db
        Range of levels, decibels below and above.
    band_limit
        Probability of losing all above a drawn frequency.
    """

    copies: int = 1
    background: float = 0.5
    background_snr_db: tuple[float, float] = (0.0, 25.0)
    gain_db: tuple[float, float] = (-18.0, 6.0)
    band_limit: float = 0.2

    def __post_init__(self) -> None:
        """Check the ranges."""
        if not 0 <= self.copies <= 20:
            raise ArgumentError(f"copies must be 0 to 20, got {self.copies}")
        for name in ("background", "band_limit"):
            if not 0 <= getattr(self, name) <= 1:
                raise ArgumentError(f"{name} must be between 0 and 1, got {getattr(self, name)}")
        for name in ("background_snr_db", "gain_db"):
            low, high = getattr(self, name)
            if low > high:
                raise ArgumentError(f"{name} must be (low, high), got {low} and {high}")


@dataclass(frozen=True)
class HeadConfig:
    """How a head is made.

    Parameters
    ----------
    front
        Front end of the backbone.
    backbone
        Its name, and the first digits of its checksum.
    window, hop
        Seconds: what a training example is, and the sliding window of the bundle.
    hidden
        Units of a hidden layer that is tried; 0 for none.
    variation
        See `Variation`.
    backgrounds
        Weight of all windows of background together, relative to those of the clips.
    balance
        ``"weights"``: clips of rarer classes count more; ``"none"``: all alike.
    silence_db
        Windows below this level, relative to full scale, carry no label.
    faint_db
        Nor do windows this far below the loudest window of their clip.
    clip_score
        ``"mean"`` or ``"max"``.
    loss
        ``"logistic"``, or ``"squared"`` for a ridge regression.
    seed
        Of all draws.
    """

    front: Front
    backbone: str
    window: float = 2.0
    hop: float = 0.5
    hidden: int = 0
    variation: Variation = Variation()
    backgrounds: float = 1.0
    balance: str = "weights"
    silence_db: float = -70.0
    faint_db: float = -30.0
    clip_score: str = "mean"
    loss: str = "logistic"
    seed: int = 0

    def __post_init__(self) -> None:
        """Check the ranges."""
        wanted = {
            "window": ("above 0 seconds", self.window > 0),
            "hop": ("above 0 seconds", self.hop > 0),
            "hidden": ("0 to 4096 units", 0 <= self.hidden <= 4096),
            "backgrounds": ("0 or more", self.backgrounds >= 0),
            "balance": (" or ".join(BALANCES), self.balance in BALANCES),
            "loss": ("logistic or squared", self.loss in ("logistic", "squared")),
            "clip_score": ("max or mean", self.clip_score in ("max", "mean")),
        }
        for name, (allowed, good) in wanted.items():
            if not good:
                raise ArgumentError(f"{name} must be {allowed}, got {getattr(self, name)!r}")

    def described(self) -> dict[str, Any]:
        """Return plain values, for JSON."""
        return asdict(self) | {"front": self.front.describe()}
