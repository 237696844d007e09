"""Cells of tables of runs, which may be empty or hold a remark."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

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


@dataclass(frozen=True, slots=True)
class Cells:
    """The cells of a table of runs, column by column."""

    rows: tuple[dict[str, str], ...]
    where: str
    """What to call the table in messages."""

    def words(self, column: str) -> list[str]:
        """Return a column as it is written; empty where there is none."""
        return [row.get(column, "") for row in self.rows]

    def numbers(
        self, column: str, default: float | None = None, *, above: bool = True
    ) -> list[float]:
        """Return a column's numbers.

        Args:
            column: Its name.
            default: What an empty cell stands for; None where none may be empty.
            above: Whether they are above zero; else they are at least zero.

        Raises:
            TableError: A cell is no such number.
        """
        found: list[float] = []
        for place, cell in enumerate(self.words(column), 1):
            try:
                value = default if not cell and default is not None else float(cell)
            except ValueError:
                value = math.nan
            allowed = value > 0 if above else value >= 0
            if not math.isfinite(value) or not allowed:
                raise TableError(
                    f"{self.where} row {place}: {column} is {cell!r}",
                    repair=f"Give a number {'above zero' if above else 'of zero or more'}",
                )
            found.append(value)
        return found
