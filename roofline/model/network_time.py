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
from roofline.model.machine_profile import Estimate, Floats, Profile, passes_over
from roofline.model.subnormal_steps import SUBNORMAL
from roofline.model.work import NARROW_ROWS, Work
from roofline.workload import Workload

_ALIKE = 0.5
"""Correlation of the errors of two layers of one kind: they share its samples, and not their shape."""
_COMMON = 0.09
"""Deviation that all networks share: a machine is not the same from one hour to the next, and no network is its layers
alone."""
_OWN = 0.4
"""Share of the deviation of layers that stays where many of measured kinds stand together."""
_ALL_BEYOND = 3.0
"""Octaves outside of what was measured from which all of it stays; up to one octave no more does than inside."""
_STREAMING = 0.18
"""Deviation of the time of layers that pass over values, where all of a network is such: what they take depends on what
runs before them, more than products do."""
_THREADS = 0.1
"""Deviation that wall times on several threads add: that of the host's other programs."""
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
    """Of the logarithm of the seconds; `network_deviation` has what it is of."""

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
        factor = math.exp(NormalDist().inv_cdf(0.5 + share / 2) * self.deviation)
        return self.seconds / factor, self.seconds * factor

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
    deviation = _deviation(found, profile)
    return CalibratedTime(tuple(found), profile.run_s, deviation)


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
    found = np.empty((6, len(batches)))
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
    passing = none
    alike: dict[str, Floats] = defaultdict(lambda: none)
    apart: dict[str, Floats] = defaultdict(lambda: none)
    for step in steps:
        if step.work is None:
            own = profile.views_s(switch) * step.repeats
            kind, deviation, fixed, held = "view", _VIEW_DEVIATION, own, none > 0
            kept = np.asarray(_OWN)
        else:
            kind = step.work.times(float(batches[0])).kind
            work = replace(step.work, kind=kind)
            found = profile.estimates(work, batches, _competing_bytes(step, working))
            more, factor = switch * work.repeats, _correction(work, profile)
            own, fixed = factor * (found.seconds + more), factor * (found.fixed_s + more)
            deviation, held = found.deviation, found.memory_bound
            kept = _shares_kept(kind, found.basis, found.beyond)
            ops = ops + work.ops * batches
            moved = moved + np.rint(work.bytes * batches) + work.weight_bytes
        if passes_over(kind):
            passing = passing + own
        small = fixed > own / 2
        seconds = seconds + own
        latency = latency + np.where(small, own, 0.0)
        memory = memory + np.where(held & ~small, own, 0.0)
        error = own * deviation * kept
        alike[kind] = alike[kind] + error
        apart[kind] = apart[kind] + error**2
    variance = sum(
        (_ALIKE * alike[kind] ** 2 + (1 - _ALIKE) * apart[kind] for kind in alike), none
    )
    spread = network_deviation(np.sqrt(variance) / seconds, passing / seconds, profile)
    return np.stack([seconds, spread, latency, memory, ops, moved])


def network_deviation(layers: Floats, passing: Floats, profile: Profile) -> Floats:
    """Return the deviation of the logarithm of a network's seconds.

    What its layers say is one part; the others were found on networks: none of the list that they are judged on, and
    widened by as much as the networks of one list lay further off than those of the others said.

    Args:
        layers: That of its layers together, kinds taken as independent and layers of one kind as half alike.
        passing: Share of the time of layers that pass over values.
        profile: Of the machine, with as many threads as the run.
    """
    threads = _THREADS if profile.threads > 1 else 0.0
    own = layers * max(profile.surprise, 1.0)
    found = np.sqrt(own**2 + (_STREAMING * passing) ** 2 + _COMMON**2 + threads**2)
    return np.asarray(found * profile.spread, np.float64)


def _shares_kept(kind: str, basis: Basis, beyond: Floats) -> Floats:
    """Return which share of a layer's deviation stays among others.

    It is all of it where a layer is borrowed, depends on values, or lies far outside of what was measured of its kind:
    errors of such layers are not independent of one another.

    Args:
        kind: Of the layer.
        basis: Where its figure comes from.
        beyond: Octaves outside of what was measured.
    """
    if kind == SUBNORMAL or basis in (Basis.BORROWED, Basis.ESTIMATED):
        return np.ones(beyond.shape)
    near = np.clip((_ALL_BEYOND - beyond) / (_ALL_BEYOND - 1.0), 0.0, 1.0)
    return 1.0 - (1.0 - _OWN) * near


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


def _deviation(layers: Sequence[LayerTime], profile: Profile) -> float:
    total = profile.run_s + sum(layer.estimate.seconds for layer in layers)
    alike: dict[str, float] = defaultdict(float)
    apart: dict[str, float] = defaultdict(float)
    passing = 0.0
    for layer in layers:
        estimate = layer.estimate
        beyond = np.asarray(estimate.beyond)
        kept = float(_shares_kept(layer.kind, estimate.basis, beyond))
        error = estimate.seconds * estimate.deviation * kept
        alike[layer.kind] += error
        apart[layer.kind] += error**2
        if passes_over(layer.kind):
            passing += estimate.seconds
    variance = sum(_ALIKE * alike[kind] ** 2 + (1 - _ALIKE) * apart[kind] for kind in alike)
    shares = (np.asarray(math.sqrt(variance) / total), np.asarray(passing / total))
    return float(network_deviation(*shares, profile))
