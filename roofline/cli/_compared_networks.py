"""How ``compare`` writes two networks: a document, rows, or a page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING

from roofline.cli import _counting, _differences
from roofline.cli._compared import pair_cells
from roofline.cli._output import OrderOptions, as_table
from roofline.number_format import plural
from roofline.tables import Record, Row

if TYPE_CHECKING:
    from roofline.workload import Workload

MOST_LAYERS = 10
"""Changed layers in a table unless another number is asked for."""


@dataclass(frozen=True, slots=True)
class ComparedNetworks:
    """Two networks, or two versions of one, side by side."""

    first: Workload
    """What is compared with."""
    second: Workload
    names: tuple[str, str]
    """What they are called on the page."""
    layers: bool
    """Whether a page lists all changed layers and nothing else, and CSV has them as its rows, as under an order."""
    fused: bool
    """Whether the layers are the fused ones."""
    predictions: Sequence[Row] | None = None
    """Rows of both on machines; None where none were asked for."""
    order: OrderOptions = field(default_factory=OrderOptions)
    """Which changed layers are shown, and in which order."""

    @property
    def sides(self) -> tuple[tuple[str, Workload], tuple[str, Workload]]:
        """Both with their names."""
        return (self.names[0], self.first), (self.names[1], self.second)

    def lines(self) -> list[_differences.Line]:
        """Return their totals, one beside the other."""
        return _differences.network_lines(self.first, self.second)

    def changes(self) -> list[_differences.LayerChange]:
        """Return the layers that differ."""
        found = _differences.layer_changes(self.first, self.second, fused=self.fused)
        return self.order.arrange(found, [_flatten(change) for change in found])

    def document(self) -> dict[str, object]:
        """Return all that is compared, under its stable names."""
        traffic = {f"intensity_{name}": meaning for name, meaning in _counting.TRAFFIC.items()}
        sides = [
            {"name": name, "source": side.source, "unsupported": list(side.coverage.unsupported)}
            for name, side in self.sides
        ]
        return {
            "conventions": {**_counting.CONVENTIONS, **traffic, **_differences.SIGNS},
            "compared": "networks",
            "first": sides[0],
            "second": sides[1],
            "totals": [line.record() for line in self.lines()],
            "layers": self.changes(),
            **({} if self.predictions is None else {"predictions": self.predictions}),
        }

    def rows(self) -> Sequence[Row]:
        """Return what a CSV holds: predictions where there are some, else layers or totals."""
        if self.predictions is not None:
            return self.predictions
        if self.layers or self.order.is_given:
            return [_flatten(change) for change in self.changes()]
        return [line.record() for line in self.lines()]

    def table(self) -> str:
        """Return the page for people."""
        changes = self.changes()
        if self.layers:
            cells = [change.cells(self.names) for change in changes]
            return as_table(cells) if cells else "no layer differs"
        parts = [self._totals()]
        if self.predictions is not None:
            cells = [pair_cells(pair, self.names) for pair in self.predictions]
            parts.append(as_table(cells, title="on machines"))
        parts.append(self._largest(changes) if changes else "no layer differs")
        return "\n\n".join(parts)

    def _totals(self) -> str:
        # Weights that are zero are asked for with count --zeros; without it the two lines are one.
        shown = [
            line
            for line in self.lines()
            if line.quantity != "effective_macs"
            or line.first != self.first.macs
            or line.second != self.second.macs
        ]
        remarks = [
            f"{name}: {note}"
            for name, side in self.sides
            if not side.fully_counted
            for note in _counting.coverage_notes(side)[1:]
        ]
        # Of a decoder counts are of one phase at one length, which its notes begin with.
        remarks += [
            f"{name}: {side.notes[0]}"
            for name, side in self.sides
            if side.has_cache and side.notes
        ]
        return as_table(
            [line.cells(self.names) for line in shown],
            remarks=remarks,
            explained=[*_counting.CONVENTIONS.values(), *_differences.SIGNS.values()],
        )

    def _largest(self, changes: Sequence[_differences.LayerChange]) -> str:
        by_change = sorted(changes, key=lambda change: change.macs, reverse=True)[:MOST_LAYERS]
        largest = changes if self.order.is_given else by_change
        count = len(_differences.layer_changes(self.first, self.second, fused=self.fused))
        title = f"{plural(count, 'layer differs', 'layers differ')}"
        if self.order.is_given:
            title += f", {len(largest)} shown" if len(largest) < count else ""
        elif len(largest) < count:
            title += f", {len(largest)} with the largest change of MACs shown; --layers lists all"
        cells = [change.cells(self.names) for change in largest]
        return as_table(cells, title=title)


def _flatten(change: _differences.LayerChange) -> Row:
    row: Record = {"name": change.name, "change": change.change}
    for side, own in (("first", change.first), ("second", change.second)):
        row |= {
            f"{side}_{column.name}": None if own is None else getattr(own, column.name)
            for column in fields(_differences.ComparedLayer)
        }
    return row
