"""Chart ``roofline``: attainable performance over operational intensity, with networks or layers as points."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from roofline.chart import _axes as axes
from roofline.chart import _style as style
from roofline.chart._base import Chart
from roofline.chart._labels import spread
from roofline.chart._registry import Options, chart
from roofline.chart._roof_points import Point, Roof, draw_layers, draw_networks
from roofline.chart._table import (
    ESTIMATES,
    Cells,
    Table,
    amount,
    amounts,
    check_rows,
    common_line,
    distinct_values,
    label,
    varying_columns,
    words,
)
from roofline.errors import RooflineError
from roofline.model import attainable
from roofline.spec import platform
from roofline.tables import Column, Record, Row, with_phase

COLUMNS = (
    *words("platform", "datatype"),
    *amounts("peak_op_s", "bandwidth_b_s"),
    Column("memory", "name of the memory level the bandwidth is of", required=False),
    Column("roof", "'measured' for a roof that microbenchmarks gave", required=False),
    *words("network", "pruning", "batch", "layer", required=False),
    Column("phase", "of a decoder: the prompt, a token behind it, or both", required=False),
    *(
        amount(
            f"{phase}_intensity", f"OP/B of the {what}, where the phase is both", required=False
        )
        for phase, what in (("prefill", "prompt"), ("decode", "token"))
    ),
    amount("context", "of a decoder: positions of the prompt", required=False),
    *amounts("intensity", required=False),
    Column("model", "prediction model", required=False),
    amount("performance_op_s", "predicted performance in OP/s", required=False),
    amount("measured_op_s", "measured performance in OP/s", required=False),
    amount("time_ms", "time of the layer in ms", required=False),
    *words("bound", required=False),
    amount("required_bytes", "memory the network needs, in bytes", required=False),
)


_TURN = 6.0
"""Length of a dash, in widths of the line, of roofs that coincide: their machines take turns along it."""


@dataclass(frozen=True, slots=True)
class RooflineChart(Chart):
    """Roofs of machines and what runs under them."""

    roofs: tuple[Roof, ...]
    points: tuple[Point, ...] = ()
    layers: bool = False
    """Whether the points are layers of one network."""
    phases: bool = False
    """Whether the points are phases of decoders."""
    reach: tuple[float, ...] = ()
    """Further intensities in OP/B that the axes hold, of what is drawn over the roofs."""

    def records(self) -> list[Record]:
        """Return one row per roof and point."""
        return [
            {
                "kind": "roof", "name": roof.name, "intensity": roof.knee[0], "performance_op_s": roof.peak,
                "bandwidth_b_s": roof.bandwidth, "memory": roof.memory, "on_chip": roof.on_chip,
            }
            for roof in self.roofs
        ] + [
            {
                "kind": "layer" if self.layers else "network", "name": point.label,
                "intensity": point.intensity, "performance_op_s": point.performance,
                "measured_op_s": point.measured, "resident": point.resident,
            }
            for point in self.points
        ]  # fmt: skip

    def size(self) -> tuple[float, float]:
        """Return the size in inches."""
        return 9.0, max(5.2, 0.2 * len(self.roofs) + 2)

    def limits(self) -> tuple[float, float, float, float]:
        """Return the limits of both axes: x from, x to, y from, y to; every knee and point lies well inside."""
        xs = [roof.knee[0] for roof in self.roofs if roof.knee[0] > 0]
        xs += [*(point.intensity for point in self.points), *self.reach]
        left, right = min(xs) / 3, max(xs) * 2
        ys = [roof.peak for roof in self.roofs] + [point.performance for point in self.points]
        ys += [point.measured for point in self.points if point.measured is not None]
        slopes = [float(attainable(roof.peak, roof.bandwidth, left * 2)) for roof in self.roofs]
        return left, right, min(*ys, *slopes) / 2, max(ys) * 1.6

    def draw(self, ax: axes.Drawing) -> None:
        """Draw roofs as lines with exact knees, and points on them."""
        left, right, bottom, top = self.limits()
        ax.set(xscale="log", yscale="log", xlim=(left, right), ylim=(bottom, top))
        colour = {roof.machine: style.machine_colour(roof.machine) for roof in self.roofs}
        turns = self._turns()
        for roof in self.roofs:
            knee = roof.knee[0]
            if not knee:
                # An on-chip memory of unknown bandwidth: the compute roof, as far as the outer slope hides it.
                end = self._outer_knee(roof, right)
                look = {"color": colour[roof.machine], "lw": 1.0, "alpha": 0.7}
                ax.plot([left, end], [roof.peak] * 2, "--", **look)
                continue
            turn, count = turns[roof]
            solid = "-" if count == 1 else (_TURN * turn, (_TURN, _TURN * (count - 1)))
            ax.plot(
                [left, knee, right], [roof.bandwidth * left, roof.peak, roof.peak], color=colour[roof.machine],
                lw=1.2 if roof.measured or roof.memory else 1.6, zorder=2, alpha=0.7 if roof.memory else 1.0,
                ls="--" if roof.on_chip else "-." if roof.measured else solid,
            )  # fmt: skip
            ax.plot([knee], [roof.peak], "|", color=colour[roof.machine], ms=9, zorder=2)
        axes.set_titles(ax, self.title, "operational intensity, OP/B", "performance")
        _si_axis(ax)
        # The names of the roofs come first: they take room from the axes, and points are labelled in what is left.
        self._name_roofs(ax, colour)
        if self.layers:
            draw_layers(ax, self.points)
        else:
            inner = any(roof.on_chip for roof in self.roofs)
            draw_networks(ax, self.points, colour, on_chip=inner, phases=self.phases)

    def _turns(self) -> dict[Roof, tuple[int, int]]:
        """Return for each roof its place among the machines whose line is the same, and how many those are."""
        same: dict[tuple[float, float, bool, bool], list[Roof]] = {}
        for roof in self.roofs:
            same.setdefault((roof.peak, roof.bandwidth, roof.measured, roof.on_chip), []).append(
                roof
            )
        found: dict[Roof, tuple[int, int]] = {}
        for roofs in same.values():
            machines = distinct_values(roof.machine for roof in roofs)
            found |= {roof: (machines.index(roof.machine), len(machines)) for roof in roofs}
        return found

    def _outer_knee(self, inner: Roof, default: float) -> float:
        """Return the knee of the roof that an on-chip memory lies before."""
        same = [
            roof.knee[0]
            for roof in self.roofs
            if (roof.machine, roof.datatype, roof.on_chip)
            == (inner.machine, inner.datatype, False)
        ]
        return max(same, default=default)

    def _name_roofs(self, ax: axes.Drawing, colour: dict[str, str]) -> None:
        flat: dict[tuple[str, float, bool], list[str]] = {}
        for roof in self.roofs:
            names = flat.setdefault((roof.machine, roof.peak, roof.measured), [])
            names += [] if roof.datatype in names else [roof.datatype]
        spread(
            ax,
            [peak for _, peak, _ in flat],
            [
                f"{machine} {'/'.join(names)}{' measured' if measured else ''}  {style.rate(peak, 'OP/s')}"
                for (machine, peak, measured), names in flat.items()
            ],
            [colour[machine] for machine, _, _ in flat],
        )
        left, _, bottom, _ = self.limits()
        slopes = {(roof.bandwidth, roof.memory): roof for roof in self.roofs if roof.knee[0] > 0}
        for number, roof in enumerate(sorted(slopes.values(), key=lambda roof: -roof.bandwidth)):
            # Neighbouring slopes are labelled at different places along them.
            start = max(left, bottom / roof.bandwidth) * 2 * 2.2 ** (number % 3)
            start = min(start, roof.knee[0] / 1.5)
            (x0, y0), (x1, y1) = ax.transData.transform(
                [(start, start * roof.bandwidth), (2 * start, 2 * start * roof.bandwidth)]
            )
            same = len(
                {other.machine for other in self.roofs if other.bandwidth == roof.bandwidth}
            )
            text = ax.text(
                start, start * roof.bandwidth, f"{roof.memory} {style.rate(roof.bandwidth, 'B/s')}".strip(),
                rotation=math.degrees(math.atan2(y1 - y0, x1 - x0)), rotation_mode="anchor",
                color=colour[roof.machine] if same == 1 else style.INK, fontsize=7, ha="center", va="center",
                bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.6, "alpha": 0.9}, zorder=3,
            )  # fmt: skip
            text.set_in_layout(False)


@chart(
    "roofline",
    "performance over intensity: memory slopes, compute roofs, networks or layers as points",
    COLUMNS,
)
def compute(rows: Iterable[Row], options: Options) -> RooflineChart:
    """Return the chart of rows as ``predict`` writes them.

    Args:
        rows: A row gives a roof (platform, datatype, peak_op_s, bandwidth_b_s) and, if it has an intensity, a point.
        options: The title; ``on_chip`` adds the on-chip memories of machines whose key is that of a platform file, and
            marks networks that fit one.
    """
    table = check_rows(rows, COLUMNS, "roofline")
    roofs = distinct_values(
        Roof(row["platform"], row["datatype"], row["peak_op_s"], row["bandwidth_b_s"], row["memory"] or "",
             row["roof"] == "measured")
        for row in table
    )  # fmt: skip
    with_points = [row for row in table if row["intensity"] is not None]
    layers = any(row["layer"] for row in with_points)
    points = distinct_values(_points_of_rows(with_points, layers=layers))
    if options.on_chip:
        inner = {
            machine: _on_chip(machine)
            for machine in distinct_values(roof.machine for roof in roofs)
        }
        roofs += distinct_values(
            Roof(roof.machine, roof.datatype, roof.peak, bandwidth, name, on_chip=True)
            for roof in roofs
            for name, bandwidth, _ in inner[roof.machine]
        )
        if not layers:
            points = distinct_values(
                _resident(point, row, inner[point.machine])
                for point, row in zip(_points_of_rows(with_points), with_points, strict=True)
            )
    phases = any(row["phase"] for row in with_points)
    title = common_line(table, "network") if phases or layers else ""
    return RooflineChart(tuple(roofs), tuple(points), layers, phases, title=title)


def _on_chip(machine: str) -> list[tuple[str, float, float]]:
    """Return name, bandwidth in B/s and capacity in B of a machine's on-chip memories.

    The bandwidth is infinite where the platform file does not give it, the capacity zero; a machine without a file has
    no memories.
    """
    try:
        memories = platform(machine).memories
    except RooflineError:
        return []
    return [
        (
            memory.name,
            math.inf if memory.bandwidth is None else memory.bandwidth.base,
            0.0 if memory.capacity is None else memory.capacity.base,
        )
        for memory in memories
        if memory.on_chip
    ]


def _resident(point: Point, row: Row, memories: Sequence[tuple[str, float, float]]) -> Point:
    """Mark a network that fits an on-chip memory."""
    needed = row["required_bytes"]
    for name, bandwidth, capacity in memories:
        if needed is not None and needed <= capacity:
            reach = float(attainable(row["peak_op_s"], bandwidth, point.intensity))
            return replace(point, resident=name, reach=max(reach, point.performance))
    return point


def _points_of_rows(rows: Sequence[Cells], *, layers: bool = False) -> list[Point]:
    """Return a point for every row, of a decoder one for each phase, context and number of requests."""
    rows = [part for row in rows for part in _phases(row)]
    names = ("layer",) if layers else varying_columns(rows, "network", "pruning", "phase", "batch")
    total = sum(row["time_ms"] or 0.0 for row in rows) or 1.0
    return [
        Point(
            label=label(row, *names).removesuffix(","), machine=row["platform"], intensity=row["intensity"],
            performance=row["performance_op_s"]
            or float(attainable(row["peak_op_s"], row["bandwidth_b_s"], row["intensity"])),
            measured=row["measured_op_s"], estimated=row["model"] in ESTIMATES,
            weight=(row["time_ms"] or total) / total, bound=row["bound"] or "",
        )
        for row in rows
    ]  # fmt: skip


def _phases(row: Cells) -> Table:
    """Return a row for each phase of a decoder that it is of, with the phase in words; any other row as it is."""
    if not row["phase"]:
        return [row]
    parts = [row]
    if row["phase"] == "both":
        parts = [
            {
                **row,
                "phase": phase,
                "intensity": row[f"{phase}_intensity"],
                "performance_op_s": None,
            }
            for phase in ("prefill", "decode")
            if row[f"{phase}_intensity"] is not None
        ] or parts
    # The name of a run of a phase has it already.
    return [
        {
            **part,
            "phase": f"{words}," if (words := with_phase(part).removeprefix(str(part["network"])).strip()) else "",
        }
        for part in parts
    ]  # fmt: skip


def _si_axis(ax: axes.Drawing) -> None:
    from matplotlib.ticker import EngFormatter, FuncFormatter, NullFormatter

    ax.yaxis.set_major_formatter(EngFormatter(unit="OP/s"))
    ax.xaxis.set_major_formatter(FuncFormatter(_plain))
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_minor_formatter(NullFormatter())


def _plain(value: float, _: object) -> str:
    return f"{value:g}"
