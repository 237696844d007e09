"""Fits the law of layers: of all runs, of a runtime on a class, of a machine, and of one of its datatypes.

Each level is shrunk towards the one above.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from roofline.model._core import Floats
from roofline.model._forward import huber_weight
from roofline.model._layer_groups import ARITHMETIC
from roofline.model._layer_law import (
    EVERYTHING,
    LAYER_PARTS,
    LayerLaw,
    kinds_of,
    machines_alone,
    time_of_layers,
)
from roofline.model._run_facts import Facts
from roofline.model._time_law import TimeLaw
from roofline.validate.evidence.evidence import Evidence, Names, Rows
from roofline.validate.evidence.surface import places_by_label

FEWEST_RUNS = 10
"""A machine and runtime with fewer runs of networks whose layers are known has no law of layers."""


class PartPrior(NamedTuple):
    """Where a part starts from, and the prior standard deviations of what each level adds to it."""

    start: float
    everything: float
    class_and_runtime: float
    """Of a runtime on a class of machines."""
    own: float
    """Of a runtime on one machine."""
    datatype: float
    """Of one of several datatypes there."""


@dataclass(frozen=True, slots=True)
class LayerShrinkage:
    """What is chosen before a fit."""

    parts: dict[str, PartPrior] = field(
        default_factory=lambda: {
            **dict.fromkeys(ARITHMETIC, PartPrior(0.0, 0.7, 0.4, 0.25, 0.25)),
            "narrow": PartPrior(0.0, 0.3, 0.2, 0.1, 0.02),
            "weights": PartPrior(0.0, 0.7, 0.4, 0.3, 0.2),
            "moved": PartPrior(0.0, 1.0, 0.5, 0.3, 0.2),
            "other moved": PartPrior(0.0, 1.0, 0.5, 0.3, 0.2),
            "calls": PartPrior(-4.0, 2.0, 1.0, 0.5, 0.3),
            "other calls": PartPrior(-5.0, 2.0, 1.0, 0.5, 0.3),
            "call of all": PartPrior(-1.0, 2.0, 1.0, 0.5, 0.02),
        }
    )
    spread: float = 0.2
    """Standard deviation of a run around the law."""
    limit: float = 0.3
    """Residual beyond which a run counts by its size alone."""
    effective: float = 60.0
    """Runs that one machine counts as at most, in what it has in common with others."""
    most: float = 300.0
    """The same in what is its own."""


def fit_layers(evidence: Evidence, law: TimeLaw, rows: Rows, chosen: LayerShrinkage) -> LayerLaw:
    """Return the law of layers of some runs.

    Args:
        evidence: All the runs.
        law: The time law of the same runs, with its machines.
        rows: The runs that are looked at; those whose layers are not known, or run side by side, are left aside.
        chosen: What is chosen before a fit.
    """
    known = np.isin(evidence.facts.machine.astype(str), list(law.effects))
    rows = rows[(known & evidence.facts.layered & ~evidence.facts.pipelined)[rows]]
    if not len(rows):
        return LayerLaw()
    facts = evidence.facts.take(rows)
    means = np.stack([law.effects[name].mean for name in facts.machine])
    runs = _Runs(
        facts, law.logarithms(machines_alone(facts)) + means, evidence.log_time[rows], chosen
    )
    held = [chosen.parts[part] for part in LAYER_PARTS]
    parts = np.tile([part.start for part in held], (len(rows), 1))
    _, index, count = np.unique(facts.machine.astype(str), return_inverse=True, return_counts=True)
    own = {
        label: places
        for label, places in places_by_label(facts.own).items()
        if len(places) >= FEWEST_RUNS
    }
    ways = {
        label: places
        for label, places in places_where_parted(facts.own_at, facts.own).items()
        if facts.own[places[0]] in own
    }
    levels = (
        ([part.everything for part in held], {EVERYTHING: np.arange(len(rows))}, chosen.effective),
        (
            [part.class_and_runtime for part in held],
            places_by_label(facts.where),
            chosen.effective,
        ),
        ([part.own for part in held], own, chosen.most),
        ([part.datatype for part in held], ways, chosen.most),
    )
    found: dict[str, Floats] = {}
    for deviations, labels, most in levels:
        deviation = np.asarray(deviations)
        weight = np.minimum(1, most / count)[index]
        for label, places in labels.items():
            found[label] = runs.fit_addition(places, parts[places], deviation, weight[places])
            parts[places] += found[label]
    found[EVERYTHING] += [part.start for part in held]
    assert facts.layers is not None
    kinds = kinds_of(facts.layers)
    return LayerLaw(found, seen={label: kinds[places].sum(0) for label, places in own.items()})


def places_where_parted(finer: Names, coarser: Names) -> dict[str, Rows]:
    """Return the places of each finer label of runs that are not all those of their coarser one."""
    whole = places_by_label(coarser)
    return {
        label: places
        for label, places in places_by_label(finer).items()
        if len(places) < len(whole[str(coarser[places[0]])])
    }


@dataclass(frozen=True, slots=True)
class _Runs:
    """Runs of networks whose layers are known."""

    facts: Facts
    machines: Floats
    """What the time law says of (a, w, k, t) of each, whatever the network."""
    log_time: Floats
    chosen: LayerShrinkage

    def fit_addition(
        self, places: Rows, parts: Floats, deviation: Floats, weight: Floats
    ) -> Floats:
        """Return what some runs add to the parts that they have from the levels above, by Gauss-Newton steps."""
        part, chosen = self.facts.take(places), self.chosen
        assert part.layers is not None
        terms, machines, log_time = part.terms, self.machines[places], self.log_time[places]
        found, tight = np.zeros(len(LAYER_PARTS)), deviation**-2
        for _ in range(MOST_STEPS):
            time, derivatives, _ = time_of_layers(machines, parts + found, terms, part.layers)
            residual = log_time - time
            heavy = weight * huber_weight(residual, chosen.limit) / chosen.spread**2
            weighted = (derivatives * heavy[:, None]).T
            step = np.linalg.solve(
                weighted @ derivatives + np.diag(tight), weighted @ residual - tight * found
            )
            found = found + step * min(1.0, LONGEST / max(float(np.abs(step).max()), 1e-9))
            if np.abs(step).max() < SHORT_ENOUGH:
                break
        return found


MOST_STEPS = 12
LONGEST, SHORT_ENOUGH = 1.0, 5e-3
"""Of a step, in logarithms: the most that is taken of it, and what is no step any more."""
