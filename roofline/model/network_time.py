"""The time of a network by a profile: per step, speed of light over the measured utilisation of its kind and shape."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist

import numpy as np

from roofline.model._prediction import Basis
from roofline.model.executed_steps import Step, steps_of
from roofline.model.machine_profile import Estimate, Floats, Profile
from roofline.model.network_error import Deviations, ErrorSums
from roofline.model.work import NARROW_ROWS, Work
from roofline.workload import Workload

_VIEW_DEVIATION = 0.3
"""Deviation of the logarithm of a view's seconds."""
SHARE_80 = NormalDist().inv_cdf(0.9)
"""Deviations on both sides that hold 80 % of a normal distribution."""


@dataclass(frozen=True, slots=True)
class LayerTime:
    """The time of one executed operator, or of rearranging a value."""

    layer: str
    kind: str
    estimate: Estimate
    ops: float = 0.0
    bytes: float = 0.0
    """Of operands, results and weights."""
    datatype: str = "fp32"
    """The peak it runs on."""


@dataclass(frozen=True, slots=True)
class CalibratedTime:
    """The time of one run of a network, layer by layer."""

    layers: tuple[LayerTime, ...]
    run_s: float
    deviation: float
    """Of the logarithm of the seconds on the side of runs that take less; `network_error` has what it is of."""
    slow_deviation: float
    """The same on the side of runs that take more."""

    @property
    def seconds(self) -> float:
        """The whole time of one run."""
        return self.run_s + sum(layer.estimate.seconds for layer in self.layers)

    @property
    def interval_s(self) -> tuple[float, float]:
        """The seconds between which 80 % of networks are expected."""
        return self.interval_at(0.8)

    def interval_at(self, share: float) -> tuple[float, float]:
        """Return the seconds between which a share of networks is expected."""
        wide = NormalDist().inv_cdf(0.5 + share / 2)
        return (
            self.seconds / math.exp(wide * self.deviation),
            self.seconds * math.exp(wide * self.slow_deviation),
        )

    def shares(self) -> Mapping[Basis, float]:
        """Return the share of the time that rests on each basis."""
        found: dict[Basis, float] = defaultdict(float)
        for layer in self.layers:
            found[layer.estimate.basis] += layer.estimate.seconds / self.seconds
        return dict(found)


def calibrated_time(
    workload: Workload, profile: Profile, batches: float = 1.0
) -> CalibratedTime | None:
    """Return the time of one run of a network on the machine of a profile.

    Args:
        workload: The network.
        profile: Of the backend and number of threads of the run.
        batches: How many times the workload's own batch is run at once.

    Returns:
        The time; None for a network whose layers have no shapes, or are not all counted.
    """
    steps = steps_of(workload, profile)
    if steps is None:
        return None
    working_set = np.asarray([round(_working_set(workload, np.asarray([batches]))[0])], np.float64)
    switches = profile.switches_s(working_set)
    switch_s, view_s = float(switches[0]), float(profile.views_s(switches)[0])
    found = [
        LayerTime(step.layer, "view", _fixed_estimate(view_s * step.repeats)) if step.work is None
        else _time_layer(
            step, batches, profile, working_set, switch_s
        )
        for step in steps
    ]  # fmt: skip
    deviations = _deviations(found, profile)
    return CalibratedTime(
        tuple(found), profile.run_s, float(deviations.fast[0]), float(deviations.slow[0])
    )


def _competing_bytes(step: Step, working: Floats) -> Floats:
    """Return the bytes that the weights of a step compete with for the caches, of those that a run goes through."""
    if not step.weighed:
        return np.zeros(len(working))
    return working if step.since is None else np.minimum(working, step.since)


def _working_set(workload: Workload, batches: Floats) -> Floats:
    weights = sum(layer.weight_bytes for layer in workload.layers)
    if workload.weight_bytes:
        # Those of a layer that runs again, an unrolled step of a recurrent one, count once.
        weights = min(weights, workload.weight_bytes)
    return np.rint(weights + workload.peak_activation_bytes * batches)


@dataclass(frozen=True, slots=True)
class Times:
    """Times of one run of a network at many batches; arrays with one entry per batch."""

    seconds: Floats
    deviation: Floats
    """Of the logarithm of the seconds, as `CalibratedTime` has it."""
    slow_deviation: Floats
    latency: Floats
    """Seconds that runs and layers take whatever their size, where that is most of a layer."""
    memory: Floats
    """Seconds of the other layers that memory holds back."""
    ops: Floats
    bytes: Floats


