"""What configurations say together: speed-ups of compression, scaling over threads, memory, gains of tuning."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from types import MappingProxyType

from roofline.errors import RooflineError
from roofline.tables import Record
from roofline.validate.analysis.configurations import (
    Configuration,
    group_configurations,
    pairs,
    tuning_pairs,
)
from roofline.validate.analysis.counting import count_network
from roofline.validate.analysis.gains import squares


@dataclass(frozen=True, slots=True)
class Speedup:
    """What compression makes of a configuration."""

    configuration: Configuration
    expected_speedup: float
    achieved_speedup: float
    achieved_low: float
    achieved_high: float
    achieved_share: float
    """The share of the expectation."""
    dense_ms: float
    median_ms: float
    disturbed: str
    """``yes`` where a run of either was disturbed, else empty."""


@dataclass(frozen=True, slots=True)
class Scaling:
    """What further threads make of a configuration."""

    configuration: Configuration
    measured_fps: float
    thread_speedup: float
    """Over the same configuration at the fewest threads measured."""
    parallel_efficiency: float
    """Speed-up per factor of threads."""


@dataclass(frozen=True, slots=True)
class TuningGain:
    """What tuning makes of a configuration."""

    configuration: Configuration
    trials: int
    untuned_ms: float
    tuned_ms: float
    tuning_speedup: float


@dataclass(frozen=True, slots=True)
class Footprint:
    """The memory that a configuration takes and needs, in 10^6 bytes."""

    configuration: Configuration
    measured_mb: float
    """Largest resident set."""
    predicted_mb: float
    """Weights and the largest live activations."""
    measured_beyond_least_mb: float
    """Beyond the smallest prediction's of the same backend and machine: the runtime itself cancels."""
    predicted_beyond_least_mb: float


def rows(figures: Iterable[Speedup | Scaling | TuningGain | Footprint]) -> list[Record]:
    """Return a flat row for each: what tells its configuration from others, and its figures."""
    return [
        {
            **entry.configuration.row(),
            **{field.name: getattr(entry, field.name) for field in fields(entry)[1:]},
        }
        for entry in figures
    ]


def speedups(found: Iterable[Configuration]) -> list[Speedup]:
    """Return the speed-up of every compressed configuration over the dense one that is run the same way."""
    return [
        Speedup(
            entry, entry.expected, base.seconds / entry.seconds, base.low_s / entry.high_s, base.high_s / entry.low_s,
            base.seconds / entry.seconds / entry.expected, base.seconds * 1e3, entry.seconds * 1e3,
            "yes" if base.disturbed or entry.disturbed else "",
        )
        for base, entry in pairs(found)
    ]  # fmt: skip


def scaling(found: Iterable[Configuration]) -> list[Scaling]:
    """Return how every configuration scales; those with one thread count alone are left out."""
    scaled: list[Scaling] = []
    for group in group_configurations(found, "threads"):
        first, *more = sorted(group, key=lambda entry: entry.threads)
        for entry in [first, *more] if more else ():
            gain = first.seconds / entry.seconds
            efficiency = gain * first.threads / entry.threads
            scaled.append(Scaling(entry, entry.batch / entry.seconds, gain, efficiency))
    return scaled


def tuning_gains(found: Iterable[Configuration]) -> list[TuningGain]:
    """Return what tuning makes of every configuration that was run both ways."""
    return [
        TuningGain(
            tuned, tuned.trials, untuned.seconds * 1e3, tuned.seconds * 1e3, untuned.seconds / tuned.seconds
        )
        for untuned, tuned in tuning_pairs(found)
    ]  # fmt: skip


def footprints(found: Iterable[Configuration]) -> list[Footprint]:
    """Return the largest resident set of every run beside what weights and activations need.

    A process also holds its runtime, and a runtime may keep weights twice (as stored and as packed for its kernels), so
    what a run takes beyond the least of its backend is shown too. Networks that cannot be counted are left out.
    """
    sizes = [
        (entry, entry.peak_rss_bytes / 1e6, required / 1e6)
        for entry in found
        if entry.peak_rss_bytes and (required := _required_bytes(entry)) is not None
    ]
    least: dict[tuple[str, str], tuple[float, float]] = {}
    for entry, measured, predicted in sizes:
        place = (entry.backend, entry.machine)
        if place not in least or predicted < least[place][1]:
            least[place] = (measured, predicted)
    taken: list[Footprint] = []
    for entry, measured, predicted in sizes:
        base, smallest = least[entry.backend, entry.machine]
        taken.append(Footprint(entry, measured, predicted, measured - base, predicted - smallest))
    return taken


def _required_bytes(entry: Configuration) -> float | None:
    try:
        workload = count_network(entry.network, entry.compression, entry.datatype, entry.batch)
    except RooflineError:
        return None
    return float(workload.weight_bytes + workload.peak_activation_bytes)


KINDS: Mapping[str, Callable[[Sequence[Configuration]], list[Record]]] = MappingProxyType(
    {
        "speedup": lambda found: rows(speedups(found)),
        "threads": lambda found: rows(scaling(found)),
        "tuning": lambda found: rows(tuning_gains(found)),
        "memory": lambda found: rows(footprints(found)),
        "orthogonality": squares,
    }
)
"""The tables by name."""
