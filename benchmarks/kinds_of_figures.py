"""How much of what a machine adds is of a kind of network: the constants `COMMON` and `KINDS` of `_own_figures`.

    python benchmarks/kinds_of_figures.py --evidence evidence.csv

Laws with a group of silicon left out leave residuals. Of each machine, runtime and datatype with runs of two kinds of
networks the medians of both correlate, over all such settings, by what the kinds have in common.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from roofline.model._core import Floats
from roofline.validate.evidence.evidence import Evidence, combine, names
from roofline.validate.evidence.fit import Fitting
from roofline.validate.evidence.published import read_published
from roofline.validate.evidence.reported import read_reported

GROUPS = 18
"""Into how many groups silicon is dealt."""

FARTHEST = 1.5
"""A residual beyond this is taken as this."""

FEWEST = 3
"""Runs of either kind that a setting needs; of those with attention, which are few, one."""


def residuals(evidence: Evidence) -> Floats:
    """Return what laws that have not seen a run's silicon leave of its logarithm."""
    silicon = sorted(set(evidence.silicon.astype(str)))
    fitting, left = Fitting(evidence), np.zeros(len(evidence))
    fitting.fit(layers=False)
    for place in range(GROUPS):
        law = fitting.fit(names(silicon[place::GROUPS]), evidence.silicon, layers=False)
        rows = np.flatnonzero(np.isin(evidence.silicon.astype(str), silicon[place::GROUPS]))
        left[rows] = evidence.log_time[rows] - law.estimate(evidence.facts.take(rows)).log_time
    return np.clip(left, -FARTHEST, FARTHEST)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--evidence", type=Path, required=True)
    arguments = parser.parse_args()
    evidence = combine(read_published(arguments.evidence), read_reported())
    left, numbers, setting = residuals(evidence), evidence.facts.numbers, evidence.facts.own_at
    attention = numbers["attention"] > 0
    depthwise = (numbers["depthwise"] > 0) & ~attention
    kinds = {
        "attention and others": (attention, ~attention, 1),
        "depthwise and plain": (depthwise, ~attention & ~depthwise, FEWEST),
    }
    for name, (one, other, fewest) in kinds.items():
        pairs = [
            (np.median(left[at & one]), np.median(left[at & other]))
            for at in (setting == label for label in sorted(set(setting)))
            if (at & one).sum() >= fewest and (at & other).sum() >= FEWEST
        ]
        print(
            f"{name}: {len(pairs)} settings, correlation {np.corrcoef(np.transpose(pairs))[0, 1]:.2f}"
        )


if __name__ == "__main__":
    main()
