"""Units at the edge: a closed table. Inside the program every number is in OP, B, s, OP/s, B/s, W, J or USD."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from roofline.errors import UnitError, did_you_mean


class Dimension(StrEnum):
    """What a unit measures."""

    COMPUTE_RATE = "compute rate"
    OPERATIONS = "operations"
    BANDWIDTH = "bandwidth"
    CAPACITY = "capacity"
    FREQUENCY = "frequency"
    TIME = "time"
    POWER = "power"
    ENERGY = "energy"
    PRICE = "price"
    RATIO = "ratio"
    WIDTH = "width"
    TRANSFER_RATE = "transfer rate"


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit: what it measures and how many base units it is."""

    name: str
    dimension: Dimension
    factor: float


def _table() -> dict[str, Unit]:
    decimal = {"": 1.0, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15}
    binary = {"Ki": 2.0**10, "Mi": 2.0**20, "Gi": 2.0**30, "Ti": 2.0**40}
    units: list[Unit] = []
    for prefix, factor in decimal.items():
        units += [
            Unit(f"{prefix}OP/s", Dimension.COMPUTE_RATE, factor),
            Unit(f"{prefix}FLOP/s", Dimension.COMPUTE_RATE, factor),
            Unit(f"{prefix}OP", Dimension.OPERATIONS, factor),
            Unit(f"{prefix}B/s", Dimension.BANDWIDTH, factor),
            Unit(f"{prefix}B", Dimension.CAPACITY, factor),
            Unit(f"{prefix}Hz", Dimension.FREQUENCY, factor),
        ]
    for prefix, factor in binary.items():
        units += [
            Unit(f"{prefix}B", Dimension.CAPACITY, factor),
            Unit(f"{prefix}B/s", Dimension.BANDWIDTH, factor),
        ]
    for name, factor in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6), ("ns", 1e-9)):
        units.append(Unit(name, Dimension.TIME, factor))
    for name, factor in (("mW", 1e-3), ("W", 1.0), ("kW", 1e3)):
        units.append(Unit(name, Dimension.POWER, factor))
    for name, factor in (("mJ", 1e-3), ("J", 1.0)):
        units.append(Unit(name, Dimension.ENERGY, factor))
    units.append(Unit("USD", Dimension.PRICE, 1.0))
    units.append(Unit("1", Dimension.RATIO, 1.0))
    units.append(Unit("bit", Dimension.WIDTH, 1.0))
    units += [
        Unit("MT/s", Dimension.TRANSFER_RATE, 1e6),
        Unit("GT/s", Dimension.TRANSFER_RATE, 1e9),
    ]
    return {unit.name: unit for unit in units}


UNITS: Mapping[str, Unit] = MappingProxyType(_table())
"""Every unit the program accepts, by its exact spelling."""


def to_base(value: float, unit: str, dimension: Dimension | None) -> float:
    """Convert a value to the base unit of its dimension.

    Args:
        value: The number as written.
        unit: Its unit, spelled exactly as in `UNITS`.
        dimension: What the number must measure; None for any.

    Returns:
        The value in OP/s, B/s, B, s, W, J, Hz or USD.

    Raises:
        UnitError: The unit is unknown or measures something else.

    Example:
        >>> to_base(19.2, "GB/s", Dimension.BANDWIDTH)
        19200000000.0
    """
    known = UNITS.get(unit)
    if known is not None and dimension in (None, known.dimension):
        return value * known.factor
    allowed = [name for name, entry in UNITS.items() if dimension in (None, entry.dimension)]
    choices = f"Use one of: {', '.join(allowed)}"
    if known is None:
        raise UnitError(
            f"unknown unit {unit!r} for a {dimension or 'number'}",
            repair=did_you_mean(unit, allowed) or choices,
        )
    raise UnitError(f"unit {unit!r} measures {known.dimension}, not {dimension}", repair=choices)


def scale(value: float | None, factor: float) -> float | None:
    """Return a number that may be unknown in a unit that is so many times the other.

    Example:
        >>> scale(2.0, 1e3), scale(None, 1e3)
        (2000.0, None)
    """
    return None if value is None else value * factor
