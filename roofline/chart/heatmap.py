"""Chart ``heatmap``: throughput of networks on machines as coloured cells with numbers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from roofline.chart import _axes as axes
from roofline.chart import _style as style
from roofline.chart._base import Chart
from roofline.chart._labels import text_width
from roofline.chart._registry import Options, chart
from roofline.chart._table import (
    RATE,
    amount,
    amounts,
    check_rows,
    distinct_values,
    label,
    rate_of,
    varying_columns,
    words,
)
from roofline.tables import Record, Row

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

_LEAST = 1e-30
"""Share of the largest value below which cells have the colour of the least."""
_NUMBERED = 600
"""Cells with a number in each; more are small, and told by their colour alone."""

_LARGE = 100
"""Rows or columns beyond which cells are small, too."""

_SMALL = 8.0
"""Points of names beside cells without numbers."""

_SIDES = (0.58, 0.33), (0.15, 0.15)
"""Width and height of a cell in inches, with a number in it and without."""


@dataclass(frozen=True, slots=True)
class Heatmap(Chart):
    """Cells of one value."""

    cells: tuple[tuple[str, str, float], ...]
    """Row (machine), column (network) and value."""
    value: str = "predicted_fps"
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

    @property
    def most_rows(self) -> int:
        """A hundred machines by a hundred networks: colours are seen in smaller cells than numbers are."""
        return 10_000

    @property
    def has_numbers(self) -> bool:
        """Whether each cell has its number."""
        longest = max(len(self.machines), len(self.networks))
        return len(self.cells) <= _NUMBERED and longest <= _LARGE

    def size(self) -> tuple[float, float]:
        """Return the size in inches."""
        (width, height), labels = self._cell(), self._labels()
        across = labels[0] + 1.6 + width * len(self.networks)
        return max(5.0, across), max(3.0, labels[1] + 1.7 + height * len(self.machines))

    def _cell(self) -> tuple[float, float]:
        return _SIDES[0] if self.has_numbers else _SIDES[1]

    def _labels(self) -> tuple[float, float]:
        """Return the room in inches that names of machines take beside the cells, and upright names below."""
        below = [] if self.has_numbers else self.networks
        beside, under = (max(map(len, names), default=0) for names in (self.machines, below))
        return 0.075 * beside, 0.075 * under

    def _column(self) -> float:
        """Return the least width of a column in inches."""
        return max(self._cell()[0], (5.0 - self._labels()[0] - 1.6) / len(self.networks))

    def draw(self, ax: axes.Drawing) -> None:
        """Draw the cells with a logarithmic colour scale; empty ones stay grey."""
        import numpy as np
        from matplotlib.colors import LogNorm

        machines, networks = self.machines, self.networks
        grid = np.full((len(machines), len(networks)), np.nan)
        rows = {name: place for place, name in enumerate(machines)}
        columns = {name: place for place, name in enumerate(networks)}
        for machine, network, value in self.cells:
            grid[rows[machine], columns[network]] = value
        low, high = float(np.nanmin(grid)), float(np.nanmax(grid))
        # A scale has no more decades than its logarithms can tell apart.
        low = max(low, high * _LEAST)
        norm = LogNorm(low / 1.05, high * 1.05)
        image = ax.pcolormesh(
            np.ma.masked_invalid(grid),
            norm=norm,
            cmap="viridis",
            edgecolors="white",
            linewidth=1.0 if self.has_numbers else 0.3,
        )
        ax.set_facecolor("#EEEEEE")
        # A wide figure is shown smaller.
        legible = max(7.5, 0.74 * self.size()[0]) if self.has_numbers else _SMALL
        for (row, column), value in np.ndenumerate(grid if self.has_numbers else grid[:0]):
            if not np.isnan(value):
                dark = float(norm(float(value))) < 0.6
                text = ax.text(column + 0.5, row + 0.5, style.shorten(float(value)), ha="center", va="center",
                               fontsize=legible, color="white" if dark else "black")  # fmt: skip
                # It lies within its cell: measuring each takes longer than drawing it.
                text.set_in_layout(False)
        labelled = max(8, legible)
        across = max(text_width(name, labelled) for name in networks) + 4 <= 72 * self._column()
        slanted = 40 if self.has_numbers else 90
        ax.set_xticks(
            np.arange(len(networks)) + 0.5,
            networks,
            rotation=0 if across else slanted,
            ha="center" if across else "right",
            va="top" if across or self.has_numbers else "center",
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
def compute(rows: Iterable[Row], options: Options) -> Heatmap:
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
        amount(value, _MEANINGS.get(value, "value shown")),
        RATE,
    )
    table = check_rows(rows, columns, "heatmap")
    across = varying_columns(table, "network", "pruning", "batch")
    down = varying_columns(table, "platform", "datatype")
    cells: dict[tuple[str, str], float] = {}
    for row in table:
        place = label(row, *down), label(row, *across)
        cells[place] = max(cells.get(place, 0.0), row[value])
    shown = tuple((*place, found) for place, found in cells.items())
    return Heatmap(shown, value, rate_of(table))
