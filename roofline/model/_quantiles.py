"""Intervals of `expected`: how far real runs fell from the law, in standard deviations, by class of machine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from roofline.model._core import Floats
from roofline.model._law_estimates import KNOWN, Estimates

NOMINAL = (0.5, 0.8, 0.9, 0.95)
"""Shares of real runs that an interval can be asked to hold."""

OTHERS = 6.0
"""Machines that all others together count as in the quantiles of a class: those of one with few are near to all's."""

EIGHT_OF_TEN = 1.2816
"""Standard deviations within which eight of ten draws of a normal distribution lie."""

POOLED = ""
"""The entry of all classes together."""

Pairs = dict[float, tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Quantiles:
    """Lower and upper quantiles per class and nominal share, by what is known of a run's machine and network."""

    tables: Mapping[str, Mapping[str, Pairs]]
    """One for each of `KNOWN`."""

    def interval(
        self, estimates: Estimates, machine_class: NDArray[np.object_], nominal: float = 0.8
    ) -> tuple[Floats, Floats]:
        """Return the lower and upper logarithm of each run's time.

        A machine with figures that a user gave has the quantiles of new machines, around a deviation that they narrow.
        """

        def of(table: Mapping[str, Pairs]) -> Floats:
            found = {name: table.get(name, table[POOLED])[nominal] for name in set(machine_class)}
            return np.asarray([found[name] for name in machine_class]).reshape(-1, 2)

        chosen = np.zeros((len(machine_class), 2))
        for known, name in enumerate(KNOWN):
            chosen = np.where((estimates.known == known)[:, None], of(self.tables[name]), chosen)
        bounds = estimates.log_time[:, None] + chosen * estimates.deviation[:, None]
        return bounds[:, 0], bounds[:, 1]


def weighted_quantile(values: Floats, weights: Floats, share: float) -> float:
    """Return the value below which a share of the weight lies."""
    order = np.argsort(values)
    mass: Floats = np.cumsum(weights[order])
    place = int(np.searchsorted(mass, share * float(mass[-1])))
    return float(values[order][min(place, len(values) - 1)])


def quantiles(
    standardized: Floats, machine: NDArray[np.object_], machine_class: NDArray[np.object_]
) -> dict[str, Pairs]:
    """Return the quantiles per class, drawn to those of all, and of all classes; every machine has the same weight.

    Args:
        standardized: Residuals of the logarithm of time in standard deviations, of machines not in the fit.
        machine: The machine of each.
        machine_class: Its class.
    """
    _, index, count = np.unique(machine.astype(str), return_inverse=True, return_counts=True)
    weight = 1 / count[index]
    found: dict[str, Pairs] = {}
    for name in (POOLED, *sorted(set(machine_class))):
        others = np.zeros(len(index), bool) if name == POOLED else machine_class != name
        many = float(weight[others].sum())
        shared = np.where(others, weight * min(1.0, OTHERS / many) if many else weight, weight)
        found[name] = {
            nominal: (
                weighted_quantile(standardized, shared, (1 - nominal) / 2),
                weighted_quantile(standardized, shared, (1 + nominal) / 2),
            )
            for nominal in NOMINAL
        }
    return found


QuantilesDocument = Mapping[str, Sequence[Sequence[float]]]
"""Quantiles as files hold them: per class the pair of each of `NOMINAL`."""


def to_document(table: Mapping[str, Pairs]) -> QuantilesDocument:
    """Return quantiles as plain data."""
    return {
        name: [[round(x, 4) for x in pairs[nominal]] for nominal in NOMINAL]
        for name, pairs in table.items()
    }


def from_document(document: QuantilesDocument) -> dict[str, Pairs]:
    """Return the quantiles that plain data describe."""
    return {
        name: {nominal: (pair[0], pair[1]) for nominal, pair in zip(NOMINAL, pairs, strict=True)}
        for name, pairs in document.items()
    }
