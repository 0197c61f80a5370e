"""Rates and proportions with 95 % confidence intervals.

A figure from a small test set needs an interval: no false alarm in two hours does not
mean that the rate is zero.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable
from dataclasses import dataclass

from audiocnn.errors import ArgumentError
from audiocnn.inference.events import Event


@dataclass(frozen=True)
class Rate:
    """Events per hour, with the exact 95 % interval (Poisson, Garwood [1]_).

    References
    ----------
    .. [1] F. Garwood, Fiducial limits for the Poisson distribution, Biometrika 28, 1936.
    """

    per_hour: float
    low: float
    high: float


def event_rate(events: int, hours: float) -> Rate:
    """Estimate the rate of events and its 95 % interval.

    Parameters
    ----------
    events
        Number of events, at least 0.
    hours
        Duration of the sound, above 0.

    Raises
    ------
    ArgumentError
        If a value is out of range.

    Notes
    -----
    Two-sided: no event in T hours leaves rates up to 3.7 / T possible. One-sided,
    as in "fewer than X an hour", it is 3 / T, see `FalseAlarms.claim`.
    """
    import scipy.special  # here, because it takes a while and labelling needs none of it

    if events < 0 or not hours > 0:
        raise ArgumentError(f"a rate needs events >= 0 and hours > 0, got {events} and {hours}")
    low = scipy.special.gammaincinv(events, 0.025) if events else 0.0
    high = scipy.special.gammaincinv(events + 1, 0.975)
    return Rate(events / hours, float(low) / hours, float(high) / hours)


def share_bounds(right: int, total: int) -> tuple[float, float]:
    """Compute the exact 95 % interval of a proportion (Clopper and Pearson [1]_).

    References
    ----------
    .. [1] C. Clopper, E. Pearson, The use of confidence or fiducial limits illustrated in
       the case of the binomial, Biometrika 26, 1934.
    """
    import scipy.special

    if not 0 <= right <= total or total < 1:
        raise ArgumentError(f"a share needs 0 <= right <= total, got {right} of {total}")
    low = scipy.special.betaincinv(right, total - right + 1, 0.025) if right else 0.0
    high = scipy.special.betaincinv(right + 1, total - right, 0.975) if right < total else 1.0
    return float(low), float(high)


def wilson_bounds(right: int, total: int) -> tuple[float, float]:
    """Compute the 95 % score interval of a proportion (Wilson [1]_); (0, 1) if ``total`` is 0.

    Narrower than `share_bounds`: its coverage is 95 % on average, not at least 95 %.

    References
    ----------
    .. [1] E. Wilson, Probable inference, the law of succession, and statistical inference,
       Journal of the American Statistical Association 22, 1927.
    """
    if not 0 <= right <= total:
        raise ArgumentError(f"a share needs 0 <= right <= total, got {right} of {total}")
    if not total:
        return 0.0, 1.0
    z, share = 1.959964, right / total
    middle = share + z * z / (2 * total)
    reach = z * math.sqrt(share * (1 - share) / total + z * z / (4 * total * total))
    scale = 1 + z * z / total
    return max(0.0, (middle - reach) / scale), min(1.0, (middle + reach) / scale)


@dataclass(frozen=True)
class FalseAlarms:
    """Events detected in sound that contains none of the labels.

    Parameters
    ----------
    hours
        Duration of that sound.
    events
        Number of events.
    rate
        Events per hour, with two-sided 95 % bounds.
    below
        One-sided 95 %: the rate is lower than this. 3 / T after T hours without any.
    active, active_bounds
        Share of the time covered by events, and its interval: that of the rate,
        multiplied by the mean length of the events (one second if there is none).
    """

    hours: float
    events: int
    rate: Rate
    below: float
    active: float
    active_bounds: tuple[float, float]

    @property
    def claim(self) -> str:
        """The upper bound in a sentence."""
        said = f"{self.events} in {self.hours:.3g} h: fewer than {self.below:.3g} an hour (95 %)"
        return said if self.events else f"{said}, 3 / T for T hours without any"


def false_alarms(events: Iterable[Event], seconds: float) -> FalseAlarms:
    """Summarise events detected in sound that contains none of the labels.

    Parameters
    ----------
    events
        All with an end; events of one ``source`` may overlap and are then not
        counted twice in ``active``.
    seconds
        Duration of the sound.
    """
    import scipy.special

    found = sorted(events, key=lambda event: (event.source, event.start))
    rate = event_rate(len(found), seconds / 3600)
    below = float(scipy.special.gammaincinv(len(found) + 1, 0.95)) * 3600 / seconds
    active = 0.0
    for _, of_source in itertools.groupby(found, lambda event: event.source):
        end = -math.inf
        for event in of_source:
            assert event.end is not None, "find_events ends what it begins"
            active += max(0.0, event.end - max(event.start, end))
            end = max(end, event.end)
    length = active / len(found) if found else 1.0
    low, high = (min(1.0, bound * length / 3600) for bound in (rate.low, rate.high))
    return FalseAlarms(seconds / 3600, len(found), rate, below, active / seconds, (low, high))
