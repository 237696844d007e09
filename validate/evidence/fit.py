"""Fits the time law of `expected` to evidence: shrunken coefficients, one deviation per machine, a robust loss."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from roofline.model._core import Floats
from roofline.model._time_law import (
    LEVELS,
    PARTS,
    Effect,
    Facts,
    Term,
    TimeLaw,
    design,
    features,
    forward,
    huber_weight,
)
from roofline.validate.evidence.evidence import Evidence, Names

ONE_LEVEL = ("cores", "peak", "bandwidth", "class_peak", "on_chip")
"""Features of machines: a class has too few machines for a slope of its own."""

START = {"a": 0.7, "w": 0.0, "k": 0.3, "t": float(np.log(2e-4))}
"""Where the coefficients of everything start from; loosely held."""


@dataclass(frozen=True, slots=True)
class Options:
    """What is chosen before the fit."""

    power: float = 1.5
    slopes: dict[str, tuple[str, ...]] = field(
        default_factory=lambda: {
            "a": (
                "depthwise", "grouped", "attention", "work", "int8", "w8a16", "activations_per_mac",
                "parameters_per_mac", "batch", "cores", "throughput", "class_peak", "class_bandwidth",
                "peak", "bandwidth",
            ),
            "w": ("work", "parameters_per_mac"),
            "k": ("on_chip",),
            "t": ("throughput", "peak"),
        }
    )  # fmt: skip
    """The features each part has a slope over."""
    level: dict[str, float] = field(
        default_factory=lambda: {
            "all": 3.0, "family": 0.5, "runtime": 0.3, "class": 0.5, "class/runtime": 0.5,
        }
    )  # fmt: skip
    """Prior standard deviation of the constants of each level."""
    slope: float = 0.3
    """Prior standard deviation of slopes."""
    peak_slope: float = 0.1
    """The same of a slope over the peak within a class."""
    machine: float = 0.3
    """The same of a machine's deviation in each part."""
    on_chip: float = -1.0
    """Prior mean of the slope of activation time beyond the ratio at which a machine keeps them on chip."""
    spread: float = 0.15
    """Standard deviation of a run around its machine's law that the robust loss takes as given."""
    limit: float = 0.2
    """Residual beyond which a run counts by its size alone."""
    effective: int = 60
    """Runs that one machine counts as at most."""
    most: int = 100
    """Runs of one machine that the fit looks at; a fixed sample, since one machine's runs say one machine's law."""


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
        found.setdefault(facts.machine_class[rows[0]], []).append((pair[0], pair[1]))
    middle = {
        name: (float(np.median([x for x, _ in pairs])), float(np.median([y for _, y in pairs])))
        for name, pairs in found.items()
    }
    middle[""] = (
        float(np.median([x for x, _ in middle.values()])),
        float(np.median([y for _, y in middle.values()])),
    )
    return middle


def prior(facts: Facts, options: Options) -> Prior:
    """Return the terms of the law for the classes and runtimes that evidence has, and what is known of each."""
    entries: list[tuple[Term, float, float]] = []
    labels = {level: sorted(set(facts.labels(level))) for level in LEVELS if level != "all"}
    for part in PARTS:
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
                    (Term(part, feature, "class", label), 0.0, deviation)
                    for label in labels["class"]
                ]
    return Prior(
        tuple(entry[0] for entry in entries),
        np.asarray([entry[1] for entry in entries]),
        np.asarray([entry[2] for entry in entries]),
    )


