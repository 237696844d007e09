"""Fits the time law of `expected` to evidence: shrunken coefficients, one deviation per machine, a robust loss."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

import numpy as np

from roofline.model._core import Floats
from roofline.model._forward import PARTS, forward, huber_weight
from roofline.model._law_estimates import Effect
from roofline.model._run_facts import LEVELS, Facts
from roofline.model._run_features import FEATURES, features
from roofline.model._time_law import Term, TimeLaw, design
from roofline.validate.evidence.evidence import Evidence, Names, Rows
from roofline.validate.evidence.layer_fit import LayerShrinkage, fit_layers, parting
from roofline.validate.evidence.surface import Bumps, Shrinkage, grouped

ONE_LEVEL = (
    "cores", "peak", "class_peak", "on_chip", "unfed", "half", "phone", "mobile_year",
)  # fmt: skip
"""Features of machines: a class has too few machines for a slope of its own."""

START = {"a": 0.7, "w": 0.0, "k": 0.3, "t": float(np.log(2e-4))}
"""Where the coefficients of everything start from; loosely held."""


NOTHING = -25.0
"""The logarithm of what takes no time."""

FROM_EACH = 5
"""Runs that a fit looks at of each runtime and datatype of a machine, where there are as many."""


@dataclass(frozen=True, slots=True)
class Options:
    """What is chosen before the fit."""

    power: float = 1.5
    slopes: dict[str, tuple[str, ...]] = field(
        default_factory=lambda: {
            "a": (
                "depthwise", "grouped", "attention", "work", "int8", "w8a16", "activations_per_mac",
                "parameters_per_mac", "batch", "cores", "throughput", "class_peak", "class_bandwidth",
                "unfed", "half", "phone", "mobile_year",
            ),
            "w": ("work", "parameters_per_mac"),
            "k": ("on_chip",),
            "t": ("throughput", "peak", "phone"),
        }
    )  # fmt: skip
    """The features each part has a slope over."""
    level: dict[str, float] = field(
        default_factory=lambda: {
            "all": 3.0, "family": 0.3, "runtime": 0.2, "class": 0.3, "class/runtime": 0.3,
        }
    )  # fmt: skip
    """Prior standard deviation of the constants of each level."""
    slope: float = 0.3
    """Prior standard deviation of slopes."""
    class_slope: float = 0.1
    """The same of what a class adds to a slope: some classes have runs of few machines only."""
    peak_slope: float = 0.1
    """The same of a slope over the peak within a class."""
    machine: float = 0.3
    """The same of a machine's deviation in each part."""
    way: float = 0.3
    """The same of what one of several datatypes of a machine adds to the time of its runs."""
    on_chip: float = -1.0
    """Prior mean of the slope of activation time beyond the ratio at which a machine keeps them on chip."""
    spread: float = 0.2
    """Standard deviation of a run around its machine's law that the robust loss takes as given."""
    pooled: float = 10.0
    """How many runs of its own the spread of any machine counts as in that of one."""
    limit: float = 0.3
    """Residual beyond which a run counts by its size alone."""
    effective: int = 80
    """Runs that one machine counts as at most."""
    most: int = 80
    """Runs of one machine that the fit looks at; a fixed sample, since one machine's runs say one machine's law."""
    without: frozenset[str] = frozenset()
    """Parts that take no time at all."""
    surface: Shrinkage | None = field(default_factory=Shrinkage)
    """How the surface beside the law is fitted, to all runs; None for none."""
    layers: LayerShrinkage | None = field(default_factory=LayerShrinkage)
    """How the law of layers beside it is fitted, to runs of networks whose layers are known; None for none."""


@dataclass(frozen=True, slots=True)
class Prior:
    """What is known of each coefficient before the fit."""

    terms: tuple[Term, ...]
    mean: Floats
    deviation: Floats


