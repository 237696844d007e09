"""Makes the parameters of `expected` that are shipped from evidence: law, quantiles, what each class's runtimes are."""

from __future__ import annotations

import numpy as np

from roofline.model._expected_data import Parameters, Usage
from roofline.model._quantiles import Quantiles, quantiles
from roofline.validate.evidence.evidence import Evidence
from roofline.validate.evidence.fit import Fitting, Options
from roofline.validate.evidence.leaving import LeftOut, standardized


def parameters(
    evidence: Evidence,
    version: str,
    silicon: LeftOut,
    family: LeftOut,
    options: Options | None = None,
) -> Parameters:
    """Return the parameters of a version: the law of all evidence, and the quantiles of laws that left some out.

    Args:
        evidence: The runs.
        version: The model's version.
        silicon: The evidence predicted silicon by silicon.
        family: The same family by family of networks.
        options: What is chosen before the fit.
    """
    facts = evidence.facts
    law = Fitting(evidence, options).fit()
    new, own = silicon.estimates, family.estimates
    return Parameters(
        version,
        law,
        Quantiles(
            quantiles(standardized(evidence, new), facts.machine, facts.machine_class),
            quantiles(standardized(evidence, own), facts.machine, facts.machine_class),
        ),
        usage(evidence),
        {
            "sha256": evidence.sha256,
            "runs": len(evidence),
            "machines": len(set(facts.machine)),
            "silicon": len(set(evidence.silicon)),
            "sources": sorted(set(evidence.source)),
        },
    )


def usage(evidence: Evidence) -> dict[str, dict[str, Usage]]:
    """Return what the evidence has of each runtime on each class of machines."""
    facts = evidence.facts
    compute, weights, _ = facts.terms
    speed = np.log(np.maximum(compute, weights)) - evidence.log_time
    singles = np.asarray([row.get("mode", "") in SINGLE for row in evidence.rows])
    found: dict[str, dict[str, Usage]] = {}
    for where in sorted(set(facts.where)):
        rows = facts.where == where
        name, runtime = where.split("/", 1)
        each = [
            float(np.median(speed[rows & (facts.machine == machine)]))
            for machine in sorted(set(facts.machine[rows]))
        ]
        found.setdefault(name, {})[runtime] = Usage(
            int(rows.sum()), len(each), bool(singles[rows].any()),
            bool((facts.numbers["throughput"][rows] > 0).any()), float(np.mean(each)),
            float(np.median(facts.numbers["cores"][rows])),
        )  # fmt: skip
    return found


SINGLE = frozenset({"single", "1T", "2T", "4T"})
"""Modes of runs one after the other, timed each."""
