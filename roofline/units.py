"""Units at the edge: a closed table. Inside the program every number is in OP, B, s, OP/s, B/s, W, J or USD."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from roofline.errors import UnitError, did_you_mean


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit: what it measures and how many base units it is."""

    name: str
    dimension: str
    factor: float


def _table() -> dict[str, Unit]:
    decimal = {"": 1.0, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15}
    binary = {"Ki": 2.0**10, "Mi": 2.0**20, "Gi": 2.0**30, "Ti": 2.0**40}
    units: list[Unit] = []
    for prefix, factor in decimal.items():
        units += [
            Unit(f"{prefix}OP/s", "compute rate", factor),
            Unit(f"{prefix}FLOP/s", "compute rate", factor),
            Unit(f"{prefix}OP", "operations", factor),
            Unit(f"{prefix}B/s", "bandwidth", factor),
            Unit(f"{prefix}B", "capacity", factor),
            Unit(f"{prefix}Hz", "frequency", factor),
        ]
    for prefix, factor in binary.items():
        units += [
            Unit(f"{prefix}B", "capacity", factor),
            Unit(f"{prefix}B/s", "bandwidth", factor),
        ]
    for name, factor in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6), ("ns", 1e-9)):
        units.append(Unit(name, "time", factor))
    for name, factor in (("mW", 1e-3), ("W", 1.0), ("kW", 1e3)):
        units.append(Unit(name, "power", factor))
    for name, factor in (("mJ", 1e-3), ("J", 1.0)):
        units.append(Unit(name, "energy", factor))
    units.append(Unit("USD", "price", 1.0))
    units.append(Unit("1", "ratio", 1.0))
    units.append(Unit("bit", "width", 1.0))
    units += [Unit("MT/s", "transfer rate", 1e6), Unit("GT/s", "transfer rate", 1e9)]
    return {unit.name: unit for unit in units}


UNITS: Mapping[str, Unit] = MappingProxyType(_table())
"""Every unit the program accepts, by its exact spelling."""


def to_base(value: float, unit: str, dimension: str) -> float:
    """Convert a value to the base unit of its dimension.

    Args:
        value: The number as written.
        unit: Its unit, spelled exactly as in `UNITS`.
        dimension: What the number must measure, e.g. ``"bandwidth"``.

    Returns:
        The value in OP/s, B/s, B, s, W, J, Hz or USD.

    Raises:
        UnitError: The unit is unknown or measures something else.

    Example:
        >>> to_base(19.2, "GB/s", "bandwidth")
        19200000000.0
    """
    known = UNITS.get(unit)
    allowed = [name for name, entry in UNITS.items() if entry.dimension == dimension]
    if known is None:
        hint = did_you_mean(unit, allowed) or f"Use one of: {', '.join(allowed)}"
        raise UnitError(f"unknown unit {unit!r} for a {dimension}", repair=hint)
    if known.dimension != dimension:
        raise UnitError(
            f"unit {unit!r} measures {known.dimension}, not {dimension}",
            repair=f"Use one of: {', '.join(allowed)}",
        )
    return value * known.factor


def scaled(value: float | None, factor: float) -> float | None:
    """Return a number that may be unknown in a unit that is so many times the other.

    Example:
        >>> scaled(2.0, 1e3), scaled(None, 1e3)
        (2000.0, None)
    """
    return None if value is None else value * factor
