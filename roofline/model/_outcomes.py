"""What a model says of a case at many batches: arrays with one entry per batch, for sweeps of any size."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from roofline.model._case import Case, Times, evaluate
from roofline.model._core import Floats
from roofline.model._prediction import Bound, Prediction
from roofline.model._requirement import Requirement

BOUNDS = tuple(Bound)
"""The bounds in the order that ``Outcomes.bound`` counts them."""

_CODE = {bound: code for code, bound in enumerate(BOUNDS)}


def codes(*bounds: Bound) -> NDArray[np.int8]:
    """Return the places of bounds in `BOUNDS`."""
    return np.asarray([_CODE[bound] for bound in bounds], np.int8)


@dataclass(frozen=True, slots=True)
class Outcomes:
    """The figures of a `Prediction` at many batches; NaN where one is not known."""

    throughput_fps: Floats
    """Items per second."""
    latency_s: Floats
    """Seconds for the whole batch."""
    bound: NDArray[np.int8]
    """Places in `BOUNDS`."""
    ops: Floats
    """Operations of the batch."""
    bytes: Floats
    """Bytes that cross the outermost memory for the batch."""
    required_bytes: Floats
    upper_bound: NDArray[np.bool_]
    interval_fps: tuple[Floats, Floats] | None = None
    """Low and high ends of the range in which eight of ten real throughputs lie; None for bounds."""
    interval_latency_s: tuple[Floats, Floats] | None = None


@dataclass(frozen=True, slots=True)
class Law:
    """What a model says of one case as a function of the batch; all that does not depend on it is done."""

    at: Callable[[Floats], Outcomes]
    """Returns the figures at many batches."""
    width: int
    """Values it holds for each batch: its layers or terms."""


def bound_outcomes(case: Case, times: Times, batches: Floats) -> Outcomes:
    """Return what a bound says at each batch, from its times: their sum, and what holds back for most of it.

    Args:
        case: What is asked; its own batch is not looked at.
        times: The times at the batches.
        batches: Items per batch.
    """
    latency, in_memory = times.latency, times.in_memory
    # What is not counted has no bound; nor has a network of which nothing was.
    known = np.where((latency > 0) & case.workload.fully_counted, latency, np.nan)
    memory = in_memory > latency - in_memory
    return Outcomes(
        batches / known, known,
        np.where(memory, _CODE[Bound.MEMORY], _CODE[Bound.COMPUTE]).astype(np.int8),
        times.ops.sum(axis=0), times.outer_bytes.sum(axis=0), case.required_bytes_at(batches),
        case.strict_at(batches, times),
    )  # fmt: skip


def bound_law(case: Case, required: Requirement, units: Sequence[str]) -> Law:
    """Return a bound as a function of the batch.

    Args:
        case: What is asked; its own batch is not looked at.
        required: What each layer requires, or the whole network as one.
        units: The peak that each of them runs on.
    """
    return Law(
        lambda items: bound_outcomes(case, evaluate(case, required, units, items), items),
        len(units),
    )


def outcomes_of(predictions: Sequence[Prediction]) -> Outcomes:
    """Return the figures of predictions, one for each batch."""

    def column(values: Sequence[float | None]) -> Floats:
        return np.asarray([np.nan if value is None else value for value in values], np.float64)

    def ends(pairs: Sequence[tuple[float, float] | None]) -> tuple[Floats, Floats] | None:
        if not any(pairs):
            return None
        low, high = zip(*(pair or (None, None) for pair in pairs), strict=True)
        return column(low), column(high)

    latencies = [entry.intervals.get("latency_ms") for entry in predictions]
    slow = ends([None if pair is None else (pair[0] / 1e3, pair[1] / 1e3) for pair in latencies])
    return Outcomes(
        column([entry.throughput_fps for entry in predictions]),
        column([entry.latency_s for entry in predictions]),
        np.asarray([_CODE[entry.bound] for entry in predictions], np.int8),
        column([entry.ops for entry in predictions]),
        column([entry.bytes for entry in predictions]),
        column([entry.required_bytes for entry in predictions]),
        np.asarray([entry.upper_bound for entry in predictions], np.bool_),
        ends([entry.interval_fps for entry in predictions]),
        slow,
    )
