"""Keeps estimates of left-out runs in the order of their machines' roofs, as those that users see are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from roofline.model._core import Floats
from roofline.model._expected_data import MachineRuns
from roofline.model._law_estimates import Estimates
from roofline.model._machine_roofs import Roofs, roofs_of
from roofline.model._run_facts import Facts, join_facts
from roofline.model._siblings import Sibling, clamp, siblings_of
from roofline.model._time_law import TimeLaw
from roofline.spec import find_alias, platform
from roofline.validate.evidence.evidence import Evidence, Mask


def find_roofs(machine: str) -> Roofs | None:
    """Return the roofs of a machine by its platform file; None where there is none."""
    return None if find_alias(machine) is None else roofs_of(platform(machine))


def most_cores(evidence: Evidence) -> dict[str, float]:
    """Return the cores that each machine's fastest runs use, those at its highest peak."""
    numbers, found = evidence.facts.numbers, dict[str, float]()
    for machine in sorted(set(evidence.facts.machine)):
        rows = np.flatnonzero(evidence.facts.machine == machine)
        peak = numbers["peak"][rows]
        found[machine] = float(np.median(numbers["cores"][rows][peak == peak.max()]))
    return found


@dataclass(frozen=True, slots=True)
class MachineOrder:
    """The machines of evidence and their roofs, by which estimates of some are limited by runs of others."""

    machines: Mapping[str, MachineRuns]

    @classmethod
    def of(cls, evidence: Evidence) -> MachineOrder:
        """Return that of the machines of evidence."""
        facts = evidence.facts
        found: dict[str, MachineRuns] = {}
        for machine, cores in most_cores(evidence).items():
            rows = facts.machine == machine
            found[machine] = MachineRuns(
                facts.machine_class[rows][0], {}, cores, Counter(facts.way[rows]), find_roofs(machine)
            )  # fmt: skip
        return cls(found)

    def limit(self, law: TimeLaw, facts: Facts, estimates: Estimates) -> Estimates:
        """Return a law's estimates of runs, none slower than a weaker machine that the law knows in the run's way.

        Runs in a way that the law knows of the machine itself are left as they are.

        Args:
            law: The law.
            facts: The runs.
            estimates: What it says of them by themselves.
        """
        limited = estimates.log_time.copy()
        for machine in dict.fromkeys(facts.machine):
            own = self.machines.get(machine)
            if own is None or own.roofs is None:
                continue
            rows = np.flatnonzero(facts.machine == machine)
            known = law.effects[machine].settings if machine in law.effects else frozenset[str]()
            rows = rows[~np.isin(facts.setting[rows].astype(str), list(known))]
            others = [
                other
                for other in siblings_of(own.roofs, own.machine_class, self.machines)
                if other.key != machine and other.key in law.effects and (other.weaker or other.stronger)
            ]  # fmt: skip
            if len(rows) and others:
                limited[rows] = _clamp_rows(law, facts.take(rows), limited[rows], others)
        return estimates.shift(limited - estimates.log_time)


def _clamp_rows(
    law: TimeLaw, facts: Facts, log_time: Floats, others: list[Sibling]
) -> Floats:  # fmt: skip
    """Return the times of runs of one machine, limited by those of others in the ways that they are known in."""
    shape = (len(others), len(facts))
    there = law.estimate(join_facts([other.stand_in(facts) for other in others]))
    sure = np.stack([_sure(law, other, facts) for other in others])
    weaker = np.asarray([other.weaker for other in others])[:, None]
    stronger = np.asarray([other.stronger for other in others])[:, None]
    return clamp(log_time, there.log_time.reshape(shape), sure & stronger, sure & weaker)


def _sure(law: TimeLaw, other: Sibling, facts: Facts) -> Mask:
    """Return in which runs another machine is known in their way."""
    settings = law.effects[other.key].settings
    enough = [
        other.is_sure(way) and setting in settings
        for way, setting in zip(facts.way, facts.setting, strict=True)
    ]
    return np.asarray(enough, np.bool_)
