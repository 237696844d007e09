"""What figures of a machine leave unexplained, and what like networks on it, and the same run again, inherit of that.

The rest that a corrected time law leaves of a run is taken as the sum of a part that like networks on the machine
share, one of this very run, and what a repetition changes. Given the rests of a few figures, those of other runs follow
as in Gaussian process regression (Rasmussen and Williams, Gaussian Processes for Machine Learning, 2006, equations 2.25
and 2.26).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from roofline.model._core import Floats

LIKE, SAME, REPEATED = 0.55, 0.38, 0.07
"""Shares of the variance of a run around its machine's law: of like networks, of the run itself, of a repetition."""

ALIKE = 6.0
"""How much nearer a run has to be than a network to share what is its own."""


@dataclass(frozen=True, slots=True)
class OwnFigures:
    """Figures of one machine as others inherit of them."""

    places: Floats
    """Where each is among runs, as `placed` has it; (figures, features)."""
    weights: Floats
    """Of each the rests, by the inverse of their covariance; relative to the variance of a run."""
    inverse: Floats
    """The inverse of that covariance, relative to the same; (figures, figures)."""

    def at(self, places: Floats) -> tuple[Floats, Floats]:
        """Return what runs inherit in logarithms, and the share of their variance that is known by it.

        Args:
            places: Where the runs are; (runs, features).
        """
        shared = _shared(places, self.places)
        return shared @ self.weights, np.einsum("nf,fg,ng->n", shared, self.inverse, shared)


def own_figures(places: Floats, rest: Floats) -> OwnFigures:
    """Return what others inherit of figures.

    Args:
        places: Where the runs of the figures are, as `placed` has it; (figures, features).
        rest: Measured less estimated logarithm of the time of each.
    """
    covariance = _shared(places, places) + REPEATED * np.eye(len(rest))
    inverse = np.asarray(np.linalg.inv(covariance), np.float64)
    return OwnFigures(places, inverse @ rest, inverse)


def _shared(left: Floats, right: Floats) -> Floats:
    """Return the covariance of the rests of runs, relative to their variance."""
    apart = ((left[:, None] - right[None]) ** 2).sum(-1)
    return LIKE * np.exp(-apart / 2) + SAME * np.exp(-apart * ALIKE**2 / 2)
