"""What a sweep will take, from a sample of it: measured here, and told before it starts."""

from __future__ import annotations

import math
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from roofline.errors import OptionError
from roofline.number_format import human, plural
from roofline.sweeping.columns import Block, block, combination, parquet_bytes, table
from roofline.sweeping.grid import Grid

_SAMPLES = 3
_SAMPLE_ROWS = 4096
_SPARE = 1.1
"""Estimated bytes times this must be free: samples of a sweep are not all of it."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Size and time of a sweep, or of what is left of it, on one core of this machine."""

    rows: int
    parts: int
    seconds: float
    bytes: float

    def __str__(self) -> str:
        return (
            f"{plural(self.rows, 'prediction')} in {plural(self.parts, 'part')}, "
            f"about {human(self.bytes, 'B')} and {self.seconds:,.1f} s on one core"
        )


def plan(grid: Grid, parts: int) -> Plan:
    """Estimate what so many parts of a grid take, from the first, the middle and the last combination.

    Args:
        grid: What is asked.
        parts: How many of its parts are to be done.
    """
    batches = len(grid.batches)
    rows = min(grid.rows, parts * grid.part_rows)
    places = sorted({round(at * (grid.points - 1) / (_SAMPLES - 1)) for at in range(_SAMPLES)})
    # What is loaded at the first use is no part of the sweep's time.
    empty = len(
        parquet_bytes(iter([table([block(combination(grid, grid.point(0)), grid.items(0, 1))])]))
    )
    found: list[Block] = []
    ready_s = first_s = rest_s = 0.0
    for place in places:
        begun = time.perf_counter()
        point = grid.point(place)
        ready = time.perf_counter()
        chosen = combination(grid, point)
        block(chosen, grid.items(0, 1))
        first = time.perf_counter()
        found.append(block(chosen, grid.items(max(0, batches - _SAMPLE_ROWS), batches)))
        ready_s += ready - begun
        first_s += first - ready
        rest_s += time.perf_counter() - first
    measured = sum(len(each.batches) for each in found)
    begun = time.perf_counter()
    size = len(parquet_bytes(iter([table(found)])))
    write_s = time.perf_counter() - begun
    share = rows / grid.rows
    prepared = len(grid.networks) * len(grid.variants) * len(grid.datatypes)
    seconds = share * (
        prepared * ready_s / len(places) + grid.points * first_s / len(places)
    ) + rows * (rest_s + write_s) / measured  # fmt: skip
    return Plan(rows, parts, seconds, parts * empty + rows * max(size - empty, 1) / measured)


def check_room(planned: Plan, folder: Path) -> None:
    """Refuse a sweep that the disk has no room for.

    Raises:
        OptionError: The estimate exceeds what is free.
    """
    nearest = folder.resolve()
    while not nearest.exists():
        nearest = nearest.parent
    free = shutil.disk_usage(nearest).free
    shares = math.ceil(planned.bytes * _SPARE / max(free, 1))
    if planned.bytes * _SPARE > free:
        raise OptionError(
            f"the sweep would write about {human(planned.bytes, 'B')}, and {human(free, 'B')} are free in {nearest}",
            repair=f"Name a folder on a larger disk with -o, or do a part of it: --shard 1/{shares}"
            if shares <= planned.parts
            else "Name a folder on a larger disk with -o, or ask for less",
        )
