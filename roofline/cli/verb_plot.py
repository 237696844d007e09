"""``roofline plot``: one figure from a table that another verb wrote, or from a user's own."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from roofline.chart import Options
from roofline.cli._groups import command
from roofline.cli._output import as_table, check_drawable, emit, say, say_written

if TYPE_CHECKING:
    from roofline.chart import Kind

app = typer.Typer(add_completion=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class FigureOptions:
    """What is drawn, and where it goes."""

    kind: Annotated[str | None, typer.Argument(metavar="KIND")] = None
    """What to draw; leave out to list the kinds."""
    data: Annotated[list[Path] | None, typer.Argument(metavar="DATA...")] = None
    """CSV, JSON or Parquet, or a sweep's folder; none shows the columns the kind takes."""
    output: Annotated[Path | None, typer.Option("-o", callback=check_drawable)] = None
    """The figure: a .png, .svg or .pdf file."""
    by: str = ""
    """A column; one panel for each of its values, any kind."""


@command(app)
def plot(*, figure: FigureOptions, drawing: Options) -> None:
    """Draw one figure (PNG, SVG or PDF) from the results of predict, sweep, measure, validate or count."""
    from roofline.chart import charts, facets, read_rows, save
    from roofline.errors import OptionError

    kind, data, output, by = figure.kind, figure.data, figure.output, figure.by
    if kind is None:
        rows = [{"kind": name, "shows": charts.get(name).summary} for name in charts]
        emit(as_table(rows, notes=["roofline plot KIND: the columns it takes"]), None)
        return
    chart = charts.get(kind)
    if not data:
        emit(_columns(chart), None)
        return
    if output is None:
        raise OptionError(
            "no file was named for the figure", repair=f"Add -o {kind}.png (or .svg, .pdf)"
        )
    rows = [row for path in data for row in read_rows(path)]
    drawn = facets(chart, rows, drawing, by) if by else chart.compute(rows, drawing)
    save(drawn.figure(), output)
    say_written(str(output))
    if not drawn.records():
        say(f"roofline: the data has no rows for {kind}; the figure says so")


def _columns(chart: Kind) -> str:
    rows = [
        {"column": column.name, "needed": column.required, "holds": column.meaning}
        for column in chart.columns
    ]
    return as_table(rows, title=f"{chart.name}: {chart.summary}")
