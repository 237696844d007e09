"""Fits laws to tables of runs of decoders, with their errors on machines that were left out."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from roofline.model.decoder_laws import FittedLaw
from roofline.model.sum_law import Floats, Runs, balance, fit, half_width, leave_out
from roofline.validate.evidence.decoder_rows import INSTALLATION, SETUP, QuantityRows, Table

_FEWEST = 30
"""Runs that a class needs for a spread of its own within installations, of at least four machines."""
_MACHINES = 4
_OWN = 0.7
"""Share of what a machine's runs differ by that further runs of it have: of 0, 0.3, 0.5, 0.7 and 1 the best for runs
that other sources measured on the same machine."""
_BORROWED = 2.0
"""What the runs of all other classes count beside a class's own, where a machine of n runs counts as the root of n."""


def fit_laws(table: Table) -> dict[str, FittedLaw]:
    """Return the laws of a table: of all its rows, with the errors on machines that were left out."""
    laws: dict[str, FittedLaw] = {}
    for entry in leave_machines_out(table):
        rows, off = entry.rows, entry.off
        machines = np.array(rows.machines)
        own = np.array(rows.join_columns(*INSTALLATION))
        alike = None if rows.by_class else rows.together
        groups, counts = np.array(rows.groups), balance(machines.tolist())
        widths = {
            "other": half_width(off, weights=counts)
            if rows.by_class
            else half_width(off, together=alike)
        }
        within = {"other": _within(off, own)}
        rest = np.ones(len(off), np.bool_)
        for group in sorted(set(groups.tolist())) if rows.by_class else []:
            chosen = groups == group
            widths[group] = class_width(off, counts, chosen)
            if chosen.sum() >= _FEWEST and len(set(machines[chosen].tolist())) >= _MACHINES:
                within[group] = _within(off[chosen], own[chosen])
                rest &= ~chosen
        if rest.any() and not rest.all():
            within["other"] = _within(off[rest], own[rest])
        law = fit(entry.runs, entry.measured, rows.priors, counts)
        own = {} if table.many else own_shifts(entry, entry.measured - law.log_times(entry.runs))
        laws[rows.quantity] = FittedLaw(
            law, widths, within, tuple(sorted(set(machines.tolist()))), len(off), table.sha256,
            own, 1.0 if table.many else known_width(entry),
        )  # fmt: skip
    return laws


def own_shifts(entry: MachineHoldout, off: Floats) -> dict[str, float]:
    """Return by machine how its runs differ from a law, the more of it the more decoders and formats were run.

    Args:
        entry: The runs.
        off: Logarithms of measured over predicted times.
    """
    machines = np.array(entry.rows.machines)
    return {
        str(machine): round(_shift(entry, off, machines == machine), 4)
        for machine in sorted(set(machines.tolist()))
    }


def known_width(entry: MachineHoldout) -> float:
    """Return what is left of widths where a machine's runs by other sources than a run's own are known."""
    machines, sources = (
        np.array(entry.rows.machines),
        np.array(entry.rows.join_columns("source", "host")),
    )
    before: list[float] = []
    after: list[float] = []
    for place, off in enumerate(entry.off):
        others = (machines == machines[place]) & (sources != sources[place])
        if others.any():
            before.append(abs(off))
            after.append(abs(off - _shift(entry, entry.off, others)))
    if not before:
        return 1.0
    return round(float(np.quantile(after, 0.8) / np.quantile(before, 0.8)), 3)


def _shift(entry: MachineHoldout, off: Floats, chosen: NDArray[np.bool_]) -> float:
    by_format: dict[tuple[str, str], list[float]] = {}
    for key, each, there in zip(entry.formats, off, chosen, strict=True):
        if there:
            by_format.setdefault(key, []).append(float(each))
    count = len(by_format)
    middle = sum(sum(each) / len(each) for each in by_format.values()) / count
    return _OWN * count / (count + 1) * middle


@dataclass(frozen=True, slots=True)
class MachineHoldout:
    """Runs by one law, and how far off it is on each when fitted without the run's machine."""

    rows: QuantityRows
    runs: Runs
    measured: Floats
    """Logarithms."""
    off: Floats
    """Logarithms of predicted over measured times."""

    @property
    def formats(self) -> list[tuple[str, str]]:
        """The decoder and its format, of each run."""
        return [
            (row.get("model", ""), row.get("precision", "") or row.get("weight_format", ""))
            for row in self.rows.rows
        ]

    @property
    def installations(self) -> list[str]:
        """The machine with its host and its software, of each run."""
        return self.rows.join_columns(*SETUP)


def leave_machines_out(table: Table) -> Iterator[MachineHoldout]:
    """Yield the steady runs of each quantity that have a basis, with the errors of laws without their machine."""
    for quantity in table.quantities:
        every = table.of(quantity)
        if not every.rows:
            continue
        steady = [
            not why and not late for why, late in zip(every.set_aside, every.queued, strict=True)
        ]
        rows = every.select(np.isfinite(every.measured) & steady)
        runs, measured = rows.runs, rows.measured
        off = leave_out(runs, measured, rows.priors, rows.machines) - measured
        yield MachineHoldout(rows, runs, measured, off)


def class_width(off: Floats, counts: Floats, own: NDArray[np.bool_]) -> float:
    """Return the half-width of a class: of its own runs, and the less of the others' the more it has.

    Args:
        off: Errors of all runs, as logarithms.
        counts: What each counts.
        own: Which are of the class.
    """
    others = float(counts[~own].sum())
    share = min(1.0, _BORROWED / others) if others else 0.0
    return half_width(off, weights=np.where(own, counts, share * counts))


def nested_class_widths(off: Floats, labels: Sequence[str], groups: Sequence[str]) -> Floats:
    """Return of each run the half-width of its class by the errors on all labels but its own.

    Args:
        off: Errors as logarithms, each of a law that was fitted without the run's own label; NaN where none is known.
        labels: What was left out as one.
        groups: The class of each.
    """
    marks, classes, counts = np.array(labels), np.array(groups), balance(labels)
    widths = {
        (label, group): class_width(
            off[marks != label], counts[marks != label], classes[marks != label] == group
        )
        for label, group in set(zip(labels, groups, strict=True))
    }
    return np.array([widths[run] for run in zip(labels, groups, strict=True)])


def _within(off: Floats, places: NDArray[np.str_]) -> float:
    """Return the logarithmic half-width that holds 80 % of errors around the middle of their own installation's.

    The middle is the median, which a run that went wrong does not move.
    """
    inner: list[Floats] = []
    for label in sorted(set(places.tolist())):
        own = off[places == label]
        if len(own) > 1:
            # A middle is nearer to its own runs than to others.
            inner.append((own - np.median(own)) * math.sqrt(len(own) / (len(own) - 1)))
    return half_width(np.concatenate(inner)) if inner else 0.0