def centres(facts: Facts) -> dict[str, tuple[float, float]]:
    """Return the median log peak and log bandwidth of each class, each machine counted once."""
    found: dict[str, list[tuple[float, float]]] = {}
    for machine in np.unique(facts.machine):
        rows = np.flatnonzero(facts.machine == machine)
        pair = tuple(
            float(np.median(np.log(facts.numbers[name][rows]))) for name in ("peak", "bandwidth")
        )
        found.setdefault(str(facts.machine_class[rows[0]]), []).append((pair[0], pair[1]))
    return {name: middle(dict(enumerate(pairs))) for name, pairs in found.items()}


def middle(pairs: Mapping[Any, tuple[float, float]]) -> tuple[float, float]:
    """Return the medians of the first and of the second of pairs."""
    return (
        float(np.median([x for x, _ in pairs.values()])),
        float(np.median([y for _, y in pairs.values()])),
    )


def prior(facts: Facts, options: Options) -> Prior:
    """Return the terms of the law for the classes and runtimes that evidence has, and what is known of each."""
    entries: list[tuple[Term, float, float]] = []
    labels = {level: sorted(set(facts.labels(level))) for level in LEVELS if level != "all"}
    for part in PARTS:
        if part in options.without:
            entries.append((Term(part, "one", "all", ""), NOTHING, 1e-3))
            continue
        entries.append((Term(part, "one", "all", ""), START[part], options.level["all"]))
        for level, found in labels.items():
            entries += [
                (Term(part, "one", level, label), 0.0, options.level[level]) for label in found
            ]
        for feature in options.slopes[part]:
            deviation = options.peak_slope if feature == "class_peak" else options.slope
            mean = options.on_chip if feature == "on_chip" else 0.0
            entries.append((Term(part, feature, "all", ""), mean, deviation))
            if feature not in ONE_LEVEL:
                entries += [
                    (Term(part, feature, "class", label), 0.0, options.class_slope)
                    for label in labels["class"]
                ]
    return Prior(
        tuple(entry[0] for entry in entries),
        np.asarray([entry[1] for entry in entries]),
        np.asarray([entry[2] for entry in entries]),
    )


def unseen(options: Options) -> tuple[tuple[str, tuple[int, ...], float], ...]:
    """Return what coefficients of a class, a runtime or both that no run is of are taken to be like.

    Of each level its name, the coefficients (place of the feature times four plus that of the part), and their standard
    deviation.
    """
    parts = [place for place, part in enumerate(PARTS) if part not in options.without]
    constants = tuple(FEATURES.index("one") * len(PARTS) + place for place in parts)
    slopes = tuple(
        FEATURES.index(feature) * len(PARTS) + place
        for place in parts
        for feature in options.slopes[PARTS[place]]
        if feature not in ONE_LEVEL
    )
    levels = [(level, constants, options.level[level]) for level in LEVELS if level != "all"]
    return (*levels, ("class", slopes, options.class_slope))


def sample(evidence: Evidence, most: int) -> Rows:
    """Return the rows that a fit looks at: at most so many of a machine, the same every time, sorted by machine.

    Some are of each of a machine's runtimes and datatypes, so that few runs do not drown in many.
    """
    order = np.random.default_rng(0).random(len(evidence))
    turn = np.zeros(len(evidence), np.int64)
    for rows in grouped(evidence.facts.own_at).values():
        turn[rows[np.argsort(order[rows])]] = np.arange(len(rows))
    chosen: list[Rows] = []
    for machine in np.unique(evidence.facts.machine):
        rows = np.flatnonzero(evidence.facts.machine == machine)
        later = turn[rows] >= FROM_EACH
        chosen.append(np.sort(rows[np.lexsort((order[rows], later))[:most]]))
    return np.concatenate(chosen)


def _with_settings(effects: Mapping[str, Effect], facts: Facts) -> dict[str, Effect]:
    """Return what is known of machines with the settings of all their runs, also of those no fit looks at."""
    ran: dict[str, set[str]] = {}
    for machine, setting in zip(facts.machine, facts.setting, strict=True):
        ran.setdefault(machine, set()).add(setting)
    return {
        name: replace(effect, settings=frozenset(ran[name])) for name, effect in effects.items()
    }


