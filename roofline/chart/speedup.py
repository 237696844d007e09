"""Chart ``speedup``: expected against achieved speed-up of compression."""

from __future__ import annotations

from dataclasses import dataclass, replace

from roofline.chart import _axes as axes
from roofline.chart import _style as style
from roofline.chart._panels import PanelledChart, divide_items
from roofline.chart._registry import table_chart
from roofline.chart._table import Table, amount, label, varying_columns, words
from roofline.number_format import percent
from roofline.tables import Column, Record

_MOST = 20
"""Bars in one row: more are no longer legible at the width of a page."""

COLUMNS = (
    *words("network"),
    Column("technique", "what was done: weight pruning, channel pruning, int8, ..."),
    *words("platform", "datatype", "pruning", "backend", required=False),
    amount("expected_speedup", "speed-up that the reduction of work promises"),
    amount("achieved_speedup", "speed-up that was measured"),
    amount("predicted_speedup", "speed-up that a model predicts", required=False),
)


@dataclass(frozen=True, slots=True)
class SpeedUp:
    """One compressed configuration against its own baseline."""

    label: str
    technique: str
    expected: float
    achieved: float
    predicted: float | None = None

    @property
    def share(self) -> float:
        """Achieved / expected."""
        return self.achieved / self.expected


@dataclass(frozen=True, slots=True)
class SpeedUpChart(PanelledChart):
    """Speed-ups side by side."""

    bars: tuple[SpeedUp, ...]
    limits: tuple[float, float] | None = None
    """The vertical axis, where several panels share it."""

    def records(self) -> list[Record]:
        """Return one row per configuration."""
        return [
            {
                "label": bar.label, "technique": bar.technique, "expected_speedup": bar.expected,
                "achieved_speedup": bar.achieved, "achieved_share": bar.share,
                "predicted_speedup": bar.predicted,
            }
            for bar in self.bars
        ]  # fmt: skip

    def panels(self) -> tuple[SpeedUpChart, ...]:
        """Return the parts that many bars are divided into; all have one axis."""
        if len(self.bars) <= _MOST:
            return (self,)
        parts = divide_items(self.bars, lambda bar: bar.technique, _MOST)
        limits = self._limits()
        return tuple(replace(self, bars=tuple(part), title="", limits=limits) for part in parts)

    def _limits(self) -> tuple[float, float]:
        """Return the ends of the vertical axis."""
        values = [v for bar in self.bars for v in (bar.expected, bar.achieved, bar.predicted) if v]
        floor, top = min(1.0, *values) / 1.6, max(values)
        return floor, top * (top / floor) ** 0.14

    def panel_size(self) -> tuple[float, float]:
        """Return the size in inches; the width grows with the bars."""
        longest = max((len(bar.label) for bar in self.bars), default=0)
        return axes.sizes(len(self.bars), 0.42, 5.0), 4.2 + 0.05 * longest

    def draw_panel(self, ax: axes.Drawing) -> None:
        """Draw the expectation as an outline, what was achieved as a bar in it, and the share on top.

        A prediction is a line across them.
        """
        colour = {bar.technique: style.technique_colour(bar.technique) for bar in self.bars}
        floor, top = self.limits or self._limits()
        for index, bar in enumerate(self.bars):
            filled = {"color": colour[bar.technique], "zorder": 2}
            outline = {"fill": False, "edgecolor": style.INK, "lw": 1.0, "zorder": 3}
            ax.bar(index, bar.achieved - floor, 0.62, bottom=floor, **filled)
            ax.bar(index, bar.expected - floor, 0.8, bottom=floor, **outline)
            highest = max(bar.expected, bar.achieved, bar.predicted or 0)
            axes.write_beside(
                ax, percent(bar.share), (index, highest), (0, 2), ha="center", va="bottom", fontsize=7.5,
                rotation=90 if len(self.bars) > 12 else 0,
            )  # fmt: skip
        predicted = [(i, bar.predicted) for i, bar in enumerate(self.bars) if bar.predicted]
        for index, value in predicted:
            ax.plot(
                (index - 0.4, index + 0.4), (value, value), color=style.PREDICTED, lw=1.6, zorder=4
            )
        ax.axhline(1.0, color=style.INK if predicted else style.PREDICTED, lw=1.0, zorder=4)
        ax.set_yscale("log")
        ax.set_ylim(floor, top)
        axes.prefix_numbers(ax.yaxis)
        ax.set_xlim(-0.7, len(self.bars) - 0.3)
        ax.set_xticks(range(len(self.bars)), [bar.label for bar in self.bars], rotation=90)
        ax.grid(visible=False, axis="x")
        axes.set_titles(ax, self.title, y="speed-up over the uncompressed network")
        handles = [axes.legend_area(name, colour[name]) for name in sorted(colour)]
        handles.append(axes.legend_area("expected", fill=False, edgecolor=style.INK))
        if predicted:
            handles.append(axes.legend_mark("predicted", color=style.PREDICTED, lw=1.6, ls="-"))
        columns = max(2, min(6, int(self.size()[0] / 1.6)))
        axes.legend_above(ax, self.title, columns=columns, handles=handles)


@table_chart(
    "speedup", "expected against achieved (and predicted) speed-up of compression", COLUMNS
)
def compute(table: Table) -> SpeedUpChart:
    """Return the chart of rows with an expected and an achieved speed-up, and a predicted one where they have it."""
    names = varying_columns(table, "network", "pruning", "platform", "datatype", "backend")
    figures = ("technique", "expected_speedup", "achieved_speedup", "predicted_speedup")
    return SpeedUpChart(
        tuple(SpeedUp(label(row, *names), *(row[figure] for figure in figures)) for row in table)
    )
