"""The power a machine draws while it runs a network."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from roofline.model._core import Floats

BUSY, BUSY_LEAST, BUSY_MOST = 0.5, 0.0, 0.95
"""Share of what lies between idle and full power that a machine draws more as soon as it runs anything, and what
eight of ten runs lie between. Of the measured runs of QuTiBench (930 of 12 machines, the portal's table; full is the
most that a machine drew): median over machines 0.50; 10 % and 90 % quantiles, machines alike, -0.05 and 0.98."""


@dataclass(frozen=True, slots=True)
class Draw:
    """What a platform file says of a machine's power, in W."""

    tdp: float | None = None
    """Thermal design power or power budget: it draws no more."""
    idle: float | None = None
    """At rest, system up."""
    full: float | None = None
    """With its arithmetic busy."""

    @property
    def is_known(self) -> bool:
        """Whether both ends are known, so that what lies between is estimated and not bounded."""
        return self.idle is not None and self.full is not None and self.full >= self.idle

    def at(self, utilization: float) -> float | None:
        """Return the power at a share of the peak, in W; None where nothing is known."""
        found = float(watts(np.asarray(utilization, np.float64), *self._known()))
        return found if found > 0 else None

    def rate_interval(self, utilization: float, ends: tuple[float, float]) -> list[float] | None:
        """Return the 80 % interval of frames per second and watt, over that of the estimate; None without a power.

        Args:
            utilization: Share of the peak at the estimate.
            ends: Shares of the estimate that the interval of its frames per second reaches from and to.
        """
        low, high = (np.asarray(end, np.float64) for end in ends)
        found = rate_ends(np.asarray(utilization, np.float64), low, high, *self._known())
        return None if np.isnan(found[0]) else [float(end) for end in found]

    def _known(self) -> tuple[Floats, Floats, Floats]:
        tdp, idle, full = (
            np.asarray(np.nan if value is None else value, np.float64)
            for value in (self.tdp, self.idle, self.full)
        )
        return tdp, idle, full


def watts(
    utilization: Floats, tdp: Floats, idle: Floats, full: Floats, busy: float = BUSY
) -> Floats:
    """Return the power at shares of the peak: idle + (busy + (1 - busy) x utilization) x (full - idle).

    That is where both ends are known; else it is the thermal design power, a bound. NaN stands for what is not known.

    Args:
        utilization: Shares of the peak.
        tdp: Thermal design power, W.
        idle: Power at rest, W.
        full: Power with the arithmetic busy, W.
        busy: Share of what lies between the two that a machine draws more as soon as it runs anything.
    """
    share = busy + (1 - busy) * np.clip(utilization, 0, 1)
    between = idle + share * (full - idle)
    return np.where(full >= idle, between, np.where(np.isnan(utilization), np.nan, tdp))


def rate_ends(
    utilization: Floats, low: Floats, high: Floats, tdp: Floats, idle: Floats, full: Floats
) -> tuple[Floats, Floats]:
    """Return the ends of the 80 % interval of frames per second and watt, as shares of the estimate.

    Frames per second and power are off independently of one another: their deviations add in squares of the logarithm.

    Args:
        utilization: Shares of the peak at the estimate.
        low: Share of the estimate from which the interval of frames per second reaches.
        high: That to which it reaches.
        tdp: Thermal design power, W.
        idle: Power at rest, W.
        full: Power with the arithmetic busy, W.
    """
    power = watts(utilization, tdp, idle, full)

    def rate(share: Floats, busy: float) -> Floats:
        return share * power / watts(share * utilization, tdp, idle, full, busy)

    one = np.ones_like(power)
    with np.errstate(divide="ignore", invalid="ignore"):
        down = np.hypot(np.log(rate(low, BUSY)), np.log(rate(one, BUSY_MOST)))
        up = np.hypot(np.log(rate(high, BUSY)), np.log(rate(one, BUSY_LEAST)))
    return np.exp(-down), np.exp(up)
