"""Chart ``requirements``: operations and weights of networks."""

from __future__ import annotations

from dataclasses import dataclass

from roofline.chart import _axes as axes
from roofline.chart import _style as style
from roofline.chart._base import Chart
from roofline.chart._registry import table_chart
from roofline.chart._table import Table, amounts, distinct_values, label, varying_columns, words
from roofline.tables import Record

COLUMNS = (
    *words("network"),
    *words("pruning", required=False),
    *amounts("ops", "parameters"),
)


@dataclass(frozen=True, slots=True)
class Requirements(Chart):
    """Operations and weights, one network a row."""

    networks: tuple[tuple[str, float, float], ...]
    """Name, operations per frame, weight elements."""

    def records(self) -> list[Record]:
        """Return one row per network."""
        return [
            {"network": name, "ops": ops, "parameters": weights, "ops_per_weight": ops / weights}
            for name, ops, weights in self.networks
        ]

    def size(self) -> tuple[float, float]:
        """Return the size in inches."""
        return 7.5, max(2.6, 0.42 * len(self.networks) + 1.3)

    def draw(self, ax: axes.Drawing) -> None:
        """Draw two bars for each network on one logarithmic axis of counts."""
        series = (("operations per frame", 1, style.PRACTICE), ("weights", 2, style.THEORY))
        height = 0.38
        floor = min(min(ops, weights) for _, ops, weights in self.networks) / 3
        top = max(max(ops, weights) for _, ops, weights in self.networks)
        for offset, (name, field, colour) in zip((-height / 2, height / 2), series, strict=True):
            values = [float(row[field]) for row in self.networks]
            places = [i + offset for i in range(len(values))]
            ax.barh(
                places,
                [v - floor for v in values],
                height * 0.92,
                left=floor,
                color=colour,
                label=name,
                zorder=2,
            )
            for place, value in zip(places, values, strict=True):
                ax.annotate(style.shorten(value), (value, place), xytext=(3, 0), textcoords="offset points",
                            va="center", fontsize=7)  # fmt: skip
        ax.set_xscale("log")
        ax.set_xlim(floor, top * (top / floor) ** 0.1)
        ax.set_yticks(range(len(self.networks)), [name for name, _, _ in self.networks])
        ax.set_ylim(len(self.networks) - 0.45, -0.55)
        axes.finish_bars(ax, self.title, "count", columns=2)


@table_chart("requirements", "operations and weights of networks as bars", COLUMNS)
def compute(table: Table) -> Requirements:
    """Return the chart of rows as ``count`` writes its totals."""
    names = varying_columns(table, "network", "pruning")
    networks = ((label(row, *names), row["ops"], row["parameters"]) for row in table)
    return Requirements(tuple(distinct_values(networks)))
