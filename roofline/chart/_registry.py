"""The registry of charts: each is one module of this package, or a third party's."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, TypeVar

from roofline.chart._base import Chart
from roofline.chart._table import Table, check_rows
from roofline.errors import OptionError
from roofline.registry import Registry
from roofline.tables import Column, Row


@dataclass(frozen=True, slots=True)
class Options:
    """What a user can choose about a chart; the flags of `plot` are these."""

    title: str = ""
    """A line above the figure."""
    value: str = ""
    """The column to show, in heatmap, boxes, pareto, power and orthogonality."""
    x: str = ""
    """The horizontal column of curves."""
    y: str = ""
    """The vertical column of curves."""
    normalise: bool = False
    """Boxes: shares of each machine's greatest value, theory first."""
    on_chip: bool = False
    """Rooflines: on-chip memories, and what fits into them."""


PLAIN = Options()
"""No title, and what each chart shows by default."""


C = TypeVar("C", bound=Chart)
C_co = TypeVar("C_co", bound=Chart, covariant=True)


class Compute(Protocol[C_co]):
    """Turns rows into values ready to be drawn."""

    def __call__(self, rows: Iterable[Row], options: Options = PLAIN) -> C_co:
        """Return the chart of rows; without options it has its own title and shows its default value."""
        ...


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of chart."""

    name: str
    summary: str
    """What it shows, in one line."""
    columns: tuple[Column, ...]
    """What its table needs and can use."""
    compute: Compute[Chart]
    """Turns rows into values ready to be drawn."""


charts: Registry[Kind] = Registry("chart", "roofline.chart", "roofline.charts", OptionError)
"""Every kind of chart, by name."""


def chart(
    name: str, summary: str, columns: Sequence[Column]
) -> Callable[[Callable[[Iterable[Row], Options], C]], Compute[C]]:
    """Return a decorator that registers what turns rows into a chart; a title that is asked for goes above its own.

    Args:
        name: The chart's name.
        summary: What it shows, in one line.
        columns: What its table needs and can use.
    """

    def register(compute: Callable[[Iterable[Row], Options], C]) -> Compute[C]:
        @functools.wraps(compute)
        def compute_titled(rows: Iterable[Row], options: Options = PLAIN) -> C:
            found = compute(rows, options)
            return replace(found, title=options.title) if options.title else found

        charts.add(name, Kind(name, summary, tuple(columns), compute_titled))
        return compute_titled

    return register


def table_chart(
    name: str, summary: str, columns: Sequence[Column]
) -> Callable[[Callable[[Table], C]], Compute[C]]:
    """Return a decorator that registers a chart of which nothing but the title can be chosen: it gets a checked table.

    What comes of it takes any rows, and raises TableError where a required column is missing or a cell is no number.
    The arguments are those of `chart`.
    """

    def register(compute: Callable[[Table], C]) -> Compute[C]:
        @chart(name, summary, columns)
        @functools.wraps(compute)
        def check_and_compute(rows: Iterable[Row], _options: Options) -> C:
            return compute(check_rows(rows, columns, name))

        return check_and_compute

    return register
