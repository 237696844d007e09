"""Chart ``efficiency``: predicted, measured and peak throughput side by side, with measured / predicted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from roofline.chart import _axes as axes
from roofline.chart import _style as style
from roofline.chart._panels import PanelledChart, divide_items
from roofline.chart._registry import table_chart
from roofline.chart._table import (
    INTERVAL,
    RATE,
    SAYS_NOTHING,
    Table,
    amounts,
    interval_of,
    label,
    rate_of,
    varying_columns,
    words,
)
from roofline.number_format import percent
from roofline.tables import Column, Record, Row

COLUMNS = (
    *words("network", "platform"),
    *words("datatype", "pruning", "batch", "backend", required=False),
    *amounts("predicted_fps", "measured_fps", "peak_fps", required=False),
    *INTERVAL,
    RATE,
    Column("model", "prediction model", required=False),
    Column("flag", "why a row is doubtful, or 'untuned'", required=False),
)

_MOST = 26
"""Bars in one panel; more are divided, where the machine changes."""
_SERIES = (
    ("predicted", "predicted", style.PREDICTED),
    ("measured", "measured", style.MEASURED),
    ("compute peak", "peak", style.PEAK),
)
"""Bars of a configuration: what they are called, the field that they show, and their colour."""


@dataclass(frozen=True, slots=True)
class Bars:
    """One configuration: throughputs in frames, or of decoders tokens, per second."""

    words: tuple[str, ...]
    """What tells it from others: one word per column, empty where the column says nothing."""
    predicted: float | None
    measured: float | None
    peak: float | None
    flag: str = ""
    machine: str = ""
    interval: tuple[float, float] | None = None
    """Throughput that a real run is expected within."""

    @property
    def label(self) -> str:
        """The words in one line."""
        return " ".join(word for word in self.words if word)

    @property
    def efficiency(self) -> float | None:
        """Measured / predicted."""
        if self.predicted is None or self.measured is None:
            return None
        return self.measured / self.predicted


@dataclass(frozen=True, slots=True)
class EfficiencyChart(PanelledChart):
    """Bars of configurations, in the style of the QuTiBench portal."""

    bars: tuple[Bars, ...]
    limits: tuple[float, float] | None = None
    """The vertical axis, where several panels share it."""
    rate: str = "frames/s"
    """What the throughputs count."""

    def records(self) -> list[Record]:
        """Return one row per configuration."""
        return [
            {
                "label": bar.label, "predicted_fps": bar.predicted, "measured_fps": bar.measured,
                "peak_fps": bar.peak, "efficiency": bar.efficiency, "flag": bar.flag,
            }
            for bar in self.bars
        ]  # fmt: skip

    def panel_size(self) -> tuple[float, float]:
        """Return the size in inches; the width grows with the bars."""
        longest = max((len(bar.label) for bar in self.bars), default=0)
        return self._width(), 4.2 + (0.045 * longest if self._needs_slant() else 0.2)

    def draw_panel(self, ax: axes.Drawing) -> None:
        """Draw three bars for each configuration, and the percentage on the measured one."""
        floor, top = self.limits or self._limits()
        width = 0.27
        for offset, (name, field, colour) in zip((-width, 0.0, width), _SERIES, strict=True):
            places = [
                (i + offset, getattr(bar, field), bar.flag) for i, bar in enumerate(self.bars)
            ]
            held = [(x, height, flag) for x, height, flag in places if height is not None]
            if not held:
                continue
            ax.bar(
                [x for x, _, _ in held], [height - floor for _, height, _ in held], width * 0.94, bottom=floor,
                color=colour, label=name, zorder=2, hatch=None,
            )  # fmt: skip
            if name == "measured":
                hatched = [(x, height) for x, height, flag in held if flag]
                ax.bar(
                    [x for x, _ in hatched], [height - floor for _, height in hatched], width * 0.94, bottom=floor,
                    fill=False, lw=0, zorder=3, **axes.DOUBTFUL,
                )  # fmt: skip
        for index, bar in enumerate(self.bars):
            if bar.interval is not None:
                ax.errorbar(
                    index - width, bar.interval[0], yerr=[[0.0], [bar.interval[1] - bar.interval[0]]], fmt="none",
                    ecolor=style.INK, elinewidth=1.1, capsize=3, zorder=4,
                )  # fmt: skip
        ax.set_yscale("log")
        axes.prefix_numbers(ax.yaxis)
        ax.set_ylim(floor, top)
        self._percentages(ax)
        ax.set_xticks(range(len(self.bars)), [bar.label for bar in self.bars])
        if self._needs_slant():
            ax.tick_params(axis="x", rotation=90 if len(self.bars) > 8 else 35)
            for text in ax.get_xticklabels():
                text.set_ha("center" if len(self.bars) > 8 else "right")
                text.set_rotation_mode("default" if len(self.bars) > 8 else "anchor")
        ax.set_xlim(-0.6, len(self.bars) - 0.4)
        ax.grid(visible=False, axis="x")
        axes.set_titles(ax, self.title, y=f"throughput, {self.rate}")
        self._legend(ax)

    def panels(self) -> tuple[EfficiencyChart, ...]:
        """Return the parts that many bars are divided into, where the machine changes."""
        if len(self.bars) <= _MOST:
            return (self,)
        parts = divide_items(self.bars, lambda bar: bar.machine, _MOST)
        named = [_without_common(part) for part in parts]
        whole = replace(self, limits=self._limits())
        return tuple(replace(whole, bars=bars, title=title) for bars, title in named)

    def _limits(self) -> tuple[float, float]:
        """Return the ends of the vertical axis, with room for the percentages on the measured bars."""
        values = [v for bar in self.bars for v in (bar.predicted, bar.measured, bar.peak) if v]
        # Configurations without any throughput still get their place on the axis.
        floor, top = (min(values) / 4, max(values)) if values else (0.25, 1.0)
        room = (top / floor) ** (0.2 if len(self.bars) > 8 else 0.09)
        ends = [bar.interval[1] for bar in self.bars if bar.interval is not None]
        named = [bar.measured * room for bar in self.bars if bar.measured]
        return floor, max([top * 1.2, *ends, *named])

    def _percentages(self, ax: axes.Drawing) -> None:
        many = len(self.bars) > 8
        for index, bar in enumerate(self.bars):
            if bar.efficiency is None or bar.measured is None:
                continue
            axes.write_beside(
                ax, percent(bar.efficiency), (index, bar.measured), (0, 3), ha="center", va="bottom", fontsize=8,
                rotation=90 if many else 0, color=style.INK, zorder=5,
                bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 0.4},
            )  # fmt: skip

    def _legend(self, ax: axes.Drawing) -> None:
        handles: list[Any] = list(ax.get_legend_handles_labels()[0])
        if any(bar.interval for bar in self.bars):
            handles.append(
                axes.legend_mark("expected of a run", color=style.INK, marker="_", ls="-")
            )
        flags = sorted({bar.flag for bar in self.bars if bar.flag and bar.measured is not None})
        if flags:
            text = ", ".join(flags) if len(", ".join(flags)) <= 40 else "flagged as doubtful"
            handles.append(axes.legend_area(text, style.MEASURED, **axes.DOUBTFUL))
        axes.legend_above(ax, self.title, handles=handles)

    def _width(self) -> float:
        return axes.sizes(len(self.bars), 0.5 if len(self.bars) <= 12 else 0.37, 6.2)

    def _needs_slant(self) -> bool:
        # Upright labels fit where they are shorter than the distance of their bars.
        longest = max((max(map(len, bar.label.split("\n"))) for bar in self.bars), default=0)
        per_bar = (self._width() - 0.9) / max(1, len(self.bars))
        return longest * 0.072 > per_bar


@table_chart(
    "efficiency",
    "predicted, measured and peak throughput side by side, and the efficiency in percent",
    COLUMNS,
)
def compute(table: Table) -> EfficiencyChart:
    """Return the chart of rows as ``validate`` writes them; one without a measured throughput shows its prediction."""
    names = varying_columns(
        table, "network", "pruning", "platform", "datatype", "batch", "backend", "model"
    )
    bars = tuple(
        Bars(
            _words(row, names),
            row["predicted_fps"],
            row["measured_fps"],
            row["peak_fps"],
            row["flag"] or "",
            row["platform"],
            interval_of(row),
        )
        for row in table
    )
    return EfficiencyChart(bars, rate=rate_of(table))


def _without_common(bars: Sequence[Bars]) -> tuple[tuple[Bars, ...], str]:
    """Return bars without the words that all of them share, and a title with those words or else the machines."""
    common = [len(set(words)) == 1 for words in zip(*(bar.words for bar in bars), strict=True)]
    if all(common):
        common[0] = False
    shared = [word for word, same in zip(bars[0].words, common, strict=True) if same and word]
    machines = ", ".join(dict.fromkeys(bar.machine for bar in bars))
    own = tuple(
        replace(bar, words=tuple(word for word, same in zip(bar.words, common, strict=True) if not same))
        for bar in bars
    )  # fmt: skip
    return own, ", ".join(shared if machines in shared else [machines, *shared])


def _words(row: Row, names: tuple[str, ...]) -> tuple[str, ...]:
    found = [label(row, name) for name in names]
    words = ["" if word in SAYS_NOTHING else word for word in found]
    return tuple(words if any(words) else found)
