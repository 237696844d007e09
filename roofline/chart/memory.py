"""Chart ``memory``: what a decoder's weights and caches take of a machine's memory, as the context grows."""

from __future__ import annotations

from dataclasses import dataclass, replace

from roofline.chart import _axes as axes
from roofline.chart import _style as style
from roofline.chart._panels import PanelledChart, divide_items
from roofline.chart._registry import table_chart
from roofline.chart._table import Table, amount, common_line, label, varying_columns, words
from roofline.tables import Record

COLUMNS = (
    *words("network", "platform"),
    *words("datatype", "batch", required=False),
    amount("devices", "machines that share the decoder", required=False),
    amount("context", "positions of the prompt"),
    amount("weight_bytes", "bytes of weights on each device"),
    amount("cache_bytes", "bytes of all caches on each device"),
    amount("memory_bytes", "bytes that a device holds", required=False),
)
_MOST = 12
"""Bars in one row: more are no longer legible at the width of a page."""
_PARTS = ("weights", "cache", "free")


@dataclass(frozen=True, slots=True)
class Bar:
    """One decoder on one kind of machine at one context."""

    group: str
    """What is the same as the context grows."""
    context: float
    weights: float
    """Bytes, as those below."""
    cache: float
    capacity: float | None

    @property
    def free(self) -> float:
        """Bytes that are left; 0 where nothing is, or no capacity is known."""
        return max((self.capacity or 0.0) - self.weights - self.cache, 0.0)

    @property
    def fits(self) -> bool:
        """Whether it does, as far as that is known."""
        return self.capacity is None or self.weights + self.cache <= self.capacity


@dataclass(frozen=True, slots=True)
class MemoryChart(PanelledChart):
    """Stacked bars over the context, side by side for machines and numbers of requests."""

    bars: tuple[Bar, ...]
    most: float | None = None
    """The top of the vertical axis in bytes, where several panels share it."""

    def records(self) -> list[Record]:
        """Return one row per bar."""
        return [
            {
                "name": bar.group, "context": bar.context, "weight_bytes": bar.weights, "cache_bytes": bar.cache,
                "free_bytes": bar.free, "fits": bar.fits,
            }
            for bar in self.bars
        ]  # fmt: skip

    def panels(self) -> tuple[MemoryChart, ...]:
        """Return the parts that many bars are divided into, between groups; all have one axis."""
        if len(self.bars) <= _MOST:
            return (self,)
        most = max(max(bar.weights + bar.cache, bar.capacity or 0.0) for bar in self.bars)
        # A machine stays in one panel where that is possible.
        machines = [bar.group.split("\n")[0] for bar in self.bars]
        whole = max(map(machines.count, machines)) <= _MOST
        parts = divide_items(
            self.bars, lambda bar: bar.group.split("\n")[0] if whole else bar.group, _MOST
        )
        return tuple(replace(self, bars=tuple(part), title="", most=most) for part in parts)

    def panel_size(self) -> tuple[float, float]:
        """Return the size in inches; the width grows with the bars."""
        return max(7.0, 0.5 * len(self.bars) + 3.0), 5.0

    def draw_panel(self, ax: axes.Drawing) -> None:
        """Draw weights, cache and what is free on each other; what exceeds the memory is hatched."""
        colours = dict(zip(_PARTS, (style.INK, style.BOUND["memory"], "white"), strict=True))
        groups: dict[str, list[Bar]] = {}
        for bar in self.bars:
            groups.setdefault(bar.group, []).append(bar)
        ticks: list[tuple[float, str]] = []
        at = 0.0
        for name, bars in groups.items():
            first = at
            for bar in sorted(bars, key=lambda entry: entry.context):
                heights = (bar.weights, bar.cache, bar.free)
                below = 0.0
                for part, height in zip(_PARTS, heights, strict=True):
                    ax.bar(
                        at, height / 1e9, 0.8, below / 1e9, color=colours[part], edgecolor=style.GREY, lw=0.5,
                        hatch="" if bar.fits or part != "cache" else "///",
                    )  # fmt: skip
                    below += height
                if bar.capacity is not None:
                    ax.plot(
                        [at - 0.45, at + 0.45], [bar.capacity / 1e9] * 2, color=style.GREY, lw=1.4
                    )
                ticks.append((at, f"{bar.context:,.0f}"))
                at += 1
            ax.annotate(
                name, ((first + at - 1) / 2, 1), xycoords=("data", "axes fraction"), xytext=(0, 4),
                textcoords="offset points", ha="center", fontsize=7,
            )  # fmt: skip
            at += 0.6
        ax.set_xticks([x for x, _ in ticks], [text for _, text in ticks], rotation=45, ha="right")
        if self.most is not None:
            ax.set_ylim(0, 1.05 * self.most / 1e9)
        axes.set_titles(ax, self.title, "positions of the prompt", "GB on each device")
        handles = [axes.legend_area(part, colours[part], ec=style.GREY) for part in _PARTS]
        if not all(bar.fits for bar in self.bars):
            look = {"ec": style.GREY, "hatch": "///"}
            handles.append(axes.legend_area("does not fit", colours["cache"], **look))
        axes.outside_legend(ax, handles)


@table_chart("memory", "weights, caches and free memory of decoders over the context", COLUMNS)
def compute(table: Table) -> MemoryChart:
    """Return the chart of predictions of decoders at several contexts."""
    names = varying_columns(table, "network", "datatype", "batch")
    bars: dict[tuple[str, float], Bar] = {}
    for row in table:
        devices = int(row["devices"] or 1)
        machine = str(row["platform"]) if devices == 1 else f"{devices} x {row['platform']}"
        group = f"{machine}\n{label(row, *names)}"
        # A bound and an estimate are of one case.
        bars[group, row["context"]] = Bar(
            group, row["context"], row["weight_bytes"], row["cache_bytes"], row["memory_bytes"]
        )
    return MemoryChart(tuple(bars.values()), title=common_line(table, "network", "datatype"))
