"""A machine's profile as a platform file has it: named figures, and a line of text for each measured shape."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

from roofline.errors import PlatformError
from roofline.model.index_fusion import BY_INDEX
from roofline.model.machine_profile import Profile, Sample
from roofline.model.work import AXES
from roofline.number_format import plural
from roofline.spec.profiles import Profile as Entry

_PEAK = "peak "
_MEMORY, _RUN, _LAYER, _VIEW, _SWITCH, _AMONG = (
    "memory",
    "run",
    "layer",
    "view",
    "switch at ",
    "pass over ",
)
_WEIGHTS = "stream.weights"
"""Weights by the bytes a run goes through, as a share of the memory's bandwidth: above one out of caches."""
_WHOLE = ("conv", "matmul", "rnn", "layout")
"""Kinds whose samples give all of their axes; others leave away those that say nothing."""
_SAMPLE = re.compile(r"(?P<at>[^ ]+) = (?P<share>[^ ]+)(?: ±(?P<spread>[^%]+)%)?")


def measured_quantity(value: float, size: float, unit: str, source: str) -> dict[str, object]:
    """Return a measured figure as platform files write it, with four digits.

    Args:
        value: In base units.
        size: Of the unit, in base units.
        unit: Its name.
        source: Key of the source.
    """
    number = float(f"{value / size:.4g}")
    return {"value": number, "unit": unit, "kind": "measured", "source": source}


def as_entry(
    profile: Profile, *, datatype: str, tool: str, date: str, protocol: str, source: str
) -> dict[str, object]:
    """Return a profile as an entry of a platform file.

    Args:
        profile: What was measured.
        datatype: The datatype of the networks it is meant for.
        tool: Program and version that measured.
        date: When it measured.
        protocol: How times were taken.
        source: Key of the source that its figures name.
    """
    figures = {
        f"{_PEAK}{name}": measured_quantity(rate, 1e9, "GOP/s", source)
        for name, rate in sorted(profile.peaks.items())
    }
    figures[_MEMORY] = measured_quantity(profile.bandwidth, 1e9, "GB/s", source)
    figures[_RUN] = measured_quantity(profile.run_s, 1e-6, "us", source)
    figures[_LAYER] = measured_quantity(profile.layer_s, 1e-6, "us", source)
    for held, seconds in profile.switches:
        figures[f"{_SWITCH}{held:.0f} B"] = measured_quantity(seconds, 1e-6, "us", source)
    for held, pace in profile.among:
        figures[f"{_AMONG}{held:.0f} B"] = measured_quantity(pace * held, 1e-6, "us", source)
    if profile.view_s:
        figures[_VIEW] = measured_quantity(profile.view_s, 1e-6, "us", source)
    traits = {
        "absorbed": sorted(profile.absorbed),
        "after_product": sorted(profile.after_product),
        "packed": sorted(profile.packed),
        "patterns": sorted(profile.patterns),
    }
    if profile.fusion:
        traits["fusion"] = [profile.fusion]
    samples = {
        kind: [_line(sample) for sample in profile.samples[kind]]
        for kind in sorted(profile.samples)
    }
    if profile.streams:
        streams = (Sample((held,), rate / profile.bandwidth) for held, rate in profile.streams)
        samples[_WEIGHTS] = [_line(sample) for sample in streams]
    return {
        "backend": profile.backend,
        "version": profile.version,
        "threads": profile.threads,
        "datatype": datatype,
        "tool": tool,
        "date": date,
        "processor": profile.processor,
        "protocol": protocol,
        **({"conditions": profile.conditions} if profile.conditions else {}),
        "figures": figures,
        "lanes": profile.lanes,
        "traits": traits,
        "samples": samples,
    }


def _line(sample: Sample) -> str:
    at = "x".join(f"{size:g}" if size < 1e5 else f"{size:.0f}" for size in sample.at)
    spread = f" ±{100 * sample.spread:.0f}%" if sample.spread >= 0.005 else ""
    return f"{at} = {sample.utilisation:.4g}{spread}"


