"""How well the power of a machine under load can be known: published runs, a shrunken law, and its scores.

    watts = idle x (1 + c + s u)

u is the share of the peak that a run attains. c, what keeps a machine busy whatever it runs, and s are of all machines
together, plus what a machine adds to each, shrunk towards zero: of a machine with few runs they are nearly those of
all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median

import numpy as np

from roofline.model._core import Floats
from roofline.model._power import Draw
from roofline.spec import Platform
from roofline.tables import Row

COMMON, OWN_BASE, OWN_SLOPE, SPREAD = 3.0, 0.5, 0.5, 0.1
"""Prior standard deviations of what is common, of what a machine adds to c and to s, and of a run around the law."""


@dataclass(frozen=True, slots=True)
class PowerRun:
    """A run whose power was measured."""

    platform: str
    network: str
    variant: str
    """Network, datatype and pruning: its batches leave together."""
    utilization: float
    """Share of the peak."""
    watts: float
    idle: float
    tdp: float | None
    full: float | None = None
    """The most that its machine drew in any run: what a platform file would state."""


@dataclass(frozen=True)
class PowerLaw:
    """The fitted law: c and s of all machines, and of each."""

    common: tuple[float, float]
    own: Mapping[str, tuple[float, float]]

    def watts(self, run: PowerRun) -> float:
        """Return the power of a run, from its utilization and its machine's power at rest."""
        base, slope = self.own.get(run.platform, self.common)
        return run.idle * max(1.0, 1 + base + slope * run.utilization)


def read_runs(rows: Iterable[Row], machine_of: Callable[[str], Platform]) -> tuple[PowerRun, ...]:
    """Return the runs of a table that have a power, a throughput and a peak, and drew no less than at rest.

    Args:
        rows: Rows as `roofline.validate.studies.qutibench.rows` gives them.
        machine_of: Returns the platform of a key; its power at rest stands in where a row states none.
    """
    found: list[PowerRun] = []
    for row in rows:
        machine = machine_of(row["platform"])
        idle = machine.idle_power or row.get("idle_power_w")
        # Of a run that drew less than the machine at rest another thing was measured than rests.
        if not row.get("peak_fps") or not idle or (row.get("power_w") or 0.0) < idle:
            continue
        share = min(row["measured_fps"] / row["peak_fps"], 1.0)
        variant = f"{row['network']} {row['datatype']} {row['pruning']}"
        found.append(
            PowerRun(
                row["platform"], row["network"], variant, share, row["power_w"], idle, machine.tdp
            )
        )
    most: dict[str, float] = {}
    for run in found:
        most[run.platform] = max(most.get(run.platform, 0.0), run.watts)
    return tuple(replace(run, full=most[run.platform]) for run in found)


def fit(runs: Sequence[PowerRun]) -> PowerLaw:
    """Fit the law: least squares of relative errors, shrunken."""
    machines = sorted({run.platform for run in runs})
    place = {name: 2 * i + 2 for i, name in enumerate(machines)}
    design = np.zeros((len(runs), 2 + 2 * len(machines)))
    for row, run in zip(design, runs, strict=True):
        own = place[run.platform]
        row[0] = row[own] = 1.0
        row[1] = row[own + 1] = run.utilization
    relative = np.asarray([run.idle / run.watts for run in runs])
    target = 1 - relative
    design *= relative[:, None]
    deviations = np.asarray([COMMON, COMMON] + [OWN_BASE, OWN_SLOPE] * len(machines))
    tight = np.diag((SPREAD / deviations) ** 2)
    found: Floats = np.asarray(
        np.linalg.solve(design.T @ design + tight, design.T @ target), np.float64
    )
    own = {
        name: (float(found[0] + found[at]), float(found[1] + found[at + 1]))
        for name, at in place.items()
    }
    return PowerLaw((float(found[0]), float(found[1])), own)