def sample(evidence: Evidence, most: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Return the rows that a fit looks at: at most so many of a machine, the same every time, sorted by machine."""
    order = np.random.default_rng(0).random(len(evidence))
    chosen: list[np.ndarray[tuple[int], np.dtype[np.int64]]] = []
    for machine in np.unique(evidence.facts.machine):
        rows = np.flatnonzero(evidence.facts.machine == machine)
        chosen.append(np.sort(rows[np.argsort(order[rows])[:most]]))
    return np.concatenate(chosen)


class Fitting:
    """Evidence made ready for many fits, each to some of its runs."""

    def __init__(self, evidence: Evidence, options: Options | None = None) -> None:
        """Build the matrices once.

        Args:
            evidence: All the runs.
            options: What is chosen before the fit.
        """
        self.options = options or Options()
        self.evidence = evidence.take(sample(evidence, self.options.most))
        facts = self.evidence.facts
        self._centres = centres(facts)
        self._prior = prior(facts, self.options)
        centre = np.asarray([self._centres[name] for name in facts.machine_class])
        matrices = design(facts, features(facts, centre), self._prior.terms)
        self._part = np.asarray([PARTS.index(term.part) for term in self._prior.terms])
        self._matrix = np.hstack([matrices[part] for part in PARTS])
        self._start: Floats | None = None

    def fit(self, left_out: Names | None = None, by: Names | None = None) -> TimeLaw:
        """Return the law of the evidence without what is left out.

        Args:
            left_out: Labels whose runs are not looked at.
            by: The label of each sampled run.
        """
        keep = np.ones(len(self.evidence), bool)
        if left_out is not None and by is not None:
            keep = ~np.isin(by.astype(str), left_out.astype(str))
        rows = np.flatnonzero(keep)
        first = self._start is None
        law, coefficients = self._solve(rows, self._start, 25 if first else 12)
        if first and keep.all():
            self._start = coefficients
        return law

    def _solve(
        self, rows: np.ndarray[tuple[int], np.dtype[np.int64]], start: Floats | None, steps: int
    ) -> tuple[TimeLaw, Floats]:
        o, known = self.options, self._prior
        facts, y = self.evidence.facts.take(rows), self.evidence.log_time[rows]
        machines, first, index, count = np.unique(
            facts.machine.astype(str), return_index=True, return_inverse=True, return_counts=True
        )
        del first
        order = np.argsort(index, kind="stable")
        starts = np.concatenate([[0], np.cumsum(count)[:-1]])
        facts, y, index = facts.take(order), y[order], index[order]
        matrix = self._matrix[rows][order]
        weight = np.minimum(1, o.effective / count)[index] / o.spread**2
        terms = facts.terms
        tight, loose = 1 / known.deviation**2, np.full(4, o.machine**-2)
        b = known.mean.copy() if start is None else start.copy()
        m = np.zeros((len(machines), 4))

        def logs(b: Floats, m: Floats) -> Floats:
            parts = [
                matrix[:, self._part == p] @ b[self._part == p] for p in range(len(PARTS))
            ]
            return np.stack(parts, 1) + m[index]

        def state(b: Floats, m: Floats) -> tuple[float, Floats, Floats]:
            found, jacobian = forward(logs(b, m), terms, o.power)
            r = y - found
            size = np.abs(r)
            loss = np.where(size < o.limit, r * r / 2, o.limit * (size - o.limit / 2))
            held = ((b - known.mean) ** 2 * tight).sum() + (m**2 * loose).sum()
            return float((weight * loss).sum() + held / 2), r, jacobian

        cost, r, jacobian = state(b, m)
        damping, blocks = 1e-3, np.zeros((len(machines), 4, 4))
        for _ in range(steps):
            w = weight * huber_weight(r, o.limit)
            full = matrix * jacobian[:, self._part]
            weighted = full * w[:, None]
            hessian = full.T @ weighted
            gradient = weighted.T @ r - tight * (b - known.mean)
            cross = np.stack(
                [np.add.reduceat(weighted * jacobian[:, [q]], starts, 0) for q in range(4)], 2
            )
            blocks = np.stack(
                [np.add.reduceat(jacobian * (w * jacobian[:, q])[:, None], starts, 0) for q in range(4)],
                2,
            )
            blocks = blocks + np.diag(loose)
            pull = np.add.reduceat(jacobian * (w * r)[:, None], starts, 0) - loose * m
            better = False
            for _ in range(5):
                # Machines are eliminated first: each has four unknowns that touch no other machine's.
                inverse = np.linalg.inv(blocks + damping * blocks * np.eye(4))
                through = np.einsum("mnq,mqr->mnr", cross, inverse)
                reduced = hessian + np.diag(tight + damping * (hessian.diagonal() + tight))
                reduced = reduced - np.tensordot(through, cross, ([0, 2], [0, 2]))
                step = np.linalg.solve(reduced, gradient - np.einsum("mnq,mq->n", through, pull))
                each = np.einsum("mqr,mr->mq", inverse, pull - np.einsum("mnq,n->mq", cross, step))
                short = min(1.0, 2 / max(float(np.abs(step).max()), 1e-9))
                new = state(b + short * step, m + short * each)
                if new[0] < cost:
                    better = True
                    break
                damping = max(damping * 10, 1e-4)
            if not better:
                break
            gain = cost - new[0]
            b, m = b + short * step, m + short * each
            cost, r, jacobian = new
            damping /= 5
            if gain < 1e-4 * cost:
                break
        per_machine = np.minimum(1, o.effective / count)[index]
        inside = float(np.sqrt(np.average(np.clip(r, -0.6, 0.6) ** 2, weights=per_machine)))
        posterior = np.linalg.inv(blocks)
        between = np.sqrt((m**2 + np.diagonal(posterior, axis1=1, axis2=2)).mean(0))
        law = TimeLaw(
            o.power, known.terms, b, self._centres, between, inside,
            {
                name: Effect(mean, covariance)
                for name, mean, covariance in zip(machines, m, posterior, strict=True)
            },
        )  # fmt: skip
        return law, b


def without_machines(law: TimeLaw, machines: Sequence[str]) -> TimeLaw:
    """Return the law as if nothing were known of some machines."""
    return replace(
        law, effects={name: x for name, x in law.effects.items() if name not in set(machines)}
    )
