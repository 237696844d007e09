"""Fits laws to tables of runs of decoders, with their errors on machines that were left out."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from roofline.model.decoder_laws import FittedLaw
from roofline.model.sum_law import Floats, Runs, balance, fit, half_width, leave_out
from roofline.validate.evidence import served
from roofline.validate.evidence.decoder_rows import (
    INSTALLATION,
    SETUP,
    Row,
    Table,
    group_of,
    label_of,
    measured_times,
    places_of,
    room,
    runs_of,
    served_together,
    set_aside,
)

_FEWEST = 30
"""Runs that a group needs for an interval of its own, of at least four machines."""
_MACHINES = 4


def fitted(table: Table) -> dict[str, FittedLaw]:
    """Return the laws of a table: of all its rows, with the errors on machines that were left out."""
    laws: dict[str, FittedLaw] = {}
    for entry in left_out(table):
        quantity, rows, off = entry.quantity, entry.rows, entry.off
        machines = np.array(entry.machines)
        own = np.array(["|".join(row.get(name, "") for name in INSTALLATION) for row in rows])
        alike = [served_together(row) for row in rows] if table.many else None
        widths = {"other": half_width(off, together=alike)}
        within = {"other": _within(off, own)}
        groups = np.array(entry.groups)
        rest = np.ones(len(rows), np.bool_)
        for group in sorted(set(groups.tolist())):
            chosen = groups == group
            if chosen.sum() >= _FEWEST and len(set(machines[chosen].tolist())) >= _MACHINES:
                widths[group] = half_width(off[chosen])
                within[group] = _within(off[chosen], own[chosen])
                rest &= ~chosen
        if rest.any() and not rest.all():
            widths["other"] = half_width(off[rest])
            within["other"] = _within(off[rest], own[rest])
        laws[quantity] = FittedLaw(
            fit(entry.runs, entry.measured, room(quantity).PRIORS[quantity], balance(machines.tolist())),
            widths, within, tuple(sorted(set(machines.tolist()))), len(rows), table.sha256,
        )  # fmt: skip
    return laws


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Runs by one law, and how far off it is on each when fitted without the run's machine."""

    quantity: str
    rows: tuple[Row, ...]
    runs: Runs
    measured: Floats
    """Logarithms."""
    off: Floats
    """Logarithms of predicted over measured times."""

    @property
    def machines(self) -> list[str]:
        """The machine or system, of each run."""
        return [label_of(row, self.quantity, "silicon") for row in self.rows]

    @property
    def groups(self) -> list[str]:
        """By which intervals are."""
        return [group_of(row, self.quantity) for row in self.rows]

    @property
    def formats(self) -> list[tuple[str, str]]:
        """The decoder and its format, of each run."""
        return [
            (row.get("model", ""), row.get("precision", "") or row.get("weight_format", ""))
            for row in self.rows
        ]

    @property
    def installations(self) -> list[str]:
        """The machine with its host and its software, of each run."""
        return ["|".join(row.get(name, "") for name in SETUP) for row in self.rows]


def left_out(table: Table) -> Iterator[LeftOut]:
    """Yield the steady runs of each quantity that have a basis, with the errors of laws without their machine."""
    for quantity in table.quantities:
        places = [
            place
            for place in places_of(table, quantity)
            if quantity != "ttft" or not served.queued(table.rows[place])
        ]
        rows = [table.rows[place] for place in places]
        measured = measured_times(rows, quantity)
        known = np.isfinite(measured) & [not why for why in set_aside(rows, quantity)]
        rows = [row for row, there in zip(rows, known, strict=True) if there]
        runs, measured = runs_of(rows, quantity), measured[known]
        machines = [label_of(row, quantity, "silicon") for row in rows]
        off = leave_out(runs, measured, room(quantity).PRIORS[quantity], machines) - measured
        yield LeftOut(quantity, tuple(rows), runs, measured, off)


def _within(off: Floats, places: NDArray[np.str_]) -> float:
    """Return the logarithmic half-width that holds 80 % of errors around the mean of their own installation's."""
    inner: list[Floats] = []
    for label in sorted(set(places.tolist())):
        own = off[places == label]
        if len(own) > 1:
            # A mean is nearer to its own runs than to others.
            inner.append((own - own.mean()) * math.sqrt(len(own) / (len(own) - 1)))
    return half_width(np.concatenate(inner)) if inner else 0.0
