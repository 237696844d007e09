"""What figures of a machine leave unexplained, and what like networks on it, and the same run again, inherit of that.

What a corrected time law leaves of a run is taken as the sum of a part that like networks on the machine
share, one of this very run, and what a repetition changes. Given that of a few figures, that of other runs follows
as in Gaussian process regression (Rasmussen and Williams, Gaussian Processes for Machine Learning, 2006, equations 2.25
and 2.26).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from roofline.model._core import Floats
from roofline.model._surface import SCALES

LIKE, SAME, REPEATED = 0.55, 0.38, 0.07
"""Shares of the variance of a run around its machine's law: of like networks, of the run itself, of a repetition."""

COMMON = 0.5
"""Share of what a machine adds to (a, w, k, t), as variance, that all networks have in common; the rest is that of
a kind of network. `benchmarks/kinds_of_figures.py` fits it and `KINDS` to machines left out: what networks with and
without attention leave correlates by 0.50 over their settings, with and without depthwise convolutions by 0.75."""

KINDS = {"attention": 3.0, "depthwise": 1.2, "grouped": 1.2}
"""How far apart networks of a kind and others are: of the rest they share a bump of deviation 1 at that distance."""

ALIKE = 6.0
"""How much nearer a run has to be than a network to share what is its own."""

BATCH = np.asarray([name == "batch" for name in SCALES])
"""Which of the features of a place is the batch. It counts half: what a network has of its own on a machine it has at
any batch, and rates would fall with the batch around a figure if it had not."""


@dataclass(frozen=True, slots=True)
class OwnFigures:
    """Figures of one machine as its other runs inherit of them."""

    places: Floats
    """Where each is among runs, as `places_of` has it; (figures, features)."""
    shares: Floats
    """Shares of (a, w, k, t) of the time of each."""
    before: Floats
    """Covariance of what the machine adds to (a, w, k, t) before the figures."""
    variance: float
    """Of the logarithm of a run's time around its machine's law."""
    weights: Floats
    """What each leaves, by the inverse of the covariance of what they leave."""
    inverse: Floats
    """The inverse of the covariance of the figures."""
    settings: Mapping[str, int] = field(default_factory=dict[str, int])
    """How many figures are of each runtime and datatype, ``openvino/int8``."""
    in_flight: frozenset[str] = frozenset()
    """The runtimes of which a figure is with several runs in flight."""

    def find_runtimes(self, datatype: str) -> list[str]:
        """Return the runtimes of the figures, the most usual first: those at a datatype, else those at any."""
        many: Counter[str] = Counter()
        here: Counter[str] = Counter()
        for setting, count in sorted(self.settings.items()):
            runtime, _, other = setting.rpartition("/")
            many[runtime] += count
            here[runtime] += count * (other == datatype)
        return [name for name, count in (+here or many).most_common() if count]

    def at(self, places: Floats, shares: Floats) -> tuple[Floats, Floats]:
        """Return what runs inherit, in logarithms, and by how much less their variance is than before the figures.

        Args:
            places: Where the runs are; (runs, features).
            shares: Shares of (a, w, k, t) of the time of each.
        """
        machine = shares @ self.before @ self.shares.T
        kind = machine * kinds_shared(places, self.places)
        own = self.variance * _covariance(places, self.places) + kind
        both = own + COMMON * machine
        return own @ self.weights, np.einsum("nf,fg,ng->n", both, self.inverse, both)


def own_figures(
    places: Floats, shares: Floats, before: Floats, variance: float, left: Floats
) -> OwnFigures:
    """Return what other runs inherit of figures.

    Args:
        places: Where the runs of the figures are, as `places_of` has it; (figures, features).
        shares: Shares of (a, w, k, t) of the time of each.
        before: Covariance of what the machine adds to (a, w, k, t) before the figures.
        variance: Of the logarithm of a run's time around its machine's law.
        left: Measured less estimated logarithm of the time of each, by the machine's law after the figures.
    """
    machine = shares @ before @ shares.T
    own = variance * (_covariance(places, places) + REPEATED * np.eye(len(left)))
    own = own + machine * kinds_shared(places, places)
    inverse = np.asarray(np.linalg.inv(own + COMMON * machine), np.float64)
    weights = np.asarray(np.linalg.solve(own, left), np.float64)
    return OwnFigures(places, shares, before, variance, weights, inverse)


def kinds_shared(left: Floats, right: Floats) -> Floats:
    """Return the share of a machine's covariance that pairs of runs have by the kind of their networks."""
    near = np.asarray([KINDS.get(name, 0.0) / scale for name, scale in SCALES.items()])
    apart = (left[:, None] - right[None]) ** 2 @ near**2
    return (1 - COMMON) * np.exp(-apart / 2)


def _covariance(left: Floats, right: Floats) -> Floats:
    """Return the covariance of what runs leave, relative to their variance."""
    apart = (left[:, None] - right[None]) ** 2
    alike, same = (apart @ np.where(BATCH, 0.5, near) ** 2 for near in (1.0, ALIKE))
    return LIKE * np.exp(-alike / 2) + SAME * np.exp(-same / 2)
