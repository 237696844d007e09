"""From the times of microbenchmarks to a machine's profile: utilisations, overheads, lanes, and what costs nothing.

Nothing here knows a runtime: what it fuses, which operators keep channels packed and how many channels its kernels
take at once is read off the times.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from roofline.layer import Layer
from roofline.model.kinds import works
from roofline.model.machine_profile import Profile, Sample, is_decided_by_weights, passes_over
from roofline.model.network_time import calibrated_time
from roofline.model.work import Work
from roofline.validate.calibration.calibrate import Roofs
from roofline.validate.calibration.microbenchmarks import ProbeTimes, Times
from roofline.validate.calibration.probes import (
    BETWEEN_ELEMENTS,
    JOINED_ELEMENTS,
    USING_UP,
    Probe,
    probes,
)
from roofline.workload import Workload

_CANDIDATES = (1, 4, 8, 16, 32, 64)
_STEPS_EXPLAIN = 0.7
"""Share of the squared residual up to which steps explain times that a line does not."""
_FREE = 0.4
"""Share of the time of one pass up to which an operator beside another costs nothing: it is absorbed."""
_AS_ONE = 0.75
"""Share of its parts' time up to which a group of operators runs as one."""
_ROUNDS_APART = 0.05
"""Deviation of the logarithm of a rate whose rounds agree."""
_NO_PACE = 1e-15
"""Seconds of a byte that are none."""
_WITHOUT_WEIGHTS = 1 << 14
"""Bytes that a run of a few small operators goes through, about."""
_FASTEST = 4.0
"""Utilisation above which a sample is lost in noise; caches and Winograd's algorithm stay below."""


@dataclass(frozen=True)
class _MeasuredProbe:
    """A probe with its times and what its two models ask for."""

    probe: Probe
    times: ProbeTimes

    @cached_property
    def one(self) -> Workload:
        return _count(self.probe, 1)

    @cached_property
    def many(self) -> Workload:
        return _count(self.probe, 1 + self.probe.copies)

    @property
    def used_up(self) -> int:
        """How many more layers the longer model has that only use up a result."""
        counts = [
            sum(layer.op_type in USING_UP for layer in workload.layers)
            for workload in (self.many, self.one)
        ]
        return 0 if self.probe.of in USING_UP else counts[0] - counts[1]

    def targets(self, workload: Workload) -> list[Work]:
        """Return the works of the operator that is measured."""
        found = [works(layer) for layer in workload.layers if layer.op_type == self.probe.of]
        return [work for work in found if work is not None]


def _count(probe: Probe, copies: int) -> Workload:
    import onnx

    return Workload.from_onnx(onnx.load_from_string(probe.build(copies)), name=probe.name)


def fit_profile(times: Times, roofs: Roofs, processor: str, *, padding: bool = True) -> Profile:
    """Return the profile that the times of microbenchmarks give.

    Args:
        times: Of all probes.
        roofs: Peaks and bandwidth that utilisations refer to, at the same number of threads.
        processor: Name of the processor they were measured on.
        padding: Whether channels are taken to be filled up to whole vectors; not to is for comparison.
    """
    smallest = times.of["smallest operator"]
    layer_s = max(smallest.copy_s, 1e-8)
    bare = Profile(
        backend=times.backend, version=times.version, threads=times.threads, peaks=dict(roofs.peaks),
        bandwidth=roofs.memory, run_s=max(smallest.one_s - layer_s, 1e-6), layer_s=layer_s,
        lanes=_lanes(times) if padding else 1, samples={}, processor=processor,
    )  # fmt: skip
    measured = [
        _MeasuredProbe(probe, times.of[probe.name]) for probe in probes() if probe.name in times.of
    ]
    bare = replace(bare, streams=_streams(measured, bare))
    samples = _samples(measured, bare)
    converted = _conversions(times, bare)
    if converted:
        samples["layout.convert"] = converted
    known = replace(bare, samples=samples)
    absorbed, packed = _rates_beside_convolutions(times)
    samples |= _on_packed(times, bare, absorbed, packed)
    known = replace(known, samples=samples, absorbed=absorbed, packed=packed)
    known = replace(known, switches=_switches(measured, known))
    known = _with_groups(measured, known, times)
    return replace(known, among=_among(measured, known))


