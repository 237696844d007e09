"""Fits the surface of `expected` to what the time law leaves of runs: level by level, each shrunk towards zero."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from roofline.model._core import Floats
from roofline.model._run_facts import Facts
from roofline.model._surface import EVERYTHING, Surface, bumps, places_of
from roofline.validate.evidence.evidence import Names, Rows


@dataclass(frozen=True, slots=True)
class Shrinkage:
    """What is chosen before a fit of the surface."""

    bumps: int = 96
    """How many there are."""
    everything: float = 0.2
    """Prior standard deviation of the surface of all runs."""
    where: float = 0.2
    """The same of what a runtime on a class of machines adds."""
    own: float = 0.15
    """The same of what a runtime on one machine adds."""
    spread: float = 0.3
    """Standard deviation of a run around the surface."""
    effective: float = 60.0
    """Runs that one machine counts as at most, in what it has in common with others."""
    most: float = 500.0
    """The same in what is its own."""
    limit: float = 0.6
    """A residual beyond this is taken as this."""


class Bumps:
    """The bumps of evidence, made ready for many fits."""

    def __init__(self, facts: Facts, features: dict[str, Floats], shrinkage: Shrinkage) -> None:
        """Place the bumps: each next one at the run that is farthest from all before. No result is looked at.

        Args:
            facts: The runs.
            features: Of each run, by name.
            shrinkage: What is chosen before a fit.
        """
        self._shrinkage = shrinkage
        places = places_of(features)
        self._centres = np.round(farthest(places, shrinkage.bumps), 3)
        values, vectors = np.linalg.eigh(
            bumps(self._centres, self._centres) + 1e-4 * np.eye(len(self._centres))
        )
        # In these coordinates unit weights make a surface of unit deviation.
        self._whitening = (vectors / np.sqrt(values)) @ vectors.T
        self._heights = bumps(places, self._centres) @ self._whitening
        self._machine = np.unique(facts.machine.astype(str), return_inverse=True)[1]
        self._where, self._own = facts.where, facts.own

    def fit(self, residual: Floats, rows: Rows) -> Surface:
        """Return the surface of the residuals of some runs.

        Args:
            residual: Measured less estimated logarithm of the time of every run.
            rows: The runs that are looked at.
        """
        chosen = self._shrinkage
        left = residual[rows].copy()
        weights: dict[str, Floats] = {}
        everything = np.full(len(rows), EVERYTHING, object)
        for labels, deviation, most in (
            (everything, chosen.everything, chosen.effective),
            (self._where[rows], chosen.where, chosen.effective),
            (self._own[rows], chosen.own, chosen.most),
        ):
            for label, places in places_by_label(labels).items():
                heights = self._heights[rows[places]]
                found = self._shrunken(heights, left[places], rows[places], deviation, most)
                left[places] -= heights @ found
                weights[label] = self._whitening @ found
        return Surface(self._centres, weights)

    def _shrunken(
        self, heights: Floats, residual: Floats, rows: Rows, deviation: float, most: float
    ) -> Floats:
        chosen = self._shrinkage
        _, index, count = np.unique(self._machine[rows], return_inverse=True, return_counts=True)
        weight = np.minimum(1, most / count)[index] / chosen.spread**2
        weighted = heights * weight[:, None]
        clipped = np.clip(residual, -chosen.limit, chosen.limit)
        tight = np.eye(heights.shape[1]) / deviation**2
        return np.asarray(
            np.linalg.solve(weighted.T @ heights + tight, weighted.T @ clipped), np.float64
        )


def places_by_label(labels: Names) -> dict[str, Rows]:
    """Return the places of each label, in the order of labels."""
    found, index = np.unique(labels.astype(str), return_inverse=True)
    order = np.argsort(index, kind="stable")
    edges = np.searchsorted(index[order], np.arange(len(found) + 1))
    return {str(name): order[edges[i] : edges[i + 1]] for i, name in enumerate(found)}


def farthest(places: Floats, most: int) -> Floats:
    """Return places that cover others: from the middle on, each next one the farthest from all before."""
    unlike = np.unique(np.round(places, 2), axis=0)
    first = int(((unlike - unlike.mean(0)) ** 2).sum(1).argmin())
    chosen = [first]
    apart = ((unlike - unlike[first]) ** 2).sum(1)
    while len(chosen) < min(most, len(unlike)):
        chosen.append(int(apart.argmax()))
        apart = np.minimum(apart, ((unlike - unlike[chosen[-1]]) ** 2).sum(1))
    return unlike[chosen]
