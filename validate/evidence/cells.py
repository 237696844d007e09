"""Tables of runs with the columns they must have, and their cells, which may be empty or hold a remark."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from roofline.errors import TableError
from roofline.reading import CsvTable, read_csv, read_text


def read_table(path: Path, noun: str, columns: Sequence[str]) -> CsvTable:
    """Return the rows of a CSV file that has the columns it must have.

    Args:
        path: The file.
        noun: What it is to be, for messages: ``table of figures``.
        columns: Those without which it says nothing.

    Raises:
        TableError: It cannot be read, is no table, or lacks a column.
    """
    table = read_csv(read_text(path, noun), str(path))
    missing = [name for name in columns if name not in table.header]
    if missing:
        raise TableError(
            f"{path} has no column {', '.join(missing)}",
            repair=f"A {noun} has the columns {', '.join(columns)}",
        )
    return table


def optional_number(row: Mapping[str, str], column: str, otherwise: float = float("nan")) -> float:
    """Return the number in a cell; ``otherwise`` where it is empty or absent, NaN where it is no number."""
    try:
        return float(row.get(column, "") or otherwise)
    except ValueError:
        return float("nan")


def number_of(
    row: Mapping[str, str], column: str, where: str, default: float | None = None
) -> float:
    """Return the number above zero in a cell; the default where it is empty and there is one.

    Raises:
        TableError: It is no number above zero.
    """
    cell = row.get(column, "")
    try:
        value = default if not cell and default is not None else float(cell)
    except ValueError:
        value = math.nan
    if not (0 < value < math.inf):
        raise TableError(f"{where}: {column} is {cell!r}", repair="Give a number above zero")
    return value
