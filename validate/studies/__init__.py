"""The seed papers' tables, recomputed and held against the published figures, cell by cell."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from roofline.errors import OptionError, did_you_mean
from roofline.validate.studies.cells import Cell, Table
from roofline.validate.studies.dlas import published as dlas
from roofline.validate.studies.qutibench import published as qutibench
from roofline.validate.studies.turner import published as turner

PAPERS: Mapping[str, tuple[str, Callable[[], tuple[Table, ...]]]] = MappingProxyType(
    {
        "qutibench": (
            "Blott et al., IEEE Transactions on Computers 70(10), 2021",
            qutibench.tables,
        ),
        "turner": ("Turner et al., IISWC 2018", turner.tables),
        "dlas": ("Gibson et al., DLAS, 2023", dlas.tables),
    }
)
"""Title and recomputation of each paper, by name."""


def reproduce(paper: str) -> tuple[Table, ...]:
    """Recompute the tables of a paper.

    Args:
        paper: One of `PAPERS`.

    Raises:
        OptionError: No paper has that name.

    Example:
        >>> [table.agree for table in reproduce("turner")][0] > 0
        True
    """
    if paper not in PAPERS:
        hint = did_you_mean(paper, PAPERS) or f"Known: {', '.join(PAPERS)}"
        raise OptionError(f"unknown paper {paper!r}", repair=hint)
    return PAPERS[paper][1]()


__all__ = ["PAPERS", "Cell", "Table", "reproduce"]
