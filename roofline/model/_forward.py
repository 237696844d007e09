"""The time of runs by the time law's parts, its derivatives, and the weight of what a fit leaves."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from roofline.model._core import Floats

PARTS = ("a", "w", "k", "t")
"""What the coefficients make up: compute, weights, activations, floor."""

PART_NAMES = {"a": "compute", "w": "weights", "k": "activations", "t": "fixed"}


def forward(logarithms: Floats, terms: Sequence[Floats], power: float) -> tuple[Floats, Floats]:
    """Return the logarithm of the time, and its derivatives by (a, w, k, t), which are the parts' shares of it."""
    a, w, k, t = np.exp(np.clip(logarithms, -25, 12)).T
    compute, weights, activations = terms[0] * a, terms[1] * w, terms[2] * k
    memory = np.maximum(weights + activations, 1e-30)
    powers = compute**power + memory**power
    roof = powers ** (1 / power)
    total = t + roof
    in_memory = roof / total * memory**power / powers
    shares = np.stack(
        [
            roof / total * compute**power / powers,
            in_memory * weights / memory,
            in_memory * activations / memory,
            t / total,
        ],
        1,
    )
    return np.log(total), shares


def huber_weight(residual: Floats, limit: Floats | float) -> Floats:
    """Return the weight of each residual in a fit that charges those beyond a limit by their size alone."""
    return np.minimum(1, limit / np.maximum(np.abs(residual), 1e-12))
