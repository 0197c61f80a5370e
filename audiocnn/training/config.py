"""How a model is trained: one value, stored in the bundle."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Protocol

from audiocnn.errors import ArgumentError
from audiocnn.frontend.base import FrontEnd

BALANCES = ("sampling", "loss", "none")


class JudgingConfig(Protocol):
    """What judging asks of any training's config: windows, silence, and scores of clips."""

    @property
    def hop(self) -> float: ...  # noqa: D102
    @property
    def silence_db(self) -> float: ...  # noqa: D102
    @property
    def faint_db(self) -> float: ...  # noqa: D102
    @property
    def clip_score(self) -> str: ...  # noqa: D102


@dataclass(frozen=True)
class Augmentation:
    """How training sounds are varied. A probability or a width of 0 switches one off.

    Parameters
    ----------
    speed
        Largest change of speed (and pitch with it), as a ratio: 1.1 draws from 1/1.1
        to 1.1, for half of the windows.
    roll
        Probability of a circular shift in time.
    pitch, pitch_ratio
        Probability of a change of pitch alone; its largest ratio.
    reverb, reverb_time
        Probability of a room; range of its reverberation time, seconds.
    polarity
        Probability of turning the wave upside down.
    background, background_snr_db
        Probability of mixing a background under a clip; range of its
        signal-to-noise ratio.
    noise, noise_snr_db
        Probability of noise from white to brown; range of its signal-to-noise ratio.
    clipping, clipping_db
        Probability of overload; range of what is cut off the peaks.
    companding
        Probability of a telephone's few levels.
    gain_db
        Range of levels, decibels below and above.
    mixup
        Probability of mixing two clips, in the power domain, labels with them.
    tilt_db
        Largest slope over the bands, end to end, and of a random smooth curve.
    band_limit
        Probability of losing all above a drawn frequency.
    codec, codec_db
        Probability of losing what is quiet beside the loudest band, frame by frame;
        range of how quiet that is.
    warp
        Largest stretch of the frequency axis, as a ratio, for half of the windows:
        1.1 is a voice of a tenth more or less in size.
    freq_masks, freq_mask, time_masks, time_mask
        SpecAugment [1]_: how many, and their largest share of the axis.

    References
    ----------
    .. [1] D. S. Park et al., SpecAugment, Interspeech 2019.
    """

    speed: float = 1.15
    roll: float = 0.5
    pitch: float = 0.0
    pitch_ratio: float = 1.2
    reverb: float = 0.0
    reverb_time: tuple[float, float] = (0.1, 0.8)
    polarity: float = 0.0
    background: float = 0.25
    background_snr_db: tuple[float, float] = (0.0, 25.0)
    noise: float = 0.0
    noise_snr_db: tuple[float, float] = (5.0, 35.0)
    clipping: float = 0.0
    clipping_db: tuple[float, float] = (3.0, 20.0)
    companding: float = 0.0
    gain_db: tuple[float, float] = (-18.0, 6.0)
    mixup: float = 0.6
    tilt_db: float = 6.0
    band_limit: float = 0.2
    codec: float = 0.0
    codec_db: tuple[float, float] = (25.0, 50.0)
    warp: float = 1.0
    freq_masks: int = 2
    freq_mask: float = 0.12
    time_masks: int = 1
    time_mask: float = 0.15

    def __post_init__(self) -> None:
        """Check the ranges."""
        for name, value in self.__dict__.items():
            if name in ("speed", "pitch_ratio", "warp"):
                good, wanted = value >= 1, "a ratio, 1 or more"
            elif isinstance(value, tuple):
                good, wanted = len(value) == 2 and value[0] <= value[1], "(low, high)"
            elif name in ("tilt_db", "freq_masks", "time_masks"):
                good, wanted = value >= 0, "0 or more"
            else:
                good, wanted = 0 <= value <= 1, "between 0 and 1"
            if not good:
                raise ArgumentError(f"augmentation: {name} must be {wanted}, got {value}")
        if self.reverb_time[0] <= 0:
            raise ArgumentError(
                f"augmentation: reverb_time must be above 0 s, got {self.reverb_time}"
            )


@dataclass(frozen=True)
class TrainingConfig:
    """How a model is made.

    Parameters
    ----------
    front
        The front end.
    arch, size, pools, kernel, pooling
        The network, see `audiocnn.networks.classifier.TrunkSpec`.
    window, hop
        Seconds: what a training example is, and the sliding window of the bundle.
    epochs, draws
        An epoch draws as many windows from each clip as it is long, at least one, and
        that `draws` times.
    batch
        Windows a step.
    learning_rate, weight_decay, dropout, label_smoothing
        As usual. The learning rate follows one cycle.
    averaging
        Decay of the moving average of the weights that is kept; 0 for none.
    patience
        Epochs without a lower loss on held-out windows after which a fit ends; 0 for
        never, which is better with one cycle: its last epochs, where the learning rate
        falls to nothing, are where the loss falls most.
    balance
        What is done where classes have unequal numbers of clips: ``"sampling"`` draws
        the rarer ones more often, ``"loss"`` weighs them more, ``"none"`` neither.
    backgrounds
        Windows of background per window of the classes.
    silence_db
        Windows below this level, relative to full scale, carry no label.
    faint_db
        Nor do windows so far below the loudest window of their clip.
    clip_score
        ``"mean"`` or ``"max"``.
    augmentation
        See `Augmentation`.
    seed
        Of all draws.
    precision
        Lightning's name of it: ``"32-true"``, or ``"bf16-mixed"`` where the processor
        has it. ``"auto"`` is a mixed one on a GPU, else ``"32-true"``.
    start
        The bundle that training went on from; empty for none.
    """

    front: FrontEnd
    arch: str = "cnn2d"
    size: str = "small"
    pools: int = 3
    kernel: int = 0
    pooling: str = "attention"
    window: float = 2.0
    hop: float = 0.5
    epochs: int = 120
    draws: int = 1
    batch: int = 64
    learning_rate: float = 4e-3
    weight_decay: float = 0.02
    dropout: float = 0.2
    label_smoothing: float = 0.05
    averaging: float = 0.98
    patience: int = 0
    balance: str = "sampling"
    backgrounds: float = 0.4
    silence_db: float = -70.0
    faint_db: float = -30.0
    clip_score: str = "mean"
    augmentation: Augmentation = Augmentation()
    seed: int = 0
    precision: str = "auto"
    start: str = ""

    def __post_init__(self) -> None:
        """Check the ranges."""
        wanted = {
            "epochs": ("1 or more", self.epochs >= 1),
            "draws": ("1 or more", self.draws >= 1),
            "batch": ("2 or more", self.batch >= 2),
            "window": ("above 0 seconds", self.window > 0),
            "hop": ("above 0 seconds", self.hop > 0),
            "learning_rate": ("above 0", self.learning_rate > 0),
            "averaging": ("0 or more, and below 1", 0 <= self.averaging < 1),
            "backgrounds": ("0 or more", self.backgrounds >= 0),
            "clip_score": ("max or mean", self.clip_score in ("max", "mean")),
            "patience": ("0 or more", self.patience >= 0),
            "balance": (", ".join(BALANCES), self.balance in BALANCES),
        }
        for name, (allowed, good) in wanted.items():
            if not good:
                raise ArgumentError(f"{name} must be {allowed}, got {getattr(self, name)!r}")

    def described(self) -> dict[str, Any]:
        """Return plain values, for JSON."""
        return asdict(self) | {"front": self.front.describe()}
