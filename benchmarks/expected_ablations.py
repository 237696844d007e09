"""What each part of the law of `expected` is worth, and each choice made before the fit: the error on silicon left out.

    python benchmarks/expected_ablations.py --evidence evidence.csv [--settings] [--jobs 2] [--write]

The median factor over machines and by rows, of new machines: without each part, or with each other setting. A setting
that is chosen by such errors is judged by them too kindly; the last row says how kindly: each of six groups of silicon
is judged by the variant that is best on the five others.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from roofline.model._core import Floats
from roofline.validate.evidence.evidence import Evidence, Rows, combine
from roofline.validate.evidence.fit import Fitting
from roofline.validate.evidence.leaving import GROUPS, group_of
from roofline.validate.evidence.priors import MADE_OF, Options
from roofline.validate.evidence.published import read_published
from roofline.validate.evidence.reported import read_reported
from roofline.validate.evidence.summaries import add_part
from roofline.validate.evidence.surface import Shrinkage

ROOT = Path(__file__).parents[1]

MADE = frozenset({"half", "phone", "mobile_year", "unfed"})
"""What the law is told of a machine's make."""


def variants(shipped: Options) -> dict[str, Options]:
    """Return the options of each variant of the law, the shipped one first."""

    def without(dropped: frozenset[str] | None) -> dict[str, tuple[str, ...]]:
        return {
            part: tuple(name for name in names if dropped is not None and name not in dropped)
            for part, names in shipped.slopes.items()
        }

    surface = shipped.surface or Shrinkage()
    return {
        "shipped": shipped,
        "no surface": replace(shipped, surface=None),
        "surface of everything only": replace(shipped, surface=replace(surface, where=1e-3, own=1e-3)),
        "sum (p = 1)": replace(shipped, power=1.0),
        "max (p = 6)": replace(shipped, power=6.0),
        "no floor": replace(shipped, without=frozenset({"t"})),
        "no memory term": replace(shipped, without=frozenset({"w", "k"})),
        "no activations": replace(shipped, without=frozenset({"k"})),
        "nothing of the make": replace(shipped, slopes=without(MADE)),
        "nothing of what networks are made of": replace(shipped, slopes=without(MADE_OF | {"launches"})),
        "nothing of how runtimes run": replace(shipped, slopes=without(frozenset({"eager"}))),
        "no slopes": replace(shipped, slopes=without(None)),
        "no hierarchy": replace(shipped, level={**dict.fromkeys(shipped.level, 1e-3), "all": 3.0}),
        "classes free": replace(shipped, class_slope=1.0),
        "machines with few runs count more": replace(shipped, effective=40),
    }  # fmt: skip


def settings(shipped: Options) -> dict[str, Options]:
    """Return the options of each other choice that was considered, the shipped ones first."""

    def levels(**deviations: float) -> Options:
        return replace(shipped, level={**shipped.level, **deviations})

    def surface(**chosen: float | int) -> Options:
        return replace(shipped, surface=replace(shipped.surface or Shrinkage(), **chosen))

    return {
        "shipped": shipped,
        "p = 1": replace(shipped, power=1.0),
        "p = 2": replace(shipped, power=2.0),
        "p = 3": replace(shipped, power=3.0),
        "slopes held at 0.2": replace(shipped, slope=0.2),
        "slopes held at 0.5": replace(shipped, slope=0.5),
        "slopes of a class held at 0.05": replace(shipped, class_slope=0.05),
        "slopes of a class held at 0.2": replace(shipped, class_slope=0.2),
        "what networks are made of held at 0.3": replace(shipped, made_of=0.3),
        "weights held as loosely": replace(shipped, weights=1.0),
        "machines held at 0.2": replace(shipped, machine=0.2),
        "machines held at 0.5": replace(shipped, machine=0.5),
        "runtimes held at 0.4": levels(runtime=0.4),
        "runtimes held at 0.4, classes at 0.2": levels(
            **{"runtime": 0.4, "class": 0.2, "class/runtime": 0.2}
        ),
        "classes held at 0.5": levels(**{"class": 0.5}),
        "families of classes held at 0.6": levels(family=0.6),
        "a machine counts 40 runs": replace(shipped, effective=40),
        "240 runs of a machine looked at": replace(shipped, most=240),
        "surface held at 0.1": surface(everything=0.1),
        "surface held at 0.3": surface(everything=0.3),
        "surface of a class held at 0.1": surface(where=0.1),
        "surface of a class held at 0.3": surface(where=0.3),
        "surface of a machine held at 0.25": surface(own=0.25),
        "64 bumps": surface(bumps=64),
    }


