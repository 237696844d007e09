"""Makes the parameters of `expected` that are shipped from evidence: law, quantiles, what each class's runtimes are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from roofline.model._core import Floats
from roofline.model._expected_data import MachineRuns, Parameters, Usage
from roofline.model._law_estimates import FAR
from roofline.model._quantiles import POOLED, Pairs, Quantiles, quantiles
from roofline.model._run_facts import FAMILIES, Facts
from roofline.model._run_features import YEAR
from roofline.model._time_law import TimeLaw
from roofline.validate.evidence.evidence import Evidence, Rows, names
from roofline.validate.evidence.fit import Fitting
from roofline.validate.evidence.leaving import (
    Holdout,
    beside_quantiles,
    known_quantiles,
    standardize,
    unlike_quantiles,
)
from roofline.validate.evidence.machine_order import find_roofs, most_cores
from roofline.validate.evidence.priors import Options
from roofline.validate.evidence.reported import REPORTED


def parameters(
    evidence: Evidence,
    version: str,
    holdouts: Mapping[str, Holdout],
    options: Options | None = None,
) -> Parameters:
    """Return the parameters of a version: the law of all evidence, and the quantiles of laws that left some out.

    Args:
        evidence: The runs.
        version: The model's version.
        holdouts: The evidence predicted without what is judged: by ``silicon``, ``family``, ``setting``, ``class`` and
            ``runtime``.
        options: What is chosen before the fit.
    """
    facts = evidence.facts
    law = Fitting(evidence, options).fit()
    silicon, family = holdouts["silicon"], holdouts["family"]
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
                    evidence, holdouts["setting"].estimates, np.ones(len(evidence), bool)
                ),
                "far": far_quantiles(evidence, (holdouts["class"], holdouts["runtime"])),
            }
        ),
        usage(evidence, law),
        machines(evidence, law),
        {
            "sha256": evidence.sha256,
            "runs": len(evidence),
            "machines": len(set(facts.machine)),
            "silicon": len(set(evidence.silicon)),
            "sources": sorted(set(evidence.source)),
        },
    )


def far_quantiles(evidence: Evidence, unlike: Sequence[Holdout]) -> dict[str, Pairs]:
    """Return the quantiles of machines whose runtime on their class no run is of, of all classes together."""
    z: list[Floats] = []
    rows: list[Rows] = []
    for holdout in unlike:
        far = np.flatnonzero(holdout.estimates.known == FAR)
        z.append(standardize(evidence, holdout.estimates)[far])
        rows.append(far)
    places, facts = np.concatenate(rows), evidence.facts
    return {
        POOLED: quantiles(np.concatenate(z), facts.machine[places], facts.machine_class[places])[
            POOLED
        ]
    }


USUAL = {
    "macs": 4.1e9, "parameters": 2.55e7, "activations": 1.1e7, "batch": 8.0, "depthwise": 0.0, "grouped": 0.0,
    "attention": 0.0, "throughput": 0.0, "held": 0.0,
}  # fmt: skip
"""The run by which runtimes are compared: one of ResNet-50's counts, whatever networks and batches each is known of."""


def speed_of(law: TimeLaw, run: Facts, numbers: Mapping[str, float]) -> float:
    """Return the logarithm of the rate of the usual run.

    Args:
        law: The law.
        run: A run of the runtime, at the datatype.
        numbers: Of the machine, what is another's than that run's.
    """
    usual = USUAL | dict(numbers)
    like = {name: np.asarray([usual.get(name, float(x[0]))]) for name, x in run.numbers.items()}
    found = law.estimate(replace(run, numbers=like, layers=None))
    return float(np.log(USUAL["batch"]) - found.log_time[0])


def select_comparable(facts: Facts, machine_class: str, runtime: str) -> Facts:
    """Return the runs of a runtime on a class at the datatype that most of the class's runtimes ran; else all of its.

    Args:
        facts: Runs.
        machine_class: The class.
        runtime: One of its runtimes.
    """
    rows = facts.machine_class == machine_class
    pairs = sorted(set(zip(facts.datatype[rows], facts.runtime[rows], strict=True)))
    usual = Counter(datatype for datatype, _ in pairs).most_common(1)[0][0]
    own = rows & (facts.runtime == runtime)
    same = own & (facts.datatype == usual)
    return facts.take(np.flatnonzero(same if same.any() else own))


def in_the_middle(law: TimeLaw, facts: Facts) -> float:
    """Return the speed of a runtime on a machine in the middle of its class.

    Args:
        law: The law.
        facts: Runs of the runtime on the class, at one datatype.
    """
    run = facts.take(np.arange(1))
    peak, bandwidth = np.exp(law.references[str(run.machine_class[0])])
    machine = {"peak": float(peak), "bandwidth": float(bandwidth), "year": YEAR}
    return speed_of(law, replace(run, machine=names([""])), machine)


def usage(evidence: Evidence, law: TimeLaw) -> dict[str, dict[str, Usage]]:
    """Return what the evidence has of each runtime on each class of machines."""
    facts = evidence.facts
    singles = np.asarray([single(row) for row in evidence.rows])
    most = most_cores(evidence)
    found: dict[str, dict[str, Usage]] = {}
    for where in sorted(set(facts.where)):
        rows = facts.where == where
        name, runtime = where.split("/", 1)
        found.setdefault(name, {})[runtime] = Usage(
            int(rows.sum()), len(set(facts.machine[rows])), bool(singles[rows].any()),
            bool((facts.numbers["throughput"][rows] > 0).any()),
            in_the_middle(law, select_comparable(facts, name, runtime)),
            float(np.median([most[machine] for machine in sorted(set(facts.machine[rows]))])),
        )  # fmt: skip
    return {name: _add_assumed_usage(name, each, evidence) for name, each in found.items()}


def _add_assumed_usage(
    machine_class: str, found: Mapping[str, Usage], evidence: Evidence
) -> dict[str, Usage]:
    """Return usages with the runs that count where a machine's runtime is not known.

    Those of published tables; reported ones where the class has nothing else, or of a runtime that tables know on
    another class of the family and that is faster than all that they know on this one.
    """
    facts, tabled = evidence.facts, evidence.source != REPORTED
    own = tabled & (facts.machine_class == machine_class)
    if not own.any():
        return dict(found)
    alike = tabled & (facts.labels("family") == FAMILIES.get(machine_class, ""))
    fastest = max(found[runtime].speed for runtime in set(facts.runtime[own]))
    taken: dict[str, Usage] = {}
    for runtime, usage_of in found.items():
        stays = runtime in set(facts.runtime[alike]) and usage_of.speed > fastest
        runs = int((own & (facts.runtime == runtime)).sum())
        taken[runtime] = usage_of if stays else replace(usage_of, runs=runs)
    return taken


def machines(evidence: Evidence, law: TimeLaw) -> dict[str, MachineRuns]:
    """Return how each machine of the evidence was run."""
    facts, most = evidence.facts, most_cores(evidence)
    found: dict[str, MachineRuns] = {}
    for machine in sorted(most):
        rows = facts.machine == machine
        runtimes = sorted(set(facts.runtime[rows]))
        own = facts.take(np.flatnonzero(rows))
        speeds = {
            name: speed_of(
                law, select_comparable(own, own.machine_class[0], name).take(np.arange(1)), {}
            )
            for name in runtimes
        }
        found[machine] = MachineRuns(
            facts.machine_class[rows][0], speeds, most[machine],
            dict(Counter(own.way)), find_roofs(machine),
        )  # fmt: skip
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
