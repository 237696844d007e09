"""How near runs of another mode or form of a machine come to its own: what `find_kin` takes them for.

    python benchmarks/kin_machines.py --evidence evidence.csv

Each machine of the evidence that has such another is left out and estimated twice: as a machine of its class that
nothing is known of, though others of its silicon stay, and by what is known of the other.
"""

from __future__ import annotations

import argparse
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np

from roofline.model.deployment import are_forms
from roofline.spec.names import without_mode
from roofline.validate.evidence.evidence import combine, names
from roofline.validate.evidence.fit import Fitting
from roofline.validate.evidence.published import read_published
from roofline.validate.evidence.reported import read_reported


def pairs_of(classes: dict[str, str], runs: Counter[str]) -> dict[str, str]:
    """Return for each machine that has one the machine that stands for it.

    Args:
        classes: The class of each machine.
        runs: How many runs each has.
    """
    found: dict[str, str] = {}
    for machine in sorted(classes):
        base = without_mode(machine)
        others = [
            each for each in classes if each != machine and classes[each] == classes[machine]
        ]
        bases = {each: without_mode(each) for each in others}
        modes = [each for each in others if bases[each] == base]
        forms = [each for each in others if are_forms(bases[each], base)]
        best = max(modes or forms, key=lambda each: runs[each], default=None)
        if best is not None:
            found[machine] = best
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--evidence", type=Path, required=True)
    arguments = parser.parse_args()
    evidence = combine(read_published(arguments.evidence), read_reported())
    facts = evidence.facts
    classes = dict(zip(facts.machine, facts.machine_class, strict=True))
    fitting = Fitting(evidence)
    fitting.fit(layers=False)
    off: dict[str, list[np.ndarray]] = {"alone": [], "by the other": []}
    for machine, other in pairs_of(classes, Counter(facts.machine)).items():
        law = fitting.fit(names([machine]), facts.machine, layers=False)
        rows = np.flatnonzero(facts.machine == machine)
        own = facts.take(rows)
        stands = replace(own, machine=names([other] * len(rows)))
        for name, part in (("alone", own), ("by the other", stands)):
            off[name].append(np.abs(evidence.log_time[rows] - law.estimate(part).log_time))
        each = ", ".join(
            f"{name} {np.exp(np.median(found[-1])):.2f}" for name, found in off.items()
        )
        print(f"{machine} by {other}, {len(rows)} runs: {each}")
    for name, found in off.items():
        machines = np.mean([np.exp(np.median(each)) for each in found])
        print(
            f"{name}: over machines {machines:.2f}, rows {np.exp(np.median(np.concatenate(found))):.2f}"
        )


if __name__ == "__main__":
    main()
