"""What stands under the roofs of the chart ``roofline``: networks or layers as points, and how they are drawn."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from roofline.chart import _style as style
from roofline.chart._axes import Drawing, legend_mark
from roofline.chart._labels import OFF_THE_LINE, place_labels
from roofline.chart._table import distinct_values
from roofline.model import ridge

_STEPS = 64
"""Places of a line that labels keep off: over the whole height of a figure they are closer than a label is high."""
_FEW = 12
"""So many points are labelled each; more have a legend."""


@dataclass(frozen=True, slots=True)
class Roof:
    """One memory slope with one compute roof."""

    machine: str
    datatype: str
    peak: float
    """OP/s."""
    bandwidth: float
    """B/s; infinite for an on-chip memory whose bandwidth the platform file does not say."""
    memory: str = ""
    measured: bool = False
    on_chip: bool = False

    @property
    def knee(self) -> tuple[float, float]:
        """The ridge point: intensity in OP/B, performance in OP/s."""
        return float(ridge(self.peak, self.bandwidth)), self.peak

    @property
    def name(self) -> str:
        """What the compute roof is called."""
        return f"{self.machine} {self.datatype}{' measured' if self.measured else ''}"


@dataclass(frozen=True, slots=True)
class Point:
    """A network or a layer on a roof."""

    label: str
    machine: str
    intensity: float
    """OP/B."""
    performance: float
    """OP/s."""
    measured: float | None = None
    """OP/s of a real run."""
    estimated: bool = False
    """Whether the performance is what is expected of a run, and no bound."""
    weight: float = 1.0
    """Share of the time, for layers."""
    bound: str = ""
    resident: str = ""
    """The on-chip memory that holds all the network needs."""
    reach: float = 0.0
    """OP/s that this memory allows."""


def draw_networks(
    ax: Drawing, points: Sequence[Point], colour: Mapping[str, str], *, on_chip: bool, phases: bool
) -> None:
    """Draw networks as marks in the colour of their machine, each with its measured run.

    Args:
        ax: The axes.
        points: The networks.
        colour: By machine.
        on_chip: Whether there are roofs of on-chip memories, which the legend explains.
        phases: Whether the points are phases of decoders, which lie close on the roof: labels beside them would be
            taken for each other's.
    """
    marks = style.markers(point.label for point in points)
    for point in points:
        _draw_network(ax, point, marks[point.label], colour.get(point.machine, style.INK))
    distinct = len({point.label for point in points}) == len(points)
    # The legend names networks that are not labelled, and all of them where a label finds no place.
    unnamed = len(points)
    if distinct and len(points) <= _FEW and not phases:
        unnamed = place_labels(
            ax, [(point.intensity, point.performance) for point in points], [point.label for point in points],
            colours=[colour.get(point.machine, style.INK) for point in points],
            avoid=[place for point in points for place in _upright_lines(point)],
        )  # fmt: skip
    _explain(ax, points, marks if unnamed else {}, on_chip=on_chip)


def _upright_lines(point: Point) -> Iterator[tuple[float, float]]:
    """Yield places close together on the lines that lead from a network to its run and to the roof on the chip."""
    ends = [point.measured, point.reach if point.resident else None]
    for end in ends:
        # Performance without an end, or of zero, is nowhere on a logarithmic axis.
        if end is not None and 0 < end < math.inf and 0 < point.performance < math.inf:
            for step in range(1, _STEPS + 1):
                share = step / _STEPS
                yield point.intensity, point.performance ** (1 - share) * end**share


def _draw_network(ax: Drawing, point: Point, mark: str, ink: str) -> None:
    x, y = point.intensity, point.performance
    look = (
        {"mfc": "white", "mec": ink, "mew": 1.1}
        if point.estimated
        else {"mec": "white", "mew": 0.6}
    )
    ax.plot([x], [y], mark, color=ink, ms=style.size(mark, 6), zorder=4, **look)
    if point.resident:
        ax.plot([x], [y], "o", ms=11, mfc="none", mec=ink, mew=1.0, zorder=4)
        ax.plot([x] * 2, [y, point.reach], "--", color=ink, lw=0.8, zorder=3)
    if point.measured is not None:
        ax.plot([x] * 2, [point.measured, y], ":", color=ink, lw=0.9, zorder=3)
        ax.plot([x], [point.measured], "x", color=ink, ms=5, mew=1.4, zorder=4)


def _explain(
    ax: Drawing, points: Sequence[Point], marks: Mapping[str, str], *, on_chip: bool
) -> None:
    """Draw the legend of marks, and of what else is drawn beside networks."""
    grey = style.GREY
    names = [
        legend_mark(name, marker=marks[name], ms=style.size(marks[name], 6), color=grey)
        for name in distinct_values(point.label for point in points)
        if name in marks
    ]
    if any(point.measured is not None for point in points):
        names.append(legend_mark("measured", marker="x", color=style.INK))
    if any(point.estimated for point in points):
        names.append(legend_mark("hollow: expected of a run", marker="o", mfc="white", color=grey))
    if on_chip:
        names.append(legend_mark("roof of on-chip memory", ls="--", color=grey))
    if any(point.resident for point in points):
        names.append(legend_mark("fits on the chip", marker="o", mfc="none", ms=9, color=grey))
    if names:
        legend = ax.legend(
            handles=names, loc="lower right", fontsize=7.5, ncols=1 + len(names) // 14
        )
        if _is_covering(ax, legend):
            ax.legend(
                handles=names, loc="upper left", bbox_to_anchor=(0, -0.12), fontsize=7.5, ncols=4
            )


def _is_covering(ax: Drawing, legend: Drawing) -> bool:
    """Return whether a legend covers a roof or a point."""
    figure = ax.get_figure()
    if figure is None:
        return False
    figure.draw_without_rendering()
    box = legend.get_window_extent()
    return any(
        line.get_transform().transform_path(line.get_path()).intersects_bbox(box, filled=False)
        or any(box.contains(*place) for place in line.get_transform().transform(line.get_xydata()))
        for line in ax.get_lines()
    )


def draw_layers(ax: Drawing, points: Sequence[Point]) -> None:
    """Draw the layers of one network: the colour is what holds them back, the area their share of the time."""
    heaviest = max((point.weight for point in points), default=1.0)
    for point in points:
        ax.plot(
            [point.intensity], [point.performance], "o", alpha=0.65, mec="white", mew=0.4, zorder=4,
            color=style.BOUND.get(point.bound, style.INK), ms=3 + 11 * math.sqrt(point.weight / heaviest),
        )  # fmt: skip
    named = sorted(points, key=lambda point: -point.weight)[:6]
    place_labels(
        ax, [(point.intensity, point.performance) for point in named], [point.label for point in named],
        colours=[style.INK] * len(named), prefer=[OFF_THE_LINE] * len(named),
    )  # fmt: skip
    bounds = distinct_values(point.bound for point in points if point.bound)
    handles = [
        legend_mark(f"{name}-bound layer", marker="o", color=style.BOUND.get(name, style.INK))
        for name in bounds
    ]
    handles.append(legend_mark("area: share of the time", marker=""))
    ax.legend(handles=handles, loc="lower right", fontsize=7.5)
