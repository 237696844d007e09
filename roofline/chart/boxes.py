"""Chart ``boxes``: the spread of a value per machine and datatype, one box per pruning."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from roofline.chart import _axes as axes
from roofline.chart import _style as style
from roofline.chart._labels import text_width
from roofline.chart._panels import PanelledChart, divide_items
from roofline.chart._registry import Options, chart
from roofline.chart._table import amount, amounts, check_rows, distinct_values, label, words
from roofline.tables import Record, Row

_VALUES = {
    "measured_fps": "throughput, frames/s",
    "predicted_fps": "predicted throughput, frames/s",
    "latency_ms": "latency, ms",
    "power_w": "power, W",
    "fps_per_w": "frames/s per watt",
    "utilization": "share of the compute peak",
    "efficiency": "measured / predicted",
}
_NEAR = 6.0
"""Normalised values within this factor are shown on a linear axis."""
_RATES = frozenset({"measured_fps", "predicted_fps", "fps_per_w"})
_PROMISED = _RATES | {"latency_ms"}
COLUMNS = (
    *words("platform"),
    *words("datatype", "pruning", "network", "batch", required=False),
    amount(
        "measured_fps", "throughput in frames per second, or another column named as the value"
    ),
    *amounts("peak_fps", "power_w", required=False),
    amount(
        "ops",
        "operations per frame, for the theoretical compute of normalised boxes",
        required=False,
    ),
)
_MOST = 28
"""Boxes in one panel; more are divided between groups."""
_EACH = 0.23
"""Width of a box in inches; groups are a box apart."""
_NAMES = 8.0
"""Size of the names of groups in points."""
_THIN = 0.03
"""Share of the axis below which a box would not show its colour."""
_KEY = "box: quartiles and median; cross: mean; whiskers: least and greatest; number: points"
THEORY = "theoretical compute"
"""The first group of normalised boxes: what the operations alone promise."""


@dataclass(frozen=True, slots=True)
class Box:
    """The distribution of a value over the batches of one network."""

    group: str
    """Machine and datatype, and the network where several are shown."""
    pruning: str
    values: tuple[float, ...]
    peak: float | None = None
    """The value at the compute peak, for throughput."""

    @property
    def quartiles(self) -> tuple[float, float, float]:
        """Lower quartile, median and upper quartile (linear interpolation)."""
        low, middle, high = np.percentile(self.values, [25, 50, 75])
        return float(low), float(middle), float(high)

    @property
    def mean(self) -> float:
        """The arithmetic mean."""
        return float(np.mean(self.values))


@dataclass(frozen=True, slots=True)
class Boxes(PanelledChart):
    """Boxes in groups, each with the theoretical value at the compute peak where it is known."""

    boxes: tuple[Box, ...]
    value: str = "measured_fps"
    normalised: bool = False
    """Whether values are shares of each machine's greatest."""
    limits: tuple[float, float] | None = None
    """The vertical axis, where several panels share it."""
    prunings: tuple[str, ...] = ()
    """All prunings, where a panel shows some of them."""
    first: bool = True
    """Whether the legend stands here: above the first of several panels."""
    width: float = 0.0
    """The least width in inches: that of the widest of several panels."""
    last: bool = True
    """Whether it is said here how to read boxes: below the last of several panels."""

    def records(self) -> list[Record]:
        """Return one row per box."""
        return [
            {
                "group": box.group, "pruning": box.pruning, "count": len(box.values), "low": min(box.values),
                "q1": box.quartiles[0], "median": box.quartiles[1], "q3": box.quartiles[2],
                "high": max(box.values), "mean": box.mean, "peak": box.peak,
            }
            for box in self.boxes
        ]  # fmt: skip

    def panels(self) -> tuple[Boxes, ...]:
        """Return the parts that many boxes are divided into, between groups; all have one axis."""
        if len(self.boxes) <= _MOST:
            return (self,)
        parts = divide_items(self.boxes, lambda box: box.group, _MOST)
        width = max(Boxes(tuple(part))._width() for part in parts)
        prunings = distinct_values(box.pruning for box in self.boxes)
        return tuple(
            replace(
                self, boxes=tuple(part), title="", limits=self._limits(), prunings=tuple(prunings), width=width,
                first=place == 0, last=place == len(parts) - 1,
            )
            for place, part in enumerate(parts)
        )  # fmt: skip

    def panel_size(self) -> tuple[float, float]:
        """Return the size in inches; the width grows with the boxes."""
        longest = max((len(box.group) for box in self.boxes), default=0)
        names = 0.2 if self._across() else 0.035 * longest
        return self._width(), 3.2 + names + 0.15 * self.first + 0.2 * self.last

    def _width(self) -> float:
        groups = distinct_values(box.group for box in self.boxes)
        return max(self.width, axes.sizes(len(self.boxes) + len(groups), _EACH, 5.0))

    def _across(self) -> bool:
        """Return whether every group has room for its name, a line for each word."""
        groups = distinct_values(box.group for box in self.boxes)
        each = 72 * (self._width() - 1.0) / max(1, len(self.boxes) + len(groups))
        return all(
            max(text_width(word, _NAMES) for word in name.split()) + 4
            <= each * (1 + sum(box.group == name for box in self.boxes))
            for name in groups
        )

    def _limits(self) -> tuple[float, float]:
        """Return the ends of the vertical axis."""
        everything = [v for box in self.boxes for v in (*box.values, box.peak) if v is not None]
        if self.normalised and max(everything) < _NEAR * min(everything):
            return 0.0, 1.1 * max(everything)
        low, high = min(everything) / 1.4, max(everything)
        # Room for the number of points above the highest box.
        return low, high * max(1.3, (high / low) ** 0.09)

    def draw_panel(self, ax: axes.Drawing) -> None:
        """Draw boxes with quartiles, the mean as a cross, and whiskers to the least and greatest value."""
        prunings = self.prunings or tuple(distinct_values(box.pruning for box in self.boxes))
        shades = dict(zip(prunings, style.shades(len(prunings), 0.15, 0.9), strict=True))
        ticks: list[tuple[float, str]] = []
        place = 0.0
        for group in distinct_values(box.group for box in self.boxes):
            own = [box for box in self.boxes if box.group == group]
            for offset, box in enumerate(own):
                _draw_box(ax, box, place + offset, shades[box.pruning], thin=self._thin(box))
            ticks.append((place + (len(own) - 1) / 2, group))
            place += len(own) + 1
            ax.axvline(place - 1, color="#DDDDDD", lw=0.8, zorder=1)
        self._scale(ax, place - 1)
        _name_groups(ax, ticks, across=self._across())
        name = _VALUES.get(self.value, self.value)
        if self.normalised:
            name = f"{name.split(',')[0]},\nshare of each machine's greatest"
        axes.set_titles(ax, self.title, y=name)
        if self.last:
            ax.set_xlabel(_KEY, loc="right", fontsize=8, color=style.GREY)
        if self.first:
            self._legend(ax, prunings, shades)

    def _legend(self, ax: axes.Drawing, prunings: Sequence[str], shades: dict[str, str]) -> None:
        handles = [
            axes.legend_area(name, shades[name], edgecolor=style.INK, lw=0.6) for name in prunings
        ]
        if any(box.peak is not None for box in self.boxes):
            handles.append(axes.legend_area("compute peak", style.PEAK))
        axes.legend_above(ax, self.title, columns=6, handles=handles)

    def _thin(self, box: Box) -> bool:
        """Return whether a box is so flat that it would be all outline."""
        low, _, high = box.quartiles
        bottom, top = self.limits or self._limits()
        if bottom <= 0:
            return high - low < _THIN * top
        return bool(np.log(high / low) < _THIN * np.log(top / bottom))

    def _scale(self, ax: axes.Drawing, right: float) -> None:
        bottom, top = self.limits or self._limits()
        if bottom > 0:
            ax.set_yscale("log")
            axes.prefix_numbers(ax.yaxis)
        ax.set_ylim(bottom, top)
        ax.set_xlim(-1, right)


