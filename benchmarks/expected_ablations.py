"""What each part of the law of `expected` is worth: the error on silicon left out, without it.

    python benchmarks/expected_ablations.py --evidence evidence.csv

Prints a Markdown table: the median factor over machines and by rows, of new machines.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np

from roofline.validate.evidence.evidence import Evidence
from roofline.validate.evidence.fit import Fitting, Options
from roofline.validate.evidence.published import read_published

MADE = frozenset({"half", "phone", "mobile_year", "unfed"})
"""What the law is told of a machine's make."""


def variants(shipped: Options) -> dict[str, Options]:
    """Return the options of each variant of the law, the shipped one first."""

    def without(dropped: frozenset[str] | None) -> dict[str, tuple[str, ...]]:
        return {
            part: tuple(name for name in names if dropped is not None and name not in dropped)
            for part, names in shipped.slopes.items()
        }

    return {
        "shipped": shipped,
        "sum (p = 1)": replace(shipped, power=1.0),
        "max (p = 6)": replace(shipped, power=6.0),
        "nothing of the make": replace(shipped, slopes=without(MADE)),
        "no slopes": replace(shipped, slopes=without(None)),
        "no hierarchy": replace(shipped, level={**dict.fromkeys(shipped.level, 1e-3), "all": 3.0}),
        "classes free": replace(shipped, class_slope=1.0),
    }


def factors(evidence: Evidence, options: Options) -> tuple[float, float]:
    """Return the median factor over machines and by rows, each silicon left out."""
    fitting = Fitting(evidence, options)
    fitting.fit()
    off = np.full(len(evidence), np.nan)
    for name in sorted(set(evidence.silicon)):
        law = fitting.fit(np.asarray([name], object), fitting.evidence.silicon)
        rows = np.flatnonzero(evidence.silicon == name)
        found = law.estimate(evidence.facts.take(rows))
        off[rows] = np.abs(found.log_time - evidence.log_time[rows])
    machine = evidence.facts.machine
    each = [np.exp(np.median(off[machine == name])) for name in sorted(set(machine))]
    return float(np.mean(each)), float(np.exp(np.median(off)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--evidence", type=Path, required=True)
    evidence = read_published(parser.parse_args().evidence)
    print("| law | over machines | rows |\n|---|---|---|")
    for name, options in variants(Options()).items():
        machines, rows = factors(evidence, options)
        print(f"| {name} | {machines:.2f} | {rows:.2f} |", flush=True)


if __name__ == "__main__":
    main()
