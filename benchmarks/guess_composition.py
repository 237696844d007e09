"""Fit what counts of a network let one expect of what it is made of: the constants of `roofline/model/_composition.py`.

    python benchmarks/guess_composition.py --evidence evidence.csv

Ridge over the networks of the evidence whose layers are known, each once; no rate of any run is looked at. Networks of
products alone that are marked for nothing (perceptrons) are left out: no table names them without stating its layers.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from roofline.model._composition import COMPOSITION, composition, told_of_counts
from roofline.validate.evidence.evidence import combine
from roofline.validate.evidence.published import read_published
from roofline.validate.evidence.reported import read_reported

RIDGE = 1e-2
PERCEPTRON = 0.5
"""Share of products from which a network that is marked for nothing is a perceptron."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--evidence", type=Path, required=True)
    arguments = parser.parse_args()
    facts = combine(read_published(arguments.evidence), read_reported()).facts
    assert facts.layers is not None
    numbers, found = facts.numbers, composition(facts.layers)
    marked = numbers["attention"] + numbers["depthwise"] + numbers["grouped"] > 0
    kept = facts.layered & (marked | (found[:, 0] < PERCEPTRON))
    told, found = told_of_counts(numbers)[kept], found[kept]
    _, once = np.unique(np.round(np.hstack([told, found]), 2), axis=0, return_index=True)
    told, found = told[once], found[once]
    square = told.T @ told + RIDGE * np.eye(told.shape[1])
    coefficients = np.linalg.solve(square, told.T @ found)
    left = found - told @ coefficients
    for name, column, before, after in zip(
        COMPOSITION, coefficients.T, found.std(0), left.std(0), strict=True
    ):
        print(
            f"{name}: {np.round(column, 3).tolist()}  # deviation {before:.2f}, of what is left {after:.2f}"
        )


if __name__ == "__main__":
    main()
