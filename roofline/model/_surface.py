"""What a smooth surface over the counts of networks adds to the time law: where runs of like networks lie beside it.

The law's coefficients are linear in the logarithms of counts. What runs show beyond that is a sum of Gaussian bumps
around fixed networks, with a weight for each bump: of all runs, of a runtime on a class of machines, and of one on a
machine.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypedDict

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from roofline.model._core import Floats

SCALES = {
    "work": 1 / 1.5, "activations_per_mac": 1 / 0.7, "parameters_per_mac": 1 / 0.7, "depthwise": 1.0, "grouped": 1.0,
    "attention": 1.5, "batch": 0.7, "int8": 0.7, "w8a16": 0.7, "fp16": 0.7, "throughput": 0.5,
}  # fmt: skip
"""Features of a run that the bumps are over, and by what each is multiplied: a bump's deviation is 1."""

EVERYTHING = ""
"""The label of the weights of all runs."""


@dataclass(frozen=True)
class Surface:
    """Bumps, and the weights of each label; without any it is zero everywhere."""

    centres: Floats = field(default_factory=lambda: np.zeros((0, len(SCALES))))
    """Where the bumps are: (bumps, features), features multiplied by their scales."""
    weights: Mapping[str, Floats] = field(default_factory=dict[str, "Floats"])
    """By label: `EVERYTHING`, a class and runtime (``cpu/openvino``), or a machine and runtime
    (``i5-8500/openvino``); (bumps,)."""

    def at(
        self, where: NDArray[np.object_], own: NDArray[np.object_], features: Mapping[str, Floats]
    ) -> Floats:
        """Return what is added to the logarithm of each run's time.

        Args:
            where: Class and runtime of each run.
            own: Machine and runtime of each.
            features: Of each run, by name.
        """
        if not self.weights:
            return np.zeros(len(where))
        found = bumps(places_of(features), self.centres)
        added = found @ self.weights[EVERYTHING]
        for labels in (where, own):
            for label in set(labels) & self.weights.keys():
                rows = np.flatnonzero(labels == label)
                added[rows] += found[rows] @ self.weights[label]
        return added


def places_of(features: Mapping[str, Floats]) -> Floats:
    """Return where runs are among the bumps: (runs, features)."""
    return np.stack([features[name] * scale for name, scale in SCALES.items()], 1)


def bumps(places: Floats, centres: Floats) -> Floats:
    """Return the height of each bump at each place; (places, bumps)."""
    apart = (places**2).sum(1)[:, None] + (centres**2).sum(1) - 2 * places @ centres.T
    return np.exp(-np.maximum(apart, 0) / 2)


class SurfaceDocument(TypedDict):
    """A surface as files hold it."""

    centres: Sequence[Sequence[float]]
    weights: Mapping[str, Sequence[float]]


def surface_to_document(surface: Surface) -> SurfaceDocument:
    """Return a surface as plain data."""
    return {
        "centres": [[round(float(x), 3) for x in row] for row in surface.centres],
        "weights": {
            label: [round(float(x), 4) for x in row] for label, row in surface.weights.items()
        },
    }


def surface_from_document(document: SurfaceDocument) -> Surface:
    """Return the surface that plain data describe."""
    return Surface(
        np.asarray(document["centres"], np.float64).reshape(-1, len(SCALES)),
        {label: np.asarray(row, np.float64) for label, row in document["weights"].items()},
    )
