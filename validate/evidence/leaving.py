"""Predicts evidence that the fit has not seen: silicon by silicon, or family by family of networks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import combinations

import numpy as np

from roofline.model._core import Floats
from roofline.model._evidence_runs import effect_of
from roofline.model._law_estimates import (
    BESIDE,
    FAR,
    FEW,
    FEW_LAYERED,
    KNOWN,
    MANY,
    MANY_LAYERED,
    Estimates,
)
from roofline.model._quantiles import EIGHT_OF_TEN, POOLED, Pairs, Quantiles, quantiles
from roofline.model._time_law import TimeLaw
from roofline.validate.evidence.evidence import Evidence, Mask, Names, Rows, names
from roofline.validate.evidence.laws_without import LawsWithout
from roofline.validate.evidence.machine_order import MachineOrder

GROUPS = 6
"""Into how many groups silicon, or families of networks, are dealt where leaving out each alone would take too long."""

LARGE_FAMILY = 0.015
"""A family of networks with a larger share of the runs is left out alone."""

MANY_RUNS = 250
"""A machine with as many has a deviation of its own; of fewer, the families left out say too little."""

MOST_FIGURES_FROM = 10
"""A machine with fewer runs is not asked to give figures and be judged by the rest."""


@dataclass(frozen=True, slots=True)
class Holdout:
    """What laws say of runs that they have not seen, and by which quantiles that is judged."""

    estimates: Estimates
    group: Names
    """The group of each run."""
    tables: Mapping[str, Quantiles]
    """The quantiles that judge each group: of runs of other groups, by laws that have seen neither."""
    laws: Mapping[str, TimeLaw] = field(default_factory=dict[str, TimeLaw])
    """The law without each silicon; empty where families of networks are left out."""
    spreads: Mapping[str, float] = field(default_factory=dict[str, float])
    """Standard deviation of the runs of each machine with many around laws that know it from other families of
    networks, and of each machine and runtime with many whose networks' layers are known; empty where silicon is left
    out."""


def members(dealt: Mapping[str, int]) -> Iterator[list[str]]:
    """Yield the labels of each group, group by group."""
    for place in sorted(set(dealt.values())):
        yield [name for name, where in dealt.items() if where == place]


def group_of(labels: Names, groups: int) -> dict[str, int]:
    """Deal labels into groups, in order, so that each group holds some of everything."""
    return {name: place % groups for place, name in enumerate(dict.fromkeys(labels))}


def group_by_silicon(evidence: Evidence) -> Names:
    """Return the group of each run by its silicon: runs are judged by quantiles of the other groups."""
    dealt = group_of(np.sort(evidence.silicon.astype(str)).astype(object), GROUPS)
    return np.asarray([str(dealt[name]) for name in evidence.silicon], object)


def leave_silicon(without: LawsWithout) -> Holdout:
    """Predict every run by a law that has seen no machine of its silicon."""
    evidence = without.evidence
    by = evidence.silicon
    order = np.lexsort((evidence.silicon.astype(str), evidence.facts.machine_class.astype(str)))
    dealt = group_of(evidence.silicon[order], GROUPS)
    group = np.asarray([dealt[name] for name in evidence.silicon])
    parts: list[tuple[Rows, Estimates]] = []
    laws: dict[str, TimeLaw] = {}
    in_order = MachineOrder.of(evidence)
    for name, law in zip(
        dealt, without.laws([[name] for name in dealt], by, layers=False), strict=True
    ):
        laws[name] = law
        rows = without.rows([name], by)
        facts = evidence.facts.take(rows)
        parts.append((rows, in_order.limit(law, facts, law.estimate(facts))))
    residuals = np.full((GROUPS, len(evidence)), np.nan)
    far = np.zeros((GROUPS, len(evidence)), bool)
    pairs = list(combinations(range(min(GROUPS, len(dealt))), 2))
    out = [[name for name, place in dealt.items() if place in pair] for pair in pairs]
    for (first, second), law in zip(pairs, without.laws(out, by, layers=False), strict=True):
        rows = np.flatnonzero((group == first) | (group == second))
        facts = evidence.facts.take(rows)
        estimates = in_order.limit(law, facts, law.estimate(facts))
        z = standardize(evidence.take(rows), estimates)
        for judge, judged in ((first, second), (second, first)):
            residuals[judge, rows] = np.where(group[rows] == judged, z, residuals[judge, rows])
            far[judge, rows] |= (group[rows] == judged) & (estimates.known == FAR)
    tables = {
        str(place): near_and_far(
            evidence, residuals[place], np.isfinite(residuals[place]), far[place]
        )
        for place in range(GROUPS)
        if np.isfinite(residuals[place]).any()
    }
    labels = np.asarray([str(place) for place in group], object)
    return Holdout(join_estimates(parts, len(evidence)), labels, tables, laws)


def leave_family(without: LawsWithout) -> Holdout:
    """Predict every run by a law that has seen other families of networks, also on its machine.

    The quantiles that judge a machine come from the other machines.
    """
    evidence = without.evidence
    named, count = np.unique(evidence.network_family.astype(str), return_counts=True)
    small = count < LARGE_FAMILY * len(evidence)
    dealt = group_of(named[small].astype(object), GROUPS)
    dealt |= {name: GROUPS + place for place, name in enumerate(named[~small])}
    parts: list[tuple[Rows, Estimates]] = []
    fold, between = np.zeros(len(evidence), np.int64), np.zeros(len(evidence))
    machine = evidence.facts.machine
    each = list(members(dealt))
    for place, law in enumerate(without.laws(each, evidence.network_family)):
        rows = without.rows(each[place], evidence.network_family)
        part = law.estimate(evidence.facts.take(rows))
        parts.append((rows, part))
        around = [
            law.effects[name].spread if name in law.effects else law.row_deviation
            for name in machine[rows]
        ]
        fold[rows] = place
        between[rows] = part.deviation**2 - np.asarray(around, np.float64) ** 2
    estimates = join_estimates(parts, len(evidence))
    off = np.abs(evidence.log_time - estimates.log_time)
    deviation, known = estimates.deviation.copy(), estimates.known.copy()
    # Where layers are known, runs lie nearer: their spread is another.
    label = np.where(known == FEW_LAYERED, evidence.facts.own, machine)
    for place in range(int(fold.max()) + 1):
        spreads = own_spreads(off[fold != place], label[fold != place])
        for name, spread in spreads.items():
            rows = np.flatnonzero((fold == place) & (label == name))
            deviation[rows] = np.sqrt(between[rows] + spread**2)
            known[rows] = np.where(known[rows] == FEW_LAYERED, MANY_LAYERED, MANY)
    estimates = replace(estimates, deviation=deviation, known=known)
    group = group_by_silicon(evidence)
    tables = {
        place: known_quantiles(evidence, estimates, group != place) for place in sorted(set(group))
    }
    return Holdout(estimates, group, tables, spreads=own_spreads(off, label))


def leave_setting(without: LawsWithout) -> Holdout:
    """Predict runs by a law that knows their machine from other runtimes or at other datatypes only.

    Runs of silicon that was run in one way only are not predicted. The quantiles that judge a machine come from the
    other machines.
    """
    evidence = without.evidence
    by = evidence.silicon_settings
    several = in_several_ways(evidence)
    dealt = group_of(np.sort(by[several].astype(str)).astype(object), GROUPS)
    parts: list[tuple[Rows, Estimates]] = []
    each, in_order = list(members(dealt)), MachineOrder.of(evidence)
    for out, law in zip(each, without.laws(each, by), strict=True):
        rows = without.rows(out, by)
        facts = evidence.facts.take(rows)
        parts.append((rows, in_order.limit(law, facts, law.estimate(facts))))
    estimates = join_estimates(parts, len(evidence))
    group = group_by_silicon(evidence)
    tables = {
        place: Quantiles(
            dict.fromkeys(KNOWN, beside_quantiles(evidence, estimates, group != place))
        )
        for place in sorted(set(group))
    }
    return Holdout(estimates, group, tables)


def in_several_ways(evidence: Evidence) -> Mask:
    """Return which runs are of silicon that was run with several runtimes or datatypes."""
    by, silicon = evidence.silicon_settings, evidence.silicon
    ways = {name: len(set(by[silicon == name])) for name in set(silicon)}
    return np.asarray([ways[name] > 1 for name in silicon], np.bool_)


def beside_quantiles(evidence: Evidence, estimates: Estimates, keep: Mask) -> dict[str, Pairs]:
    """Return the quantiles of machines known from other runtimes and datatypes, from some of the runs.

    Args:
        evidence: The runs.
        estimates: What laws say of them that had not seen their runtime at their datatype on their machine.
        keep: The runs that are looked at.
    """
    return residual_quantiles(
        evidence, standardize(evidence, estimates), keep & (estimates.known == BESIDE)
    )


def leave_unlike(without: LawsWithout, by: Names) -> Holdout:
    """Predict every run by a law that has seen nothing of its label: of its class, its runtime, its maker.

    The quantiles that judge a label come from the other labels.

    Args:
        without: The laws.
        by: The label of each run.
    """
    evidence = without.evidence
    labels = names(sorted(set(by.astype(str))))
    parts: list[tuple[Rows, Estimates]] = []
    for label, law in zip(
        labels, without.laws([[x] for x in labels], by, layers=False), strict=True
    ):
        rows = without.rows([label], by)
        parts.append((rows, law.estimate(evidence.facts.take(rows), {})))
    estimates = join_estimates(parts, len(evidence))
    tables = {
        label: unlike_quantiles(evidence, estimates, by != label)
        for label in labels
        if (by != label).any()
    }
    return Holdout(estimates, by, tables)


def unlike_quantiles(evidence: Evidence, estimates: Estimates, keep: Mask) -> Quantiles:
    """Return the quantiles of machines that are not known, near to others and far from them, from some of the runs."""
    return near_and_far(evidence, standardize(evidence, estimates), keep, estimates.known == FAR)


def near_and_far(evidence: Evidence, residuals: Floats, keep: Mask, far: Mask) -> Quantiles:
    """Return the quantiles of machines that are not known, by whether runs tell of their runtime on their class.

    Args:
        evidence: The runs.
        residuals: How far each is from its estimate, in standard deviations.
        keep: The runs that are looked at.
        far: Those whose runtime no run of their class had in the fit.
    """
    every = residual_quantiles(evidence, residuals, keep)
    near = residual_quantiles(evidence, residuals, keep & ~far) if (keep & ~far).any() else every
    beyond = residual_quantiles(evidence, residuals, keep & far) if (keep & far).any() else every
    return Quantiles(dict.fromkeys(KNOWN, near) | {"far": {POOLED: beyond[POOLED]}})


def known_quantiles(evidence: Evidence, estimates: Estimates, keep: Mask) -> Quantiles:
    """Return the quantiles of machines that are known, from some of the runs.

    Args:
        evidence: The runs.
        estimates: What laws say of them that had not seen their families of networks.
        keep: The runs that are looked at.
    """
    z, known = standardize(evidence, estimates), estimates.known
    tables = dict.fromkeys(KNOWN, residual_quantiles(evidence, z, keep))
    for state in (FEW, MANY, FEW_LAYERED, MANY_LAYERED):
        rows = keep & (known == state)
        if rows.any():
            tables[KNOWN[state]] = residual_quantiles(evidence, z, rows)
    return Quantiles(tables)


def own_spreads(off: Floats, label: Names) -> dict[str, float]:
    """Return the deviation of the runs of each label with many, by the range that holds eight of ten.

    Args:
        off: How far each run is from a law that had not seen its family of networks, in logarithms.
        label: The machine of each; where layers say of its time, the machine and its runtime.
    """
    found: dict[str, float] = {}
    for name in np.unique(label.astype(str)):
        rows = label == name
        if rows.sum() >= MANY_RUNS:
            found[str(name)] = float(np.quantile(off[rows], 0.8)) / EIGHT_OF_TEN
    return found


def standardize(evidence: Evidence, estimates: Estimates) -> Floats:
    """Return how far each run's time is from its estimate, in standard deviations."""
    return (evidence.log_time - estimates.log_time) / estimates.deviation


