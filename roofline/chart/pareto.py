"""Chart ``pareto``: accuracy over throughput or latency, predicted and measured, with their frontiers."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from roofline.chart import _axes as axes
from roofline.chart import _style as style
from roofline.chart._base import OneSizeChart
from roofline.chart._labels import LOWER_LEFT, UPPER_RIGHT, in_lines, place_labels
from roofline.chart._registry import Options, chart
from roofline.chart._table import (
    INTERVAL,
    Cells,
    amount,
    amounts,
    check_rows,
    distinct_values,
    interval_of,
    label,
    varying_columns,
    words,
)
from roofline.errors import OptionError
from roofline.tables import Column, Holds, Record, Row

COLUMNS = (
    *words("network", "platform"),
    *words("datatype", "pruning", "batch", "backend", required=False),
    Column("task", "data set of the accuracy; accuracies compare within one", required=False),
    Column("accuracy", "accuracy in percent", holds=Holds.PERCENT),
    *amounts("predicted_fps", "measured_fps", required=False),
    amount("latency_ms", "latency in milliseconds", required=False),
    *INTERVAL,
)

_LINE = 28
"""Characters of a label in one line."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """One configuration: what it costs or gives, and how accurate it is."""

    label: str
    series: str
    """``theoretical`` or ``measured``."""
    value: float
    """Frames per second, or milliseconds."""
    accuracy: float
    """Percent."""
    task: str = ""
    batch: str = ""
    """The batch the value is of."""
    interval: tuple[float, float] | None = None
    """What a real run is expected within, for theoretical throughput."""
    machine: str = ""

    def name(self) -> str:
        """Return the label with the batch, where that is another than 1."""
        return f"{self.label} b{self.batch}" if self.batch not in {"", "1"} else self.label


@dataclass(frozen=True, slots=True)
class Pareto(OneSizeChart):
    """Configurations and the frontier of those that none beats in both."""

    candidates: tuple[Candidate, ...]
    value: str = "fps"
    """``fps`` (more is better) or ``latency_ms`` (less is better)."""

    def records(self) -> list[Record]:
        """Return one row per configuration and series."""
        best = {
            id(entry) for series in ("theoretical", "measured") for entry in self.frontier(series)
        }
        return [
            {
                "label": entry.label, "series": entry.series, "task": entry.task, self.value: entry.value,
                "accuracy": entry.accuracy, "batch": entry.batch, "frontier": id(entry) in best,
            }
            for entry in self.candidates
        ]  # fmt: skip

    def frontier(self, series: str) -> list[Candidate]:
        """Return the configurations of a series that no other of their task beats, by accuracy."""
        return [
            entry
            for task in distinct_values(entry.task for entry in self.candidates)
            for entry in _frontier(
                [
                    entry
                    for entry in self.candidates
                    if entry.series == series and entry.task == task
                ],
                more_is_better=self.value == "fps",
            )
        ]

    def _along(self) -> list[tuple[float, float]]:
        """Return points along the frontiers, which labels should not cover."""
        found: list[tuple[float, float]] = []
        for series in ("measured", "theoretical"):
            for left, right in pairwise(self.frontier(series)):
                if left.task == right.task:
                    found += [
                        (
                            left.value ** (1 - t / 20) * right.value ** (t / 20),
                            left.accuracy + (right.accuracy - left.accuracy) * t / 20,
                        )
                        for t in range(1, 20)
                    ]
        return found

    def _count_under(self, entry: Candidate) -> int:
        """Return how many configurations before it have their point at the same place."""
        before = self.candidates[: self.candidates.index(entry)]
        return sum(
            (other.series, other.task, other.accuracy)
            == (entry.series, entry.task, entry.accuracy)
            and math.isclose(other.value, entry.value, rel_tol=1e-3)
            for other in before
        )

    def size(self) -> tuple[float, float]:
        """Return the size in inches."""
        return 9.0, 6.0

    def draw(self, ax: axes.Drawing) -> None:
        """Draw a point per configuration and the frontiers: hollow and dashed in theory, filled and solid measured."""
        looks = {"theoretical": style.THEORY, "measured": style.PRACTICE}
        tasks = distinct_values(entry.task for entry in self.candidates)
        marks = style.markers(tasks)
        ax.set_xscale("log")
        for series, colour in looks.items():
            own = [entry for entry in self.candidates if entry.series == series]
            if not own:
                continue
            for entry in own:
                ink = style.machine_colour(entry.machine)
                # A ring around the points at the same place, so that each machine's colour is seen.
                under = self._count_under(entry)
                ax.plot(
                    [entry.value], [entry.accuracy], marks[entry.task], ms=5 + 3.5 * under, mec=ink, mew=1.1, zorder=3,
                    mfc="none" if series == "theoretical" or under else ink,
                )  # fmt: skip
                if entry.interval is not None:
                    ax.plot(entry.interval, [entry.accuracy] * 2, "|-", color=ink, lw=0.8, ms=5, alpha=0.7,
                            zorder=2)  # fmt: skip
            for task in distinct_values(entry.task for entry in own):
                best = [entry for entry in self.frontier(series) if entry.task == task]
                ax.plot(
                    [entry.value for entry in best], [entry.accuracy for entry in best], color=colour, lw=1.3,
                    ls="--" if series == "theoretical" else "-", zorder=2,
                )  # fmt: skip
        ax.margins(0.06, 0.06)
        unit = "throughput, frames/s" if self.value == "fps" else "latency, ms"
        axes.set_titles(ax, self.title, unit, "accuracy, %")
        axes.prefix_numbers(ax.xaxis)
        axes.outside_legend(ax, self._legend(marks))
        # Those of theory have room above their frontier, which others would take.
        named = [
            entry for series in ("theoretical", "measured") for entry in self.frontier(series)
        ]
        # Between two frontiers there is no room.
        below = len({entry.series for entry in named}) > 1
        place_labels(
            ax, [(entry.value, entry.accuracy) for entry in named], [in_lines(entry.name(), _LINE) for entry in named],
            colours=[style.PRACTICE if entry.series == "measured" else "#A65E00" for entry in named],
            avoid=[*((entry.value, entry.accuracy) for entry in self.candidates), *self._along()],
            fontsize=7, prefer=[LOWER_LEFT if below and entry.series == "measured" else UPPER_RIGHT for entry in named],
        )  # fmt: skip

    def _legend(self, marks: Mapping[str, str]) -> list[Any]:
        entry = axes.legend_mark
        series = {candidate.series for candidate in self.candidates}
        first = next(iter(marks.values()), "o")
        handles = [
            entry(
                name,
                ls=dash,
                color=colour,
                marker=first,
                mfc="none" if dash == "--" else colour,
                ms=5,
            )
            for name, dash, colour in (
                ("theoretical", "--", style.THEORY),
                ("measured", "-", style.PRACTICE),
            )
            if name in series
        ]
        for heading, found in (
            ("task", [(name, {"marker": mark, "color": style.GREY}) for name, mark in marks.items() if name]),
            ("machine", [
                (name, {"marker": "o", "color": style.machine_colour(name)})
                for name in sorted({candidate.machine for candidate in self.candidates} - {""})
            ]),
        ):  # fmt: skip
            handles += [entry(""), entry(heading)] if found else []
            handles += [entry(name, ms=5, **look) for name, look in found]
        return handles


@chart(
    "pareto",
    "accuracy over throughput or latency, predicted and measured, with their frontiers",
    COLUMNS,
)
def compute(rows: Iterable[Row], options: Options) -> Pareto:
    """Return the chart of rows that have an accuracy.

    Args:
        rows: Configurations; of several with the same name the best is taken (the best batch).
        options: The title; ``value`` is ``fps`` (default) or ``latency_ms``.

    Raises:
        OptionError: The value is another.
    """
    value = options.value or "fps"
    if value not in {"fps", "latency_ms"}:
        raise OptionError(f"a pareto chart cannot show {value!r}", repair="Use fps or latency_ms")
    table = check_rows(rows, COLUMNS, "pareto")
    names = varying_columns(table, "network", "pruning", "platform", "datatype", "backend")
    fields = (
        (("theoretical", "predicted_fps"), ("measured", "measured_fps"))
        if value == "fps"
        else (("measured", "latency_ms"),)
    )
    best: dict[tuple[str, str, str], Candidate] = {}
    for row in table:
        for series, field in fields:
            if row[field] is None:
                continue
            entry = Candidate(
                label(row, *names), series, row[field], row["accuracy"], row["task"] or "",
                machine=row["platform"], batch=_batch(row) if series == "measured" else "",
                interval=interval_of(row) if series == "theoretical" else None,
            )  # fmt: skip
            place = entry.label, series, entry.task
            other = best.get(place)
            better = other is None or (
                entry.value > other.value if value == "fps" else entry.value < other.value
            )
            if better:
                best[place] = entry
    return Pareto(tuple(best.values()), value)


def _batch(row: Cells) -> str:
    """Return the batch without the decimals that a table of floats gives it."""
    return str(row["batch"] or "").removesuffix(".0")


def _frontier(entries: Sequence[Candidate], *, more_is_better: bool) -> list[Candidate]:
    sign = 1 if more_is_better else -1
    best: list[Candidate] = []
    for entry in sorted(
        entries, key=lambda entry: (-sign * entry.value, -entry.accuracy, entry.label)
    ):
        if not best or entry.accuracy > best[-1].accuracy:
            best.append(entry)
    return best
