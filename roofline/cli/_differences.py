"""How two networks or two machines differ, side by side: totals, layers of one name, peaks, bandwidth, watts, price."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import TYPE_CHECKING

from roofline.cli._counting import layer_rows, totals
from roofline.number_format import human, number
from roofline.tables import Record

if TYPE_CHECKING:
    from roofline.layer_table import LayerRow
    from roofline.spec import Platform
    from roofline.spec.quantity import Quantity
    from roofline.workload import Workload

Figure = float | str | None


@dataclass(frozen=True, slots=True)
class Line:
    """One quantity of two things; None where it is not known or not there."""

    quantity: str
    unit: str
    first: Figure
    second: Figure
    first_kind: str | None = None
    """How the number is known, as the platform file says; None for what is counted."""
    second_kind: str | None = None

    @property
    def difference(self) -> float | None:
        """Second less first; None unless both are finite numbers."""
        pair = self._numbers
        return None if pair is None else pair[1] - pair[0]

    @property
    def ratio(self) -> float | None:
        """Second over first; None unless both are finite numbers and the first is not zero."""
        pair = self._numbers
        return None if pair is None or not pair[0] else pair[1] / pair[0]

    def record(self) -> Record:
        """Return the line as a row with exact values."""
        return {
            "quantity": self.quantity,
            "unit": self.unit,
            "first": self.first,
            "second": self.second,
            "difference": self.difference,
            "ratio": self.ratio,
            "first_kind": self.first_kind,
            "second_kind": self.second_kind,
        }

    def cells(self, names: tuple[str, str]) -> dict[str, str]:
        """Return the line as a row for people, under the names of the two."""
        unit = "" if self.unit in {"", *_HUMAN} else f", {self.unit}"
        return {
            "quantity": f"{self.quantity.replace('_', ' ')}{unit}",
            names[0]: self._cell(self.first, self.first_kind),
            names[1]: self._cell(self.second, self.second_kind),
            "change": self._change(),
        }

    def _cell(self, value: Figure, kind: str | None) -> str:
        if value is None:
            return "unknown"
        if isinstance(value, str):
            return value
        text = human(value, self.unit) if self.unit in _HUMAN else str(number(value))
        # A guess is marked where it stands beside what a maker states.
        return f"{text} (estimated)" if kind == "estimated" else text

    def _change(self) -> str:
        if self.first == self.second:
            return ""
        if self.ratio is None:
            return "differs" if isinstance(self.first, str) else "–"
        # Machines are factors apart, versions of a network a few percent.
        return f"{self.ratio:.3g}x" if self.ratio >= 10 else f"{self.ratio - 1:+.2%}"

    @property
    def _numbers(self) -> tuple[float, float] | None:
        if (
            isinstance(self.first, (int, float))
            and isinstance(self.second, (int, float))
            and math.isfinite(self.first)
            and math.isfinite(self.second)
        ):
            return self.first, self.second
        return None


_HUMAN = frozenset({"MAC", "OP", "B"})
"""Units whose figures are written with a decimal prefix."""
_UNITS = {
    "macs": "MAC", "effective_macs": "MAC", "ops": "OP", "other_ops": "OP", "parameters": "",
    "trainable_parameters": "", "weight_bytes": "B", "activation_bytes": "B", "peak_activation_bytes": "B",
}  # fmt: skip
SIGNS = {"ratio": "difference is second less first, ratio second over first"}
"""How differences are meant."""


@dataclass(frozen=True, slots=True)
class ComparedLayer:
    """What of a layer is compared."""

    op_type: str
    macs: int | None
    other_ops: int | None
    parameters: int
    weight_bytes: int
    input_bytes: int
    output_bytes: int
    cache_read_bytes: int
    cache_written_bytes: int
    datatype: str | None

    @classmethod
    def of(cls, row: LayerRow) -> ComparedLayer:
        """Return what of a layer's row is compared."""
        return cls(*(getattr(row, field.name) for field in fields(cls)))


class Change(StrEnum):
    """How a layer of one network differs from that of the same name in another."""

    REMOVED = "removed"
    CHANGED = "changed"
    ADDED = "added"


@dataclass(frozen=True, slots=True)
class LayerChange:
    """A layer that differs; None where a network has none of its name."""

    name: str
    change: Change
    first: ComparedLayer | None
    second: ComparedLayer | None

    @property
    def macs(self) -> int:
        """By how many MACs it changed, whichever way; what is not known counts nothing."""
        first, second = (
            0 if side is None else side.macs or 0 for side in (self.first, self.second)
        )
        return abs(second - first)

    def cells(self, names: tuple[str, str]) -> dict[str, str]:
        """Return the change as a row for people, under the names of the two networks."""
        return {
            "layer": self.name,
            "change": self.change,
            names[0]: _counts(self.first),
            names[1]: _counts(self.second),
        }


