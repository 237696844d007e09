"""What figures of a machine leave unexplained, and what like networks on it, and the same run again, inherit of that.

What a corrected time law leaves of a run is taken as the sum of a part that like networks on the machine
share, one of this very run, and what a repetition changes. Given that of a few figures, that of other runs follows
as in Gaussian process regression (Rasmussen and Williams, Gaussian Processes for Machine Learning, 2006, equations 2.25
and 2.26).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from roofline.model._core import Floats
from roofline.model._surface import SCALES

LIKE, SAME, REPEATED = 0.55, 0.38, 0.07
"""Shares of the variance of a run around its machine's law: of like networks, of the run itself, of a repetition."""

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
    settings: frozenset[str] = frozenset()
    """The runtimes and datatypes of the figures, ``openvino/int8``."""

    def at(self, places: Floats, shares: Floats) -> tuple[Floats, Floats]:
        """Return what runs inherit, in logarithms, and by how much less their variance is than before the figures.

        Args:
            places: Where the runs are; (runs, features).
            shares: Shares of (a, w, k, t) of the time of each.
        """
        own = self.variance * _covariance(places, self.places)
        both = own + shares @ self.before @ self.shares.T
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
    own = variance * (_covariance(places, places) + REPEATED * np.eye(len(left)))
    inverse = np.asarray(np.linalg.inv(own + shares @ before @ shares.T), np.float64)
    weights = np.asarray(np.linalg.solve(own, left), np.float64)
    return OwnFigures(places, shares, before, variance, weights, inverse)


def _covariance(left: Floats, right: Floats) -> Floats:
    """Return the covariance of what runs leave, relative to their variance."""
    apart = (left[:, None] - right[None]) ** 2
    alike, same = (apart @ np.where(BATCH, 0.5, near) ** 2 for near in (1.0, ALIKE))
    return LIKE * np.exp(-alike / 2) + SAME * np.exp(-same / 2)