def from_entry(entry: Entry, platform: str) -> Profile:
    """Return the profile of an entry of a platform file.

    Args:
        entry: What the file says.
        platform: The machine's key, for messages.

    Raises:
        PlatformError: A figure is missing, or a line is no sample.
    """
    figures = {name: quantity.base for name, quantity in entry.figures.items()}
    missing = [name for name in (_MEMORY, _RUN, _LAYER) if not figures.get(name, 0.0) > 0.0]
    peaks = {
        name.removeprefix(_PEAK): rate for name, rate in figures.items() if name.startswith(_PEAK)
    }
    if missing or not peaks or not entry.samples:
        lacks = ", ".join(missing) or (f"{_PEAK}fp32" if not peaks else "samples")
        raise PlatformError(
            f"{platform}: the profile {entry.key} has no {lacks}",
            repair="Write it anew: roofline calibrate",
        )
    samples = {
        kind: tuple(_sample(line, f"{platform}: profiles.{entry.key}.{kind}") for line in lines)
        for kind, lines in entry.samples.items()
    }
    _check_axes(samples, platform, entry.key)
    streams = samples.pop(_WEIGHTS, ())
    traits: Mapping[str, frozenset[str]] = {
        name: frozenset(names) for name, names in entry.traits.items()
    }
    none = frozenset[str]()
    return Profile(
        backend=entry.backend,
        version=entry.version,
        threads=entry.threads,
        peaks=peaks,
        bandwidth=figures[_MEMORY],
        run_s=figures[_RUN],
        layer_s=figures[_LAYER],
        lanes=entry.lanes,
        samples=samples,
        absorbed=traits.get("absorbed", none),
        after_product=traits.get("after_product", none),
        packed=traits.get("packed", none),
        patterns=traits.get("patterns", none),
        streams=tuple((sample.at[0], sample.utilisation * figures[_MEMORY]) for sample in streams),
        switches=_by_bytes(figures, _SWITCH),
        among=tuple((held, more / held) for held, more in _by_bytes(figures, _AMONG)),
        view_s=figures.get(_VIEW, 0.0),
        fusion=_fusion(traits.get("fusion", none), platform, entry.key),
        conditions=entry.conditions or "",
        corrections=dict(entry.corrections),
        spread=entry.spread or 1.0,
        processor=entry.processor or "",
    )


def _fusion(named: frozenset[str], platform: str, key: str) -> str:
    """Return the rules of fusion that a profile names, of which it has at most one."""
    if named - {BY_INDEX} or len(named) > 1:
        raise PlatformError(
            f"{platform}: the profile {key} names rules of fusion that are not known: {', '.join(sorted(named))}",
            repair=f"Known is {BY_INDEX}; write the profile anew with this version: roofline calibrate",
        )
    return next(iter(named), "")


def _by_bytes(figures: Mapping[str, float], begin: str) -> tuple[tuple[float, float], ...]:
    """Return figures by the bytes that their names end with: ``switch at 3000000 B``."""
    found = {
        name.removeprefix(begin).removesuffix(" B"): value
        for name, value in figures.items()
        if name.startswith(begin)
    }
    return tuple(sorted((float(held), value) for held, value in found.items()))


def _sample(line: str, where: str) -> Sample:
    found = _SAMPLE.fullmatch(line)
    numbers = (
        [] if found is None else [*found["at"].split("x"), found["share"], found["spread"] or "0"]
    )
    try:
        *at, share, spread = (float(number) for number in numbers)
        right = all(0 < value < math.inf for value in (*at, share)) and spread < math.inf
    except ValueError:
        right, at, share, spread = False, [], 0.0, 0.0
    if not right:
        raise PlatformError(
            f"{where}: {line!r} is no measured shape",
            repair="Write it as 64x64x3136 = 0.75, all above zero",
        )
    return Sample(tuple(at), share, spread / 100)


def _check_axes(samples: Mapping[str, tuple[Sample, ...]], platform: str, key: str) -> None:
    for kind, found in samples.items():
        axes = AXES[kind.partition(".")[0]] if kind.startswith(_WHOLE) else None
        sizes = {len(sample.at) for sample in found}
        if len(sizes) > 1 or (axes is not None and sizes != {len(axes)}):
            wanted = f"; it takes {len(axes)}: {', '.join(axes)}" if axes else ""
            raise PlatformError(
                f"{platform}: a sample of {kind} in the profile {key} has {plural(max(sizes), 'size')}{wanted}",
                repair="Write the profile anew with this version: roofline calibrate",
            )
