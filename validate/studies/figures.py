"""The figures of studies, drawn with the charts that serve any data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from roofline.chart import Chart, Options, charts, save
from roofline.errors import OptionError
from roofline.progress import Report, tell_nobody
from roofline.validate.records.record import Measurement
from roofline.validate.studies.study import studies

_SUFFIXES = (".png", ".svg")


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure of a paper."""

    name: str
    """Of the file, without its suffix: ``fig06_latency_throughput``."""
    chart: Chart


def figures(
    paper: str, runs: Path | None = None, *, records: Sequence[Measurement] | None = None
) -> tuple[Figure, ...]:
    """Return every figure of a paper that data allows.

    Args:
        paper: One of `studies`.
        runs: The paper's own table of measurements, where it has one; without it figures are of what is shipped.
        records: The measured runs that are drawn, where a paper is decided from such; None is those shipped.

    Raises:
        OptionError: No paper has that name, or it takes no runs.
        TableError: The table of measurements cannot be read.
    """
    study = studies.get(paper)
    if runs is not None and study.figures_of is None:
        raise OptionError(
            f"{paper} has no table of measurements to read", repair="Leave out --runs"
        )
    rows = [
        {"table": held.name.split(" (")[0], "cell": cell.cell, "published": cell.published, "ours": cell.ours,
         "agrees": str(cell.agrees)}
        for held in study.recompute(records)
        for cell in held.cells
    ]  # fmt: skip
    title = "Recomputed figures over published ones"
    scorecard = Figure("scorecard", charts.get("agreement").compute(rows, Options(title=title)))
    if records is not None and study.draw_measured is not None:
        own = study.draw_measured(records)
    elif runs is not None and study.figures_of is not None:
        own = study.figures_of(runs)
    else:
        own = study.figures()
    return (*(Figure(name, chart) for name, chart in own.items()), scorecard)


def draw_figures(
    paper: str,
    folder: Path,
    runs: Path | None = None,
    report: Report = tell_nobody,
    *,
    records: Sequence[Measurement] | None = None,
) -> list[Path]:
    """Draw every figure of a paper as PNG and SVG.

    Args:
        paper: One of `studies`.
        folder: Where to; it is made when it is absent.
        runs: See `figures`.
        report: Is told the name of each figure before it is drawn, how many are done, and how many there are.
        records: See `figures`.

    Returns:
        The files.

    Raises:
        OptionError: The folder cannot be made or written.
        MissingPackageError: matplotlib is not installed.
    """
    drawn = figures(paper, runs, records=records)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OptionError(
            f"cannot make the folder {folder}: {error.strerror}", repair="Name another"
        ) from error
    paths: list[Path] = []
    for number, figure in enumerate(drawn):
        report(figure.name, number, len(drawn))
        picture = figure.chart.figure()
        for suffix in _SUFFIXES:
            paths.append(folder / f"{figure.name}{suffix}")
            save(picture, paths[-1])
    return paths
