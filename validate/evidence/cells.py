"""Cells of published tables, which may be empty or hold a remark instead of a number."""

from __future__ import annotations

from collections.abc import Mapping


def optional_number(row: Mapping[str, str], column: str, otherwise: float = float("nan")) -> float:
    """Return the number in a cell; ``otherwise`` where it is empty or absent, NaN where it is no number."""
    try:
        return float(row.get(column, "") or otherwise)
    except ValueError:
        return float("nan")
