"""How figures of a machine move the time law: which deviation they make likeliest, what its other runs inherit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from roofline.model._core import Floats
from roofline.model._forward import forward, huber_weight
from roofline.model._law_estimates import NEW, Effect, Estimates
from roofline.model._own_figures import COMMON
from roofline.model._surface import places_of


@dataclass(frozen=True, slots=True)
class Apart:
    """How figures of one machine differ beside what it adds to any network."""

    kinds: Floats
    """Share of the machine's covariance that two figures' kinds of networks have and others have not."""
    deviation: float
    """Standard deviation of the logarithm of a run's time around its machine's law."""


def likeliest_deviation(
    logarithms: Floats, terms: Sequence[Floats], power: float, log_time: Floats, prior: Effect, apart: Apart
) -> tuple[Floats, Floats]:  # fmt: skip
    """Return the mode of what a machine adds to (a, w, k, t) of any network, given figures, and its covariance.

    Args:
        logarithms: (a, w, k, t) of each figure's run without what its machine adds.
        terms: Its terms of Equation 1.
        power: That of the law.
        log_time: Logarithm of its measured seconds.
        prior: What was known of the machine before.
        apart: What figures have for themselves, beside what their machine adds to any network.
    """
    shared = COMMON * prior.covariance
    precision = np.linalg.inv(shared)
    mean, curvature = prior.mean.copy(), precision
    for _ in range(30):
        found, jacobian = forward(logarithms + mean, terms, power)
        residual = log_time - found
        own = jacobian @ prior.covariance @ jacobian.T * apart.kinds
        held = np.sqrt(np.diagonal(own) + apart.deviation**2)
        weight = huber_weight(residual, 2 * held)
        inverse = np.linalg.inv(own + np.diag(apart.deviation**2 / weight))
        curvature = precision + jacobian.T @ inverse @ jacobian
        step = np.linalg.solve(
            curvature, jacobian.T @ inverse @ residual - precision @ (mean - prior.mean)
        )
        mean = mean + np.clip(step, -0.5, 0.5)
        if np.abs(step).max() < 1e-6:
            break
    return mean, np.asarray(np.linalg.inv(curvature), np.float64)


def with_figures(
    found: Estimates, known: Sequence[Effect | None], values: Mapping[str, Floats], spread: Floats
) -> Estimates:
    """Return estimates with what runs inherit of figures of their machine.

    Args:
        found: The estimates.
        known: What is known of the machine of each run.
        values: The features of each.
        spread: Standard deviation of the logarithm of its time around its machine's law.
    """
    log_time, deviation = found.log_time.copy(), found.deviation.copy()
    told = {id(each): each.figures for each in known if each is not None and each.figures}
    of = np.asarray([id(each) for each in known])
    for place, figures in told.items():
        rows = np.flatnonzero(of == place)
        shares = found.shares[rows]
        places = places_of({feature: value[rows] for feature, value in values.items()})
        inherited, less = figures.at(places, shares)
        log_time[rows] += inherited
        before = np.einsum("ni,ij,nj->n", shares, figures.before, shares) + spread[rows] ** 2
        left = np.maximum(before - less, 1e-6)
        # What is taken for granted of new machines is a deviation of its own, which figures narrow by the same share.
        new = found.known[rows] == NEW
        deviation[rows] = np.where(
            new, found.deviation[rows] * np.sqrt(left / before), np.sqrt(left)
        )
    return replace(found, log_time=log_time, deviation=deviation)