class Fitting:
    """Evidence made ready for many fits, each to some of its runs."""

    def __init__(self, evidence: Evidence, options: Options | None = None) -> None:
        """Build the matrices once.

        Args:
            evidence: All the runs.
            options: What is chosen before the fit.
        """
        self.options = options or Options()
        self._all = evidence
        self._sampled = sample(evidence, self.options.most)
        self._sample = evidence.take(self._sampled)
        self._centres = centres(self._sample.facts)
        self._prior = prior(self._sample.facts, self.options)
        facts = evidence.facts
        centre = np.asarray([self._centres[name] for name in facts.machine_class])
        values = features(facts, centre)
        matrices = design(facts, values, self._prior.terms)
        self._part = np.asarray([PARTS.index(term.part) for term in self._prior.terms])
        self._whole = np.hstack([matrices[part] for part in PARTS])
        self._matrix = self._whole[self._sampled]
        shrinkage = self.options.surface
        self._bumps = None if shrinkage is None else Bumps(facts, values, shrinkage)
        self._start: Floats | None = None

    def fit(
        self, left_out: Names | None = None, by: Names | None = None, *, layers: bool = True
    ) -> TimeLaw:
        """Return the law of the evidence without what is left out.

        Args:
            left_out: Labels whose runs are not looked at.
            by: The label of each run.
            layers: Whether the law of layers is fitted too, which says nothing of machines that are left out.
        """
        keep = np.ones(len(self._all), bool)
        if left_out is not None and by is not None:
            keep = ~np.isin(by.astype(str), left_out.astype(str))
        rows = np.flatnonzero(keep[self._sampled])
        first = self._start is None
        law, coefficients = self._solve(rows, self._start, 25 if first else 12)
        if first and keep.all():
            self._start = coefficients
        rows = np.flatnonzero(keep)
        law = replace(law, effects=_with_settings(law.effects, self._all.facts.take(rows)))
        if self._bumps is not None:
            law = replace(law, surface=self._bumps.fit(self._residual(law), rows))
        if not layers or self.options.layers is None:
            return law
        law = replace(law, layers=fit_layers(self._all, law, rows, self.options.layers))
        return replace(law, ways=self._ways(law, rows))

    def _ways(self, law: TimeLaw, rows: Rows) -> dict[str, float]:
        """Return what a law leaves of the runs of each machine and runtime at each of several datatypes, shrunk."""
        facts, chosen = self._all.facts.take(rows), self.options
        left = self._all.log_time[rows] - law.estimate(facts).log_time
        left = np.clip(left, -2 * chosen.limit, 2 * chosen.limit)
        return {
            label: float(left[places].sum() / (len(places) + (chosen.spread / chosen.way) ** 2))
            for label, places in parting(grouped(facts.own_at), grouped(facts.own)).items()
        }

    def _residual(self, law: TimeLaw) -> Floats:
        """Return what a law leaves of the logarithm of every run's time."""
        coefficients, facts = law.coefficients, self._all.facts
        logarithms = np.stack(
            [self._whole[:, self._part == p] @ coefficients[self._part == p] for p in range(4)], 1
        )
        none = np.zeros(len(PARTS))
        means = {name: effect.mean for name, effect in law.effects.items()}
        logarithms += np.stack([means.get(name, none) for name in facts.machine])
        return self._all.log_time - forward(logarithms, facts.terms, law.power)[0]

    def _solve(self, rows: Rows, start: Floats | None, steps: int) -> tuple[TimeLaw, Floats]:
        o, known = self.options, self._prior
        facts, log_time = self._sample.facts.take(rows), self._sample.log_time[rows]
        # Sorted by class first: within a class most columns are zero, and the products leave them out.
        placed = (facts.machine_class + np.asarray(["\t"], object) + facts.machine).astype(str)
        machines, index, count = np.unique(placed, return_inverse=True, return_counts=True)
        order = np.argsort(index, kind="stable")
        counted = np.minimum(1, o.effective / count)[index][order]
        problem = _Problem(
            self._matrix[rows][order], self._part, facts.take(order).terms, log_time[order], index[order],
            np.concatenate([[0], np.cumsum(count)[:-1]]), counted / o.spread**2, known, o,
            _blocks(facts.machine_class[order], self._matrix[rows][order]),
        )  # fmt: skip
        now = problem.at(known.mean if start is None else start, np.zeros((len(machines), 4)))
        now, blocks = problem.descend(now, steps)
        inside = float(np.sqrt(np.average(np.clip(now.residual, -0.6, 0.6) ** 2, weights=counted)))
        posterior = np.linalg.inv(blocks)
        deviations = now.machines
        between = np.sqrt((deviations**2 + np.diagonal(posterior, axis1=1, axis2=2)).mean(0))
        seen = set(facts.machine_class)
        squares = np.add.reduceat(np.clip(now.residual, -0.6, 0.6) ** 2, problem.starts)
        spreads = np.sqrt((squares + o.pooled * inside**2) / (count + o.pooled))
        effects = {
            name.split("\t", 1)[1]: Effect(mean, covariance, float(spread))
            for name, mean, covariance, spread in zip(
                machines, deviations, posterior, spreads, strict=True
            )
        }
        middles = {name: pair for name, pair in self._centres.items() if name in seen}
        middles[""] = middle(middles)
        law = TimeLaw(
            o.power, known.terms, now.coefficients, middles, between, inside, effects,
            uncertainty=problem.uncertainty(now), priors=unseen(o), seen=frozenset(facts.where),
        )  # fmt: skip
        return law, now.coefficients


