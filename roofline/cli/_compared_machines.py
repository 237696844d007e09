"""How ``compare`` writes two machines: a document, rows, or a page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from roofline.cli._differences import SIGNS, Line, machine_lines
from roofline.cli._output import as_table
from roofline.tables import Record

if TYPE_CHECKING:
    from roofline.spec import Platform

CONVENTIONS = {
    "peaks": "peaks are dense; one multiply-accumulate is two operations",
    "memory": "bandwidth and capacity are the outermost memory's; the ridge is peak over bandwidth",
    "kind": "kind says how a number is known: datasheet, published, derived, measured or estimated",
}

_OF_A_PRODUCT = {"watts_of": "watts", "price_of": "prices"}
"""Lines that say of which product a figure is, and of what figure they speak."""


@dataclass(frozen=True, slots=True)
class ComparedMachines:
    """Two machines side by side."""

    first: Platform
    """What is compared with."""
    second: Platform
    names: tuple[str, str]
    """What they are called on the page."""

    def lines(self) -> list[Line]:
        """Return their figures, one beside the other."""
        return machine_lines(self.first, self.second)

    def document(self) -> dict[str, object]:
        """Return all that is compared, under its stable names."""
        sides = [
            {"name": machine.key, "source": machine.specification.name}
            for machine in (self.first, self.second)
        ]
        return {
            "conventions": CONVENTIONS | SIGNS,
            "compared": "machines",
            "first": sides[0],
            "second": sides[1],
            "totals": self.rows(),
        }

    def rows(self) -> list[Record]:
        """Return one row per figure."""
        return [line.record() for line in self.lines()]

    def table(self) -> str:
        """Return the page for people."""
        lines = self.lines()
        doubts = [
            f"the {_OF_A_PRODUCT[line.quantity]} are of different products: {line.first} and {line.second}"
            for line in lines
            if line.quantity in _OF_A_PRODUCT
            and line.first
            and line.second
            and line.first != line.second
        ]
        return as_table(
            [line.cells(self.names) for line in lines],
            remarks=doubts,
            explained=[
                *CONVENTIONS.values(),
                *SIGNS.values(),
                "sources: roofline platforms show KEY",
            ],
        )
