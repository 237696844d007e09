"""How well the power under load of the papers' machines is known from what, each time without what is judged.

    python benchmarks/power.py [--table measurements.csv] [--write]

Without a table the runs that come with the program are judged, of each configuration those at
the smallest, the fastest and the largest batch; a table is the portal's own of all of them.
"""

from __future__ import annotations

import argparse
from functools import cache
from pathlib import Path

from roofline.spec import platform
from roofline.validate.evidence.power import (
    ESTIMATORS,
    LEFT,
    constant,
    estimate,
    estimate_left_out,
    read_runs,
    score,
)
from roofline.validate.evidence.summaries import add_part
from roofline.validate.studies.qutibench.rows import measured_rows, portal_rows

ROOT = Path(__file__).parents[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--table", type=Path)
    parser.add_argument("--write", action="store_true", help="Into the page on expected.")
    asked = parser.parse_args()
    rows = measured_rows() if asked.table is None else portal_rows(asked.table)
    runs = read_runs(rows, cache(platform))
    found = [
        {"left out": leave, "estimate": name, **score(estimate_left_out(runs, leave, estimator))}
        for leave in LEFT
        for name, estimator in ESTIMATORS.items()
        if leave == "machine" or estimator in (estimate, constant)
    ]
    for row in found:
        print(
            *(f"{value:.3f}" if isinstance(value, float) else value for value in row.values()),
            sep=" | ",
        )
    if asked.write:
        add_part(ROOT, "power", found)


if __name__ == "__main__":
    main()
