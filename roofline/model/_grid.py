"""A bound for every combination of networks, machines, datatypes and batches at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from roofline.errors import OptionError
from roofline.model._case import layer_units
from roofline.model._core import Floats, ridge, roof_times
from roofline.model._prediction import frame
from roofline.model._request import at_precision
from roofline.model._requirement import (
    TRAFFIC,
    WEIGHTS_READ,
    Requirement,
    known,
    requirement,
    total,
)
from roofline.precision import precision

if TYPE_CHECKING:
    import pandas as pd

    from roofline.spec import Platform
    from roofline.workload import Workload


@dataclass(frozen=True, slots=True)
class Grid:
    """Bounds over networks × machines × datatypes × batches; the arrays have these four axes."""

    networks: tuple[str, ...]
    variants: tuple[str, ...]
    """What was done to each network."""
    platforms: tuple[str, ...]
    datatypes: tuple[str, ...]
    batches: tuple[int, ...]
    model: str
    latency_s: Floats
    """Seconds for a batch; NaN where the machine has no unit for the datatype."""
    intensity: Floats
    """OP/B of the batch."""
    ridge: Floats
    """Ridge points of the machines, OP/B; the axes of networks and batches have one entry."""
    utilization: Floats
    """Share of the peak that is attained."""
    memory_bound: NDArray[np.bool_]
    """Where memory holds back for most of the time."""

    @property
    def throughput_fps(self) -> Floats:
        """Items per second."""
        return np.divide(np.asarray(self.batches, np.float64), self.latency_s)

    def records(self) -> list[dict[str, Any]]:
        """Return a row for every combination whose machine has the unit."""
        fps = self.throughput_fps
        rows: list[dict[str, Any]] = []
        for index in np.ndindex(self.latency_s.shape):
            if np.isnan(self.latency_s[index]):
                continue
            n, p, d, b = index
            rows.append(
                {
                    "network": self.networks[n],
                    "platform": self.platforms[p],
                    "datatype": self.datatypes[d],
                    "batch": self.batches[b],
                    "pruning": self.variants[n],
                    "model": self.model,
                    "throughput_fps": float(fps[index]),
                    "latency_ms": 1e3 * float(self.latency_s[index]),
                    "bound": "memory" if self.memory_bound[index] else "compute",
                    "intensity": float(self.intensity[index]),
                    "utilization": float(self.utilization[index]),
                    "ridge_point": float(self.ridge[0, p, d, 0]),
                }
            )
        return rows

    def to_frame(self) -> pd.DataFrame:
        """Return a row for every combination whose machine has the unit (needs pandas)."""
        return frame(self.records())


def predict_grid(
    workloads: Sequence[Workload],
    platforms: Sequence[Platform],
    datatypes: Sequence[str],
    batches: Sequence[int] = (1,),
    *,
    model: str = "equation1",
    traffic: str | None = None,
    weights_read: str = "per-batch",
) -> Grid:
    """Evaluate ``equation1`` or ``layerwise`` for every combination, without a loop over machines or batches.

    Args:
        workloads: Networks.
        platforms: Machines; a combination whose machine lacks the unit is NaN.
        datatypes: Precisions.
        batches: Items per batch.
        model: ``equation1`` or ``layerwise``.
        traffic: A traffic assumption other than ``resident``; by default the model's own.
        weights_read: ``per-batch`` or ``per-item``.

    Returns:
        The same numbers that `predict` gives one by one.

    Raises:
        OptionError: A name is not allowed.
    """
    traffic = _traffic(model, traffic)
    known(weights_read, WEIGHTS_READ, "choice of weight reads", "--weights-read")
    units = [precision(name).peak for name in datatypes]
    peaks = np.asarray([[_peak(machine, unit) for unit in units] for machine in platforms])
    bandwidths = np.asarray([machine.bandwidth for machine in platforms])
    batch = np.asarray(batches, np.float64)
    reads = batch if weights_read == "per-item" else np.ones_like(batch)
    shape = (len(workloads), len(platforms), len(datatypes), len(batches))
    latency, intensity, utilization = (np.empty(shape) for _ in range(3))
    memory_bound = np.empty(shape, np.bool_)
    for (n, asked), (d, datatype) in product(enumerate(workloads), enumerate(datatypes)):
        workload = at_precision(asked, datatype)
        required, executed, at_units = _demand(
            workload, platforms, units[d], peaks[:, d, None], model=model, traffic=traffic
        )
        # Axes: machines, batches, layers.
        compute, memory = roof_times(
            executed[:, None, :],
            required.weights * reads[:, None],
            required.activations,
            peak=at_units[:, None, :],
            bandwidth=bandwidths[:, None, None],
            batch=batch[:, None],
        )
        each = np.maximum(compute, memory)
        latency[n, :, d] = each.sum(axis=-1)
        in_memory = np.where(memory > compute, each, 0.0).sum(axis=-1)
        memory_bound[n, :, d] = in_memory > latency[n, :, d] - in_memory
        ops = executed.sum(axis=-1)[:, None] * batch
        moved = required.weights.sum() * reads + required.activations.sum() * batch
        moved = np.broadcast_to(moved, ops.shape)
        intensity[n, :, d] = np.divide(ops, moved, out=np.full_like(ops, np.inf), where=moved > 0)
        utilization[n, :, d] = ops / latency[n, :, d] / peaks[:, d, None]
    return Grid(
        tuple(workload.name for workload in workloads),
        tuple(workload.variant for workload in workloads),
        tuple(machine.key for machine in platforms),
        tuple(datatypes),
        tuple(batches),
        model,
        latency,
        intensity,
        ridge(peaks, bandwidths[:, None])[None, :, :, None],
        utilization,
        memory_bound,
    )


def _traffic(model: str, traffic: str | None) -> str:
    """Return the traffic assumption of a model, or the one that is asked for where it can be vectorised."""
    known(model, ("equation1", "layerwise"), "vectorised model", "--model")
    traffic = traffic or ("weights" if model == "equation1" else "fused")
    known(traffic, TRAFFIC, "traffic assumption", "--traffic")
    if traffic == "resident":
        raise OptionError(
            "resident traffic depends on each machine's memories and is not vectorised",
            repair="Use predict() for each combination",
        )
    return traffic


def _demand(
    workload: Workload,
    platforms: Sequence[Platform],
    unit: str,
    peaks: Floats,
    *,
    model: str,
    traffic: str,
) -> tuple[Requirement, Floats, Floats]:
    """Return what a network requires, and for machines × layers the operations executed and the peak they meet.

    ``equation1`` sees one layer, the network. What a machine executes depends on which zeros it skips.
    """
    operations = "macs" if model == "equation1" else "all"
    required = requirement(workload, traffic=traffic, operations=operations)
    executed = np.stack(
        [
            requirement(workload, machine, traffic=traffic, operations=operations).ops
            for machine in platforms
        ]
    )
    if model == "equation1":
        return total(workload, required), executed.sum(axis=-1, keepdims=True), peaks
    at_units = np.asarray(
        [
            [
                _peak(machine, kind)
                for kind in layer_units(workload, machine, unit, required.layers)
            ]
            for machine in platforms
        ]
    )
    return required, executed, np.where(np.isnan(peaks), np.nan, at_units)


def _peak(machine: Platform, unit: str) -> float:
    return machine.peak(unit) if machine.has(unit) else np.nan
