"""What networks are made of beyond what their counts tell: shares of arithmetic, and calls."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from roofline.model._core import Floats
from roofline.model._layer_groups import (
    ARITHMETIC,
    KIND,
    MACS,
    TIMES,
    LayerGroups,
)

COMPOSITION = ("products", "windows", "calls")
"""Shares of multiply-accumulates in products of matrices and in convolutions over a window, and the logarithm of the
number of layers that multiply."""

_PRODUCTS = [ARITHMETIC.index(name) for name in ("product", "batched", "attention")]
_WINDOWS = [ARITHMETIC.index("conv")]


def composition(layers: LayerGroups) -> Floats:
    """Return `COMPOSITION` of each run's network; (runs, features), NaN where its layers are not known."""
    run, values = layers.run, layers.values
    kind, macs = values[:, KIND].astype(np.int64), values[:, MACS]

    def summed(each: Floats) -> Floats:
        return np.bincount(run, each, minlength=len(layers.counts)).astype(np.float64)

    found = np.stack(
        [
            summed(macs * np.isin(kind, _PRODUCTS)), summed(macs * np.isin(kind, _WINDOWS)),
            np.log(np.maximum(summed(values[:, TIMES] * (kind < len(ARITHMETIC))), 1.0)),
        ],
        1,
    )  # fmt: skip
    found[~layers.known] = np.nan
    return found


def told_of_counts(numbers: Mapping[str, Floats]) -> Floats:
    """Return what a guess of `COMPOSITION` is told of each run: (runs, coefficients)."""
    macs, attention = numbers["macs"], numbers["attention"]
    counts = [
        np.log(macs / 2e9).clip(-5, 6),
        np.log(numbers["activations"] / macs * 1e3 / 4).clip(-3, 3),
        np.log(numbers["parameters"] / macs * 1e3 / 5).clip(-4, 4),
    ]
    kinds = [numbers["depthwise"], numbers["grouped"], attention]
    return np.stack(
        [np.ones_like(macs), *kinds, *counts, *(attention * count for count in counts)], 1
    )


EXPECTED = np.asarray(
    [
        (0.058, -0.028, -0.092, 0.588, 0.043, 0.033, 0.04, -0.091, -0.334, -0.219),
        (0.524, -0.141, -0.24, -0.402, -0.169, -0.322, -0.17, 0.152, 0.334, 0.182),
        (4.148, -0.119, 0.069, 0.176, 0.556, 0.682, 0.253, -0.081, 0.063, 0.219),
    ]
).T
"""Coefficients of what counts let one expect, of each of `COMPOSITION` in order: `benchmarks/guess_composition.py`."""


def beyond_counts(layers: LayerGroups | None, numbers: Mapping[str, Floats]) -> Floats:
    """Return what `COMPOSITION` is beyond what counts tell; (runs, features), 0 where layers are not known."""
    if layers is None:
        return np.zeros((len(numbers["macs"]), len(COMPOSITION)))
    return np.nan_to_num(composition(layers) - told_of_counts(numbers) @ EXPECTED)
