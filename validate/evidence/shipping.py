"""Makes the parameters of `expected` that are shipped from evidence: law, quantiles, what each class's runtimes are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from roofline.model._core import Floats
from roofline.model._expected_data import MachineRuns, Parameters, Usage
from roofline.model._law_estimates import FAR
from roofline.model._quantiles import POOLED, Pairs, Quantiles, quantiles
from roofline.validate.evidence.evidence import Evidence, Rows
from roofline.validate.evidence.fit import Fitting
from roofline.validate.evidence.leaving import (
    LeftOut,
    beside_quantiles,
    known_quantiles,
    standardize,
    unlike_quantiles,
)
from roofline.validate.evidence.priors import Options
from roofline.validate.evidence.reported import REPORTED


def parameters(
    evidence: Evidence,
    version: str,
    left: Mapping[str, LeftOut],
    options: Options | None = None,
) -> Parameters:
    """Return the parameters of a version: the law of all evidence, and the quantiles of laws that left some out.

    Args:
        evidence: The runs.
        version: The model's version.
        left: The evidence predicted without what is judged: by ``silicon``, ``family``, ``setting``, ``class`` and
            ``runtime``.
        options: What is chosen before the fit.
    """
    facts = evidence.facts
    law = Fitting(evidence, options).fit()
    silicon, family = left["silicon"], left["family"]
    spreads = family.spreads
    effects = {
        name: replace(effect, spread=spreads[name], many=True) if name in spreads else effect
        for name, effect in law.effects.items()
    }
    layers = replace(
        law.layers, spreads={n: s for n, s in spreads.items() if n in law.layers.parameters}
    )
    law = replace(law, effects=effects, layers=layers)
    known = known_quantiles(evidence, family.estimates, np.ones(len(evidence), bool))
    return Parameters(
        version,
        law,
        Quantiles(
            {
                **known.tables,
                "new": unlike_quantiles(
                    evidence, silicon.estimates, np.ones(len(evidence), bool)
                ).tables["new"],
                "beside": beside_quantiles(
                    evidence, left["setting"].estimates, np.ones(len(evidence), bool)
                ),
                "far": far_quantiles(evidence, (left["class"], left["runtime"])),
            }
        ),
        usage(evidence),
        machines(evidence),
        {
            "sha256": evidence.sha256,
            "runs": len(evidence),
            "machines": len(set(facts.machine)),
            "silicon": len(set(evidence.silicon)),
            "sources": sorted(set(evidence.source)),
        },
    )


def far_quantiles(evidence: Evidence, unlike: Sequence[LeftOut]) -> dict[str, Pairs]:
    """Return the quantiles of machines whose runtime on their class no run is of, of all classes together."""
    z: list[Floats] = []
    rows: list[Rows] = []
    for left in unlike:
        far = np.flatnonzero(left.estimates.known == FAR)
        z.append(standardize(evidence, left.estimates)[far])
        rows.append(far)
    places, facts = np.concatenate(rows), evidence.facts
    return {
        POOLED: quantiles(np.concatenate(z), facts.machine[places], facts.machine_class[places])[
            POOLED
        ]
    }


def usage(evidence: Evidence) -> dict[str, dict[str, Usage]]:
    """Return what the evidence has of each runtime on each class of machines."""
    facts = evidence.facts
    compute, weights, _ = facts.terms
    speed = np.log(np.maximum(compute, weights)) - evidence.log_time
    singles = np.asarray([single(row) for row in evidence.rows])
    most = most_cores(evidence)
    found: dict[str, dict[str, Usage]] = {}
    for where in sorted(set(facts.where)):
        rows = facts.where == where
        name, runtime = where.split("/", 1)
        each = [
            float(np.median(speed[rows & (facts.machine == machine)]))
            for machine in sorted(set(facts.machine[rows]))
        ]
        # No machine is taken to be run by what a few reports are of, unless its class has nothing else.
        tabled = rows & (evidence.source != REPORTED)
        elsewhere = (facts.machine_class == name) & (evidence.source != REPORTED)
        found.setdefault(name, {})[runtime] = Usage(
            int(tabled.sum() if elsewhere.any() else rows.sum()), len(each), bool(singles[rows].any()),
            bool((facts.numbers["throughput"][rows] > 0).any()), float(np.mean(each)),
            float(np.median([most[machine] for machine in sorted(set(facts.machine[rows]))])),
        )  # fmt: skip
    return found


def most_cores(evidence: Evidence) -> dict[str, float]:
    """Return the cores that each machine's fastest runs use, those at its highest peak."""
    numbers, found = evidence.facts.numbers, dict[str, float]()
    for machine in sorted(set(evidence.facts.machine)):
        rows = np.flatnonzero(evidence.facts.machine == machine)
        peak = numbers["peak"][rows]
        found[machine] = float(np.median(numbers["cores"][rows][peak == peak.max()]))
    return found


def machines(evidence: Evidence) -> dict[str, MachineRuns]:
    """Return how each machine of the evidence was run."""
    facts, most = evidence.facts, most_cores(evidence)
    compute, weights, _ = facts.terms
    speed = np.log(np.maximum(compute, weights)) - evidence.log_time
    found: dict[str, MachineRuns] = {}
    for machine in sorted(most):
        rows = facts.machine == machine
        speeds = {
            name: float(np.median(speed[rows & (facts.runtime == name)]))
            for name in sorted(set(facts.runtime[rows]))
        }
        found[machine] = MachineRuns(facts.machine_class[rows][0], speeds, most[machine])
    return found


def single(row: dict[str, str]) -> bool:
    """Return whether a run was one after another, each timed, so that its time is a latency."""
    return row.get("mode", "") in SINGLE or (
        row.get("mode") == "batch" and row["runtime"] in IN_SEQUENCE
    )


SINGLE = frozenset({"single", "1T", "2T", "4T"})
"""Modes of runs one after the other, timed each."""

IN_SEQUENCE = frozenset({"pt-eager", "pt-compile"})
"""Runtimes whose batches are timed one after the other; others stream them."""
