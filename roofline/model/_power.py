"""The power a machine draws while it runs a network."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from roofline.model._core import Floats


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
        known = (np.nan if value is None else value for value in (self.tdp, self.idle, self.full))
        found = float(watts(np.asarray(utilization, np.float64), *map(np.asarray, known)))
        return found if found > 0 else None


def watts(utilization: Floats, tdp: Floats, idle: Floats, full: Floats) -> Floats:
    """Return the power at shares of the peak: idle + utilization x (full - idle) where both ends are known.

    Else the thermal design power, a bound; NaN stands for what is not known.
    """
    between = idle + np.clip(utilization, 0, 1) * (full - idle)
    return np.where(full >= idle, between, np.where(np.isnan(utilization), np.nan, tdp))
