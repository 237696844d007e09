"""Chart ``overview``: a table of what was run where: datatypes, prunings and batches of each network and machine."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from roofline.chart import _axes as axes
from roofline.chart import _style as style
from roofline.chart._base import Chart
from roofline.chart._labels import text_width
from roofline.chart._registry import table_chart
from roofline.chart._table import Cells, Table, distinct_values, words
from roofline.number_format import percent
from roofline.tables import Column, Record

COLUMNS = (
    *words("network", "platform"),
    *words("datatype", "pruning", "batch", required=False),
    *words("sweep", required=False),
    Column("stage", "'planned' or 'run', to show both side by side", required=False),
)
_FONT = 7.5


@dataclass(frozen=True, slots=True)
class Entry:
    """What was run of one network on one machine."""

    platform: str
    network: str
    variants: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...]
    """Datatypes that were run with the same prunings, and those prunings."""
    batches: str = ""
    """``batch 1–128``."""
    stage: str = ""
    """``planned`` or ``run``, where the table tells them apart."""

    def lines(self) -> list[str]:
        """Return the cell as text: ``[INT2, INT4]*[100%, 50%]``, and the batches below."""
        shown = [f"{self.stage}:"] if self.stage else []
        shown += map(_variant, self.variants)
        return [*shown, self.batches] if self.batches else shown


@dataclass(frozen=True, slots=True)
class Overview(Chart):
    """A table of machines and networks."""

    entries: tuple[Entry, ...]

    def records(self) -> list[Record]:
        """Return one row per cell that is not empty."""
        return [
            {
                "platform": entry.platform, "network": entry.network,
                "variants": " ".join(map(_variant, entry.variants)), "batches": entry.batches,
                **({"stage": entry.stage} if entry.stage else {}),
            }
            for entry in self.entries
        ]  # fmt: skip

    def size(self) -> tuple[float, float]:
        """Return the size in inches."""
        title = 1.13 * text_width(self.title, 11) / 72
        return max(sum(self._widths()), title) + 0.3, sum(self._heights()) + (
            0.7 if self.title else 0.4
        )

    def draw(self, ax: axes.Drawing) -> None:
        """Draw the table; an empty cell says so."""
        ax.set_axis_off()
        widths, heights = self._widths(), self._heights()
        ax.set(xlim=(0, sum(widths)), ylim=(sum(heights), 0))
        tops = [sum(heights[:i]) for i in range(len(heights) + 1)]
        lefts = [sum(widths[:i]) for i in range(len(widths) + 1)]
        ax.axhspan(0, tops[1], color="#EAEEF2", zorder=0)
        for top in tops:
            ax.axhline(top, color="#B8C0C8", lw=0.7)
        for column, network in enumerate(self._networks(), 1):
            self._text(ax, lefts[column], heights[0] / 2, network, weight="bold")
        for row, machine in enumerate(self._machines(), 1):
            middle = (tops[row] + tops[row + 1]) / 2
            self._text(ax, 0, middle, machine, weight="bold")
            for column, network in enumerate(self._networks(), 1):
                text = "\n".join(self._cell(machine, network) or ["na"])
                self._text(
                    ax,
                    lefts[column],
                    middle,
                    text,
                    colour=style.INK if text != "na" else "#9AA0A6",
                )
        axes.set_titles(ax, self.title)

    def _text(
        self, ax: axes.Drawing, left: float, middle: float, text: str, *, weight: str = "normal",
        colour: str = style.INK,
    ) -> None:  # fmt: skip
        ax.text(left + 0.07, middle, text, va="center", fontsize=_FONT, fontweight=weight, color=colour,
                linespacing=1.35)  # fmt: skip

    def _cell(self, machine: str, network: str) -> list[str]:
        """Return the lines of a cell; what was run as it was planned is said once."""
        own = [e for e in self.entries if (e.platform, e.network) == (machine, network)]
        if len(own) > 1 and len({(e.variants, e.batches) for e in own}) == 1:
            return [f"{' and '.join(e.stage for e in own)}:", *own[0].lines()[1:]]
        return [line for entry in own for line in entry.lines()]

    def _machines(self) -> list[str]:
        return distinct_values(entry.platform for entry in self.entries)

    def _networks(self) -> list[str]:
        return distinct_values(entry.network for entry in self.entries)

    def _widths(self) -> list[float]:
        """Return the widths of the columns in inches, that of the machines' names first."""
        columns: list[Sequence[str]] = [self._machines()]
        for network in self._networks():
            own = [line for e in self.entries if e.network == network for line in e.lines()]
            columns.append([network, *own])
        # Bold text is about an eighth wider.
        return [
            max((1.13 * text_width(text, _FONT) for text in texts), default=300.0) / 72 + 0.2
            for texts in columns
        ]

    def _heights(self) -> list[float]:
        """Return the heights of the rows in inches, that of the heading first."""
        lines = [
            max(len(self._cell(machine, network)) for network in self._networks())
            for machine in self._machines()
        ]
        return [0.3, *(0.155 * count + 0.13 for count in lines)]


@table_chart("overview", "a table of what was run where: datatypes, prunings and batches", COLUMNS)
def compute(table: Table) -> Overview:
    """Return the table of any rows that name networks and machines."""
    entries = [
        _entry([row for row in table if _place(row) == place], *place)
        for place in distinct_values(map(_place, table))
    ]
    return Overview(tuple(entries))


def _place(row: Cells) -> tuple[str, str, str]:
    return row["platform"], row["network"], row["stage"] or ""


def _variant(variant: tuple[tuple[str, ...], tuple[str, ...]]) -> str:
    names, kept = variant
    return f"[{', '.join(names)}]*[{', '.join(kept)}]"


def share_kept(pruning: str) -> str:
    """Return the share of channels that a pruning keeps, in percent, or its own name where it is another kind.

    Example:
        >>> share_kept("keep-channels=0.125"), share_kept("dense"), share_kept("sparsity=0.9")
        ('12.5%', '100%', 'sparsity=0.9')
    """
    if pruning == "dense":
        return "100%"
    found = re.fullmatch(r"keep-channels=(\d*\.?\d+)", pruning)
    return percent(float(found[1])) if found else pruning


def _entry(rows: Sequence[Cells], platform: str, network: str, stage: str) -> Entry:
    prunings: dict[str, tuple[str, ...]] = {}
    for datatype in distinct_values((row["datatype"] or "any").upper() for row in rows):
        own = [row for row in rows if (row["datatype"] or "any").upper() == datatype]
        prunings[datatype] = tuple(
            distinct_values(share_kept(row["pruning"] or "dense") for row in own)
        )
    variants = [
        (tuple(name for name, kept in prunings.items() if kept == same), same)
        for same in distinct_values(prunings.values())
    ]
    return Entry(platform, network, tuple(variants), _batches(rows), stage)


def _batches(rows: Sequence[Cells]) -> str:
    kind = next((row["sweep"] for row in rows if row["sweep"]), "batch")
    found = distinct_values(size for row in rows for size in (row["batch"] or "").split())
    numbers = sorted({float(size) for size in found if size.replace(".", "", 1).isdigit()})
    if not numbers:
        return ""
    ends = f"{numbers[0]:g}" + (f"–{numbers[-1]:g}" if len(numbers) > 1 else "")
    return f"{kind} {ends}"
