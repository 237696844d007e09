"""``roofline report``: the interactive page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from roofline.cli._output import emit, output_option, say_written
from roofline.errors import OptionError
from roofline.number_format import human
from roofline.reading import exists

app = typer.Typer(add_completion=False)


@app.command()
def report(
    data: Annotated[
        list[str],
        typer.Argument(
            metavar="DATA...",
            help="CSV, Parquet or a sweep's folder, JSON of predict, measure or validate, a record store; "
            "'qutibench'; or 'explore' and any models: all machines × networks.",
        ),
    ],
    output: Annotated[
        Path,
        output_option("the page", ".html", ".htm"),
    ] = Path("roofline.html"),
    title: Annotated[str, typer.Option(help="The page's title.")] = "",
    platform: Annotated[
        list[str] | None,
        typer.Option(
            "--platform",
            "-p",
            help="With explore, the machines of the page; several by commas. Default: all shipped.",
        ),
    ] = None,
) -> None:
    """Write one self-contained interactive HTML page of predictions and measured runs, or of all machines."""
    from roofline.cli._explore import EXPLORE, explore_page
    from roofline.cli._progress import progress
    from roofline.cli._report import gather
    from roofline.report import render

    explored = data[0].casefold() == EXPLORE and not exists(data[0])
    if platform and not explored:
        raise OptionError(
            "-p chooses the machines of the page over all machines",
            repair="Leave it out: a page of results shows the machines that are in them",
        )
    with progress("report") as tell:
        page = (
            explore_page(data[1:], platform or [], title, tell)
            if explored
            else render(gather(data, title, tell))
        )
    emit(page, output)
    say_written(f"{output} ({human(output.stat().st_size, 'B')})")
