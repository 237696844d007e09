"""Plain CSV: our own column names, or any names with a mapping."""

from __future__ import annotations

from pathlib import Path

from roofline.reading import csv_header, read_csv
from roofline.validate.records.importers._registry import Facts, ImportedFile, importer
from roofline.validate.records.importers._table import map_columns, read_rows


def _recognizes(path: Path, head: str) -> bool:
    header = csv_header(head)
    return (
        path.suffix == ".csv"
        and "platform" in header
        and bool({"measured_fps", "latency_ms"} & set(header))
    )


@importer("csv", "CSV with our column names, or mapped with --map", _recognizes)
def _read(path: Path, text: str, facts: Facts) -> ImportedFile:
    table = read_csv(text, str(path))
    return read_rows(path, table.rows, map_columns(path, table.header, facts.columns), facts)
