"""Chart ``scatter``: predicted over measured throughput, a panel for each class of machines."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from statistics import median

from roofline.chart import _axes as axes
from roofline.chart import _style as style
from roofline.chart._base import Chart
from roofline.chart._panels import draw_panels, grid_size
from roofline.chart._registry import Options, chart
from roofline.chart._table import RATE, amount, check_rows, distinct_values, rate_of
from roofline.number_format import plural
from roofline.tables import Column, Record, Row

COLUMNS = (
    amount("predicted_fps", "predicted throughput in frames per second"),
    amount("fps", "measured throughput in frames per second", required=False),
    amount("measured_fps", "the same, as comparisons name it", required=False),
    Column("machine_class", "class of the machine: a panel each", required=False),
    Column("platform", "the machine, where the rows name no class", required=False),
    Column("runtime", "what ran it: a colour each", required=False),
    Column("backend", "the same, as comparisons name it", required=False),
    Column("early", "True of runs from before those of the fit: a panel beside", required=False),
    RATE,
)
_ACROSS = 3
_SIDES = (3.3, 3.3)
_FEW = 12
"""Names that a legend has room for."""


@dataclass(frozen=True, slots=True)
class Panel(Chart):
    """The runs of one class: runtime, measured and predicted throughput."""

    name: str
    points: tuple[tuple[str, float, float], ...]
    colours: Mapping[str, str]
    """Of each runtime, the same in every panel."""
    rate: str = "frames/s"
    """What the throughputs count."""

    @property
    def factor(self) -> float:
        """The typical factor between the two: exp of the median of |log(predicted / measured)|."""
        return math.exp(
            median(abs(math.log(predicted / measured)) for _, measured, predicted in self.points)
        )

    def records(self) -> list[Record]:
        """Return one row."""
        return [{"class": self.name, "n": len(self.points), "factor": self.factor}]

    def size(self) -> tuple[float, float]:
        """Return the size in inches."""
        return _SIDES

    def draw(self, ax: axes.Drawing) -> None:
        """Draw a point a run, the line of equality, and lines at a factor of two to both sides of it."""
        ends = [end for _, measured, predicted in self.points for end in (measured, predicted)]
        low, high = min(ends) / 1.5, max(ends) * 1.5
        for factor, look in ((1.0, "-"), (2.0, ":"), (0.5, ":")):
            ax.plot(
                [low, high], [factor * low, factor * high], look, color=style.INK, lw=0.8, zorder=2
            )
        names = distinct_values(name for name, _, _ in self.points)
        for name in names:
            own = [(measured, predicted) for of, measured, predicted in self.points if of == name]
            ax.scatter(
                [measured for measured, _ in own], [predicted for _, predicted in own],
                s=5, lw=0, alpha=0.35, color=self.colours[name],
                label=name or None, rasterized=len(own) > 500, zorder=3,
            )  # fmt: skip
        axes.set_log_axes(ax, self.name, f"measured, {self.rate}", f"predicted, {self.rate}")
        ax.set(xlim=(low, high), ylim=(low, high), aspect="equal")
        ax.annotate(f"{plural(len(self.points), 'run')}, factor {self.factor:.2f}", (1, 0), xycoords="axes fraction",
                    xytext=(-4, 4), textcoords="offset points", ha="right", fontsize=7.5)  # fmt: skip
        if any(names) and len(names) <= _FEW:
            legend = ax.legend(
                fontsize=7.5, markerscale=2, loc="upper left", frameon=False, handletextpad=0.1
            )
            for handle in legend.legend_handles:
                handle.set_alpha(1.0)


@dataclass(frozen=True, slots=True)
class Scatter(Chart):
    """Panels of classes."""

    panels: tuple[Panel, ...]

    def records(self) -> list[Record]:
        """Return one row per class."""
        return [row for panel in self.panels for row in panel.records()]

    def size(self) -> tuple[float, float]:
        """Return the size in inches."""
        return grid_size(self.panels, _ACROSS) if self.panels else _SIDES

    def draw(self, ax: axes.Drawing) -> None:
        """Draw a panel for each class."""
        draw_panels(ax, self.panels, _ACROSS, self.title)


@chart(
    "scatter", "predicted over measured throughput, a panel for each class of machines", COLUMNS
)
def compute(rows: Iterable[Row], _options: Options) -> Scatter:
    """Return the chart of rows as ``roofline score --rows`` writes them; those without a prediction are left aside.

    Raises:
        TableError: A column is missing or a cell is no number.
    """
    table = [
        row
        for row in check_rows(rows, COLUMNS, "scatter")
        if row["predicted_fps"] and (row["fps"] or row["measured_fps"])
    ]
    of = [_panel_of(row) for row in table]
    runtimes = [row["runtime"] or row["backend"] or "" for row in table]
    colours = style.colours(runtimes)
    panels = tuple(
        Panel(
            name,
            tuple(
                (runtime, row["fps"] or row["measured_fps"], row["predicted_fps"])
                for row, runtime, own in zip(table, runtimes, of, strict=True)
                if own == name
            ),
            colours,
            rate_of(row for row, own in zip(table, of, strict=True) if own == name),
        )
        for name in distinct_values(of)
    )  # fmt: skip
    return Scatter(panels)


def _panel_of(row: Row) -> str:
    name = str(row["machine_class"] or row["platform"] or "")
    if str(row["early"]).casefold() != "true":
        return name
    return f"{name}, early" if name else "early"
