"""Fit what is guessed of a network's activations to the networks whose activations and input size evidence states.

    python benchmarks/guess_activations.py --evidence evidence.csv

Prints the coefficients of `roofline.validate.evidence.published.guess_activations`, and how far its guesses are
from what is stated.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from roofline.validate.evidence.published import (
    ACTIVATIONS,
    activation_features,
    pixels_of,
    read_published,
)

HELD = 1.0
"""Strength of the ridge."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--evidence", type=Path, required=True)
    evidence = read_published(parser.parse_args().evidence)
    numbers = evidence.facts.numbers
    pixels = np.asarray([pixels_of(row["input_size"]) for row in evidence.rows])
    stated = np.asarray([row["activations_imputed"] != "True" for row in evidence.rows])
    rows = np.flatnonzero(stated & np.isfinite(pixels))
    same = np.stack([numbers[name][rows] for name in ("macs", "parameters", "activations")], 1)
    _, once = np.unique(np.column_stack([same, pixels[rows]]), axis=0, return_index=True)
    rows = rows[once]
    features = activation_features(
        {name: values[rows] for name, values in numbers.items()}, pixels[rows]
    )
    wanted = np.log(numbers["activations"][rows] / 1e6)
    found = np.linalg.solve(
        features.T @ features + HELD * np.eye(features.shape[1]), features.T @ wanted
    )
    print(f"{len(rows)} networks")
    print("coefficients", ", ".join(f"{x:.4f}" for x in found))
    off = np.abs(features @ np.asarray(ACTIVATIONS) - wanted)
    print(
        "factor at 50, 90 % of networks",
        ", ".join(f"{x:.2f}" for x in np.exp(np.quantile(off, (0.5, 0.9)))),
    )


if __name__ == "__main__":
    main()
