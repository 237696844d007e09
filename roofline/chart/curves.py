"""Chart ``curves``: one column over another, one line per configuration: threads, batches, years."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from roofline.chart import _axes as axes
from roofline.chart import _style as style
from roofline.chart._base import Chart
from roofline.chart._registry import Options, chart
from roofline.chart._table import amount, check_rows, label, varying_columns, words
from roofline.tables import Record, Row

_SERIES = ("network", "pruning", "platform", "datatype", "backend")
COLUMNS = (
    *words(*_SERIES, required=False),
    amount("threads", "threads, or the column named with --x"),
    amount("measured_fps", "frames per second, or the column named with --y"),
)
_BANDS = {
    "predicted_fps": ("predicted_low_fps", "predicted_high_fps"),
    "median_ms": ("p5_ms", "p95_ms"),
}
"""Columns that say how far a value may lie off, where the rows have them."""
_AXIS = {
    "threads": "threads",
    "batch": "batch",
    "measured_fps": "throughput, frames/s",
    "predicted_fps": "predicted throughput, frames/s",
    "latency_ms": "latency, ms",
    "power_w": "power, W",
    "efficiency": "measured / predicted",
    "predicted_mb": "weights and live activations, MB",
    "measured_mb": "peak resident set, MB",
    "predicted_beyond_least_mb": "weights and live activations beyond the least, MB",
    "measured_beyond_least_mb": "peak resident set beyond the least, MB",
}


@dataclass(frozen=True, slots=True)
class Curve:
    """A line with a name."""

    label: str
    points: tuple[tuple[float, float], ...]
    """By the horizontal value."""
    band: tuple[tuple[float, float, float], ...] = ()
    """Horizontal value, and the least and greatest that is expected or was seen."""


@dataclass(frozen=True, slots=True)
class Curves(Chart):
    """Lines of one column over another."""

    curves: tuple[Curve, ...]
    x: str = "threads"
    y: str = "measured_fps"

    def records(self) -> list[Record]:
        """Return one row per point."""
        return [
            {"label": curve.label, self.x: x, self.y: y}
            for curve in self.curves
            for x, y in curve.points
        ]

    def size(self) -> tuple[float, float]:
        """Return the size in inches."""
        return 8.5, max(4.6, 0.2 * len(self.curves) + 1.4)

    def draw(self, ax: axes.Drawing) -> None:
        """Draw a line per configuration; where x counts threads, a dotted one shows proportional scaling."""
        colour = style.colours(curve.label for curve in self.curves)
        marks = style.markers(curve.label for curve in self.curves)
        for curve in self.curves:
            ax.plot([x for x, _ in curve.points], [y for _, y in curve.points], "-", marker=marks[curve.label],
                    color=colour[curve.label], ms=style.size(marks[curve.label], 4.5), lw=1.4, mec="white", mew=0.5,
                    label=curve.label)  # fmt: skip
            if curve.band:
                xs, lows, highs = zip(*curve.band, strict=True)
                ax.fill_between(xs, lows, highs, color=colour[curve.label], alpha=0.18, lw=0)
            if self.x == "threads" and len(curve.points) > 1:
                (x0, y0), (x1, _) = curve.points[0], curve.points[-1]
                scaled = [y0, y0 * x1 / x0]
                ax.plot([x0, x1], scaled, ":", color=colour[curve.label], lw=0.6, zorder=1)
        values = sorted({x for curve in self.curves for x, _ in curve.points})
        axes.set_log_axes(ax, self.title, _AXIS.get(self.x, self.x), _AXIS.get(self.y, self.y))
        # Counts are few and whole; sizes in between would be written over one another.
        if len(values) <= 12 and all(float(value).is_integer() for value in values):
            from matplotlib.ticker import NullLocator

            ax.set_xticks(values, [f"{value:g}" for value in values])
            ax.xaxis.set_minor_locator(NullLocator())
        if self.x == "threads":
            axes.write_note(ax, "dotted: in proportion to the threads")
        axes.outside_legend(ax)


@chart("curves", "one column over another, one line per configuration", COLUMNS)
def compute(rows: Iterable[Row], options: Options) -> Curves:
    """Return the chart of one column over another; of several rows at one place the greatest value is shown.

    Args:
        rows: Any rows with both columns.
        options: The title; ``x`` (default threads) and ``y`` (default measured_fps) name the columns.

    Raises:
        TableError: A column is missing or a cell is no number.
    """
    x, y = options.x or "threads", options.y or "measured_fps"
    columns = (
        *(column for column in COLUMNS if column.name in _SERIES),
        amount(x, _AXIS.get(x, "horizontal axis")),
        amount(y, _AXIS.get(y, "vertical axis")),
        *(amount(name, "end of a band", required=False) for name in _BANDS.get(y, ())),
    )
    table = check_rows(rows, columns, "curves")
    names = varying_columns(table, *_SERIES)
    lines: dict[str, dict[float, float]] = {}
    bands: dict[str, list[tuple[float, float, float]]] = {}
    for row in table:
        name = label(row, *names) or y
        line = lines.setdefault(name, {})
        ends = [row[end] for end in _BANDS.get(y, ())]
        if ends and None not in ends:
            bands.setdefault(name, []).append((row[x], *ends))
        line[row[x]] = max(line.get(row[x], 0.0), row[y])
    return Curves(
        tuple(
            Curve(name, tuple(sorted(points.items())), tuple(sorted(bands.get(name, []))))
            for name, points in lines.items()
        ),
        x,
        y,
    )
