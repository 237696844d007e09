"""``roofline report``: the interactive page."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from roofline.cli._groups import command
from roofline.cli._output import emit, output_option, say_written
from roofline.errors import OptionError
from roofline.number_format import human
from roofline.reading import exists

app = typer.Typer(add_completion=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class PageOptions:
    """What the page is made of, and where it goes."""

    data: Annotated[list[str], typer.Argument(metavar="DATA...")]
    """CSV, Parquet or a sweep's folder, JSON of predict, measure or validate, a record store; 'qutibench'; or 'explore'
    and any models: all machines × networks."""
    output: Annotated[Path, output_option("the page", ".html", ".htm")] = Path("roofline.html")
    title: str = ""
    """The page's title."""
    platform: Annotated[list[str] | None, typer.Option("-p")] = None
    """With explore, the machines of the page; repeatable, or several by commas. Default: all shipped."""


@command(app)
def report(*, options: PageOptions) -> None:
    """Write one self-contained interactive HTML page of predictions and measured runs, or of all machines."""
    from roofline.cli._explore import EXPLORE, explore_page
    from roofline.cli._progress import progress
    from roofline.cli._report import gather
    from roofline.report import render

    data, output, platform = options.data, options.output, options.platform
    explored = data[0].casefold() == EXPLORE and not exists(data[0])
    if platform and not explored:
        raise OptionError(
            "-p chooses the machines of the page over all machines",
            repair="Leave it out: a page of results shows the machines that are in them",
        )
    with progress("report") as tell:
        page = (
            explore_page(data[1:], platform or [], options.title, tell)
            if explored
            else render(gather(data, options.title, tell))
        )
    emit(page, output)
    say_written(f"{output} ({human(output.stat().st_size, 'B')})")