TABLES = {"ablations": variants, "settings": settings}
"""The tables that are made, by their name in the summary."""


@cache
def _evidence(path: Path) -> Evidence:
    return combine(read_published(path), read_reported())


LEFT_TOGETHER = 6
"""Into how many groups silicon is dealt; a group is left out as one, which takes a tenth of the fits of each alone."""


def dealt(evidence: Evidence, groups: int) -> Rows:
    """Return the group of each run's silicon, each class dealt evenly."""
    order = np.lexsort((evidence.silicon.astype(str), evidence.facts.machine_class.astype(str)))
    places = group_of(evidence.silicon[order], groups)
    return np.asarray([places[name] for name in evidence.silicon])


def misses(path: Path, kind: str, name: str) -> Floats:
    """Return how far each run is from a variant's law without its silicon, in logarithms."""
    evidence = _evidence(path)
    fitting = Fitting(evidence, TABLES[kind](Options())[name])
    fitting.fit(layers=False)
    off = np.full(len(evidence), np.nan)
    group = dealt(evidence, LEFT_TOGETHER)
    for place in range(LEFT_TOGETHER):
        out = np.unique(evidence.silicon[group == place].astype(str)).astype(object)
        law = fitting.fit(out, evidence.silicon, layers=False)
        rows = np.flatnonzero(group == place)
        found = law.estimate(evidence.facts.take(rows))
        off[rows] = np.abs(found.log_time - evidence.log_time[rows])
    return off


def factors(evidence: Evidence, off: Floats) -> tuple[float, float]:
    """Return the median factor over machines and by rows."""
    machine = evidence.facts.machine
    each = [np.exp(np.median(off[machine == name])) for name in sorted(set(machine))]
    return float(np.mean(each)), float(np.exp(np.median(off)))


def score_choice_elsewhere(evidence: Evidence, every: dict[str, Floats]) -> Floats:
    """Return the misses of each group of silicon under the variant that is best on the other groups."""
    group = dealt(evidence, GROUPS)
    found = np.zeros(len(evidence))
    for place in range(GROUPS):
        rest = evidence.take(group != place)
        best = min(every, key=lambda name: sum(np.log(factors(rest, every[name][group != place]))))
        found[group == place] = every[best][group == place]
    return found


def table(evidence: Evidence, every: dict[str, Floats]) -> list[dict[str, Any]]:
    """Return the rows of the table."""
    shown = {**every, "the best on other silicon": score_choice_elsewhere(evidence, every)}
    found: list[dict[str, Any]] = []
    for name, off in shown.items():
        machines, rows = factors(evidence, off)
        found.append({"law": name, "factor_machines": machines, "factor_rows": rows})
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--evidence", type=Path, required=True)
    parser.add_argument(
        "--settings", action="store_true", help="Other settings in the place of parts left out."
    )
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--write", action="store_true", help="Into the page on expected.")
    arguments = parser.parse_args()
    kind = "settings" if arguments.settings else "ablations"
    names = list(TABLES[kind](Options()))
    with multiprocessing.get_context("fork").Pool(arguments.jobs) as pool:
        found = pool.starmap(misses, [(arguments.evidence, kind, name) for name in names])
    rows = table(_evidence(arguments.evidence), dict(zip(names, found, strict=True)))
    for row in rows:
        print(f"{row['law']:40} {row['factor_machines']:.3f} {row['factor_rows']:.3f}")
    if arguments.write:
        add_part(ROOT, kind, rows)


if __name__ == "__main__":
    main()
