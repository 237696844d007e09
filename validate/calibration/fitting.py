"""From the times of microbenchmarks to a machine's profile: utilisations, overheads, lanes, and what costs nothing.

Nothing here knows a runtime: what it fuses, which operators keep channels packed and how many channels its kernels
take at once is read off the times.
"""

from __future__ import annotations

from dataclasses import replace

from roofline.model.index_fusion import BY_INDEX
from roofline.model.machine_profile import Profile
from roofline.model.subnormal_steps import SUBNORMAL
from roofline.validate.calibration.beside import (
    conversion_samples,
    packed_samples,
    rates_beside_convolutions,
)
from roofline.validate.calibration.calibrate import Roofs
from roofline.validate.calibration.groups import (
    passes_among_convolutions,
    subnormal_samples,
    switch_costs,
    view_seconds,
    with_groups,
)
from roofline.validate.calibration.measured_probe import MeasuredProbe
from roofline.validate.calibration.microbenchmarks import Times
from roofline.validate.calibration.probe_timing import how_programs_are_made
from roofline.validate.calibration.probes import probes_of
from roofline.validate.calibration.utilisations import (
    channels_together,
    samples_by_kind,
    weight_rates,
)

_FUSION = {"tvm": BY_INDEX}
"""The rules of fusion of backends that merge operators by rules, and not by what they know of single ones."""


def _conditions(times: Times) -> str:
    return "; ".join(
        filter(None, (times.target, how_programs_are_made(times.backend, times.threads)))
    )


def fit_profile(times: Times, roofs: Roofs, processor: str, *, padding: bool = True) -> Profile:
    """Return the profile that the times of microbenchmarks give.

    Args:
        times: Of all probes.
        roofs: Peaks and bandwidth that utilisations refer to, at the same number of threads.
        processor: Name of the processor they were measured on.
        padding: Whether channels are taken to be filled up to whole vectors; not to is for comparison.
    """
    measured = [
        MeasuredProbe(probe, times.of[probe.name])
        for probe in probes_of(times.backend)
        if probe.name in times.of
    ]
    smallest = times.of["smallest operator"]
    layer_s = max(smallest.copy_s, 1e-8)
    bare = Profile(
        backend=times.backend, version=times.version, threads=times.threads, peaks=dict(roofs.peaks),
        bandwidth=roofs.memory, run_s=max(smallest.one_s - layer_s, 1e-6), layer_s=layer_s,
        lanes=channels_together(measured) if padding else 1, samples={}, processor=processor,
        fusion=_FUSION.get(times.backend, ""), conditions=_conditions(times),
    )  # fmt: skip
    bare = replace(
        bare,
        streams=weight_rates(measured, bare),
        view_s=view_seconds(measured, layer_s),
    )
    samples = samples_by_kind(measured, bare)
    for kind, width in (("layout.convert", 4), ("layout.convert_integers", 1)):
        converted = conversion_samples(measured, times, bare, width)
        if converted:
            samples[kind] = converted
    known = replace(bare, samples=samples)
    slowed = subnormal_samples(measured, known)
    if slowed:
        samples[SUBNORMAL] = slowed
    absorbed, packed = rates_beside_convolutions(measured, times)
    samples |= packed_samples(measured, times, bare, absorbed, packed)
    known = replace(known, samples=samples, absorbed=absorbed, packed=packed)
    known = replace(known, switches=switch_costs(measured, known))
    known = with_groups(measured, known, times)
    return replace(known, among=passes_among_convolutions(measured, known))