def estimate(train: Sequence[PowerRun], run: PowerRun) -> float:
    """Return the power by the fitted law."""
    return fit(train).watts(run)


def constant(train: Sequence[PowerRun], run: PowerRun) -> float:
    """Return one constant for each machine: the median of its other runs; without any, that of all over idle."""
    own = [other.watts for other in train if other.platform == run.platform]
    return median(own) if own else run.idle * median(other.watts / other.idle for other in train)


def of_tdp(train: Sequence[PowerRun], run: PowerRun) -> float | None:
    """Return the share of the thermal design power that other machines draw; None where there is no such figure."""
    if run.tdp is None:
        return None
    machines: dict[str, list[float]] = {}
    for other in train:
        if other.tdp:
            machines.setdefault(other.platform, []).append(other.watts / other.tdp)
    return run.tdp * median(median(shares) for shares in machines.values())


def tdp(_: Sequence[PowerRun], run: PowerRun) -> float | None:
    """Return the thermal design power itself, a bound."""
    return run.tdp


def between(_: Sequence[PowerRun], run: PowerRun) -> float | None:
    """Return what `predict` says of a machine whose power at rest and under full load is known."""
    return Draw(run.tdp, run.idle, run.full).at(run.utilization)


def proportional(_: Sequence[PowerRun], run: PowerRun) -> float | None:
    """Return the power where what lies between idle and full goes with the utilization alone."""
    return None if run.full is None else run.idle + run.utilization * (run.full - run.idle)


Estimator = Callable[[Sequence[PowerRun], PowerRun], float | None]

ESTIMATORS: Mapping[str, Estimator] = {
    "idle + utilization, shrunken": estimate,
    "one constant per machine": constant,
    "share of the TDP": of_tdp,
    "TDP": tdp,
    "idle to full, half and utilization": between,
    "idle to full, utilization": proportional,
}
"""By name; the last four need no runs of the machine, nor of others but the third."""
LEFT: Mapping[str, Callable[[PowerRun], str]] = {
    "variant": lambda run: run.variant,
    "network": lambda run: run.network,
    "machine": lambda run: run.platform,
}
"""What is left out as one: a variant of a network on all machines, a network, a machine with all its modes apart."""


def estimate_left_out(
    runs: Sequence[PowerRun], leave: str, estimator: Estimator
) -> list[tuple[PowerRun, float]]:
    """Return each run that has an estimate beside it, by a fit that has not seen what it is of.

    Args:
        runs: All runs.
        leave: One of `LEFT`.
        estimator: Returns the power of a run from others.
    """
    of = LEFT[leave]
    found: list[tuple[PowerRun, float]] = []
    for label in sorted({of(run) for run in runs}):
        train = [run for run in runs if of(run) != label]
        if estimator is estimate:
            law = fit(train)
            found += [(run, law.watts(run)) for run in runs if of(run) == label]
            continue
        for run in runs:
            watts = estimator(train, run) if of(run) == label else None
            if watts is not None:
                found.append((run, watts))
    return found


def score(pairs: Sequence[tuple[PowerRun, float]]) -> dict[str, float | int]:
    """Return the errors of estimates, shares, and the range around them that holds eight of ten runs.

    ``machines_mape`` is the mean of each machine's, ``mape`` that of all runs.
    """
    off = np.asarray([np.log(watts / run.watts) for run, watts in pairs])
    error = np.abs(np.expm1(off))
    machines = np.asarray([run.platform for run, _ in pairs])
    low, high = np.quantile(off, (0.1, 0.9))
    return {
        "n": len(pairs),
        "machines": len(set(machines)),
        "machines_mape": float(
            np.mean([error[machines == name].mean() for name in set(machines)])
        ),
        "mape": float(error.mean()),
        "median_ape": float(np.median(error)),
        "within_20": float((error <= 0.2).mean()),
        "bias": float(np.exp(off.mean())),
        "width": float(np.exp(high - low)),
    }