def _draw_box(ax: axes.Drawing, box: Box, where: float, shade: str, *, thin: bool) -> None:
    """Draw one box with its quartiles, mean, whiskers, number of points and compute peak."""
    low, middle, high = box.quartiles
    least, greatest = min(box.values), max(box.values)
    across = [where - 0.39, where + 0.39]
    ax.plot([where, where], [least, greatest], color=style.INK, lw=0.8, zorder=2)
    if thin:
        ax.plot(across, [middle] * 2, color=shade, lw=5, zorder=3, solid_capstyle="butt")
    else:
        ax.bar(
            where, high - low, 0.78, bottom=low, color=shade, edgecolor=style.INK, lw=0.6, zorder=3
        )
    ax.plot(across, [middle] * 2, color=style.INK, lw=1.4, zorder=4)
    for ink, weight in ((style.INK, 2.6), ("white", 1.2)):
        ax.plot([where], [box.mean], "x", color=ink, ms=4, mew=weight, zorder=5)
    if box.group != THEORY:
        count = f"{len(box.values)}"
        look = {"ha": "center", "fontsize": 8, "color": style.GREY}
        axes.write_beside(ax, count, (where, greatest), (0, 3.5), **look)
    if box.peak is not None:
        ax.plot(across, [box.peak] * 2, color=style.PEAK, lw=2, zorder=4)