def times_at(
    workload: Workload, profile: Profile, steps: Sequence[Step], batches: Floats
) -> Times:
    """Return the times of one run at many batches, as `calibrated_time` does at one.

    Args:
        workload: The network.
        profile: Of the backend and number of threads of the run.
        steps: What a run executes.
        batches: How many times the workload's own batch is run at once.
    """
    rows = sorted(
        {step.work.at[0] for step in steps if step.work is not None and step.work.grows_rows}
    )
    forms = [
        np.where(count * batches == 1, 0, np.where(count * batches < NARROW_ROWS, 1, 2))
        for count in rows
    ]
    found = np.empty((7, len(batches)))
    _, groups = (
        np.unique(np.stack(forms, axis=1), axis=0, return_inverse=True) if forms
        else (None, np.zeros(len(batches), np.int64))
    )  # fmt: skip
    for group in np.unique(groups):
        here = groups == group
        found[:, here] = _group_times(workload, profile, steps, batches[here])
    return Times(*found)


def _group_times(
    workload: Workload, profile: Profile, steps: Sequence[Step], batches: Floats
) -> Floats:
    """Return the fields of `Times` at batches at which all kinds are the same."""
    none = np.zeros(len(batches))
    working = _working_set(workload, batches)
    switch = profile.switches_s(working)
    seconds, latency, memory, ops, moved = (
        none + profile.run_s,
        none + profile.run_s,
        none,
        none,
        none,
    )
    errors = ErrorSums(len(batches))
    for step in steps:
        if step.work is None:
            own = profile.views_s(switch) * step.repeats
            fixed, held = own, none > 0
            errors.add("view", own, none + _VIEW_DEVIATION, Basis.MEASURED, none)
        else:
            kind = step.work.times(float(batches[0])).kind
            work = replace(step.work, kind=kind)
            found = profile.estimates(work, batches, _competing_bytes(step, working))
            more, factor = switch * work.repeats, _correction(work, profile)
            own, fixed = factor * (found.seconds + more), factor * (found.fixed_s + more)
            held = found.memory_bound
            errors.add(kind, own, found.deviation, found.basis, found.beyond)
            ops = ops + work.ops * batches
            moved = moved + np.rint(work.bytes * batches) + work.weight_bytes
        small = fixed > own / 2
        seconds = seconds + own
        latency = latency + np.where(small, own, 0.0)
        memory = memory + np.where(held & ~small, own, 0.0)
    deviations = errors.deviations(seconds, profile)
    return np.stack([seconds, deviations.fast, deviations.slow, latency, memory, ops, moved])


def _correction(work: Work, profile: Profile) -> float:
    """Return the correction of the seconds of its class."""
    return profile.corrections.get(work.kind.partition(".")[0], 1.0)


def _time_layer(
    step: Step, batches: float, profile: Profile, working_set: Floats, switch_s: float
) -> LayerTime:
    assert step.work is not None
    work = step.work.times(batches)
    moved = float(work.bytes + work.weight_bytes)
    estimate = profile.estimate(work, round(_competing_bytes(step, working_set)[0]))
    more, factor = switch_s * work.repeats, _correction(work, profile)
    seconds, fixed = factor * (estimate.seconds + more), factor * (estimate.fixed_s + more)
    estimate = replace(estimate, seconds=seconds, fixed_s=fixed)
    return LayerTime(step.layer, work.kind, estimate, work.ops, moved, work.datatype)


def _fixed_estimate(seconds: float) -> Estimate:
    return Estimate(
        seconds, seconds, _VIEW_DEVIATION, Basis.MEASURED, memory_bound=False, fixed_s=seconds
    )


def _deviations(layers: Sequence[LayerTime], profile: Profile) -> Deviations:
    total = profile.run_s + sum(layer.estimate.seconds for layer in layers)
    errors = ErrorSums(1)
    for layer in layers:
        own = layer.estimate
        seconds, deviation, beyond = (
            np.asarray([value]) for value in (own.seconds, own.deviation, own.beyond)
        )
        errors.add(layer.kind, seconds, deviation, own.basis, beyond)
    return errors.deviations(np.asarray([total]), profile)