def network_lines(first: Workload, second: Workload) -> list[Line]:
    """Return every total of two networks, intensity under each traffic assumption last."""
    before, after = totals(first), totals(second)
    lines = [
        Line("batch", "", first.batch, second.batch),
        Line("layers", "", len(first.layers), len(second.layers)),
    ]
    lines += [
        Line(name, unit, getattr(before, name), getattr(after, name))
        for name, unit in _UNITS.items()
    ]
    return lines + [
        Line(f"intensity_{name}", "OP/B", value, after.intensity[name])
        for name, value in before.intensity.items()
    ]


def layer_changes(first: Workload, second: Workload, *, fused: bool) -> list[LayerChange]:
    """Return the layers that were removed, changed or added, found by their names."""
    old, new = (
        {row.name: ComparedLayer.of(row) for row in layer_rows(network, fused=fused)}
        for network in (first, second)
    )
    found: list[LayerChange] = []
    for name, row in old.items():
        if name not in new:
            found.append(LayerChange(name, Change.REMOVED, row, None))
        elif row != new[name]:
            found.append(LayerChange(name, Change.CHANGED, row, new[name]))
    return found + [
        LayerChange(name, Change.ADDED, None, row) for name, row in new.items() if name not in old
    ]


def machine_lines(first: Platform, second: Platform) -> list[Line]:
    """Return what two machines can do and cost: peaks, bandwidths, ridge points, capacities, watts, price."""
    from roofline.precision import COMPUTE_DATATYPES

    known = [name for name in COMPUTE_DATATYPES if first.has(name) or second.has(name)]
    lines = [
        Line("kind", "", first.kind, second.kind),
        Line("segment", "", first.segment, second.segment),
        Line("year", "", str(first.year), str(second.year)),
    ]
    lines += [
        _figures(
            f"peak_{name}",
            "TOP/s",
            1e12,
            first.peaks.get(name),
            second.peaks.get(name),
            without=_absence(name, first, second),
        )
        for name in known
    ]
    lines.append(
        _figures(
            "bandwidth", "GB/s", 1e9, first.memories[0].bandwidth, second.memories[0].bandwidth
        )
    )
    lines += [
        Line(
            f"ridge_{name}",
            "OP/B",
            first.ridge(name),
            second.ridge(name),
        )
        for name in known
        if first.has(name) and second.has(name)
    ]
    left, right = first.specification, second.specification
    lines += [
        _figures("capacity", "GB", 1e9, first.memories[0].capacity, second.memories[0].capacity),
        _scaled_line("on_chip", "MB", 1e6, first.on_chip_capacity, second.on_chip_capacity),
        _scaled_line("host_link", "GB/s", 1e9, first.host_bandwidth, second.host_bandwidth),
        _figures("tdp", "W", 1, left.power.tdp, right.power.tdp),
        _figures("idle", "W", 1, left.power.idle, right.power.idle),
        Line("watts_of", "", left.power.of, right.power.of),
        _figures("price", "USD", 1, left.price, right.price),
        Line(
            "price_of", "", *(price.of if price else None for price in (left.price, right.price))
        ),
    ]
    shown = [line for line in lines if line.first is not None or line.second is not None]
    return shown + _per_watt(known, first, second)


def _per_watt(known: Sequence[str], first: Platform, second: Platform) -> list[Line]:
    """Return the peaks per watt that both machines can be compared by."""

    def share(machine: Platform, name: str) -> float | None:
        if machine.tdp is None or not machine.has(name):
            return None
        return machine.peak(name) / machine.tdp / 1e9

    pairs = {name: (share(first, name), share(second, name)) for name in known}
    return [
        Line(f"peak_{name}_per_watt", "GOP/s/W", *pair)
        for name, pair in pairs.items()
        if None not in pair
    ]


def _figures(
    quantity: str,
    unit: str,
    factor: float,
    first: Quantity | None,
    second: Quantity | None,
    *,
    without: tuple[str | None, str | None] = (None, None),
) -> Line:
    """Return a line of two numbers of platform files, with what stands where a file has none."""
    values = [
        text if each is None else each.base / factor
        for each, text in zip((first, second), without, strict=True)
    ]
    kinds = [None if each is None else str(each.kind) for each in (first, second)]
    return Line(quantity, unit, values[0], values[1], kinds[0], kinds[1])


def _absence(name: str, *machines: Platform) -> tuple[str | None, str | None]:
    """Return what stands for a peak that is not there: that the machine has no such unit, or None for not known."""
    first, second = (
        "no such unit" if name in machine.specification.absent else None for machine in machines
    )
    return first, second


def _scaled_line(
    quantity: str, unit: str, factor: float, first: float | None, second: float | None
) -> Line:
    """Return a line of two numbers that are worked out, in a unit of ``factor`` base units."""
    left, right = (None if value is None else value / factor for value in (first, second))
    return Line(quantity, unit, left, right)


def _counts(layer: ComparedLayer | None) -> str:
    if layer is None:
        return ""
    macs = "MACs unknown" if layer.macs is None else human(layer.macs, "MAC")
    return f"{layer.op_type}, {macs}, {human(layer.weight_bytes, 'B')}"
