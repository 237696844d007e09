"""What layers add to `expected`: runs of networks whose family had left, by their counts alone and by their layers.

    python benchmarks/expected_layers.py --evidence evidence.csv [--write]

The rows are machines and runtimes with a hundred runs or more of networks whose layers are known.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from roofline.model._core import Floats
from roofline.validate.evidence.evidence import Evidence
from roofline.validate.evidence.laws_without import LawsWithout
from roofline.validate.evidence.leaving import leave_family
from roofline.validate.evidence.priors import Options
from roofline.validate.evidence.published import read_published
from roofline.validate.evidence.summaries import add_part

ROOT = Path(__file__).parents[1]
FEWEST_RUNS = 100


def off(evidence: Evidence, options: Options) -> Floats:
    """Return how far each run is from a law without its family of networks, in logarithms."""
    return np.abs(
        leave_family(LawsWithout(evidence, options)).estimates.log_time - evidence.log_time
    )


def factor(values: Floats) -> float:
    """Return the median factor of distances in logarithms."""
    return float(np.exp(np.median(values)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--evidence", type=Path, required=True)
    parser.add_argument("--write", action="store_true", help="Into the page on expected.")
    arguments = parser.parse_args()
    evidence = read_published(arguments.evidence)
    by_counts, by_layers = off(evidence, Options(layers=None)), off(evidence, Options())
    layered, machine, runtime = (
        evidence.facts.layered,
        evidence.facts.machine,
        evidence.facts.runtime,
    )
    table: list[dict[str, Any]] = []
    settings = sorted({*zip(machine[layered], runtime[layered], strict=True)})
    for name, ran in (("all", "all"), *settings):
        rows = layered if name == "all" else layered & (machine == name) & (runtime == ran)
        if rows.sum() < FEWEST_RUNS:
            continue
        table.append({
            "machine": name, "runtime": ran, "runs": int(rows.sum()),
            "networks": len(set(evidence.network[rows])),
            "counts, family left out": factor(by_counts[rows]),
            "layers, family left out": factor(by_layers[rows]),
        })  # fmt: skip
        print(table[-1])
    if arguments.write:
        add_part(ROOT, "layers", table)


if __name__ == "__main__":
    main()