def residual_quantiles(evidence: Evidence, residuals: Floats, keep: Mask) -> dict[str, Pairs]:
    """Return the quantiles of some residuals."""
    return quantiles(
        residuals[keep], evidence.facts.machine[keep], evidence.facts.machine_class[keep]
    )


def join_estimates(parts: list[tuple[Rows, Estimates]], length: int) -> Estimates:
    """Return estimates of parts of the runs as those of all."""
    whole = Estimates(
        np.full(length, np.nan),
        np.full((length, 4), np.nan),
        np.full(length, np.nan),
        np.zeros(length, np.int8),
    )
    for rows, part in parts:
        whole.log_time[rows], whole.shares[rows] = part.log_time, part.shares
        whole.deviation[rows], whole.known[rows] = part.deviation, part.known
    return whole


def with_figures(
    evidence: Evidence, law_of: Callable[[str], TimeLaw], figures: int
) -> tuple[Estimates, Mask]:
    """Correct the law of each machine by a few of its runs, and predict the others.

    Args:
        evidence: The runs.
        law_of: The law to correct, by silicon.
        figures: How many runs of each machine correct it, of different networks where there are enough.

    Returns:
        The estimates, and which runs they are of: those of machines with enough runs that gave no figure.
    """
    asked = np.zeros(len(evidence), bool)
    parts: list[tuple[Rows, Estimates]] = []
    rng = np.random.default_rng(0)
    for machine in np.unique(evidence.facts.machine.astype(str)):
        rows = np.flatnonzero(evidence.facts.machine == machine)
        if len(rows) < MOST_FIGURES_FROM:
            continue
        mixed = rng.permutation(rows)
        _, first = np.unique(evidence.network[mixed].astype(str), return_index=True)
        given = mixed[np.sort(first)][:figures]
        rest = np.setdiff1d(rows, given)
        law = law_of(str(evidence.silicon[rows[0]]))
        effects = (
            {machine: effect_of(law, evidence.facts.take(given), evidence.log_time[given], None)}
            if figures
            else {}
        )
        parts.append((rest, law.estimate(evidence.facts.take(rest), effects)))
        asked[rest] = True
    return join_estimates(parts, len(evidence)), asked


def intervals(
    evidence: Evidence,
    estimates: Estimates,
    group: Names,
    tables: Mapping[str, Quantiles],
    nominal: float,
) -> tuple[Floats, Floats]:
    """Return the interval of each run by the quantiles of its group."""
    low, high = np.full(len(evidence), np.nan), np.full(len(evidence), np.nan)
    for name, table in tables.items():
        rows = np.flatnonzero(group.astype(str) == name)
        if len(rows):
            part = Estimates(
                estimates.log_time[rows],
                estimates.shares[rows],
                estimates.deviation[rows],
                estimates.known[rows],
            )
            low[rows], high[rows] = table.interval(
                part, evidence.facts.machine_class[rows], nominal
            )
    return low, high