def _lanes(times: Times) -> int:
    """Return at how many channels times step: the width whose steps explain them best, else 1."""
    found = {
        int(probe.name.split()[1]): times.of[probe.name].copy_s
        for probe in probes()
        if probe.role == "lanes" and probe.name in times.of and times.of[probe.name].copy_s > 0
    }
    if len(found) < 4:
        return 1
    channels = np.array(list(found), dtype=np.float64)
    seconds = np.array(list(found.values()))

    def residual(width: int) -> float:
        filled = np.ceil(channels / width) * width
        relative = np.stack([np.ones_like(filled), filled], axis=1) / seconds[:, None]
        rest: Any = np.linalg.lstsq(relative, np.ones_like(seconds), rcond=None)
        return float(((relative @ rest[0] - 1.0) ** 2).sum())

    best = min(_CANDIDATES, key=residual)
    return best if residual(best) < _STEPS_EXPLAIN * residual(1) else 1


def _streams(measured: Sequence[_MeasuredProbe], bare: Profile) -> tuple[tuple[float, float], ...]:
    """Return how fast weights arrive by the bytes that a run goes through; never faster when there are more."""
    rates: dict[int, tuple[float, float]] = {}
    for entry in measured:
        if entry.probe.about.get("rows") != "1":
            continue
        # How much a rate weighs: rounds that lie apart say little.
        weight = 1.0 / (_ROUNDS_APART**2 + entry.times.spread**2)
        for workload, seconds in (
            (entry.one, entry.times.one_s),
            (entry.many, entry.times.many_s),
        ):
            held = sum(work.weight_bytes for work in entry.targets(workload))
            own = seconds - bare.run_s - bare.layer_s * len(workload.layers)
            if held >= 100_000 and own > 0.2 * seconds:
                rates[held] = max(rates.get(held, (0.0, 0.0)), (held / own, weight))
    places = sorted(rates)
    falling = _fall([(math.log(rates[held][0]), rates[held][1]) for held in places])
    return tuple((float(held), math.exp(rate)) for held, rate in zip(places, falling, strict=True))


def _fall(values: Sequence[tuple[float, float]]) -> list[float]:
    """Return the values nearest to weighted ones in the least squares that never rise (pool adjacent violators)."""
    blocks: list[tuple[float, float, int]] = []
    for value, weight in values:
        blocks.append((value, weight, 1))
        while len(blocks) > 1 and blocks[-2][0] < blocks[-1][0]:
            (left, first, some), (right, second, more) = blocks[-2:]
            mean = (left * first + right * second) / (first + second)
            blocks[-2:] = [(mean, first + second, some + more)]
    return [mean for mean, _, count in blocks for _ in range(count)]


def _samples(measured: Sequence[_MeasuredProbe], bare: Profile) -> dict[str, tuple[Sample, ...]]:
    found: dict[str, list[Sample]] = defaultdict(list)
    for entry in measured:
        if entry.probe.role != "sample":
            continue
        kind_works = entry.targets(entry.many)
        if not kind_works:
            continue
        if is_decided_by_weights(kind_works[0].kind):
            _add(found, kind_works, *_by_weights(entry, bare))
            continue
        sample = _difference(entry, bare)
        if sample is not None:
            seconds, spread = sample
            floor = sum(bare.floor_s(work, 0) for work in kind_works)
            _add(found, kind_works, floor / seconds, spread)
    return {
        kind: tuple(sorted(entries, key=lambda entry: entry.at)) for kind, entries in found.items()
    }


