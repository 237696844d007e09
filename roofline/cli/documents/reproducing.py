"""Published figures, recomputed."""

from __future__ import annotations

from typing import Any

from typing_extensions import TypedDict

from roofline.cli.documents.document import StatedDocument


class Disagreement(TypedDict):
    """A cell that differs."""

    cell: str
    published: Any
    ours: Any
    why: str


class RecomputedTable(TypedDict):
    """One table."""

    name: str
    cells: int
    agree: int
    disagree: list[Disagreement]


class Reproduce(StatedDocument):
    """``roofline reproduce``."""

    paper: str
    tables: list[RecomputedTable]
