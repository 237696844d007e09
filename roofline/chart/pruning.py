"""Chart ``pruning``: how operations, weights and intensity fall with the share of channels kept."""

from __future__ import annotations

from dataclasses import dataclass

from roofline.chart import _axes as axes
from roofline.chart import _style as style
from roofline.chart._base import OneSizeChart
from roofline.chart._registry import table_chart
from roofline.chart._table import Table, amount, amounts, distinct_values, words
from roofline.number_format import percent
from roofline.tables import Record

COLUMNS = (
    *words("network"),
    amount("keep_channels", "share of the inner channels that stay, 0 to 1"),
    *amounts("ops", "parameters"),
)
_QUANTITIES = (("operations", 0, "-"), ("weights", 1, "--"), ("operations per weight", 2, ":"))


@dataclass(frozen=True, slots=True)
class PrunedNetwork:
    """One network at several shares of its channels."""

    network: str
    points: tuple[tuple[float, float, float], ...]
    """Share kept, operations, weights; by share, descending."""

    def relative(self) -> list[tuple[float, float, float, float]]:
        """Return share, and operations, weights and operations per weight relative to the greatest share."""
        _, ops, weights = self.points[0]
        return [
            (keep, o / ops, w / weights, (o / w) / (ops / weights)) for keep, o, w in self.points
        ]


@dataclass(frozen=True, slots=True)
class PruningChart(OneSizeChart):
    """Requirements over the share of channels kept."""

    networks: tuple[PrunedNetwork, ...]

    def records(self) -> list[Record]:
        """Return one row per network and share."""
        return [
            {
                "network": entry.network, "keep_channels": keep, "ops_share": ops, "weights_share": weights,
                "intensity_share": intensity,
            }
            for entry in self.networks
            for keep, ops, weights, intensity in entry.relative()
        ]  # fmt: skip

    def size(self) -> tuple[float, float]:
        """Return the size in inches."""
        return 8.0, 4.8

    def draw(self, ax: axes.Drawing) -> None:
        """Draw, relative to the unpruned network, a line for each quantity beside the square of the share."""
        from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

        colour = style.colours(entry.network for entry in self.networks)
        for entry in self.networks:
            rows = entry.relative()
            for _, field, dash in _QUANTITIES:
                ax.plot([row[0] for row in rows], [row[field + 1] for row in rows], dash, marker="o", ms=4,
                        color=colour[entry.network], lw=1.4)  # fmt: skip
        keeps = sorted({keep for entry in self.networks for keep, _, _ in entry.points})
        ax.plot(keeps, [keep**2 for keep in keeps], color="#BBBBBB", lw=4, alpha=0.5, zorder=1)
        ax.set(xscale="log", yscale="log")
        ax.invert_xaxis()
        ax.xaxis.set_major_locator(FixedLocator(keeps))
        ax.xaxis.set_minor_locator(NullLocator())
        ax.xaxis.set_major_formatter(FuncFormatter(_percent))
        ax.yaxis.set_major_formatter(FuncFormatter(_percent))
        axes.set_titles(ax, self.title, "share of channels kept", "share of the unpruned network")
        handles = [
            axes.legend_mark(entry.network, color=colour[entry.network], lw=2, ls="-")
            for entry in self.networks
        ]
        handles += [
            axes.legend_mark(name, color=style.GREY, ls=dash) for name, _, dash in _QUANTITIES
        ]
        handles.append(
            axes.legend_mark("square of the share", color="#BBBBBB", lw=4, alpha=0.5, ls="-")
        )
        axes.outside_legend(ax, handles)


@table_chart(
    "pruning", "operations, weights and intensity over the share of channels kept", COLUMNS
)
def compute(table: Table) -> PruningChart:
    """Return the chart of rows with the requirements of pruned networks."""
    networks = tuple(
        PrunedNetwork(
            name,
            tuple(
                sorted(
                    {
                        (row["keep_channels"], row["ops"], row["parameters"])
                        for row in table
                        if row["network"] == name
                    },
                    reverse=True,
                )
            ),
        )
        for name in distinct_values(row["network"] for row in table)
    )
    return PruningChart(networks)


def _percent(value: float, _: object) -> str:
    return percent(value)
