"""What layers take among layers of other kinds, and which groups of operators run as one."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from roofline.layer import Layer
from roofline.model.kinds import works
from roofline.model.machine_profile import Profile, Sample, passes_over
from roofline.model.network_time import calibrated_time
from roofline.validate.calibration.beside import FREE
from roofline.validate.calibration.measured_probe import MeasuredProbe
from roofline.validate.calibration.microbenchmarks import Times
from roofline.workload import Workload

_AFTER = {"MatMul": "product", "Gemm": "Gemm"}
"""Products behind which something else stands, and what their probes are called."""
_AS_ONE = 0.75
"""Share of its parts' time up to which a group of operators runs as one."""
_VIEWS = 3
"""Views, and as many operators, of one copy of the probe that holds views."""
_NO_PACE = 1e-15
"""Seconds of a byte that are none."""
_UNKNOWN_VALUES = math.log(2) / 1.28
"""Deviation of the time of subnormal weights: within a factor of two, four times of five, by the values they meet."""
_WITHOUT_WEIGHTS = 1 << 14
"""Bytes that a run of a few small operators goes through, about."""


def switch_costs(
    entries: Sequence[MeasuredProbe], known: Profile
) -> tuple[tuple[float, float], ...]:
    """Return what a layer takes more among layers of other kinds than among its own, by the bytes a run goes through.

    Once among small operators alone, then among products whose weights go through the caches between any two of them.
    """
    found: dict[float, float] = {}
    for entry in entries:
        if entry.probe.role not in ("mixed", "among"):
            continue
        products = entry.probe.of if entry.probe.role == "among" else ""
        small = _small_s(entry.many, known, products) - _small_s(entry.one, known, products)
        added = len(entry.many.layers) - len(entry.one.layers)
        held = sum(layer.weight_bytes for layer in entry.many.layers)
        # Products that stood among their own stand among others now.
        count = added + sum(layer.op_type == products for layer in entry.one.layers)
        more = entry.times.copy_s * entry.probe.copies - small
        found[float(max(held, _WITHOUT_WEIGHTS))] = max(more / count, 0.0)
    # More bytes never make it less.
    places = sorted(found)
    rising = np.maximum.accumulate([found[held] for held in places])
    return tuple(zip(places, rising.tolist(), strict=True))


def passes_among_convolutions(
    entries: Sequence[MeasuredProbe], known: Profile
) -> tuple[tuple[float, float], ...]:
    """Return the seconds that a byte takes more where operators pass over values among convolutions, by bytes."""
    found: dict[float, list[float]] = defaultdict(list)
    for entry in entries:
        longer, shorter = (
            (calibrated_time(work, known) for work in (entry.many, entry.one))
            if entry.probe.role == "passes" else (None, None)
        )  # fmt: skip
        if longer is None or shorter is None:
            continue
        more = entry.times.copy_s * entry.probe.copies - (longer.seconds - shorter.seconds)
        passed = sum(layer.bytes for layer in longer.layers if passes_over(layer.kind))
        # Of the image: read once and written once.
        held = 2.0 * max(layer.output_bytes for layer in entry.one.layers)
        found[held].append(more / passed)
    return tuple((held, max(float(np.median(found[held])), _NO_PACE)) for held in sorted(found))


def subnormal_samples(entries: Sequence[MeasuredProbe], known: Profile) -> tuple[Sample, ...]:
    """Return the utilisation of operations on weights that hold subnormal numbers, beyond what others would take."""
    found: list[Sample] = []
    for entry in entries:
        if entry.probe.role != "subnormal":
            continue
        ops = 2.0 * float(entry.probe.about["share"]) * (
            sum(layer.cost.macs for layer in entry.many.layers) - sum(layer.cost.macs for layer in entry.one.layers)
        )  # fmt: skip
        usual = _parts_s(entry.many, known) - _parts_s(entry.one, known)
        more = entry.times.copy_s * entry.probe.copies - usual
        if more > 0:
            rate = ops / known.peaks["fp32"] / more
            found.append(Sample((ops,), rate, math.hypot(entry.times.spread, _UNKNOWN_VALUES)))
    return tuple(found)


def view_seconds(entries: Sequence[MeasuredProbe], layer_s: float) -> float:
    """Return the seconds of a view among operators that take so long; 0 where no probe holds views."""
    found = [
        entry.times.copy_s / _VIEWS - layer_s for entry in entries if entry.probe.role == "views"
    ]
    return max(found[0], 0.1 * layer_s) if found else 0.0


def _small_s(workload: Workload, known: Profile, aside: str) -> float:
    """Return the seconds of small operators among their own, those of one kind left aside."""
    return sum(
        _estimated_s(layer, known) or known.layer_s
        for layer in workload.layers
        if layer.op_type != aside
    )


def with_groups(measured: Sequence[MeasuredProbe], known: Profile, times: Times) -> Profile:
    """Return the profile with what matrix products absorb and the groups of operators that run as one."""
    samples = dict(known.samples)
    patterns, after = set[str](), set[str]()
    plain = {of: times.of.get(f"after a {noun}: none") for of, noun in _AFTER.items()}
    for entry in measured:
        name = entry.probe.about.get("op", "")
        if entry.probe.role == "pattern":
            parts = (_parts_s(entry.many, known) - _parts_s(entry.one, known)) / entry.probe.copies
            seconds = entry.times.copy_s
            if 0 < seconds < _AS_ONE * parts:
                patterns.add(name)
                if "elements" not in entry.probe.about:
                    continue
                elements = int(entry.probe.about["elements"])
                rate = 8 * elements / known.bandwidth / seconds
                kind = f"pattern.{name}"
                sample = Sample((float(elements),), rate, entry.times.spread)
                samples[kind] = (*samples.get(kind, ()), sample)
        elif entry.probe.role == "group" and entry.times.copy_s > 0:
            elements = int(entry.probe.about["elements"])
            rate = 8 * elements / known.bandwidth / entry.times.copy_s
            sample = Sample((float(elements),), rate, entry.times.spread)
            kind = f"group.{name}"
            samples[kind] = (*samples.get(kind, ()), sample)
        elif entry.probe.role == "after" and name != "none":
            bare = plain[entry.probe.of]
            others = [layer for layer in entry.one.layers if layer.op_type != entry.probe.of]
            alone = sum(_estimated_s(layer, known) for layer in others)
            if bare is not None and entry.times.copy_s - bare.copy_s < FREE * alone:
                after.add(entry.probe.about["form"])
    return replace(
        known, samples=samples, patterns=frozenset(patterns), after_product=frozenset(after)
    )


def _parts_s(workload: Workload, known: Profile) -> float:
    return sum(_estimated_s(layer, known) for layer in workload.layers)


def _estimated_s(layer: Layer, known: Profile) -> float:
    work = works(layer)
    return 0.0 if work is None else known.estimate(work, 0).seconds
