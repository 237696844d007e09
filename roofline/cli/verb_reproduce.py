"""``roofline reproduce``: the seed papers' tables, recomputed beside the published figures."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from roofline.cli._groups import command
from roofline.cli._output import ResultOptions, as_table, say_written
from roofline.errors import OptionError
from roofline.number_format import plural
from roofline.reading import is_file
from roofline.tables import Record

if TYPE_CHECKING:
    from collections.abc import Sequence

    from roofline.validate.records.record import Measurement
    from roofline.validate.studies import Study, Table

app = typer.Typer(add_completion=False)

CONVENTIONS = {
    "operations": "operations are two per multiply-accumulate of convolutions and dense layers",
    "intensity": "intensity is operations per byte of their weights, read once for each inference at batch 1",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class ReproductionOptions:
    """What a paper is recomputed from, and what is shown of it."""

    paper: Annotated[str | None, typer.Argument(metavar="PAPER")] = None
    """The paper; leave out to list them."""
    cells: bool = False
    """Show every cell, not only those that disagree."""
    charts: Annotated[Path | None, typer.Option(metavar="DIR")] = None
    """Draw the paper's figures there (PNG and SVG)."""
    runs: Path | None = None
    """QuTiBench: the portal's table of measurements, for figures over batches. DLAS: records as roofline export writes
    them (.csv, .json, .parquet), instead of those shipped."""
    store: Path | None = None
    """DLAS: decide its observations from the records of this store."""
    shortest: bool = False
    """With --store: compare shortest samples, not medians (busy machines)."""


@command(app)
def reproduce(
    *,
    options: ReproductionOptions,
    result: ResultOptions,
) -> None:
    """Recompute a seed paper's tables and say cell by cell what agrees, and why the rest does not."""
    from roofline.validate.studies import studies

    paper = options.paper
    if paper is None:
        papers = [{"paper": name, "title": studies.get(name).title} for name in studies]
        result.emit(
            document=lambda: {"papers": papers},
            rows=lambda: papers,
            table=lambda: as_table(papers),
        )
        return
    study = studies.get(paper)
    records = _records(paper, study, options.store, options.runs)
    tables = study.recompute(records, shortest=options.shortest)
    if options.charts is not None:
        _draw(paper, options.charts, options.runs if records is None else None, records)
    result.emit(
        document=lambda: {
            "paper": study.title,
            "conventions": CONVENTIONS,
            "tables": [table.record() for table in tables],
        },
        rows=lambda: _rows(tables, every=True),
        table=lambda: "\n\n".join(
            [_scorecard(study.title, tables), *_details(tables, every=options.cells)]
        ),
    )


def _draw(
    paper: str, folder: Path, runs: Path | None, records: Sequence[Measurement] | None
) -> None:
    from roofline.cli._progress import progress
    from roofline.validate.studies.figures import draw_figures

    with progress(f"figures of {paper}") as report:
        paths = draw_figures(paper, folder, runs, report, records=records)
    say_written(f"{plural(len(paths) // 2, 'figure')} to {folder}")


def _records(
    paper: str, study: Study, store: Path | None, runs: Path | None
) -> tuple[Measurement, ...] | None:
    """Return the records that are named, or None where the shipped ones serve."""
    from roofline.validate.records.importers import read_runs
    from roofline.validate.records.importers._registry import Facts
    from roofline.validate.records.store import open_for_reading
    from roofline.validate.records.turns import latest

    if study.decide is None:
        if store is not None:
            raise OptionError(
                f"the tables of {paper} are not decided from records", repair="Leave out --store"
            )
        return None
    if store is not None and runs is not None:
        raise OptionError("--store and --runs both name records", repair="Leave one out")
    file = store or runs
    if file is None:
        return None
    if not is_file(file):
        raise OptionError(
            f"{file} does not exist", repair=f"Make it: roofline campaign run {study.campaign}"
        )
    if runs is not None:
        _, found = read_runs(runs, Facts(), form="records")
        return latest(found.measurements)
    with open_for_reading(file) as kept:
        return latest(kept.records())


def _scorecard(title: str, tables: tuple[Table, ...]) -> str:
    rows = [
        {
            "table": table.name,
            "cells": len(table.cells),
            "agree": table.agree,
            "agreement": table.rule,
        }
        for table in tables
    ]
    return as_table(rows, title=title)


def _details(tables: tuple[Table, ...], *, every: bool) -> list[str]:
    blocks: list[str] = []
    for table in tables:
        rows = _rows((table,), every=every)
        for row in rows:
            del row["table"]
            if not every:
                del row["agrees"]
        if rows:
            title = table.name if every else f"{table.name}: what does not agree"
            blocks.append(as_table(rows, title=title))
    return blocks


def _rows(tables: tuple[Table, ...], *, every: bool) -> list[Record]:
    return [
        {
            "table": table.name,
            "cell": cell.cell,
            "published": cell.published,
            "ours": cell.ours,
            "agrees": cell.agrees,
            "why": cell.why,
        }
        for table in tables
        for cell in (table.cells if every else table.disagree)
    ]