def _name_groups(ax: axes.Drawing, ticks: Sequence[tuple[float, str]], *, across: bool) -> None:
    """Write the groups below the axis: a line for each word, or upright where that has no room."""
    names = [name.replace(" ", "\n") if across else name for _, name in ticks]
    ax.set_xticks([where for where, _ in ticks], names, rotation=0 if across else 90)
    ax.tick_params(axis="x", length=0)
    ax.grid(visible=False, axis="x")


@chart("boxes", "spread of a value per machine and datatype, one box per pruning", COLUMNS)
def compute(rows: Iterable[Row], options: Options) -> Boxes:
    """Return the chart of a value over all rows of each machine, datatype and pruning.

    Where throughput is shown and rows have a peak_fps, each box shows the theoretical value too. ``fps_per_w`` and
    ``utilization`` are computed where the rows have no such column.

    Normalised, every value is divided by the greatest of its machine, over all datatypes and prunings, and where rows
    have ``ops`` a first group shows what the operations alone promise: proportional for a latency, inverse for a
    throughput (Blott et al. 2021, Figures 9 to 17).

    Args:
        rows: Measured rows, one per batch.
        options: The title; ``value`` names the column (default measured_fps); ``normalise``.

    Raises:
        TableError: A column is missing or a cell is no number.
    """
    value = options.value or "measured_fps"
    derived = {"fps_per_w": "power_w", "utilization": "peak_fps"}
    rows = list(rows)
    compute_it = value in derived and not any(row.get(value) for row in rows)
    shown = "measured_fps" if compute_it else value
    columns = [column for column in COLUMNS if column.name not in {"measured_fps", shown}]
    columns.append(amount(shown, _VALUES.get(shown, "value shown")))
    table = check_rows(rows, columns, "boxes")
    # Networks are never mixed in one box.
    several = len({row["network"] for row in table}) > 1
    names = ("platform", "datatype", "network") if several else ("platform", "datatype")
    found: dict[tuple[str, str], list[float]] = {}
    peaks: dict[tuple[str, str], float] = {}
    machines: dict[str, str] = {}
    ops: dict[str, set[float]] = {}
    for row in table:
        number = row[shown]
        place = label(row, *names), row["pruning"] or "dense"
        if compute_it:
            divisor = row[derived[value]]
            if divisor is None:
                continue
            number /= divisor
        machines[place[0]] = row["platform"]
        if row["ops"] is not None:
            ops.setdefault(place[1], set()).add(row["ops"])
        if value in {"measured_fps", "predicted_fps"} and row["peak_fps"] is not None:
            peaks[place] = max(peaks.get(place, 0.0), row["peak_fps"])
        found.setdefault(place, []).append(number)
    prunings = sorted({pruning for _, pruning in found}, key=_kept_order)
    boxes = tuple(
        Box(group, pruning, tuple(found[group, pruning]), peaks.get((group, pruning)))
        for group in distinct_values(group for group, _ in found)
        for pruning in prunings
        if (group, pruning) in found
    )
    if options.normalise:
        theory = _theory(ops, prunings, rate=value in _RATES) if value in _PROMISED else ()
        boxes = (*theory, *_normalize(boxes, machines))
    return Boxes(boxes, value, options.normalise)


def _normalize(boxes: tuple[Box, ...], machines: dict[str, str]) -> tuple[Box, ...]:
    """Divide the values of each machine by its greatest."""
    greatest: dict[str, float] = {}
    for box in boxes:
        machine = machines[box.group]
        greatest[machine] = max(greatest.get(machine, 0.0), *box.values)
    return tuple(
        Box(box.group, box.pruning, tuple(v / greatest[machines[box.group]] for v in box.values))
        for box in boxes
    )


def _theory(ops: dict[str, set[float]], prunings: list[str], *, rate: bool) -> tuple[Box, ...]:
    """Return what the operations promise for each pruning; nothing when networks of several sizes are mixed."""
    if not ops or any(len(held) > 1 for held in ops.values()):
        return ()
    counts = {pruning: next(iter(ops[pruning])) for pruning in prunings if pruning in ops}
    least, most = min(counts.values()), max(counts.values())
    return tuple(
        Box(THEORY, pruning, (least / count if rate else count / most,))
        for pruning, count in counts.items()
    )


def _kept_order(pruning: str) -> tuple[float, str]:
    """Order prunings from what keeps most to what keeps least; ``dense`` comes first."""
    numbers = re.findall(r"\d+(?:\.\d+)?", pruning)
    return (-1e9 if pruning == "dense" else -float(numbers[-1]) if numbers else 0.0), pruning