def _by_weights(entry: _MeasuredProbe, bare: Profile) -> tuple[float, float]:
    """Return the utilisation of works that their weights decide, between both lengths, and by how much these differ.

    Each length goes through bytes of its own; what they say apart is what the pace of weights does not explain.
    """
    shares: list[float] = []
    for workload, seconds in ((entry.one, entry.times.one_s), (entry.many, entry.times.many_s)):
        own = entry.targets(workload)
        held = sum(layer.weight_bytes for layer in workload.layers)
        rest = seconds - bare.run_s - bare.layer_s * len(own)
        floor = sum(bare.floor_s(work, held) for work in own)
        shares.append(math.log(floor / max(rest, 0.1 * seconds)))
    apart = abs(shares[1] - shares[0]) / 2
    return math.exp(sum(shares) / 2), math.hypot(entry.times.spread, apart)


def _difference(entry: _MeasuredProbe, bare: Profile) -> tuple[float, float] | None:
    """Return the seconds of all works of the longer model out of the nearest cache, and their spread; None if lost."""
    one, many = entry.targets(entry.one), entry.targets(entry.many)
    copies = entry.probe.copies
    cold = _cold_s(many, entry.many, bare) - _cold_s(one, entry.one, bare)
    layers = len(many) - len(one)
    total = entry.times.copy_s * copies
    small = bare.layer_s * (layers + entry.used_up)
    own = total - small - cold
    if own <= 0.15 * total or total <= 0:
        own = max(total - small, 0.3 * total)
        if own <= 0:
            return None
        return own * len(many) / layers, max(entry.times.spread, 0.5)
    # What is subtracted is known less well than what is left, which then is not known either.
    doubt = 0.3 * (total - own) / own
    return own * len(many) / layers, math.hypot(entry.times.spread, doubt)


def _cold_s(own: Sequence[Work], workload: Workload, bare: Profile) -> float:
    held = sum(layer.weight_bytes for layer in workload.layers) + workload.peak_activation_bytes
    return sum(bare.cold_s(work, held) for work in own)


def _add(
    found: dict[str, list[Sample]], own: Sequence[Work], utilisation: float, spread: float
) -> None:
    if utilisation > _FASTEST:
        utilisation, spread = _FASTEST, max(spread, 0.5)
    for work in {(work.kind, work.at): work for work in own}.values():
        found[work.kind].append(Sample(work.at, utilisation, spread))


def _conversions(times: Times, bare: Profile) -> tuple[Sample, ...]:
    """Return the utilisation of packing or unpacking the channels of an image, by its channels and positions.

    It is half of what a view in its own shape adds between two convolutions: it costs nothing but takes no packed ones.
    """
    found: list[Sample] = []
    for probe in probes():
        if probe.role != "convert" or probe.about["image"] != "packed":
            continue
        names = (probe.name, f"unpacked{probe.name.removeprefix('packed')}")
        if any(name not in times.of for name in names):
            continue
        plain, with_it = (times.of[name] for name in names)
        seconds = (with_it.copy_s - plain.copy_s - bare.layer_s) / 2
        if seconds <= 0.05 * with_it.copy_s:
            continue
        channels, positions = int(probe.about["channels"]), int(probe.about["size"]) ** 2
        spread = max(plain.spread, with_it.spread) * with_it.copy_s / (2 * seconds)
        share = 8 * channels * positions / bare.bandwidth / seconds
        found.append(Sample((float(channels), float(positions)), share, min(spread, 1.0)))
    return tuple(sorted(found, key=lambda sample: sample.at))


def _between_s(times: Times) -> float:
    """Return the seconds of packing or unpacking the image that stands between the convolutions."""
    names = ("between convolutions: none", "between convolutions: Abs", "alone: Abs")
    if any(name not in times.of for name in names):
        return 0.0
    plain, with_it, alone = (times.of[name].copy_s for name in names)
    return max((with_it - plain - alone) / 2, 0.0)


