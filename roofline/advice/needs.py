"""The least that any machine needs: a point in closed form, and the curve on which layers trade peak for bandwidth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from roofline.conventions import Traffic
from roofline.model import requirement

if TYPE_CHECKING:
    from roofline.workload import Workload

_TIMES_BANDWIDTH = (1.02, 1.1, 1.25, 1.5, 2.0, 3.0, 5.0, 10.0, 30.0)


@dataclass(frozen=True, slots=True)
class Need:
    """The least that a machine needs at one datatype and batch; what Equation 1 demands."""

    network: str
    datatype: str
    batch: int
    peak: float
    """OP/s."""
    bandwidth: float
    """B/s of the outermost memory."""
    capacity: float
    """B."""

    def record(self) -> dict[str, object]:
        """Return the need as a row."""
        return {
            "network": self.network,
            "datatype": self.datatype,
            "batch": self.batch,
            "peak_op_s": self.peak,
            "bandwidth_b_s": self.bandwidth,
            "capacity_b": self.capacity,
        }


def need(workload: Workload, datatype: str, batch: int, rate: float) -> Need:
    """Return what Equation 1 demands: peak and bandwidth each alone.

    Args:
        workload: The network at its datatype.
        datatype: Its name.
        batch: Items per batch.
        rate: Items per second that the machine is to reach.
    """
    batches_per_s = rate / batch
    ops = 2 * workload.macs or workload.ops
    return Need(
        workload.name,
        datatype,
        batch,
        peak=ops * batch / workload.batch * batches_per_s,
        bandwidth=workload.traffic_bytes(Traffic.WEIGHTS) * batches_per_s,
        capacity=workload.weight_bytes + workload.peak_activation_bytes * batch / workload.batch,
    )


def curve(workload: Workload, batch: int, rate: float) -> list[tuple[float, float]]:
    """Return pairs of bandwidth (B/s) and the least peak (OP/s) with which the sum over fused layers reaches a rate.

    A layer takes the longer of its arithmetic and its traffic. A machine above the curve may reach the rate, one below
    it cannot unless its weights or intermediate values stay on the chip.

    Args:
        workload: The network at its datatype.
        batch: Items per batch.
        rate: Items per second.
    """
    required = requirement(workload)
    ops = required.ops * batch
    data = required.weights + required.activations * batch
    budget = batch / rate
    least = float(data.sum()) / budget
    if not least or not ops.any():
        return []

    def peak_for(bandwidth: float) -> float:
        moved = data / bandwidth
        low, high = np.log(ops.sum() / budget), np.log(ops.sum() / budget) + 60.0
        for _ in range(80):
            middle = (low + high) / 2
            slow = np.maximum(ops / np.exp(middle), moved).sum() > budget
            low, high = (middle, high) if slow else (low, middle)
        return float(np.exp(high))

    return [(least * times, peak_for(least * times)) for times in _TIMES_BANDWIDTH]
