"""What models say of a network on a machine, as the rows of the page over all machines."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from roofline.model._outcomes import BOUNDS

if TYPE_CHECKING:
    from roofline.model import Prediction
    from roofline.model._case import Case
    from roofline.model._outcomes import Outcomes

COLUMNS = (
    "bound",
    "expected",
    "low",
    "high",
    "latency",
    "latency_low",
    "latency_high",
    "intensity",
)
"""Items or tokens per second: the bound, the estimate and the ends of its interval; the estimate's latency of a batch
(of decoders the time per token) in ms and the ends of that; the intensity of the bound in OP/B."""

_NO_FIT, _NOT_STRICT, _HELD = 4, 8, 16
"""Flags beside the place of the bound in `BOUNDS`, counted from 1; the estimate's lies from `_HELD` on."""


@dataclass(frozen=True, slots=True)
class Rows:
    """A network on a machine at a datatype, at neighbouring batches."""

    platform: str
    datatype: str
    batches: tuple[int, ...]
    ops: NDArray[np.float64]
    """Of one item or token."""
    values: NDArray[np.float64]
    """Of each column; NaN for what is not known."""
    flags: NDArray[np.uint8]


def item_rows(case: Case, batches: Sequence[int], bound: Outcomes, found: Outcomes | None) -> Rows:
    """Return what models say of a network that is asked for items."""
    items = np.asarray(batches)
    unknown = np.full(len(items), np.nan)
    estimate = [unknown] * 6
    held = 0
    if found is not None:
        rates, times = (
            ends or (unknown, unknown) for ends in (found.interval_fps, found.interval_latency_s)
        )
        estimate = [
            found.throughput_fps,
            *rates,
            *(1e3 * time for time in (found.latency_s, *times)),
        ]
        held = (1 + found.bound) * _HELD
    capacity = case.platform.capacity
    full = np.zeros(len(items), bool) if capacity is None else bound.required_bytes > capacity
    intensity = np.divide(bound.ops, bound.bytes, out=unknown.copy(), where=bound.bytes > 0)
    return Rows(
        case.platform.key, case.datatype, tuple(batches), bound.ops / items,
        np.stack([bound.throughput_fps, *estimate, intensity]),
        (1 + bound.bound + full * _NO_FIT + ~bound.upper_bound * _NOT_STRICT + held).astype(np.uint8),
    )  # fmt: skip


def bounds_with_estimates(
    rows: Sequence[Prediction],
) -> Iterable[tuple[Prediction, Prediction | None]]:
    """Yield each bound of a decoder with the estimate behind it, where there is one."""
    for row, behind in zip_longest(rows, rows[1:]):
        if row.model == "equation1":
            yield row, None if behind is None or behind.model == "equation1" else behind


def token_rows(bound: Prediction, found: Prediction | None) -> Rows:
    """Return what models say of a decoder on a machine."""

    def of(row: Prediction | None) -> list[float | None]:
        if row is None or row.tokens is None:
            return [None] * 6
        time = None if row.tokens.tpot_s is None else 1e3 * row.tokens.tpot_s
        rates, times = (
            row.intervals.get(name, (None, None)) for name in ("tokens_per_s", "tpot_ms")
        )
        return [row.tokens.tokens_per_s, *rates, time, *times]

    intensity = bound.ops / bound.bytes if bound.bytes else None
    flags = (
        1
        + BOUNDS.index(bound.bound)
        + (bound.fits is False) * _NO_FIT
        + (not bound.upper_bound) * _NOT_STRICT
    )
    held = 0 if found is None else (1 + BOUNDS.index(found.bound)) * _HELD
    return Rows(
        bound.platform, bound.datatype, (bound.batch,), np.asarray([bound.ops / bound.batch]),
        np.asarray([of(bound)[0], *of(found), intensity], np.float64)[:, None],
        np.asarray([flags + held], np.uint8),
    )  # fmt: skip
