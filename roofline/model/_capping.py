"""Estimates under the bound that they stand beside, and that they never exceed."""

from __future__ import annotations

import numpy as np

from roofline.model._core import Floats
from roofline.model._quantiles import EIGHT_OF_TEN

OUT_OF_REACH = 5.0
"""Standard deviations above an estimate from which a bound says nothing."""


def cap_throughput(
    most: Floats | float, fps: Floats | float, low: Floats | float, high: Floats | float
) -> tuple[Floats, Floats, Floats]:
    """Return a throughput and the ends of its interval under a bound; NaN for no bound.

    What is expected is a distribution: a half of it is below the throughput, and eight of ten between the ends, normal
    in logarithms on either side. A bound leaves the part below it, of which the same shares are returned: an estimate
    is the further below its bound the more of its interval was above.
    """
    fps, low, high = (np.asarray(value, np.float64) for value in (fps, low, high))
    limit = np.where(np.isnan(most), np.inf, np.asarray(most, np.float64))
    wide = [np.maximum(np.log(part) / EIGHT_OF_TEN, 1e-9) for part in (fps / low, high / fps)]
    apart = np.log(limit / fps)
    below = _share_below(apart / np.where(apart < 0, wide[0], wide[1]))

    def at(share: float) -> Floats:
        place = _place_of(share * below)
        # The smaller of the two: a place may be above the limit by a rounding.
        return np.minimum(limit, fps * np.exp(place * np.where(place < 0, wide[0], wide[1])))

    free = apart > OUT_OF_REACH * wide[1]
    return (
        np.where(free, fps, at(0.5)),
        np.where(free, low, at(0.1)),
        np.where(free, high, at(0.9)),
    )


def raise_latency(
    least: Floats | float, latency: Floats | float, short: Floats | float, long: Floats | float
) -> tuple[Floats, Floats, Floats]:
    """Return a latency and the ends of its interval above a bound; 0 for no bound. See `cap_throughput`."""
    least = np.asarray(least, np.float64)
    with np.errstate(divide="ignore"):
        most = np.where(least > 0, 1 / least, np.nan)
    whole = [np.asarray(value, np.float64) for value in (latency, short, long)]
    rates = 1 / whole[0], 1 / whole[2], 1 / whole[1]
    rate, low, high = cap_throughput(most, *rates)
    # Inverting twice rounds: what the bound says nothing of is left as it is.
    free = rate == rates[0]
    found = [
        np.where(free, *pair) for pair in zip(whole, (1 / rate, 1 / high, 1 / low), strict=True)
    ]
    return found[0], found[1], found[2]


FARTHEST = 30.0
"""Standard deviations beyond which nothing is told apart."""

_PLACES = np.linspace(-FARTHEST, FARTHEST, 12001)


def _density_sums() -> Floats:
    """Return the share of a normal distribution below each of `_PLACES`, by Simpson's rule between them."""
    middles = (_PLACES[1:] + _PLACES[:-1]) / 2
    ends, inner = (np.exp(-(places**2) / 2) for places in (_PLACES, middles))
    parts = (ends[1:] + ends[:-1] + 4 * inner) * (_PLACES[1] - _PLACES[0]) / 6
    return np.concatenate([[0.0], np.cumsum(parts)]) / np.sqrt(2 * np.pi)


_SHARES = np.maximum(_density_sums(), 1e-250)
_LOG_SHARES = np.log(_SHARES)


def _share_below(place: Floats) -> Floats:
    """Return the share of a normal distribution below a place, in standard deviations."""
    return np.asarray(np.interp(place, _PLACES, _SHARES), np.float64)


def _place_of(share: Floats) -> Floats:
    """Return the place below which a share of a normal distribution lies."""
    return np.asarray(np.interp(np.log(share), _LOG_SHARES, _PLACES), np.float64)
