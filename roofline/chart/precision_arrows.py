"""Chart ``precision``: how a network moves on the roofline from a wide to a narrow datatype."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from roofline.chart import _style as style
from roofline.chart._axes import Drawing, legend_mark
from roofline.chart._base import OneSizeChart
from roofline.chart._labels import place_labels
from roofline.chart._registry import table_chart
from roofline.chart._table import Table, amounts, distinct_values, label, words
from roofline.chart.rooflines import Roof, RooflineChart
from roofline.model import attainable
from roofline.precision import width_of
from roofline.tables import Record

COLUMNS = (
    *words("platform", "datatype", "network"),
    *words("pruning", required=False),
    *amounts("peak_op_s", "bandwidth_b_s", "intensity"),
)


@dataclass(frozen=True, slots=True)
class Path:
    """A network's places on one machine's roofs, from the widest datatype to the narrowest."""

    label: str
    machine: str
    steps: tuple[tuple[str, float, float], ...]
    """Datatype, intensity in OP/B, performance in OP/s."""

    @property
    def gain(self) -> float:
        """Performance at the narrowest datatype over that at the widest."""
        return self.steps[-1][2] / self.steps[0][2]


@dataclass(frozen=True, slots=True)
class PrecisionChart(OneSizeChart):
    """Roofs of machines at several datatypes, and arrows of networks between them."""

    roofs: tuple[Roof, ...]
    paths: tuple[Path, ...]

    def records(self) -> list[Record]:
        """Return one row per step of each path."""
        return [
            {
                "label": path.label, "platform": path.machine, "datatype": datatype, "intensity": intensity,
                "performance_op_s": performance, "gain": performance / path.steps[0][2],
            }
            for path in self.paths
            for datatype, intensity, performance in path.steps
        ]  # fmt: skip

    def size(self) -> tuple[float, float]:
        """Return the size in inches."""
        return 9.0, 5.6

    def draw(self, ax: Drawing) -> None:
        """Draw the roofs, and for each network an arrow from datatype to datatype with the gain at its end."""
        reach = tuple(intensity for path in self.paths for _, intensity, _ in path.steps)
        RooflineChart(self.roofs, title=self.title, reach=reach).draw(ax)
        colour = style.colours(path.label for path in self.paths)
        for path in self.paths:
            places = [(intensity, performance) for _, intensity, performance in path.steps]
            for start, end in pairwise(places):
                ax.annotate("", end, xytext=start, zorder=4,
                            arrowprops={"arrowstyle": "-|>", "color": colour[path.label], "lw": 1.5})  # fmt: skip
            ax.plot([x for x, _ in places], [y for _, y in places], "o", ms=5, color=colour[path.label],
                    mec="white", zorder=5)  # fmt: skip
        ends = [
            (path, step) for path in self.paths for step in path.steps
            if step is path.steps[0] or step[2] > path.steps[0][2]
        ]  # fmt: skip
        place_labels(
            ax, [(step[1], step[2]) for _, step in ends],
            [
                step[0] if step is path.steps[0] else f"{step[0]} ×{step[2] / path.steps[0][2]:.3g}"
                for path, step in ends
            ],
            colours=[colour[path.label] for path, _ in ends], reach=20,
        )  # fmt: skip
        handles = [
            legend_mark(path.label, marker="o", color=colour[path.label], ls="-")
            for path in self.paths
        ]
        ax.legend(handles=handles, loc="lower right", fontsize=7)


@table_chart(
    "precision", "how networks move on the roofline from wide to narrow datatypes", COLUMNS
)
def compute(table: Table) -> PrecisionChart:
    """Return the chart of rows as ``predict`` writes them for several datatypes."""
    roofs = distinct_values(
        Roof(row["platform"], row["datatype"], row["peak_op_s"], row["bandwidth_b_s"])
        for row in table
    )
    machines = distinct_values(row["platform"] for row in table)
    steps: dict[tuple[str, str], dict[str, tuple[str, float, float]]] = {}
    for row in table:
        performance = float(attainable(row["peak_op_s"], row["bandwidth_b_s"], row["intensity"]))
        names = ("network", "pruning", "platform") if len(machines) > 1 else ("network", "pruning")
        path = steps.setdefault((label(row, *names), row["platform"]), {})
        path.setdefault(row["datatype"], (row["datatype"], row["intensity"], performance))
    paths = tuple(
        Path(*place, tuple(sorted(own.values(), key=lambda step: -width_of(step[0]))))
        for place, own in steps.items()
    )
    return PrecisionChart(tuple(roofs), paths)
