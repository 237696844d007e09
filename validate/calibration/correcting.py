"""Corrects a profile by networks that were measured on its machine: shrunken factors of the time of each class of work.

A class of work, the first part of a kind's name, takes e^c times what the profile says. The c are those under which the
measured times and a prior around zero are likeliest together (Gauss-Newton steps of a penalised least squares in the
logarithm): few networks move them little. How good that is on networks of other families is said beside it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import roofline
from roofline.errors import TableError
from roofline.model.calibrated import profile_of
from roofline.model.machine_profile import Profile
from roofline.model.network_time import calibrated_time
from roofline.reading import real_number
from roofline.spec import load
from roofline.spec._frozen import FrozenDict
from roofline.spec.writing import as_yaml
from roofline.tables import read_table
from roofline.writing import write_whole

Floats = NDArray[np.float64]

COLUMNS = ("network", "latency_ms")
"""What a table of measured networks has to have; ``family`` and ``batch`` where they are known."""
LEAST = 3
"""Networks below which no factor is fitted."""
_PRIOR, _NOISE, _STEPS = 0.2, 0.07, 12
"""Deviations of the logarithm of a factor and of a measurement, and steps to the solution."""
_FIXED = "fixed"


@dataclass(frozen=True, slots=True)
class Run:
    """One measured network."""

    network: str
    family: str
    """Networks of one design; they leave a test together."""
    measured_s: float
    parts: Mapping[str, float]
    """Seconds that the profile says, by class of work; ``fixed`` for the start of a run."""


@dataclass(frozen=True, slots=True)
class Correction:
    """Factors, and what they are worth."""

    factors: Mapping[str, float]
    """By class of work, of its seconds."""
    before: float
    """Mean absolute error of the profile alone, as a share."""
    after: float
    """The same with the factors, on the networks that they come from."""
    left_out: float
    """The same on families that were left out of the fit, each in turn."""
    networks: int
    families: int


def read_runs(path: Path, profile: Profile) -> list[Run]:
    """Return measured networks with what a profile says of each.

    Args:
        path: A CSV with `COLUMNS`: a model's path or a shipped name, and the time of a batch.
        profile: Without corrections.

    Raises:
        TableError: A column is missing, a time is no number above zero, a network stands there twice, or has no basis.
    """
    table = read_table(path, "table of measured networks", COLUMNS)
    found: list[Run] = []
    seen: dict[tuple[str, str], int] = {}
    for place, row in enumerate(table.rows, 1):
        where = f"{path} row {place}"
        batch = row.get("batch") or "1"
        run = (row["network"], batch)
        if run in seen:
            raise TableError(
                f"{where} is the same run as row {seen[run]}", repair="Keep one of the two"
            )
        seen[run] = place
        measured = _above_zero(row["latency_ms"], f"{where}: latency_ms") / 1e3
        work = roofline.load(row["network"])
        time = calibrated_time(work, profile, _above_zero(batch, f"{where}: batch") / work.batch)
        if time is None:
            raise TableError(
                f"{where}: {row['network']} is not fully counted", repair="Leave it out"
            )
        parts: dict[str, float] = {_FIXED: time.run_s}
        for layer in time.layers:
            name = layer.kind.partition(".")[0]
            parts[name] = parts.get(name, 0.0) + layer.estimate.seconds
        family = row.get("family") or Path(row["network"]).stem
        found.append(Run(row["network"], family, measured, parts))
    if len(found) < LEAST:
        raise TableError(
            f"{path} has {len(found)} networks, too few to correct by",
            repair=f"Measure {LEAST} or more",
        )
    return found


def _above_zero(text: str, where: str) -> float:
    value = real_number(text, where, error=TableError)
    if not value > 0:
        raise TableError(f"{where} is {text}", repair="Give a number above zero")
    return value


def correction(runs: Sequence[Run]) -> Correction:
    """Return the factors that runs say, and their error on the runs, with each family left out in turn, and without.

    Args:
        runs: Measured networks, `LEAST` or more.
    """
    factors = _fit(runs)
    apart = np.zeros(len(runs))
    for family in {run.family for run in runs}:
        others = _fit([run for run in runs if run.family != family])
        for place, run in enumerate(runs):
            if run.family == family:
                apart[place] = _log_ratio(run, others)
    return Correction(
        factors=factors,
        before=_mape([_log_ratio(run, {}) for run in runs]),
        after=_mape([_log_ratio(run, factors) for run in runs]),
        left_out=_mape(apart),
        networks=len(runs),
        families=len({run.family for run in runs}),
    )


def correct_file(platform_file: Path, table: Path) -> Correction:
    """Write into a machine's file what networks measured on it say of its profile, in place of what stood there.

    Args:
        platform_file: With the profile of the runs' backend and number of threads, in its default mode.
        table: Measured networks; see `read_runs`.

    Raises:
        NoBasisError: The file has no such profile.
        TableError: The table is not one of measured networks.
    """
    machine = roofline.platform(str(platform_file))
    profile, _ = profile_of(machine)
    found = correction(read_runs(table, replace(profile, corrections={}, spread=1.0)))
    whole = load(platform_file)
    entries = {
        key: entry.model_copy(update={"corrections": FrozenDict(_round(found.factors))})
        if (entry.backend, entry.version, entry.threads)
        == (profile.backend, profile.version, profile.threads)
        else entry
        for key, entry in whole.profiles.items()
    }
    text = as_yaml(whole.model_copy(update={"profiles": FrozenDict(entries)}))
    write_whole(platform_file, text.encode())
    return found


def _round(factors: Mapping[str, float]) -> dict[str, float]:
    return {name: float(f"{factor:.4g}") for name, factor in factors.items()}


def _mape(logarithms: Sequence[float] | Floats) -> float:
    return float(np.abs(np.exp(np.asarray(logarithms, np.float64)) - 1).mean())


def _log_ratio(run: Run, factors: Mapping[str, float]) -> float:
    """Return the logarithm of predicted over measured time."""
    predicted = sum(seconds * factors.get(name, 1.0) for name, seconds in run.parts.items())
    return float(np.log(predicted / run.measured_s))


def _fit(runs: Sequence[Run]) -> dict[str, float]:
    if not runs:
        return {}
    names = sorted({name for run in runs for name in run.parts} - {_FIXED})
    parts = np.array([[run.parts.get(name, 0.0) for name in names] for run in runs])
    fixed = np.array([run.parts.get(_FIXED, 0.0) for run in runs])
    measured: Floats = np.array([run.measured_s for run in runs])
    # Networks of one family say the same thing: together they weigh as the square root of their number.
    count = {run.family: sum(other.family == run.family for other in runs) for run in runs}
    weight = np.array([count[run.family] ** -0.25 for run in runs]) / _NOISE
    logarithms: Floats = np.zeros(len(names))
    for _ in range(_STEPS):
        scaled = parts * np.exp(logarithms)
        total = scaled.sum(axis=1) + fixed
        slope = weight[:, None] * scaled / total[:, None]
        rest = weight * np.log(measured / total)
        left = slope.T @ slope + np.eye(len(names)) / _PRIOR**2
        pull = slope.T @ rest - logarithms / _PRIOR**2
        step = np.asarray(np.linalg.solve(left, pull), np.float64)
        logarithms = logarithms + np.clip(step, -0.5, 0.5)
    return {name: float(np.exp(value)) for name, value in zip(names, logarithms, strict=True)}