@dataclass(frozen=True, slots=True)
class _State:
    """Where the descent stands."""

    coefficients: Floats
    machines: Floats
    """(a, w, k, t) of each machine."""
    cost: float
    residual: Floats
    shares: Floats


@dataclass(frozen=True, slots=True)
class _Problem:
    """The robust, shrunken least squares of one fit; runs are sorted by machine."""

    matrix: Floats
    part: Rows
    """The part each column of the matrix belongs to."""
    terms: tuple[Floats, Floats, Floats]
    log_time: Floats
    machine: Rows
    """The machine of each run."""
    starts: Rows
    """The first run of each machine."""
    weight: Floats
    prior: Prior
    options: Options
    blocks: tuple[tuple[slice, Rows], ...]
    """The runs of each class, and the columns that are not zero in them."""

    @property
    def tight(self) -> Floats:
        return 1 / self.prior.deviation**2

    @property
    def loose(self) -> float:
        return self.options.machine**-2

    def at(self, coefficients: Floats, machines: Floats) -> _State:
        """Return the cost of coefficients and deviations, and its first derivatives."""
        logarithms = np.stack(
            [
                self.matrix[:, self.part == p] @ coefficients[self.part == p]
                for p in range(len(PARTS))
            ],
            1,
        )
        found, shares = forward(
            logarithms + machines[self.machine], self.terms, self.options.power
        )
        residual, limit = self.log_time - found, self.options.limit
        size = np.abs(residual)
        loss = np.where(size < limit, size**2 / 2, limit * (size - limit / 2))
        held = ((coefficients - self.prior.mean) ** 2 * self.tight).sum()
        held += (machines**2).sum() * self.loose
        cost = float((self.weight * loss).sum() + held / 2)
        return _State(coefficients, machines, cost, residual, shares)

    def descend(self, now: _State, steps: int) -> tuple[_State, Floats]:
        """Take Gauss-Newton steps; return where they end and the curvature of each machine's block."""
        damping, blocks = 1e-3, np.zeros((len(self.starts), 4, 4))
        for _ in range(steps):
            blocks, solve = self._linear(now)
            for _ in range(5):
                new = self.at(*solve(damping))
                if new.cost < now.cost:
                    break
                damping = max(damping * 10, 1e-4)
            else:
                break
            gain, now = now.cost - new.cost, new
            damping /= 5
            if gain < 3e-4 * now.cost:
                break
        return now, blocks

    def uncertainty(self, now: _State) -> Floats:
        """Return the covariance of the coefficients where the descent ended, whatever the machines deviate by."""
        hessian, _, cross, blocks, _ = self._curvature(now)
        through = np.einsum("mnq,mqr->mnr", cross, np.linalg.inv(blocks))
        reduced = hessian + np.diag(self.tight) - np.tensordot(through, cross, ([0, 2], [0, 2]))
        return np.asarray(np.linalg.inv(reduced), np.float64)

    def _curvature(self, now: _State) -> tuple[Floats, Floats, Floats, Floats, Floats]:
        """Return the curvature and the pull of the coefficients, the cross terms, and both of the machines' blocks."""
        weight = self.weight * huber_weight(now.residual, self.options.limit)
        n = self.matrix.shape[1]
        hessian, gradient = np.zeros((n, n)), -self.tight * (now.coefficients - self.prior.mean)
        cross = np.zeros((len(self.starts), n, len(PARTS)))
        for rows, columns in self.blocks:
            shares = now.shares[rows]
            full = self.matrix[rows, columns] * shares[:, self.part[columns]]
            weighted = full * weight[rows, None]
            hessian[np.ix_(columns, columns)] += full.T @ weighted
            gradient[columns] += weighted.T @ now.residual[rows]
            inside = np.flatnonzero((self.starts >= rows.start) & (self.starts < rows.stop))
            starts = self.starts[inside] - rows.start
            cross[np.ix_(inside, columns)] = _summed(weighted, shares, starts)
        blocks = _summed(now.shares * weight[:, None], now.shares, self.starts)
        blocks = blocks + np.eye(4) * self.loose
        pull = np.add.reduceat(now.shares * (weight * now.residual)[:, None], self.starts, 0)
        return hessian, gradient, cross, blocks, pull - self.loose * now.machines

    def _linear(self, now: _State) -> tuple[Floats, Callable[[float], tuple[Floats, Floats]]]:
        """Return the machines' blocks, and what takes a damping to the next coefficients and deviations."""
        hessian, gradient, cross, blocks, pull = self._curvature(now)

        def solve(damping: float) -> tuple[Floats, Floats]:
            # Machines are eliminated first: each has four unknowns that touch no other machine's.
            inverse = np.linalg.inv(blocks + damping * blocks * np.eye(4))
            through = np.einsum("mnq,mqr->mnr", cross, inverse)
            diagonal = self.tight + damping * (hessian.diagonal() + self.tight)
            reduced = hessian + np.diag(diagonal) - np.tensordot(through, cross, ([0, 2], [0, 2]))
            step = np.asarray(
                np.linalg.solve(reduced, gradient - np.einsum("mnq,mq->n", through, pull)),
                np.float64,
            )
            each = np.einsum("mqr,mr->mq", inverse, pull - np.einsum("mnq,n->mq", cross, step))
            short = min(1.0, 2 / max(float(np.abs(step).max()), 1e-9))
            return now.coefficients + short * step, now.machines + short * each

        return blocks, solve


def _summed(left: Floats, right: Floats, starts: Rows) -> Floats:
    """Return the products of columns summed over each machine's runs; (machines, left, right)."""
    return np.stack(
        [np.add.reduceat(left * right[:, [q]], starts, 0) for q in range(right.shape[1])], 2
    )


def _blocks(machine_class: Names, matrix: Floats) -> tuple[tuple[slice, Rows], ...]:
    """Return the slice of each class in sorted runs, and the columns of the matrix that are not zero there."""
    _, first = np.unique(machine_class.astype(str), return_index=True)
    edges = [*sorted(first.tolist()), len(matrix)]
    found = [slice(start, stop) for start, stop in pairwise(edges)]
    return tuple((rows, np.flatnonzero(matrix[rows].any(0))) for rows in found)
