"""A time as a sum of terms, each a known time or count with a factor of its own, fitted to measured runs.

``t = sum over terms of x_term * exp(base_term + sum over groups of deviation_term,group)``. The factors of a class of
machines, of a format or of a runtime are deviations that are held near zero, so that a class with few runs is
predicted much as all are. Errors are factors: the fit is of logarithms, with a robust loss.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Names = NDArray[np.str_]


@dataclass(frozen=True, slots=True)
class Runs:
    """What a law needs of runs."""

    terms: Mapping[str, Floats]
    """Of each term a known time in seconds, or a count, per run; not negative."""
    groups: Mapping[str, Names]
    """What each run belongs to: its class of machines, its runtime."""

    def of(self, chosen: NDArray[np.bool_]) -> Runs:
        """Return some of the runs."""
        return Runs(
            {name: values[chosen] for name, values in self.terms.items()},
            {name: values[chosen] for name, values in self.groups.items()},
        )


@dataclass(frozen=True, slots=True)
class Prior:
    """Where a term's logarithmic factor starts from, and how tightly it and its deviations are held."""

    mean: float
    spread: float = 1.0
    deviation: float = 0.3


@dataclass(frozen=True, slots=True)
class SumLaw:
    """A fitted law."""

    factors: Mapping[str, float]
    """Logarithms by ``term`` and by ``term/group/value``."""

    def log_times(self, runs: Runs) -> Floats:
        """Return the logarithm of each run's time in seconds."""
        return np.log(sum(self.parts(runs).values()))

    def parts(self, runs: Runs) -> dict[str, Floats]:
        """Return the seconds of each term."""
        parts: dict[str, Floats] = {}
        for term, known in runs.terms.items():
            factor = np.full(len(known), self.factors.get(term, 0.0))
            for group, values in runs.groups.items():
                factor += [self.factors.get(f"{term}/{group}/{value}", 0.0) for value in values]
            parts[term] = known * np.exp(factor)
        return parts


def fit(
    runs: Runs,
    log_times: Floats,
    priors: Mapping[str, Prior],
    weights: Floats,
    *,
    noise: float = 0.15,
) -> SumLaw:
    """Return the law of most support: robust residuals and loosely held factors (damped Gauss-Newton).

    Args:
        runs: What is known of the runs.
        log_times: Their measured times, as logarithms.
        priors: Of each term.
        weights: Of each run, so that machines with many runs do not outweigh others.
        noise: Spread of measured times that no law explains, as a logarithm.
    """
    names = [*priors]
    for term in priors:
        for group, values in runs.groups.items():
            names += [f"{term}/{group}/{value}" for value in sorted(set(values.tolist()))]
    held = [priors[name.split("/", 1)[0]] for name in names]
    start = np.array([p.mean if "/" not in n else 0.0 for n, p in zip(names, held, strict=True)])
    spread = np.array(
        [p.deviation if "/" in n else p.spread for n, p in zip(names, held, strict=True)]
    )
    marks = [_mark(name, runs, len(log_times)) for name in names]
    at = start.copy()
    damping, best = 1e-3, np.inf
    for _ in range(60):
        law = SumLaw(dict(zip(names, at.tolist(), strict=True)))
        parts = law.parts(runs)
        whole = np.asarray(sum(parts.values()), np.float64)
        off = (np.log(whole) - log_times) / noise
        robust = np.sqrt(weights / (1 + np.abs(off)))
        cost = float(
            (weights * 2 * (np.sqrt(1 + off**2) - 1)).sum() + (((at - start) / spread) ** 2).sum()
        )
        if abs(best - cost) < 1e-7 * max(cost, 1.0):
            break
        best = cost
        slopes = np.stack(
            [
                mark * parts[name.split("/", 1)[0]] / whole
                for name, mark in zip(names, marks, strict=True)
            ],
            axis=1,
        ) / noise  # fmt: skip
        weighted = slopes * robust[:, None]
        left = weighted.T @ weighted + np.diag(1 / spread**2 + damping)
        right = -(weighted.T @ (off * robust) + (at - start) / spread**2)
        at = at + np.clip(np.linalg.solve(left, right), -0.5, 0.5)
    return SumLaw(dict(zip(names, (float(value) for value in at), strict=True)))


def _mark(name: str, runs: Runs, count: int) -> Floats:
    """Return 1 for runs that a factor applies to, else 0."""
    if "/" not in name:
        return np.ones(count)
    _, group, value = name.split("/", 2)
    return (runs.groups[group] == value).astype(np.float64)


def leave_out(
    runs: Runs,
    log_times: Floats,
    priors: Mapping[str, Prior],
    left: Sequence[str],
    used: NDArray[np.bool_] | None = None,
) -> Floats:
    """Return each run's predicted logarithm by a law that was fitted without all runs of its own label.

    Args:
        runs: What is known of the runs.
        log_times: Their measured times, as logarithms.
        priors: Of each term.
        left: Label of each run: its machine, its model, its system.
        used: Runs that laws are fitted to; by default all. The others are predicted only.
    """
    labels = np.asarray(left)
    found = np.full(len(log_times), np.nan)
    for label in sorted(set(labels.tolist())):
        out = labels == label
        rest = ~out if used is None else used & ~out
        if not rest.any():
            continue
        law = fit(runs.of(rest), log_times[rest], priors, balance(labels[rest].tolist()))
        found[out] = law.log_times(runs.of(out))
    return found


def balance(labels: Sequence[str]) -> Floats:
    """Return weights by which a label of n runs counts as the square root of n."""
    counts = {label: labels.count(label) for label in set(labels)}
    return np.array([counts[label] ** -0.5 for label in labels])


def half_width(
    residuals: Floats,
    share: float = 0.8,
    together: Sequence[str] | None = None,
    weights: Floats | None = None,
) -> float:
    """Return the logarithmic half-width that holds a share of residuals.

    Args:
        residuals: Errors as logarithms.
        share: The share.
        together: Of each what it has its error in common with: such errors count as one. By default each for itself.
        weights: Of each what it counts; by default all the same.
    """
    finite = np.isfinite(residuals)
    known = np.abs(residuals[finite])
    if not len(known):
        return float("nan")
    if together is None and weights is None:
        return float(np.quantile(known, share))
    counts = np.ones(len(known)) if weights is None else weights[finite]
    if together is not None:
        _, index, count = np.unique(
            np.asarray(together)[finite], return_inverse=True, return_counts=True
        )
        counts = counts / count[index]
    order = np.argsort(known)
    mass = np.cumsum(counts[order])
    return float(known[order][np.searchsorted(mass, share * mass[-1])])
