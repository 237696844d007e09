"""A rough estimate of how long a campaign takes, before it is started."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from types import MappingProxyType

from roofline.validate.records.record import Measurement
from roofline.validate.records.request import SPREAD_S, RunRequest
from roofline.validate.records.tuning import Tuning

_STARTING_S = 6.0
"""Processes that read the model, compute the reference, compile and run it."""

_RATES = MappingProxyType({Tuning.UNTUNED: 1.5e9, Tuning.TUNED: 40e9, Tuning.NONE: 60e9})
"""Operations per second and thread that code of each tuning reaches on a current CPU, roughly."""

_ENOUGH = 3
"""Recorded runs from which the estimate is corrected."""

_TRIAL_S = 0.6
"""Seconds to build and time one schedule of one kernel."""


def operations(points: Iterable[RunRequest]) -> dict[str, float]:
    """Return the operations of one inference of each network that the points name."""
    import roofline

    return {
        name: float(roofline.load(name).ops) for name in dict.fromkeys(p.network for p in points)
    }


def kernels(network: str) -> int:
    """Return how many different kernels with products a network has: what tuning goes through."""
    import roofline

    costs = {
        (layer.op_type, layer.cost.macs, layer.cost.weights, layer.cost.inputs, layer.cost.outputs)
        for layer in roofline.load(network).layers
        if layer.cost.macs
    }
    return len(costs)


def seconds(point: RunRequest, ops: float, kernel_count: int) -> float:
    """Return an estimate for one run of a point.

    Args:
        point: What is run.
        ops: Operations of one inference of the uncompressed network.
        kernel_count: Different kernels it has.
    """
    share = point.compression.keep_channels**2
    rate = _RATES[point.tuning] * point.threads
    step = ops * share * point.batch / rate
    timing = point.protocol
    spread = min(SPREAD_S, timing.sampling_s)
    sampling = min(timing.sampling_s + step, max(spread, (timing.runs + timing.warmup) * step))
    tuning = 0.0
    if point.tuning is Tuning.TUNED:
        tuning = kernel_count * point.trials * _TRIAL_S
        tuning = min(tuning, point.tuning_budget_s) if point.tuning_budget_s else tuning
    return min(_STARTING_S + sampling, 3 * timing.time_limit_s) + tuning


def estimate(
    points: Sequence[RunRequest], recorded: Sequence[tuple[RunRequest, Measurement]] = ()
) -> float:
    """Return an estimate of the seconds that runs of these points take, one after the other.

    Args:
        points: What is left to run; a point that is there several times is tuned once.
        recorded: Runs that ended well: what they took corrects the estimate for this machine.
    """
    known = [(point, record) for point, record in recorded if record.ok]
    every = [*points, *(point for point, _ in known)]
    ops = operations(every)
    counts = {point.network: 0 for point in every}
    counts |= {p.network: kernels(p.network) for p in every if p.tuning is Tuning.TUNED}
    total, tuned = 0.0, set[str]()
    for point in points:
        # What was tuned in an earlier round is kept.
        left = 0 if point.key in tuned else counts[point.network]
        total += seconds(point, ops[point.network], left)
        tuned.add(point.key)
    if len(known) < _ENOUGH:
        return total
    took = sum(spent_s(record) for _, record in known)
    return total * took / sum(seconds(p, ops[p.network], counts[p.network]) for p, _ in known)


def spent_s(record: Measurement) -> float:
    """Return the seconds a recorded run took, as far as they are recorded."""
    parts = (record.wall_s, record.first_s, record.compile_s, record.tune_s)
    return _STARTING_S + sum(part or 0.0 for part in parts)
