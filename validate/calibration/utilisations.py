"""How well kinds of operators use the machine, read off the times of their probes."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np

from roofline.model.machine_profile import Profile, Sample, is_decided_by_weights
from roofline.model.work import Work
from roofline.validate.calibration.measured_probe import MeasuredProbe
from roofline.workload import Workload

_CANDIDATES = (1, 4, 8, 16, 32, 64)
_STEPS_EXPLAIN = 0.7
"""Share of the squared residual up to which steps explain times that a line does not."""
_ROUNDS_APART = 0.05
"""Deviation of the logarithm of a rate whose rounds agree."""
_FASTEST = 4.0
"""Utilisation above which a sample is lost in noise; caches and Winograd's algorithm stay below."""


def samples_by_kind(
    measured: Sequence[MeasuredProbe], bare: Profile
) -> dict[str, tuple[Sample, ...]]:
    """Return the samples of each kind of work, by the sizes they were taken at."""
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


def _by_weights(entry: MeasuredProbe, bare: Profile) -> tuple[float, float]:
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


def _difference(entry: MeasuredProbe, bare: Profile) -> tuple[float, float] | None:
    """Return the seconds of all works of the longer model out of the nearest cache, and their spread; None if lost."""
    short, long = entry.targets(entry.one), entry.targets(entry.many)
    copies = entry.probe.copies
    cold = _cold_s(long, entry.many, bare) - _cold_s(short, entry.one, bare)
    layers = len(long) - len(short)
    total = entry.times.copy_s * copies
    small = bare.layer_s * (layers + entry.used_up)
    own = total - small - cold
    if own <= 0.15 * total or total <= 0:
        own = max(total - small, 0.3 * total)
        if own <= 0:
            return None
        return own * len(long) / layers, max(entry.times.spread, 0.5)
    # What is subtracted is known less well than what is left, which then is not known either.
    doubt = 0.3 * (total - own) / own
    return own * len(long) / layers, math.hypot(entry.times.spread, doubt)


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


def channels_together(measured: Sequence[MeasuredProbe]) -> int:
    """Return at how many channels times step: the width whose steps explain them best, else 1."""
    found = {
        int(entry.probe.name.split()[1]): entry.times.copy_s
        for entry in measured
        if entry.probe.role == "lanes" and entry.times.copy_s > 0
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


def weight_rates(
    measured: Sequence[MeasuredProbe], bare: Profile
) -> tuple[tuple[float, float], ...]:
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
