"""Chart ``layers``: the time of each layer, what holds it back, and how near a real run comes."""

from __future__ import annotations

from dataclasses import dataclass

from roofline.chart import _axes as axes
from roofline.chart import _style as style
from roofline.chart._panels import PanelledChart
from roofline.chart._registry import table_chart
from roofline.chart._table import Table, amount, common_line, distinct_values, words
from roofline.errors import TableError
from roofline.tables import Column, Record

COLUMNS = (
    *words("layer"),
    Column("op_type", "operator", required=False),
    amount("time_ms", "predicted time in milliseconds"),
    amount("measured_ms", "measured time in milliseconds", required=False),
    *words("bound", "network", "platform", "datatype", "batch", required=False),
)
# More layers than this are not all named: the axis would be a smear.
_NAMED = 70
_MOST = 36
"""Layers in one row: more are no longer legible at the width of a page."""


@dataclass(frozen=True, slots=True)
class LayerTime:
    """One layer."""

    name: str
    predicted: float
    """Milliseconds."""
    measured: float | None = None
    """Milliseconds."""
    bound: str = ""

    @property
    def efficiency(self) -> float | None:
        """Predicted / measured time: how near the run comes to the bound."""
        return None if self.measured is None else self.predicted / self.measured


@dataclass(frozen=True, slots=True)
class LayerTimes(PanelledChart):
    """Layers in execution order."""

    layers: tuple[LayerTime, ...]
    limits: tuple[float, float] | None = None
    """The vertical axis, where several panels share it."""

    def panels(self) -> tuple[LayerTimes, ...]:
        """Return the parts that layers are divided into where all have a name; all have one axis."""
        if not _MOST < len(self.layers) <= _NAMED:
            return (self,)
        rows = -(-len(self.layers) // _MOST)
        each = -(-len(self.layers) // rows)
        return tuple(
            LayerTimes(self.layers[start : start + each], limits=self._limits())
            for start in range(0, len(self.layers), each)
        )

    def _limits(self) -> tuple[float, float]:
        """Return the ends of the vertical axis."""
        values = [v for layer in self.layers for v in (layer.predicted, layer.measured) if v]
        # Layers that take next to nothing would stretch a logarithmic axis over many empty decades.
        return max(min(values), max(values) / 1e4) / 2, max(values) * 1.6

    def records(self) -> list[Record]:
        """Return one row per layer."""
        return [
            {
                "layer": layer.name, "time_ms": layer.predicted, "measured_ms": layer.measured,
                "bound": layer.bound, "efficiency": layer.efficiency,
            }
            for layer in self.layers
        ]  # fmt: skip

    def panel_size(self) -> tuple[float, float]:
        """Return the size in inches."""
        if len(self.layers) > _NAMED:
            return 10.0, 4.4
        longest = max((len(_shorten(layer.name)) for layer in self.layers), default=0)
        return max(5.5, 0.19 * len(self.layers) + 1.2), 4.0 + 0.055 * longest

    def draw_panel(self, ax: axes.Drawing) -> None:
        """Draw the predicted time as a bar in the colour of its bound, and the measured time as a mark above it."""
        places = range(len(self.layers))
        floor, top = self.limits or self._limits()
        bounds = distinct_values(layer.bound for layer in self.layers)
        for bound in bounds:
            own = [
                (i, layer)
                for i, layer in zip(places, self.layers, strict=True)
                if layer.bound == bound
            ]
            ax.bar([i for i, _ in own], [max(layer.predicted - floor, 0) for _, layer in own], 0.8, bottom=floor,
                   color=style.BOUND.get(bound, style.PRACTICE), zorder=2)  # fmt: skip
        measured = [
            (i, layer.measured)
            for i, layer in zip(places, self.layers, strict=True)
            if layer.measured
        ]
        if measured:
            ax.plot([i for i, _ in measured], [ms for _, ms in measured], "_", color=style.INK,
                    ms=max(3.0, min(9.0, 700 / len(places))), mew=1.8, zorder=3)  # fmt: skip
        ax.set_yscale("log")
        ax.set_ylim(floor, top)
        axes.prefix_numbers(ax.yaxis)
        ax.set_xlim(-0.8, len(places) - 0.2)
        if len(places) <= _NAMED:
            ax.set_xticks(
                places, [_shorten(layer.name) for layer in self.layers], rotation=90, fontsize=7
            )
        ax.grid(visible=False, axis="x")
        across = "" if len(places) <= _NAMED else "layer, in execution order"
        axes.set_titles(ax, self.title, across, "time, ms")
        handles = [
            axes.legend_area(
                f"{name}-bound" if name else "predicted", style.BOUND.get(name, style.PRACTICE)
            )
            for name in bounds
        ]
        if measured:
            handles.append(
                axes.legend_mark("measured", marker="_", color=style.INK, mew=1.8, ms=9)
            )
        axes.legend_above(ax, self.title, handles=handles)


@table_chart("layers", "the time of each layer and what holds it back", COLUMNS)
def compute(table: Table) -> LayerTimes:
    """Return the chart of the layers of one prediction, as ``predict --layers`` writes them.

    Raises:
        TableError: The rows are of several predictions.
    """
    runs = distinct_values(
        " ".join(
            str(row[name]) for name in ("network", "platform", "datatype", "batch") if row[name]
        )
        for row in table
    )
    # A mixed-precision network has layers in several datatypes; two networks or machines are another matter.
    for name in ("network", "platform", "batch"):
        if len({row[name] for row in table}) > 1:
            raise TableError(
                f"the layers are of several predictions: {', '.join(runs[:4])}",
                repair=f"Give one {name} at a time",
            )
    layers = tuple(
        LayerTime(row["layer"], row["time_ms"], row["measured_ms"], row["bound"] or "")
        for row in table
    )
    return LayerTimes(layers, title=common_line(table, "network", "platform", "datatype"))


def _shorten(name: str) -> str:
    return name if len(name) <= 28 else f"…{name[-27:]}"
