"""What a study of a published paper is, and the registry of them: one folder each, with a module ``study``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from roofline.errors import OptionError
from roofline.registry import Registry
from roofline.validate.studies.cells import Table

if TYPE_CHECKING:
    from roofline.chart import Chart
    from roofline.report import ReportData
    from roofline.validate.records.record import Measurement


@dataclass(frozen=True, slots=True)
class Study:
    """A paper's tables and figures, recomputed beside what is published."""

    title: str
    """Authors, place and year of the paper."""
    tables: Callable[[], tuple[Table, ...]]
    """Recomputes the tables."""
    figures: Callable[[], Mapping[str, Chart]]
    """Draws the figures, by name, from what is shipped."""
    figures_of: Callable[[Path], Mapping[str, Chart]] | None = None
    """Draws them from the paper's own table of measurements; None where it has none."""
    decide: Callable[[Sequence[Measurement], bool], tuple[Table, ...]] | None = None
    """Decides its observations from measured runs, from their shortest samples if asked; None where it cannot."""
    draw_measured: Callable[[Sequence[Measurement]], Mapping[str, Chart]] | None = None
    """Draws the figures from measured runs."""
    campaign: str = ""
    """The campaign that makes such runs."""
    report: Callable[[], ReportData] | None = None
    """The interactive page of what is published; None where there is none."""

    def recompute(
        self, records: Sequence[Measurement] | None = None, *, shortest: bool = False
    ) -> tuple[Table, ...]:
        """Return the tables, decided from measured runs where some are given.

        Args:
            records: The runs; None recomputes what is published.
            shortest: Whether the runs' shortest samples are compared instead of their medians.

        Raises:
            OptionError: The paper is not decided from runs.
        """
        if records is None:
            return self.tables()
        if self.decide is None:
            raise OptionError(f"{self.title} is not decided from records", repair="Leave them out")
        return self.decide(records, shortest)


studies: Registry[Study] = Registry(
    "paper", "roofline.validate.studies", "roofline.studies", OptionError, module="study"
)
"""Every study by the name of its paper."""


def reproduce(paper: str) -> tuple[Table, ...]:
    """Recompute the tables of a paper.

    Args:
        paper: One of `studies`.

    Raises:
        OptionError: No paper has that name.

    Example:
        >>> [table.agree for table in reproduce("turner")][0] > 0
        True
    """
    return studies.get(paper).tables()
