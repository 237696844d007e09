"""The model ``calibrated``: what a run takes on a machine whose microbenchmarks were measured, with an interval."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any, cast

import numpy as np

from roofline.conventions import Operations, Traffic
from roofline.errors import NoBasisError
from roofline.model._case import Case, draw_of
from roofline.model._core import Floats
from roofline.model._outcomes import Law, Outcomes, codes
from roofline.model._prediction import Basis, Bound, LayerPrediction, Prediction, Term
from roofline.model._registry import Gives, Model, Need, ask_each, models
from roofline.model.executed_steps import steps_of
from roofline.model.machine_profile import Profile
from roofline.model.network_time import (
    SHARE_80,
    CalibratedTime,
    LayerTime,
    calibrated_time,
    times_at,
)
from roofline.model.profile_text import from_entry
from roofline.model.subnormal_steps import SUBNORMAL
from roofline.number_format import plural
from roofline.spec import Platform
from roofline.spec.profiles import Profile as Entry

_NAMED = 3
"""Kinds that are named among the notes."""
_MENTIONED = 0.02
"""Share of the time from which it is said what it rests on."""
_OUTSIDE = 2.0
"""Octaves outside of what was measured from which a layer is named."""
_DISTRIBUTIONS = {"tvm": "apache-tvm"}
"""Names that backends are installed under, where they differ from the backend's own."""


def profile_of(platform: Platform, backend: str | None = None) -> tuple[Profile, tuple[str, ...]]:
    """Return the profile that fits a machine's operating mode, and what is to be said of it.

    Args:
        platform: In a mode; a calibrated mode stands for a number of threads.
        backend: Only a profile of this backend; None takes the first.

    Raises:
        NoBasisError: There is none; those that there are are named.
    """
    entries = list(platform.profiles.values())
    threads = platform.threads
    fitting = [
        entry
        for entry in entries
        if (threads is None or entry.threads == threads)
        and (backend is None or entry.backend == backend)
    ]
    if not fitting:
        wanted = "" if threads is None else f" for {plural(threads, 'thread')}"
        wanted += "" if backend is None else f" of {backend}"
        has = ", ".join(entry.key for entry in entries)
        there = f"it has {has}" if has else "it has none at all"
        flags = "" if threads is None else f" --threads {threads}"
        raise NoBasisError(
            f"{platform.key} has no profile{wanted}; {there}",
            repair=f"Measure one on that machine: roofline calibrate{flags} -o FILE.yaml",
        )
    chosen = fitting[0]
    # A frozen pydantic model has a hash; its type does not say so.
    return _read(cast("Any", chosen), platform.key), _remarks(chosen, platform)


@lru_cache(maxsize=16)
def _read(entry: Entry, platform: str) -> Profile:
    return from_entry(entry, platform)


def _remarks(entry: Entry, platform: Platform) -> tuple[str, ...]:
    notes = [f"profile {entry.key} of {entry.date}"]
    if entry.processor and entry.processor not in platform.name:
        notes.append(
            f"warning: the profile was measured on {entry.processor}, and this file is of {platform.name}"
        )
    if entry.threads > 1 and platform.threads is None:
        notes.append(
            f"warning: times are those of runs on {plural(entry.threads, 'thread')}, of which this file has no "
            "operating mode"
        )
    try:
        installed = version(_DISTRIBUTIONS.get(entry.backend, entry.backend))
    except PackageNotFoundError:
        return tuple(notes)
    if installed != entry.version:
        notes.append(
            f"warning: the profile is of {entry.backend} {entry.version}, and {installed} is installed here; "
            "calibrate again if it is to run here"
        )
    return tuple(notes)


def _run(case: Case) -> Prediction | None:
    if not case.platform.profiles:
        return None
    profile, remarks = profile_of(case.platform, case.runtime)
    time = calibrated_time(case.workload, profile, case.batch / case.workload.batch)
    if time is None:
        return None
    fast, slow = time.interval_s
    layers = tuple(_layer(layer, profile) for layer in time.layers)
    shares = time.shares()
    unlike = shares.get(Basis.BORROWED, 0.0) + shares.get(Basis.ESTIMATED, 0.0)
    return Prediction(
        network=case.workload.name,
        platform=case.platform.key,
        datatype=case.datatype,
        unit=case.unit,
        batch=case.batch,
        variant=case.workload.variant,
        model="calibrated",
        upper_bound=False,
        throughput_fps=case.batch / time.seconds,
        latency_s=time.seconds,
        bound=_main_bound(time),
        ops=sum(layer.ops for layer in layers),
        bytes=sum(layer.bytes for layer in layers),
        peak=case.platform.peak(case.unit),
        bandwidth=case.platform.bandwidth,
        traffic=case.traffic,
        operations=case.operations,
        weights_read=case.weights_read,
        required_bytes=case.required_bytes,
        fits=case.fits,
        draw=draw_of(case.platform),
        interval_fps=(case.batch / slow, case.batch / fast),
        intervals={"latency_ms": (1e3 * fast, 1e3 * slow)},
        basis=_terms(time),
        layers=layers,
        notes=(
            *case.notes,
            *remarks,
            f"{unlike:.0%} of the time is borrowed from other kinds of operations",
            *describe_thin_ground(time),
            *_describe_subnormals(time),
        ),
    )