def _rates_beside_convolutions(times: Times) -> tuple[frozenset[str], frozenset[str]]:
    """Return what convolutions do on their way out, and what leaves channels packed."""
    plain, convert_s = times.of.get("between convolutions: none"), _between_s(times)
    absorbed, packed = set[str](), set[str]()
    alone_s = [
        times.of[probe.name].copy_s
        for probe in probes()
        if probe.name in times.of
        and (probe.role == "alone" or (probe.role, probe.of) == ("joined", "Concat"))
    ]
    if plain is None or not alone_s:
        return frozenset(), frozenset()
    # Even the cheapest operator passes over the image once.
    pass_s = float(np.quantile(alone_s, 0.1))
    for probe in probes():
        if probe.role != "between" or probe.name not in times.of:
            continue
        name = probe.about["op"]
        extra = times.of[probe.name].copy_s - plain.copy_s
        alone = times.of.get(f"alone: {name}") or times.of.get(f"{name} 3x3 of 64 at 56")
        if name == "residual":
            # Two convolutions, a sum and an activation: one more convolution, and the sum if it is no part of it.
            added = times.of.get("alone: Add.same")
            if added is not None and extra - plain.copy_s < 0.6 * added.copy_s + convert_s:
                absorbed.add(name)
        elif alone is None:
            continue
        elif extra < _FREE * pass_s:
            absorbed.add(name)
            packed.add(name)
        elif extra < alone.copy_s + convert_s:
            packed.add(name)
    pair = [
        times.of.get(name)
        for name in ("joined convolutions", "apart convolutions", "alone: Concat")
    ]
    if None not in pair:
        joined, apart, alone_s = (entry.copy_s for entry in pair if entry is not None)
        if joined - apart < alone_s + convert_s * JOINED_ELEMENTS / BETWEEN_ELEMENTS:
            packed.add("Concat")
    return frozenset(absorbed), frozenset(packed)


def _on_packed(
    times: Times, bare: Profile, absorbed: frozenset[str], packed: frozenset[str]
) -> dict[str, tuple[Sample, ...]]:
    """Return what operators take on packed channels where nothing absorbs them: between convolutions, or behind one."""
    found: dict[str, tuple[Sample, ...]] = {}
    standing = {"between": "between convolutions: none", "behind": "behind Relu: none"}
    for probe in probes():
        name = probe.about.get("op", "none")
        plain = times.of.get(standing.get(probe.role, ""))
        if name == "none" or plain is None or probe.name not in times.of:
            continue
        if probe.role == "between" and (name not in packed - absorbed or name.endswith("Pool")):
            continue
        timed = times.of[probe.name]
        seconds = timed.copy_s - plain.copy_s
        if seconds > 0.1 * plain.copy_s:
            share = 8 * BETWEEN_ELEMENTS / bare.bandwidth / seconds
            found[f"packed.{name}"] = (Sample((float(BETWEEN_ELEMENTS),), share, timed.spread),)
    return found


def _switches(
    entries: Sequence[_MeasuredProbe], known: Profile
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


def _among(entries: Sequence[_MeasuredProbe], known: Profile) -> tuple[tuple[float, float], ...]:
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


def _small_s(workload: Workload, known: Profile, aside: str) -> float:
    """Return the seconds of small operators among their own, those of one kind left aside."""
    return sum(
        _estimated_s(layer, known) or known.layer_s
        for layer in workload.layers
        if layer.op_type != aside
    )


def _with_groups(measured: Sequence[_MeasuredProbe], known: Profile, times: Times) -> Profile:
    """Return the profile with what matrix products absorb and the groups of operators that run as one."""
    samples = dict(known.samples)
    patterns, after = set[str](), set[str]()
    plain = times.of.get("after a product: none")
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
        elif entry.probe.role == "after" and plain is not None and name != "none":
            others = [layer for layer in entry.one.layers if layer.op_type != "MatMul"]
            alone = sum(_estimated_s(layer, known) for layer in others)
            if entry.times.copy_s - plain.copy_s < _FREE * alone:
                after.add(entry.probe.about["form"])
    return replace(
        known, samples=samples, patterns=frozenset(patterns), after_product=frozenset(after)
    )


def _parts_s(workload: Workload, known: Profile) -> float:
    return sum(_estimated_s(layer, known) for layer in workload.layers)


def _estimated_s(layer: Layer, known: Profile) -> float:
    work = works(layer)
    return 0.0 if work is None else known.estimate(work, 0).seconds
