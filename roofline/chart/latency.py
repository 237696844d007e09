"""Chart ``latency``: latency against throughput, one line per configuration over its batches."""

from __future__ import annotations

from dataclasses import dataclass

from roofline.chart import _axes as axes
from roofline.chart import _style as style
from roofline.chart._base import Chart
from roofline.chart._labels import place_labels
from roofline.chart._registry import table_chart
from roofline.chart._table import (
    Table,
    amount,
    amounts,
    distinct_values,
    label,
    varying_columns,
    words,
)
from roofline.tables import Column, Record

COLUMNS = (
    *words("network", "platform"),
    *words("datatype", "pruning", "backend", required=False),
    Column("flag", "why a row is doubtful", required=False),
    *words("sweep", required=False),
    amount("batch", "items per batch, threads or stream length"),
    amount("latency_ms", "latency of the whole batch in milliseconds"),
    *amounts("measured_fps", "predicted_fps", required=False),
)

_APART = 1.1
"""Batch / latency may differ from throughput by this factor."""


@dataclass(frozen=True, slots=True)
class Line:
    """One configuration: batches with their latency in ms and throughput in frames per second."""

    machine: str
    """The machine, and what else tells lines apart that is no network: datatype, runtime."""
    network: str
    points: tuple[tuple[float, float, float], ...]
    """Batch, latency, throughput; by batch."""
    doubtful: frozenset[float] = frozenset()
    """Batches whose row is flagged, or whose latency contradicts throughput and batch."""
    platform: str = ""
    """The machine alone."""


@dataclass(frozen=True, slots=True)
class LatencyChart(Chart):
    """Lines of configurations."""

    lines: tuple[Line, ...]

    def records(self) -> list[Record]:
        """Return one row per configuration and batch."""
        return [
            {
                "machine": line.machine,
                "network": line.network,
                "batch": batch,
                "latency_ms": latency,
                "fps": fps,
                "doubtful": batch in line.doubtful,
            }
            for line in self.lines
            for batch, latency, fps in line.points
        ]

    def size(self) -> tuple[float, float]:
        """Return the size in inches."""
        names = {line.machine for line in self.lines} | {line.network for line in self.lines}
        return 9.0, max(5.0, 0.2 * len(names) + 1.5)

    def draw(self, ax: axes.Drawing) -> None:
        """Draw a line per configuration: colour by machine, marker by network, the batch at both ends."""
        colour, dash = self._looks()
        marks = style.markers(line.network for line in self.lines)
        for line in self.lines:
            ax.plot(
                [latency for _, latency, _ in line.points], [fps for _, _, fps in line.points], dash[line.machine],
                marker=marks[line.network], color=colour[line.machine], ms=style.size(marks[line.network], 5), lw=1.1,
                mec="white", mew=0.4,
            )  # fmt: skip
            hollow = [point for point in line.points if point[0] in line.doubtful]
            ax.plot([x for _, x, _ in hollow], [y for _, _, y in hollow], marks[line.network], ls="", ms=6,
                    mfc="white", mec=colour[line.machine], mew=1.0, zorder=3)  # fmt: skip
        axes.set_log_axes(ax, self.title, "latency of the batch, ms", "throughput, frames/s")
        ax.margins(0.04)
        axes.outside_legend(
            ax,
            [
                axes.legend_mark(name, color=colour[name], ls=dash[name], lw=1.6)
                for name in distinct_values(x.machine for x in self.lines)
            ]
            + ([axes.legend_mark("")] if len(marks) > 1 else [])
            + [
                axes.legend_mark(name, color=style.GREY, marker=marks[name])
                for name in distinct_values(line.network for line in self.lines)
                if len(marks) > 1
            ],
        )
        ends = [
            (line, point) for line in self.lines for point in {line.points[0], line.points[-1]}
        ]
        place_labels(
            ax, [(latency, fps) for _, (_, latency, fps) in ends], [f"{batch:g}" for _, (batch, _, _) in ends],
            colours=[colour[line.machine] for line, _ in ends], fontsize=7, reach=12,
            avoid=[(latency, fps) for line in self.lines for _, latency, fps in line.points],
        )  # fmt: skip
        note = "numbers: batch"
        if any(line.doubtful for line in self.lines):
            note += "; hollow: flagged, or latency contradicts throughput and batch"
        axes.write_note(ax, note)

    def _looks(self) -> tuple[dict[str, str], dict[str, str]]:
        """Return colour and dashes of each machine with what else tells its lines apart."""
        by_platform = {line.machine: line.platform for line in self.lines}
        if len(set(by_platform.values())) == 1 and len(by_platform) > style.DASHES:
            return style.colours(by_platform), dict.fromkeys(by_platform, "-")
        dash: dict[str, str] = {}
        for platform in set(by_platform.values()):
            dash |= style.dashes(name for name, of in by_platform.items() if of == platform)
        return {name: style.machine_colour(of) for name, of in by_platform.items()}, dash


@table_chart(
    "latency", "latency against throughput, one line per configuration over its batches", COLUMNS
)
def compute(table: Table) -> LatencyChart:
    """Return the chart of rows with several batches per configuration; measured throughput goes before predicted.

    A point is doubtful where its row has a flag, or where batch / latency differs from the throughput by more than a
    tenth; threads and streams overlap, so theirs may differ.
    """
    machines = varying_columns(table, "platform", "datatype", "backend")
    networks = varying_columns(table, "network", "pruning")
    found: dict[tuple[str, str], dict[float, tuple[float, float]]] = {}
    doubtful: dict[tuple[str, str], set[float]] = {}
    platforms: dict[tuple[str, str], str] = {}
    for row in table:
        fps = row["measured_fps"] or row["predicted_fps"]
        if fps is not None:
            place = label(row, *machines), label(row, *networks)
            platforms[place] = row["platform"]
            found.setdefault(place, {})[row["batch"]] = row["latency_ms"], fps
            implied = 1e3 * row["batch"] / row["latency_ms"]
            apart = max(implied / fps, fps / implied) > _APART and row["sweep"] in (None, "batch")
            if row["flag"] or apart:
                doubtful.setdefault(place, set()).add(row["batch"])
    lines = tuple(
        Line(
            *place,
            tuple((batch, *points[batch]) for batch in sorted(points)),
            frozenset(doubtful.get(place, ())),
            platforms[place],
        )
        for place, points in found.items()
    )
    return LatencyChart(lines)
