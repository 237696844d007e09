"""One published figure beside ours, and a table of them."""

from __future__ import annotations

from dataclasses import dataclass

from roofline.tables import Record

Figure = float | str | None
"""A number, a statement in words, or None where there is nothing to compute it from."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One published figure beside ours."""

    cell: str
    """Row and column, in words."""
    published: Figure
    ours: Figure
    agrees: bool
    why: str = ""
    """Why the figures differ, or what the agreement leaves open."""

    def record(self) -> Record:
        """Return the cell as a row."""
        return {"cell": self.cell, "published": self.published, "ours": self.ours, "why": self.why}


@dataclass(frozen=True, slots=True)
class Table:
    """A published table, recomputed."""

    name: str
    cells: tuple[Cell, ...]
    rule: str
    """What counts as agreement."""

    @property
    def agree(self) -> int:
        """How many cells agree."""
        return sum(cell.agrees for cell in self.cells)

    @property
    def disagree(self) -> tuple[Cell, ...]:
        """The cells that do not agree."""
        return tuple(cell for cell in self.cells if not cell.agrees)

    def record(self) -> dict[str, str | int | list[Record]]:
        """Return the table with its counts, the cells that disagree, and those that agree."""
        return {
            "name": self.name,
            "rule": self.rule,
            "cells": len(self.cells),
            "agree": self.agree,
            "disagree": [cell.record() for cell in self.disagree],
            "agreed": [cell.record() for cell in self.cells if cell.agrees],
        }


def compare_cell(
    cell: str, published: float, ours: float | None, *, within: float, why: str = ""
) -> Cell:
    """Return a cell that agrees within a relative tolerance, or when ours rounds to what is printed.

    Args:
        cell: Row and column.
        published: The printed number.
        ours: The recomputed one, or None.
        within: Relative tolerance.
        why: The reason, kept when the two do not agree.

    Example:
        >>> compare_cell("GOP", 7.7, 7.715946496, within=1e-3).agrees
        True
    """
    if ours is None:
        return Cell(cell, published, None, agrees=False, why=why)
    digits = len(f"{published!r}".partition(".")[2]) if "e" not in f"{published!r}" else 0
    if float(published).is_integer():
        digits = 0
    near = abs(ours - published) <= within * abs(published)
    agrees = near or (published != 0 and round(ours, digits) == published)
    return Cell(cell, published, ours, agrees, "" if agrees else why)