def describe_thin_ground(time: CalibratedTime) -> tuple[str, ...]:
    """Return which kinds rest on samples of others, or lie far outside of their own, by the time that they take."""
    borrowed: dict[str, float] = defaultdict(float)
    outside: dict[str, float] = defaultdict(float)
    for layer in time.layers:
        estimate = layer.estimate
        if estimate.basis in (Basis.BORROWED, Basis.ESTIMATED):
            borrowed[layer.kind] += estimate.seconds / time.seconds
        elif estimate.beyond > _OUTSIDE:
            outside[layer.kind] += estimate.seconds / time.seconds
    return tuple(
        f"the interval is wider for {what}: {_name_largest(shares)}"
        for what, shares in (
            ("kinds that no probe measured", borrowed),
            ("layers beyond the shapes that were measured of their kind", outside),
        )
        if sum(shares.values()) >= _MENTIONED
    )


def _name_largest(shares: Mapping[str, float]) -> str:
    """Return the kinds that take most, with their shares of the time."""
    most = sorted(shares, key=lambda kind: -shares[kind])[:_NAMED]
    rest = len(shares) - len(most)
    named = ", ".join(f"{kind} {shares[kind]:.0%}" for kind in most)
    return named + (f" and {rest} more" if rest else "")


def _describe_subnormals(time: CalibratedTime) -> tuple[str, ...]:
    """Return what is to be said of weights that hold subnormal numbers."""
    slowed = [layer.estimate.seconds for layer in time.layers if layer.kind == SUBNORMAL]
    if not slowed:
        return ()
    return (
        f"{sum(slowed) / time.seconds:.0%} of the time, within a factor of two, goes to subnormal numbers among the "
        f"weights of {plural(len(slowed), 'layer')}: it depends on the input, and runtimes can take them for zero",
    )


def _terms(time: CalibratedTime) -> tuple[Term, ...]:
    """Return what the time rests on: by what takes it, and where the figure comes from."""
    parts: dict[tuple[str, Basis], float] = defaultdict(float)
    parts["fixed", Basis.MEASURED] = time.run_s
    for layer in time.layers:
        estimate = layer.estimate
        parts["fixed", Basis.MEASURED] += estimate.fixed_s
        what = "memory" if estimate.memory_bound else "compute"
        parts[what, estimate.basis] += estimate.seconds - estimate.fixed_s
    return tuple(
        Term(term, basis, seconds / time.seconds)
        for (term, basis), seconds in sorted(parts.items(), key=lambda part: -part[1])
        if seconds > 0
    )


def _main_bound(time: CalibratedTime) -> Bound:
    parts: dict[Bound, float] = defaultdict(float)
    parts[Bound.LATENCY] = time.run_s
    for layer in time.layers:
        parts[_bound(layer)] += layer.estimate.seconds
    return max(parts, key=lambda name: parts[name])


def _bound(layer: LayerTime) -> Bound:
    estimate = layer.estimate
    if estimate.fixed_s > estimate.seconds / 2:
        return Bound.LATENCY
    return Bound.MEMORY if estimate.memory_bound else Bound.COMPUTE


def _layer(layer: LayerTime, profile: Profile) -> LayerPrediction:
    estimate = layer.estimate
    peak = profile.peaks.get(layer.datatype) or max(profile.peaks.values())
    return LayerPrediction(
        name=layer.layer,
        op_type=layer.kind,
        datatype=layer.datatype,
        ops=layer.ops,
        bytes=layer.bytes,
        time_s=estimate.seconds,
        bound=_bound(layer),
        utilization=layer.ops / estimate.seconds / peak if estimate.seconds else 0.0,
        bound_s=estimate.bound_s,
        basis=estimate.basis,
    )


def _law(case: Case) -> Law | None:
    if not case.platform.profiles:
        return None
    profile, _ = profile_of(case.platform, case.runtime)
    steps = steps_of(case.workload, profile)
    if steps is None:
        return None

    def at(batches: Floats) -> Outcomes:
        found = times_at(case.workload, profile, steps, batches / case.workload.batch)
        less, more = (np.exp(SHARE_80 * side) for side in (found.deviation, found.slow_deviation))
        rest = found.seconds - found.latency - found.memory
        # In the order in which `_main_bound` takes the first of equals.
        held = np.stack([found.latency, rest, found.memory]).argmax(axis=0)
        return Outcomes(
            batches / found.seconds, found.seconds, _HELD[held], found.ops, found.bytes,
            case.required_bytes_at(batches), np.zeros(len(batches), np.bool_),
            (batches / (found.seconds * more), batches / (found.seconds / less)),
            (found.seconds / less, found.seconds * more),
        )  # fmt: skip

    return Law(at, max((len(samples) for samples in profile.samples.values()), default=1))


_HELD = codes(Bound.LATENCY, Bound.COMPUTE, Bound.MEMORY)


models.add(
    "calibrated",
    Model(
        "calibrated",
        "per layer, speed of light over the utilisation that microbenchmarks of this machine reached; an estimate",
        needs=frozenset({Need.PROFILE}),
        gives=Gives.ESTIMATE,
        traffic=Traffic.FUSED,
        operations=Operations.ALL,
        at=ask_each(_run),
        law=_law,
    ),
)
