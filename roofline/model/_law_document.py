"""The fitted time law as plain data, and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

import numpy as np

from roofline.model._law_estimates import Effect
from roofline.model._layer_law import LayerLaw
from roofline.model._surface import (
    SurfaceDocument,
    surface_from_document,
    surface_to_document,
)
from roofline.model._time_law import Term, TimeLaw

_LOWER = np.tril_indices(4)


class LawDocument(TypedDict):
    """A time law as files hold it."""

    power: float
    terms: Sequence[Sequence[Any]]
    """Part, feature, level, label and value of each coefficient."""
    references: Mapping[str, Sequence[float]]
    machine_deviation: Sequence[float]
    row_deviation: float
    effects: Mapping[str, Sequence[Any]]
    """The mean, the lower half of the covariance, the spread, whether there are many runs, and the settings."""
    surface: SurfaceDocument
    ways: Mapping[str, float]
    layers: Mapping[str, Sequence[float]]
    layer_spreads: Mapping[str, float]
    layers_seen: Mapping[str, Sequence[float]]
    uncertainty: Sequence[Sequence[int]]
    """The lower half, times `SCALE`."""
    priors: Sequence[Sequence[Any]]
    """Level, which coefficients, and their deviation."""
    peers: Mapping[str, int]


def to_document(law: TimeLaw) -> LawDocument:
    """Return the law as plain data."""
    return {
        "power": law.power,
        "terms": [
            [term.part, term.feature, term.level, term.label, round(float(value), 5)]
            for term, value in zip(law.terms, law.coefficients, strict=True)
        ],
        "references": {name: [round(x, 5) for x in pair] for name, pair in law.references.items()},
        "machine_deviation": [round(float(x), 5) for x in law.machine_deviation],
        "row_deviation": round(law.row_deviation, 5),
        "effects": {
            name: [
                *(
                    round(float(x), 5)
                    for x in (
                        *effect.mean,
                        *effect.covariance[_LOWER],
                        effect.spread or law.row_deviation,
                        effect.many,
                    )
                ),
                sorted(effect.settings),
            ]
            for name, effect in law.effects.items()
        },
        "surface": surface_to_document(law.surface),
        "ways": {name: round(x, 4) for name, x in law.ways.items()},
        "layers": {
            name: [round(float(x), 4) for x in row] for name, row in law.layers.parameters.items()
        },
        "layer_spreads": {name: round(x, 5) for name, x in law.layers.spreads.items()},
        "layers_seen": {
            name: [round(float(x), 2) for x in row] for name, row in law.layers.seen.items()
        },
        "uncertainty": [
            [round(SCALE * float(x)) for x in row[: place + 1]]
            for place, row in enumerate(law.uncertainty)
        ],
        "priors": [[level, list(slots), deviation] for level, slots, deviation in law.priors],
        "peers": dict(sorted(law.peers.items())),
    }


SCALE = 1e6
"""By what covariances of coefficients are multiplied where they are written, as whole numbers."""


def from_document(document: LawDocument) -> TimeLaw:
    """Return the law that plain data describe."""
    effects: dict[str, Effect] = {}
    for name, numbers in document["effects"].items():
        covariance = np.zeros((4, 4))
        covariance[_LOWER] = numbers[4:14]
        whole = covariance + np.tril(covariance, -1).T
        effects[name] = Effect(
            np.asarray(numbers[:4]), whole, numbers[14], bool(numbers[15]), frozenset(numbers[16])
        )
    uncertainty = np.zeros((len(document["uncertainty"]),) * 2)
    uncertainty[np.tril_indices(len(uncertainty))] = np.concatenate(
        [np.zeros(0), *document["uncertainty"]]
    )
    uncertainty = (uncertainty + np.tril(uncertainty, -1).T) / SCALE
    return TimeLaw(
        document["power"],
        tuple(Term(*entry[:4]) for entry in document["terms"]),
        np.asarray([entry[4] for entry in document["terms"]], np.float64),
        {name: (pair[0], pair[1]) for name, pair in document["references"].items()},
        np.asarray(document["machine_deviation"], np.float64),
        document["row_deviation"],
        effects,
        surface_from_document(document["surface"]),
        uncertainty,
        tuple((level, tuple(slots), deviation) for level, slots, deviation in document["priors"]),
        document["peers"],
        document["ways"],
        LayerLaw(
            {name: np.asarray(row, np.float64) for name, row in document["layers"].items()},
            document["layer_spreads"],
            {name: np.asarray(row, np.float64) for name, row in document["layers_seen"].items()},
        ),
    )
