"""How near any law of a network's counts can come: runs on one machine of networks whose counts are alike.

    python benchmarks/expected_floor.py --evidence evidence.csv [--write]

Two networks of different families with the same multiply-accumulates, parameters, activations and kinds of arithmetic,
run alike on one machine, get one estimate from any law that is told no more of them. With errors s around that estimate
their times differ by s times the square root of 2, so half the runs are farther from it than the median difference over
that root. Differences in multiply-accumulates within the tolerance are taken out.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roofline.model._core import Floats
from roofline.validate.evidence.evidence import Evidence
from roofline.validate.evidence.published import read_published
from roofline.validate.evidence.summaries import add_part

ROOT = Path(__file__).parents[1]

TOLERANCES = (0.05, 0.1, 0.15)
"""How far, in logarithms, the counts of two networks that are called alike may lie apart."""

FEWEST_PAIRS = 20


def pairs(evidence: Evidence, tolerance: float) -> tuple[Floats, NDArray[np.object_]]:
    """Return how far times of alike runs of unlike families lie apart, in logarithms, and the class of each pair."""
    facts, n = evidence.facts, evidence.facts.numbers
    counts = np.stack([np.log(n[name]) for name in ("macs", "parameters", "activations")], 1)
    setting = [
        "|".join(map(str, key))
        for key in zip(
            facts.own, facts.datatype, *(n[name] for name in ("batch", "cores", "peak", "throughput")),
            *(n[name] for name in ("depthwise", "grouped", "attention")), strict=True,
        )
    ]  # fmt: skip
    _, index = np.unique(setting, return_inverse=True)
    apart: list[Floats] = []
    of: list[NDArray[np.object_]] = []
    for place in range(int(index.max()) + 1):
        rows = np.flatnonzero(index == place)
        near = (np.abs(counts[rows, None] - counts[rows]) < tolerance).all(2)
        unlike = evidence.network_family[rows, None] != evidence.network_family[rows]
        first, second = np.nonzero(np.triu(near & unlike, 1))
        each = evidence.log_time[rows] - counts[rows, 0]
        apart.append(np.abs(each[first] - each[second]))
        of.append(facts.machine_class[rows][first])
    return np.concatenate(apart), np.concatenate(of)


def table(evidence: Evidence) -> list[dict[str, Any]]:
    """Return a row for each tolerance, of all classes and of each with enough pairs."""
    found: list[dict[str, Any]] = []
    for tolerance in TOLERANCES:
        apart, of = pairs(evidence, tolerance)
        for name in ("all", *sorted(set(of))):
            chosen = apart if name == "all" else apart[of == name]
            if len(chosen) < FEWEST_PAIRS:
                continue
            middle = float(np.median(chosen))
            found.append(
                {
                    "class": name, "counts within": f"{100 * tolerance:.0f} %", "pairs": len(chosen),
                    "times differ by": float(np.exp(middle)),
                    "median factor at best": float(np.exp(middle / np.sqrt(2))),
                }
            )  # fmt: skip
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--evidence", type=Path, required=True)
    parser.add_argument("--write", action="store_true", help="Into the page on expected.")
    arguments = parser.parse_args()
    rows = table(read_published(arguments.evidence))
    for row in rows:
        print(
            "  ".join(
                f"{value:.3f}" if isinstance(value, float) else f"{value!s:>14}"
                for value in row.values()
            )
        )
    if arguments.write:
        add_part(ROOT, "floor", rows)


if __name__ == "__main__":
    main()
