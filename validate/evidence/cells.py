"""Cells of tables of runs, which may be empty or hold a remark."""

from __future__ import annotations

import math
from collections.abc import Mapping

from roofline.errors import TableError


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
