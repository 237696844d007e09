"""Chart ``heatmap``: throughput of networks on machines as coloured cells with numbers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from roofline.chart import _axes as axes
from roofline.chart import _style as style
from roofline.chart._base import Chart
from roofline.chart._labels import text_width
from roofline.chart._registry import PLAIN, Options, chart
from roofline.chart._table import (
    RATE,
    amounts,
    check_rows,
    distinct_values,
    label,
    rate_of,
    varying_columns,
    words,
)
from roofline.tables import Column, Holds, Record, Row

COLUMNS = (
    *words("network", "platform"),
    *words("datatype", "pruning", "batch", required=False),
    *amounts("predicted_fps"),
)
_MEANINGS = {
    "predicted_fps": "frames/s, predicted",
    "measured_fps": "frames/s, measured",
    "latency_ms": "latency, ms",
    "fps_per_w": "frames/s per watt",
    "energy_mj": "energy, mJ per frame",
    "efficiency": "measured / predicted",
    "achieved_percent": "percent of the expected speed-up",
    "median_ms": "median time, ms",
}


@dataclass(frozen=True, slots=True)
class Heatmap(Chart):
    """Cells of one value."""

    cells: tuple[tuple[str, str, float], ...]
    """Row (machine), column (network) and value."""
    value: str = "predicted_fps"
    title: str = ""
    rate: str = "frames/s"
    """What rates count."""
    across: tuple[str, ...] = ()
    """Columns that come first, in their order."""

    @property
    def machines(self) -> list[str]:
        """The rows, in the order they first come in."""
        return distinct_values(machine for machine, _, _ in self.cells)

    @property
    def networks(self) -> list[str]:
        """The columns: those of `across`, then the others in the order they first come in."""
        named = distinct_values(network for _, network, _ in self.cells)
        first = [name for name in self.across if name in named]
        return [*first, *(name for name in named if name not in first)]

    def records(self) -> list[Record]:
        """Return one row per cell."""
        return [
            {"platform": machine, "network": network, self.value: value}
            for machine, network, value in self.cells
        ]

    def size(self) -> tuple[float, float]:
        """Return the size in inches."""
        labels = 0.075 * max((len(name) for name in self.machines), default=0)
        return max(5.0, 0.58 * len(self.networks) + labels + 1.6), max(
            3.0, 0.33 * len(self.machines) + 1.7
        )

    def _column(self) -> float:
        """Return the least width of a column in inches."""
        labels = 0.075 * max((len(name) for name in self.machines), default=0)
        return max(0.58, (5.0 - labels - 1.6) / len(self.networks))

    def draw(self, ax: axes.Drawing) -> None:
        """Draw the cells with a logarithmic colour scale; empty ones stay grey."""
        import numpy as np
        from matplotlib.colors import LogNorm

        machines, networks = self.machines, self.networks
        # A wide figure is shown smaller.
        legible = max(7.5, 0.74 * self.size()[0])
        grid = np.full((len(machines), len(networks)), np.nan)
        for machine, network, value in self.cells:
            grid[machines.index(machine), networks.index(network)] = value
        low, high = float(np.nanmin(grid)), float(np.nanmax(grid))
        norm = LogNorm(low / 1.05, high * 1.05)
        image = ax.pcolormesh(
            np.ma.masked_invalid(grid),
            norm=norm,
            cmap="viridis",
            edgecolors="white",
            linewidth=1.0,
        )
        ax.set_facecolor("#EEEEEE")
        for (row, column), value in np.ndenumerate(grid):
            if not np.isnan(value):
                dark = float(norm(float(value))) < 0.6
                ax.text(column + 0.5, row + 0.5, style.shorten(float(value)), ha="center", va="center",
                        fontsize=legible, color="white" if dark else "black")  # fmt: skip
        labelled = max(8, legible)
        across = max(text_width(name, labelled) for name in networks) + 4 <= 72 * self._column()
        ax.set_xticks(
            np.arange(len(networks)) + 0.5,
            networks,
            rotation=0 if across else 40,
            ha="center" if across else "right",
            rotation_mode="anchor",
        )
        ax.set_yticks(np.arange(len(machines)) + 0.5, machines)
        ax.invert_yaxis()
        ax.tick_params(length=0, labelsize=labelled)
        ax.grid(visible=False)
        for side in ax.spines.values():
            side.set_visible(False)
        axes.set_titles(ax, self.title)
        figure = ax.get_figure()
        if figure is not None:
            bar = figure.colorbar(image, ax=ax, pad=0.02, fraction=0.05)
            gaps = "; grey: none" if np.isnan(grid).any() else ""
            meaning = _MEANINGS.get(self.value, self.value).replace("frames/s", self.rate)
            bar.set_label(meaning + gaps)
            axes.prefix_numbers(bar.ax.yaxis)
            bar.outline.set_visible(False)


@chart("heatmap", "throughput of networks on machines, coloured cells with numbers", COLUMNS)
def compute(rows: Iterable[Row], options: Options = PLAIN) -> Heatmap:
    """Return the chart of rows as ``predict`` writes them; of several in one cell the greatest is shown.

    Args:
        rows: One per network and machine.
        options: The title; ``value`` names another column than the predicted throughput.

    Raises:
        TableError: A column is missing or a cell is no number.
    """
    value = options.value or "predicted_fps"
    columns = (
        *COLUMNS[:-1],
        Column(value, _MEANINGS.get(value, "value shown"), holds=Holds.POSITIVE),
        RATE,
    )
    table = check_rows(rows, columns, "heatmap")
    across = varying_columns(table, "network", "pruning", "batch")
    down = varying_columns(table, "platform", "datatype")
    cells: dict[tuple[str, str], float] = {}
    for row in table:
        place = label(row, *down), label(row, *across)
        cells[place] = max(cells.get(place, 0.0), row[value])
    return Heatmap(
        tuple((*place, found) for place, found in cells.items()),
        value,
        options.title,
        rate_of(table),
    )
