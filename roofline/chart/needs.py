"""Chart ``needs``: what a network asks of any machine, a curve over bandwidth and peak, and the machines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from roofline.chart import _axes as axes
from roofline.chart import _style as style
from roofline.chart._base import Chart
from roofline.chart._labels import place_labels
from roofline.chart._registry import table_chart
from roofline.chart._table import Table, amounts, distinct_values, words
from roofline.errors import TableError
from roofline.tables import Column, Record, Row

COLUMNS = (
    *words("datatype"),
    *words("network", "platform", "batch", required=False),
    Column("answer", "yes, unknown or no; empty for a point of a curve", required=False),
    *amounts("bandwidth_b_s", "peak_op_s"),
)

_ANSWERS = {"yes": "#009E73", "unknown": "#E69F00", "no": style.GREY}
_MOST_LABELS = 12

Point = tuple[float, float]
"""Bandwidth in B/s and peak in OP/s."""


@dataclass(frozen=True, slots=True)
class Needs(Chart):
    """Curves above which a machine may reach what is asked, and machines."""

    curves: tuple[tuple[str, tuple[Point, ...]], ...]
    """Network, datatype and batch in words; points in the order of bandwidth."""
    machines: tuple[tuple[str, str, Point], ...]
    """Machine, answer and where it lies."""

    def records(self) -> list[Record]:
        """Return one row per point of a curve and per machine."""
        along: list[Record] = [
            {"curve": name, "bandwidth_b_s": bandwidth, "peak_op_s": peak}
            for name, points in self.curves
            for bandwidth, peak in points
        ]
        return along + [
            {"platform": name, "answer": answer, "bandwidth_b_s": place[0], "peak_op_s": place[1]}
            for name, answer, place in self.machines
        ]

    def size(self) -> tuple[float, float]:
        """Return the size in inches."""
        return 8.5, 5.6

    def draw(self, ax: axes.Drawing) -> None:
        """Draw what is out of reach below each curve, and every machine in the colour of its answer."""
        for answer, colour in _ANSWERS.items():
            own = [place for _, verdict, place in self.machines if verdict == answer]
            if own:
                ax.scatter(
                    [place[0] for place in own], [place[1] for place in own], s=22, color=colour, label=answer,
                    zorder=3,
                )  # fmt: skip
        points = [place for _, _, place in self.machines] + [
            point for _, along in self.curves for point in along
        ]
        left, right = min(x for x, _ in points) / 1.6, max(x for x, _ in points) * 1.6
        low, top = min(y for _, y in points) / 1.8, max(y for _, y in points) * 1.8
        for (name, along), dash in zip(
            self.curves, ("-", "--", "-.", ":") * len(self.curves), strict=False
        ):
            # Left of the least bandwidth no peak is enough; right of the last point the curve is flat.
            whole = [(along[0][0], top), *along, (right, along[-1][1])]
            xs, ys = [x for x, _ in whole], [y for _, y in whole]
            ax.plot(xs, ys, color=style.INK, lw=1.4, ls=dash, label=f"least for {name}", zorder=2)
            if len(self.curves) == 1:
                ax.fill_between(
                    [left, *xs], low, [top, *ys], color=style.GREY, alpha=0.10, zorder=0, lw=0
                )
        axes.set_log_axes(ax, self.title, "memory bandwidth, B/s", "peak, OP/s")
        ax.set(xlim=(left, right), ylim=(low, top))
        axes.legend_above(ax, self.title, columns=4)
        _name(ax, self.machines)


def _name(ax: axes.Drawing, machines: Sequence[tuple[str, str, Point]]) -> None:
    """Write the names of the first machines, which are the best ones."""
    first = [entry for entry in machines if entry[1] != "no"][:_MOST_LABELS] or machines[
        :_MOST_LABELS
    ]
    place_labels(
        ax, [place for _, _, place in first], [name for name, _, _ in first],
        colours=[style.INK] * len(first), avoid=[place for _, _, place in machines],
    )  # fmt: skip


@table_chart(
    "needs",
    "what a network asks of any machine, in bandwidth and peak, and the machines (from advise)",
    COLUMNS,
)
def compute(table: Table) -> Needs:
    """Return the chart of what ``advise --format json`` writes.

    Raises:
        TableError: A machine has no answer.
    """
    machine = next((row for row in table if row["platform"] and not row["answer"]), None)
    if machine is not None:
        raise TableError(
            f"the data for chart 'needs' does not say whether {machine['platform']} does what is asked",
            repair="Give what roofline advise --format json writes, or a column answer: yes, unknown or no",
        )
    asked = [row for row in table if not row["platform"]]
    names = distinct_values(_subject(row) for row in asked)
    curves = tuple(
        (
            name,
            tuple(
                (row["bandwidth_b_s"], row["peak_op_s"]) for row in asked if _subject(row) == name
            ),
        )
        for name in names
    )
    machines = tuple(
        distinct_values(
            (row["platform"], row["answer"], (row["bandwidth_b_s"], row["peak_op_s"]))
            for row in table
            if row["platform"]
        )
    )
    return Needs(curves, machines)


def _subject(row: Row) -> str:
    batch = f", batch {row['batch']}" if row["batch"] else ""
    return f"{row['network'] or 'the network'} in {row['datatype']}{batch}"
