"""``roofline import``: measured runs of other tools into the record store."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from roofline.cli._groups import command
from roofline.cli._measuring import StoreOption
from roofline.cli._output import ResultOptions, as_table
from roofline.errors import OptionError, TableError
from roofline.number_format import plural

if TYPE_CHECKING:
    from roofline.validate.records.importers import ImportedFile
    from roofline.validate.records.importers._registry import Facts

app = typer.Typer(add_completion=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class ImportOptions:
    """Which files are read, and what is true of runs where they do not say it."""

    files: Annotated[list[Path], typer.Argument(metavar="FILE...")]
    """Files of measured runs."""
    source: Annotated[str, typer.Option("--from")] = ""
    """Their format; recognized when left out."""
    network: str = ""
    """The network, where a file does not say it."""
    machine: str = ""
    """The machine, where a file does not say it."""
    datatype: Annotated[str, typer.Option("-d")] = ""
    """The datatype, where a file does not say it."""
    batch: Annotated[int | None, typer.Option("-b", min=1)] = None
    """The batch, where a file does not say it; else 1."""
    mapping: Annotated[list[str] | None, typer.Option("--map", metavar="OURS=THEIRS")] = None
    """A column of a CSV file by another name."""
    skip_damaged: bool = False
    """Leave out rows with a damaged cell and take the others."""

    def facts(self) -> Facts:
        """Return what is true of the runs, as importers take it.

        Raises:
            OptionError: A column's other name is no pair.
        """
        from roofline.validate.records.importers._registry import Facts

        columns = _columns(self.mapping or [])
        return Facts(self.network, self.machine, self.datatype, self.batch, columns)


@command(app, "import")
def import_runs(
    *,
    options: ImportOptions,
    store: StoreOption = None,
    result: ResultOptions,
) -> None:
    """Read measured runs of other tools into the record store; rows that cannot be taken are listed."""
    from roofline.validate.records.importers import read_runs
    from roofline.validate.records.store import Store, default_store

    facts = options.facts()
    rows: list[dict[str, object]] = []
    refused: list[dict[str, object]] = []
    # Everything is read before anything is stored, so that a bad second file leaves no half import.
    read = [(path, *read_runs(path, facts, form=options.source)) for path in options.files]
    if not options.skip_damaged:
        _refuse_damaged([(path, found) for path, _, found in read])
    with Store(store or default_store()) as kept:
        added = iter(kept.add_all(run for _, _, found in read for run in found.measurements))
    for path, used, found in read:
        rows.append(
            {
                "file": str(path),
                "format": used.name,
                "runs": len(found.measurements),
                "added": sum(islice(added, len(found.measurements))),
                "flagged": sum(bool(run.notes) for run in found.measurements),
                "refused": len(found.rejected),
            }
        )
        refused.extend(
            {"file": str(path), "row": entry.row, "reason": entry.reason}
            for entry in found.rejected
        )
    result.emit(
        document=lambda: {"files": rows, "refused": refused},
        rows=lambda: rows,
        table=lambda: _table(rows, refused),
    )


def _refuse_damaged(read: list[tuple[Path, ImportedFile]]) -> None:
    """Refuse everything where a cell is damaged: the rest of its file may have slipped too."""
    damaged = [
        f"{path} row {entry.row}: {entry.reason}"
        for path, found in read
        for entry in found.rejected
        if entry.damaged
    ]
    if damaged:
        more = f" (and {plural(len(damaged) - 1, 'more row')})" if len(damaged) > 1 else ""
        raise TableError(
            f"{damaged[0]}{more}; nothing is stored",
            repair="Mend the cell, or add --skip-damaged to take the other rows",
        )


def _columns(mapping: list[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for entry in mapping:
        ours, equals, theirs = entry.partition("=")
        if not equals or not ours or not theirs:
            raise OptionError(
                f"--map {entry!r} is not of the form OURS=THEIRS",
                repair="For example --map platform=HWType",
            )
        found[ours] = theirs
    return found


def _table(rows: list[dict[str, object]], refused: list[dict[str, object]]) -> str:
    remarks = [f"{entry['file']} row {entry['row']}: {entry['reason']}" for entry in refused]
    return as_table(rows, remarks=remarks)
