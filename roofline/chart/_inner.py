"""What the platform files say of memories on the chip."""

from __future__ import annotations

import math

from roofline.errors import RooflineError
from roofline.spec import platform


def on_chip(machine: str) -> list[tuple[str, float, float]]:
    """Return name, bandwidth in B/s and capacity in B of a machine's on-chip memories.

    The bandwidth is infinite where the platform file does not give it, the capacity zero; a machine without a file has
    no memories.
    """
    try:
        memories = platform(machine).memories
    except RooflineError:
        return []
    return [
        (
            memory.name,
            math.inf if memory.bandwidth is None else memory.bandwidth.base,
            0.0 if memory.capacity is None else memory.capacity.base,
        )
        for memory in memories
        if memory.on_chip
    ]
