"""What is known of a machine and what a law says of runs: the types between the time law, its fit and its intervals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from roofline.model._core import Floats
from roofline.model._own_figures import OwnFigures

KNOWN: tuple[str, ...] = ("new", "own", "many", "far", "own layers", "many layers", "beside")
"""What is known of a run's machine: no runs in the fit; few; so many that they say how far others fall from its law;
none, and none of its runtime on its class; few and many, of a network whose layers are known too; some, but none under
its runtime at its datatype."""

NEW, FEW, MANY, FAR, FEW_LAYERED, MANY_LAYERED, BESIDE = range(len(KNOWN))


UNLIKE, SHARPER = 0.6, 0.3
"""Standard deviation of the logarithm of a time on a machine whose runtime no other of its class was seen with, and by
which power of their number, and itself, it is less. The power did best of 0 to 0.5 on each sixth of the silicon's
others; what remains is in the quantiles."""


def deviation_among(peers: Floats) -> Floats:
    """Return the standard deviation of the logarithm of times on machines that nothing is known of.

    Args:
        peers: Kinds of silicon of the class that the law knows at the runtime and datatype of each run.
    """
    return UNLIKE * (1 + peers) ** -SHARPER


@dataclass(frozen=True, slots=True)
class Effect:
    """How a machine deviates from its class: the mean of (a, w, k, t) and its covariance."""

    mean: Floats
    covariance: Floats
    spread: float | None = None
    """Standard deviation of the logarithm of a run's time around this machine's law; None is that of any machine."""
    many: bool = False
    """Whether it has so many runs that its spread is that around laws which had not seen a run's family of networks."""
    settings: frozenset[str] = frozenset()
    """The runtimes and datatypes of its runs, ``openvino/int8``."""
    figures: OwnFigures | None = None
    """Figures that a user gave of it, of which like runs inherit what the deviation leaves."""
    by_runtime: Mapping[str, Effect] = field(default_factory=dict[str, "Effect"])
    """What the figures of each of several runtimes say by themselves: others do not move what a runtime's own say."""

    def under(self, setting: str) -> Effect:
        """Return what is known of the machine under a runtime, ``openvino/int8``: by its own figures where it has."""
        return self.by_runtime.get(setting.rpartition("/")[0], self)


@dataclass(frozen=True, slots=True)
class Estimates:
    """What the law says of each run."""

    log_time: Floats
    """Logarithm of the seconds per batch."""
    shares: Floats
    """Share of the time that each of `PARTS` answers for; (runs, 4)."""
    deviation: Floats
    """Standard deviation of the logarithm, before quantiles are applied."""
    known: NDArray[np.int8]
    """What is known of each, a place in `KNOWN`: by which quantiles the run is judged."""

    def shift(self, by: Floats) -> Estimates:
        """Return the estimates with something added to the logarithms."""
        return replace(self, log_time=self.log_time + by)
