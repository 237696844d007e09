"""Chart ``agreement``: recomputed figures over published ones, table by table."""

from __future__ import annotations

import math
from dataclasses import dataclass

from roofline.chart import _axes as axes
from roofline.chart import _style as style
from roofline.chart._base import Chart
from roofline.chart._registry import table_chart
from roofline.chart._table import Table, distinct_values
from roofline.tables import Column, Record

COLUMNS = (
    Column("table", "name of the table"),
    Column("cell", "row and column of the figure"),
    Column("agrees", "True or False"),
    Column("published", "the printed figure", required=False),
    Column("ours", "the recomputed figure", required=False),
)
_FARTHEST = 10.0


@dataclass(frozen=True, slots=True)
class Strip:
    """One table: for each cell whether it agrees, and ours over the published figure where both are numbers."""

    table: str
    cells: tuple[tuple[bool, float | None], ...]

    @property
    def has_ratios(self) -> bool:
        """Whether a cell has numbers on both sides; verdicts in words have none."""
        return any(ratio for _, ratio in self.cells)

    @property
    def agree(self) -> int:
        """How many cells agree."""
        return sum(agrees for agrees, _ in self.cells)


@dataclass(frozen=True, slots=True)
class Agreement(Chart):
    """Strips of points, a table to a line."""

    strips: tuple[Strip, ...]

    def records(self) -> list[Record]:
        """Return one row per table."""
        return [
            {"table": strip.table, "cells": len(strip.cells), "agree": strip.agree}
            for strip in self.strips
        ]

    def size(self) -> tuple[float, float]:
        """Return the size in inches."""
        shown = self._strips_with_numbers()
        longest = max((len(strip.table) for strip in shown), default=0)
        return 5.5 + 0.07 * longest, 1.5 + 0.42 * len(shown) + 0.15 * (
            len(self.strips) - len(shown)
        )

    def _strips_with_numbers(self) -> tuple[Strip, ...]:
        """Return the tables that have a line: those with numbers, or all where none has any."""
        return tuple(strip for strip in self.strips if strip.has_ratios) or self.strips

    def draw(self, ax: axes.Drawing) -> None:
        """Draw a point per cell at ours / published: circles agree, crosses do not; the counts at the right."""
        looks = {True: ("o", style.PRACTICE, "agrees"), False: ("x", style.PREDICTED, "does not")}
        shown = self._strips_with_numbers()
        everything = [abs(math.log(ratio)) for strip in shown for _, ratio in strip.cells if ratio]
        reach = min(_FARTHEST, max(1.3, math.exp(1.15 * max(everything, default=0.0))))
        for agrees, (marker, colour, name) in looks.items():
            xs: list[float] = []
            ys: list[float] = []
            for line, strip in enumerate(shown):
                own = [ratio for agreed, ratio in strip.cells if agreed == agrees and ratio]
                # Points of one line are set off from one another in a fixed pattern, so that they can be counted.
                ys += [line + ((7 * i) % 11 - 5) / 18 for i in range(len(own))]
                xs += [min(max(ratio, 1 / reach), reach) for ratio in own]
            ax.scatter(xs, ys, s=16, marker=marker, color=colour, label=name, lw=1.0, alpha=0.75, zorder=3,
                       facecolors="none" if agrees else colour)  # fmt: skip
        for line, strip in enumerate(shown):
            ax.annotate(
                f"{strip.agree} / {len(strip.cells)}", (1, line), xycoords=("axes fraction", "data"), xytext=(6, 0),
                textcoords="offset points", va="center", fontsize=8,
            )  # fmt: skip
        ax.annotate(
            "agree / all", (1, 1), xycoords="axes fraction", xytext=(6, 4), textcoords="offset points", va="bottom",
            fontsize=8, color=style.GREY,
        )  # fmt: skip
        ax.axvline(1.0, color=style.INK, lw=0.8, zorder=2)
        ax.set_xscale("log")
        ax.set_xlim(1 / reach / 1.05, reach * 1.05)
        self._ticks(ax, reach)
        ax.set_yticks(range(len(shown)), [strip.table for strip in shown])
        ax.set_ylim(len(shown) - 0.5, -0.5)
        ax.grid(visible=False, axis="y")
        beyond = f" (beyond {reach:g} drawn at the edge)" if reach == _FARTHEST else ""
        # What is decided in words has no place on the axis.
        words = [
            f"{strip.table}: {strip.agree} / {len(strip.cells)} agree"
            for strip in self.strips
            if strip not in shown
        ]
        axes.set_titles(ax, self.title, "\n".join([f"ours / published{beyond}", *words]))
        axes.legend_above(ax, self.title)

    def _ticks(self, ax: axes.Drawing, reach: float) -> None:
        from matplotlib.ticker import NullLocator

        steps = (1.1, 1.2, 1.5, 2.0, 3.0, 5.0, 10.0)
        shown = [step for step in steps if step <= reach * 1.001]
        # Neighbours keep a distance.
        shown = shown[-3:] if len(shown) > 3 else shown
        ticks = [*(1 / step for step in reversed(shown)), 1.0, *shown]
        ax.set_xticks(ticks, [f"{tick:.2g}" for tick in ticks])
        ax.xaxis.set_minor_locator(NullLocator())


@table_chart("agreement", "recomputed figures over published ones, table by table", COLUMNS)
def compute(table: Table) -> Agreement:
    """Return the chart of rows as ``roofline reproduce --format csv`` writes them."""
    strips = tuple(
        Strip(
            name,
            tuple(
                (row["agrees"].lower() in {"true", "yes", "1"}, _ratio(row["ours"], row["published"]))
                for row in table
                if row["table"] == name
            ),
        )
        for name in distinct_values(row["table"] for row in table)
    )  # fmt: skip
    return Agreement(strips)


def _ratio(ours: str | None, published: str | None) -> float | None:
    """Return ours / published where both are positive numbers; verdicts in words have no ratio."""
    try:
        ratio = float(ours or "") / float(published or "")
    except (ValueError, ZeroDivisionError):
        return None
    return ratio if 0 < ratio < math.inf else None
