"""What operators take beside convolutions: absorbed by them, on their packed channels, or behind a conversion."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from roofline.model.machine_profile import Profile, Sample
from roofline.validate.calibration.measured_probe import MeasuredProbe
from roofline.validate.calibration.microbenchmarks import Times
from roofline.validate.calibration.probes import BETWEEN_ELEMENTS, JOINED_ELEMENTS

FREE = 0.4
"""Share of the time of one pass up to which an operator beside another costs nothing: it is absorbed."""


def _between_s(times: Times) -> float:
    """Return the seconds of packing or unpacking the image that stands between the convolutions."""
    names = ("between convolutions: none", "between convolutions: Abs", "alone: Abs")
    if any(name not in times.of for name in names):
        return 0.0
    plain, with_it, alone = (times.of[name].copy_s for name in names)
    return max((with_it - plain - alone) / 2, 0.0)


def rates_beside_convolutions(
    measured: Sequence[MeasuredProbe], times: Times
) -> tuple[frozenset[str], frozenset[str]]:
    """Return what convolutions do on their way out, and what leaves channels packed."""
    plain, convert_s = times.of.get("between convolutions: none"), _between_s(times)
    absorbed, packed = set[str](), set[str]()
    alone_s = [
        entry.times.copy_s
        for entry in measured
        if entry.probe.role == "alone"
        or (entry.probe.role, entry.probe.of) == ("joined", "Concat")
    ]
    if plain is None or not alone_s:
        return frozenset(), frozenset()
    # Even the cheapest operator passes over the image once.
    pass_s = float(np.quantile(alone_s, 0.1))
    for entry in measured:
        if entry.probe.role != "between":
            continue
        name = entry.probe.about["op"]
        extra = entry.times.copy_s - plain.copy_s
        alone = times.of.get(f"alone: {name}") or times.of.get(f"{name} 3x3 of 64 at 56")
        if name == "residual":
            # Two convolutions, a sum and an activation: one more convolution, and the sum if it is no part of it.
            added = times.of.get("alone: Add.same")
            if added is not None and extra - plain.copy_s < 0.6 * added.copy_s + convert_s:
                absorbed.add(name)
        elif alone is None:
            continue
        elif extra < FREE * pass_s:
            absorbed.add(name)
            packed.add(name)
        elif extra < alone.copy_s + convert_s:
            packed.add(name)
    pair = [
        times.of.get(name)
        for name in ("joined convolutions", "apart convolutions", "alone: Concat")
    ]
    for entry in measured:
        if entry.probe.role == "behind":
            _decide_behind(entry, times, convert_s, packed)
    if None not in pair:
        joined, apart, alone_s = (entry.copy_s for entry in pair if entry is not None)
        if joined - apart < alone_s + convert_s * JOINED_ELEMENTS / BETWEEN_ELEMENTS:
            packed.add("Concat")
    return frozenset(absorbed), frozenset(packed)


def _decide_behind(entry: MeasuredProbe, times: Times, convert_s: float, packed: set[str]) -> None:
    """Decide whether what a convolution takes into its weights runs on packed channels where it stands elsewhere."""
    name = entry.probe.about["op"]
    plain = times.of.get("behind Relu: none")
    alone = times.of.get(f"alone: {name}") or times.of.get(f"{name} at 56")
    if plain is None or alone is None:
        return
    if entry.times.copy_s - plain.copy_s < alone.copy_s + convert_s:
        packed.add(name)
    else:
        packed.discard(name)


def packed_samples(
    measured: Sequence[MeasuredProbe],
    times: Times,
    bare: Profile,
    absorbed: frozenset[str],
    packed: frozenset[str],
) -> dict[str, tuple[Sample, ...]]:
    """Return what operators take on packed channels where nothing absorbs them: between convolutions, or behind one."""
    found: dict[str, tuple[Sample, ...]] = {}
    standing = {"between": "between convolutions: none", "behind": "behind Relu: none"}
    for entry in measured:
        role, name = entry.probe.role, entry.probe.about.get("op", "none")
        plain = times.of.get(standing.get(role, ""))
        if name == "none" or plain is None:
            continue
        if role == "between" and (name not in packed - absorbed or name.endswith("Pool")):
            continue
        if role == "behind" and name not in packed:
            continue
        timed = entry.times
        seconds = timed.copy_s - plain.copy_s
        if seconds > 0.1 * plain.copy_s:
            share = 8 * BETWEEN_ELEMENTS / bare.bandwidth / seconds
            found[f"packed.{name}"] = (Sample((float(BETWEEN_ELEMENTS),), share, timed.spread),)
    return found


def conversion_samples(
    measured: Sequence[MeasuredProbe], times: Times, bare: Profile, width: int
) -> tuple[Sample, ...]:
    """Return the utilisation of moving the channels of an image to where kernels take them, by channels and positions.

    It is half of what a view adds between two convolutions: it costs nothing but takes channels where the graph has
    them.

    Args:
        measured: All probes.
        times: Of all probes.
        bare: What is known of the machine.
        width: Bytes of a value: 4 of convolutions in floating point, 1 of those on integers.
    """
    found: list[Sample] = []
    for entry in measured:
        about = entry.probe.about
        if entry.probe.role != "convert" or (about["image"], about["bytes"]) != (
            "packed",
            str(width),
        ):
            continue
        plain = entry.times
        with_it = times.of.get(f"unpacked{entry.probe.name.removeprefix('packed')}")
        if with_it is None:
            continue
        views = int(about["views"])
        seconds = (with_it.copy_s - plain.copy_s - views * bare.layer_s) / (2 * views)
        if seconds <= 0.05 * with_it.copy_s / views:
            continue
        channels, positions = int(about["channels"]), int(about["size"]) ** 2
        spread = max(plain.spread, with_it.spread) * with_it.copy_s / (2 * views * seconds)
        share = 2 * width * channels * positions / bare.bandwidth / seconds
        found.append(Sample((float(channels), float(positions)), share, min(spread, 1.0)))
    return tuple(sorted(found, key=lambda sample: sample.at))
