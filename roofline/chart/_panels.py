"""Charts of several parts: panels in a grid, and any kind of chart once for each value of a column."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, TypeVar

from roofline.chart._axes import Drawing
from roofline.chart._base import Chart
from roofline.chart._registry import Kind, Options
from roofline.chart._table import distinct_values
from roofline.errors import TableError, did_you_mean
from roofline.tables import Record, Row

T = TypeVar("T")

_WIDEST = 10.0
"""Inches: beyond, text is no longer legible at the width of a page."""


def grid_size(parts: Sequence[Chart], across: int) -> tuple[float, float]:
    """Return the width and height in inches of a grid of charts, ``across`` to a row."""
    widths, heights = _lengths(parts, across)
    return sum(widths), sum(heights) + 0.3


def draw_panels(ax: Drawing, parts: Sequence[Chart], across: int, title: str = "") -> None:
    """Draw charts in a grid in the place of axes, which become invisible.

    Args:
        ax: Axes that belong to a grid of subplots, as those of a new figure do.
        parts: The charts, row by row.
        across: How many stand side by side.
        title: A line above all of them, where the axes have the figure for themselves.
    """
    figure = ax.get_figure()
    alone = len(figure.axes) == 1
    ax.set_axis_off()
    ax.set_in_layout(False)
    widths, heights = _lengths(parts, across)
    spec = ax.get_subplotspec()
    options = {"width_ratios": widths, "height_ratios": heights}
    if spec is None:
        box = ax.get_position()
        edges = {"left": box.x0, "right": box.x1, "bottom": box.y0, "top": box.y1}
        grid = figure.add_gridspec(len(heights), len(widths), **options, **edges)
    else:
        grid = spec.subgridspec(len(heights), len(widths), **options)
    if title and alone:
        figure.suptitle(title, x=0.01, ha="left", fontsize=12, fontweight="bold")
    for index, part in enumerate(parts):
        part.draw(figure.add_subplot(grid[index // across, index % across]))


def divide_items(items: Sequence[T], of: Callable[[T], str], most: int) -> list[list[T]]:
    """Return items in parts of at most ``most``, divided where what they are of changes as far as that goes.

    Example:
        >>> divide_items(["a1", "a2", "b1", "b2", "b3"], lambda item: item[0], 3)
        [['a1', 'a2'], ['b1', 'b2', 'b3']]
    """
    parts: list[list[T]] = [[]]
    for name in distinct_values(map(of, items)):
        own = [item for item in items if of(item) == name]
        if parts[-1] and len(parts[-1]) + len(own) > most:
            parts.append([])
        for item in own:
            if len(parts[-1]) == most:
                parts.append([])
            parts[-1].append(item)
    return parts


@dataclass(frozen=True, slots=True)
class PanelledChart(Chart):
    """A chart that is divided into panels of its own kind where one figure cannot show all it holds."""

    across: ClassVar[int] = 1
    """Panels that stand side by side."""

    @abstractmethod
    def panels(self) -> Sequence[Chart]:
        """Return the parts that it is divided into: itself alone where it is legible as it is."""

    @abstractmethod
    def panel_size(self) -> tuple[float, float]:
        """Return the size in inches where it is not divided."""

    @abstractmethod
    def draw_panel(self, ax: Drawing) -> None:
        """Draw the values of a chart that is not divided."""

    def size(self) -> tuple[float, float]:
        """Return the size in inches; that of a divided chart is its panels'."""
        panels = self.panels()
        return grid_size(panels, self.across) if len(panels) > 1 else self.panel_size()

    def draw(self, ax: Drawing) -> None:
        """Draw the chart, in panels where it is divided."""
        panels = self.panels()
        if len(panels) > 1:
            draw_panels(ax, panels, self.across, self.title)
        else:
            self.draw_panel(ax)


@dataclass(frozen=True, slots=True)
class Facets(Chart):
    """The same kind of chart for every value of a column."""

    by: str
    parts: tuple[tuple[str, Chart], ...]
    """Value and chart, in the order the values first come in."""

    def records(self) -> list[Record]:
        """Return the rows of all parts, each with the value it is for."""
        return [{self.by: value} | row for value, part in self.parts for row in part.records()]

    @property
    def most_rows(self) -> int:
        """Panels share the room of one figure."""
        return max((part.most_rows for part in self._charts()), default=0)

    def size(self) -> tuple[float, float]:
        """Return the size in inches."""
        return grid_size(self._charts(), self._across())

    def draw(self, ax: Drawing) -> None:
        """Draw a panel for each value."""
        draw_panels(ax, self._charts(), self._across(), self.title)

    def _charts(self) -> list[Chart]:
        return [part for _, part in self.parts]

    def _across(self) -> int:
        widest = max((part.size()[0] for _, part in self.parts), default=1.0)
        fit = max(1, min(len(self.parts), int(_WIDEST / widest)))
        # As many rows as that takes, filled evenly: four panels are two by two, not three and one.
        rows = max(1, -(-len(self.parts) // fit))
        return max(1, -(-len(self.parts) // rows))


def facets(kind: Kind, rows: Iterable[Row], options: Options, by: str) -> Facets:
    """Return one chart for each value of a column; a value without anything to draw gets none.

    Args:
        kind: The kind of chart.
        rows: Any rows the kind takes.
        options: The title stands above all panels.
        by: The column.

    Raises:
        TableError: No row has that column, or a row is not what the kind needs.
    """
    table = list(rows)
    present = {name for row in table for name in row}
    if table and by not in present:
        hint = did_you_mean(by, present) or f"It has: {', '.join(sorted(present))}"
        raise TableError(f"the data has no column {by!r} to divide by", repair=hint)
    values = distinct_values(row.get(by) for row in table)
    parts = [
        (
            "" if value is None else str(value),
            kind.compute(
                [row for row in table if row.get(by) == value],
                replace(options, title=f"{by} {value}" if _numeric(value) else str(value or "")),
            ),
        )
        for value in values
    ]
    shown = tuple(part for part in parts if part[1].records())
    return Facets(by, shown, title=options.title)


def _numeric(value: Any) -> bool:
    try:
        float(value)
    except (TypeError, ValueError):
        return False
    return True


def _lengths(parts: Sequence[Chart], across: int) -> tuple[list[float], list[float]]:
    """Return the widths of the columns and the heights of the rows."""
    sizes = [part.size() for part in parts]
    columns = min(across, len(sizes)) or 1
    widths = [max(width for width, _ in sizes[column::columns]) for column in range(columns)]
    heights = [
        max(height for _, height in sizes[start : start + columns])
        for start in range(0, len(sizes), columns)
    ]
    return widths, heights
