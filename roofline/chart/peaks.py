"""Chart ``peaks``: peak performance by datatype and memory bandwidth of machines."""

from __future__ import annotations

from dataclasses import dataclass

from roofline.chart import _axes as axes
from roofline.chart import _style as style
from roofline.chart._base import Chart
from roofline.chart._registry import table_chart
from roofline.chart._table import Table, amounts, distinct_values, words
from roofline.precision import COMPUTE_DATATYPES
from roofline.tables import Record

COLUMNS = (
    *words("platform", "datatype"),
    *amounts("peak_op_s", "bandwidth_b_s"),
)


@dataclass(frozen=True, slots=True)
class Peaks(Chart):
    """Peaks and bandwidths of machines."""

    machines: tuple[tuple[str, str, float, float], ...]
    """Machine, datatype, peak in OP/s, bandwidth in B/s."""

    def records(self) -> list[Record]:
        """Return one row per machine and datatype."""
        return [
            {"platform": name, "datatype": datatype, "peak_op_s": peak, "bandwidth_b_s": bandwidth}
            for name, datatype, peak, bandwidth in self.machines
        ]

    def size(self) -> tuple[float, float]:
        """Return the size in inches."""
        names = len({name for name, *_ in self.machines})
        bars = len(self.machines) + names
        return 8.0, max(2.8, 0.19 * bars + 0.09 * names + 1.4)

    def draw(self, ax: axes.Drawing) -> None:
        """Draw, for each machine, a bar per datatype and one for the bandwidth, on one logarithmic axis."""
        datatypes = [
            name for name in COMPUTE_DATATYPES if name in {row[1] for row in self.machines}
        ]
        colour = dict(zip(datatypes, style.shades(len(datatypes), 0.08, 0.88), strict=True)) | {
            "bandwidth": style.GREY
        }
        bars: list[tuple[float, float, str, str]] = []
        ticks: list[tuple[float, str]] = []
        place = 0.0
        for machine in distinct_values(name for name, *_ in self.machines):
            own = {row[1]: row for row in self.machines if row[0] == machine}
            start = place
            for datatype in (name for name in datatypes if name in own):
                bars.append(
                    (place, own[datatype][2], datatype, style.rate(own[datatype][2], "OP/s"))
                )
                place += 1
            bandwidth = next(iter(own.values()))[3]
            bars.append((place, bandwidth, "bandwidth", style.rate(bandwidth, "B/s")))
            ticks.append(((start + place) / 2, machine))
            place += 1.6
        floor = min(value for _, value, _, _ in bars) / 4
        top = max(value for _, value, _, _ in bars)
        for name in (*datatypes, "bandwidth"):
            mine = [bar for bar in bars if bar[2] == name]
            ax.barh([bar[0] for bar in mine], [bar[1] - floor for bar in mine], 0.88, left=floor,
                    color=colour[name], label=name, zorder=2)  # fmt: skip
        for where, value, name, text in bars:
            ax.annotate(f"{text}  {name}" if name != "bandwidth" else text, (value, where), xytext=(3, 0),
                        textcoords="offset points", va="center", fontsize=7)  # fmt: skip
        ax.set_xscale("log")
        ax.set_xlim(floor, top * (top / floor) ** 0.17)
        ax.set_yticks([where for where, _ in ticks], [name for _, name in ticks])
        ax.set_ylim(place - 0.9, -0.8)
        ax.tick_params(axis="y", length=0)
        axes.finish_bars(ax, self.title, "OP/s (peaks), B/s (bandwidth)", columns=8)


@table_chart("peaks", "peak performance by datatype and memory bandwidth of machines", COLUMNS)
def compute(table: Table) -> Peaks:
    """Return the chart of rows as ``predict`` and ``platforms`` write them."""
    machines = distinct_values(
        (row["platform"], row["datatype"], row["peak_op_s"], row["bandwidth_b_s"]) for row in table
    )
    return Peaks(tuple(machines))
