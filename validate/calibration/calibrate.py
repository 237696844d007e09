"""Measures this machine's peak per datatype and its memory bandwidth, and writes them as a platform file."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from roofline.errors import MeasurementError
from roofline.model.profile_text import measured_quantity
from roofline.number_format import plural
from roofline.spec.thread_modes import mode_name
from roofline.user_folders import cache_folder
from roofline.validate.calibration.library_probe import last_level_cache, single_threaded
from roofline.validate.measuring.backend import backends
from roofline.validate.measuring.environment import (
    available_cores,
    cpu_name,
    memory_bytes,
    package_version,
    vendor,
)
from roofline.validate.measuring.process import run_step
from roofline.validate.measuring.steps import Probe
from roofline.writing import write_whole

SOURCE = "calibration"
"""Key of the source that every measured number of the file names."""

_TIME_LIMIT_S = 300.0
_TRIES = 3
"""Times that a probe is run at most while others are busy."""
_HOW = {
    "tvm": "fused multiply-adds (int8: four-element dot products) in registers, compiled by Apache TVM",
    "library": "a 1024 × 1024 × 1024 matrix product of NumPy or ONNX Runtime: a lower bound of the peak",
}


@dataclass(frozen=True, slots=True)
class Roofs:
    """What the microbenchmarks gave for one number of threads."""

    threads: int
    peaks: Mapping[str, float]
    """OP/s by datatype."""
    sources: Mapping[str, str]
    """``tvm`` or ``library`` by datatype."""
    memory: float
    """B/s of the main memory."""
    cache: float | None
    """B/s of the last cache."""
    taken: float = 0.0
    """Share of the machine's CPU time that others took meanwhile, the worst of all probes."""
    repeated: int = 0
    """Probes that were measured again because others were busy."""

    @property
    def disturbed(self) -> bool:
        """Whether others needed more than the cores left idle, so that the figures are too low."""
        return self.taken > _idle_share(self.threads)

    @property
    def mode(self) -> str:
        """The name of this number of threads as an operating mode."""
        return mode_name(self.threads)


def keep_best(roofs: Sequence[Roofs], again: Sequence[Roofs]) -> tuple[Roofs, ...]:
    """Return roofs of two calibrations of the same numbers of threads, of each figure the better one."""
    found: list[Roofs] = []
    for one, other in zip(roofs, again, strict=True):
        better = {
            name: other.peaks.get(name, 0.0) > one.peaks.get(name, 0.0)
            for name in {**one.peaks, **other.peaks}
        }
        found.append(
            Roofs(
                one.threads,
                {name: (other if swap else one).peaks[name] for name, swap in better.items()},
                {name: (other if swap else one).sources[name] for name, swap in better.items()},
                max(one.memory, other.memory),
                max(filter(None, (one.cache, other.cache)), default=None),
                min(one.taken, other.taken),
                one.repeated + other.repeated,
            )
        )
    return tuple(found)


def _idle_share(threads: int) -> float:
    """Return the share of the CPU time that others may take beside so many threads without slowing them."""
    return 1.0 - threads / max(threads, available_cores()) + 0.05


def calibrate(
    *,
    seconds: float = 30.0,
    threads: Sequence[int] = (),
    report: Callable[[str, int, int], None] | None = None,
) -> tuple[Roofs, ...]:
    """Run the microbenchmarks.

    Args:
        seconds: Time for measuring, shared by all probes; starting processes comes on top.
        threads: Numbers of threads to measure at; by default one, and every core.
        report: Told of progress.

    Returns:
        One set of roofs for each number of threads.

    Raises:
        MeasurementError: A probe failed.
    """
    counts = sorted({*threads} or {1, available_cores()})
    backend = backends.get("tvm")
    use_tvm = not backend.missing()
    found: list[Roofs] = []
    # Three datatypes and twice as long for two levels of memory.
    share = seconds / len(counts) / 7
    for number, count in enumerate(counts):
        if report is not None:
            report(f"{count} of {plural(counts[-1], 'thread')}", number, len(counts))
        probed = _Steady(count)
        streams = probed.rates(Probe("streams", count, 4 * share), single_threaded())
        pinned = {"OMP_NUM_THREADS": str(count), "OPENBLAS_NUM_THREADS": str(count)}
        peaks: dict[str, float] = {}
        if use_tvm:
            pinned["TVM_NUM_THREADS"] = str(count)
            peaks = probed.rates(Probe("peaks", count, share), pinned)
        sources = dict.fromkeys(peaks, "tvm")
        missing = [name for name in ("fp32", "fp64", "int8") if name not in peaks]
        if "int8" in missing and backends.get("onnxruntime").missing():
            missing.remove("int8")
        if missing:
            products = probed.rates(Probe("products", count, share, tuple(missing)), pinned)
            peaks |= products
            sources |= dict.fromkeys(products, "library")
        cache = streams.get("cache")
        found.append(
            Roofs(count, peaks, sources, streams["memory"], cache, probed.taken, probed.repeated)
        )
    return tuple(found)


class _Steady:
    """Runs probes at a number of threads, again while others are busy, and keeps the best of their rates."""

    def __init__(self, threads: int) -> None:
        self._threads = threads
        self.taken = 0.0
        self.repeated = 0

    def rates(self, asked: Probe, variables: Mapping[str, str]) -> dict[str, float]:
        """Return the rates of a probe, of all its runs the best."""
        found: dict[str, float] = {}
        taken = 1.0
        for number in range(_TRIES):
            rates, others = _probe(asked, variables)
            found = {name: max(rate, found.get(name, 0.0)) for name, rate in rates.items()}
            taken = min(taken, others)
            if taken <= _idle_share(self._threads):
                break
            self.repeated += number == 0
        self.taken = max(self.taken, taken)
        return found


def doubts(roofs: Sequence[Roofs]) -> list[str]:
    """Return what makes a calibration's figures too low, one line each."""
    return [
        f"Disturbed with {entry.mode.replace('-', ' ')}: others took {entry.taken:.0%} of the CPU time, in the best of "
        f"{_TRIES} runs, so these figures are too low. Calibrate again on a quiet machine."
        for entry in roofs
        if entry.disturbed
    ]


def warnings(roofs: Sequence[Roofs]) -> list[str]:
    """Return what is to be said of a calibration, one line each: its doubts, and what ran again to have none."""
    return doubts(roofs) + [
        f"Others were busy with {entry.mode.replace('-', ' ')}: {plural(entry.repeated, 'probe')} of the roofs ran "
        "again, and the best run counts."
        for entry in roofs
        if entry.repeated and not entry.disturbed
    ]


def platform_document(
    roofs: Sequence[Roofs],
    key: str,
    profiles: Sequence[Mapping[str, object]] = (),
    remarks: Sequence[str] = (),
) -> dict[str, object]:
    """Return a platform file's content: the roofs of every number of threads as operating modes.

    Args:
        roofs: What was measured.
        key: The platform's key.
        profiles: Entries of what microbenchmarks measured with a backend; their figures name `SOURCE`.
        remarks: What is doubtful about them, one line each.

    Returns:
        A document that `roofline.spec` reads; dump it as YAML.
    """
    last = roofs[-1]
    now = datetime.now(UTC)
    cores = available_cores()
    document: dict[str, object] = {
        "schema_version": 1,
        "key": key,
        "name": f"{cpu_name()}, {plural(cores, 'core')} (measured)",
        "vendor": vendor(),
        "kind": "cpu",
        "year": now.year,
        "description": f"This machine as measured by roofline calibrate; {plural(cores, 'core')} available.",
        "peaks": _peaks(last),
        "memories": _memories(last),
        "notes": ["The year is that of the calibration.", *remarks],
        "doubts": doubts(roofs),
        "sources": {
            SOURCE: {
                "title": f"roofline {package_version('roofline')} calibrate on {cpu_name()}",
                "date": now.date().isoformat(),
                "quote": "; ".join(dict.fromkeys(_HOW[way] for way in last.sources.values()))
                + "; memory: best of dot product, copy and add over arrays of eight times the last cache",
            }
        },
    }
    if len(roofs) > 1:
        document["modes"] = {
            entry.mode: {
                "description": f"{entry.threads} of {plural(cores, 'core')}",
                "threads": entry.threads,
                "peaks": _peaks(entry),
                "memories": _memories(entry),
            }
            for entry in roofs
        }
        document["default_mode"] = last.mode
    if profiles:
        document["profiles"] = {
            "/".join(
                str(entry[part]) for part in ("backend", "version", "threads", "datatype")
            ): entry
            for entry in profiles
        }
    return document


def platform_yaml(
    roofs: Sequence[Roofs],
    key: str,
    profiles: Sequence[Mapping[str, object]] = (),
    remarks: Sequence[str] = (),
) -> str:
    """Return the platform file as YAML text, checked against the schema.

    Raises:
        PlatformError: The key is not one that can be typed on a command line.
    """
    import yaml

    from roofline.spec import from_mapping

    document = platform_document(roofs, key, profiles, remarks)
    from_mapping(document, key)
    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=99)


def _probe(asked: Probe, variables: Mapping[str, str]) -> tuple[dict[str, float], float]:
    """Return the rates a probe found, and the share of CPU time others took meanwhile."""
    outcome = run_step(asked, environment=variables, time_limit_s=_TIME_LIMIT_S)
    if outcome.answer is None:
        raise MeasurementError(f"the {asked.kind} probe failed: {outcome.reason}")
    return dict(outcome.answer.by_name), outcome.answer.taken


def _peaks(roofs: Roofs) -> dict[str, object]:
    return {
        name: {
            **measured_quantity(rate, 1e9, "GOP/s", SOURCE),
            "note": f"{'at least' if roofs.sources[name] == 'library' else 'attained'} with "
            f"{plural(roofs.threads, 'thread')}",
        }
        for name, rate in sorted(roofs.peaks.items())
    }


def _memories(roofs: Roofs) -> list[dict[str, object]]:
    outer: dict[str, object] = {
        "name": "DRAM",
        "bandwidth": measured_quantity(roofs.memory, 1e9, "GB/s", SOURCE),
    }
    if memory_bytes():
        outer["capacity"] = measured_quantity(memory_bytes(), 1e9, "GB", SOURCE)
    memories = [outer]
    cache = last_level_cache()
    # A cache that streams no faster than the memory is shared or hidden by the hypervisor: no roof.
    if roofs.cache is not None and cache and roofs.cache >= roofs.memory:
        memories.append(
            {
                "name": "last-level cache",
                "on_chip": True,
                "bandwidth": measured_quantity(roofs.cache, 1e9, "GB/s", SOURCE),
                "capacity": measured_quantity(cache, 2.0**20, "MiB", SOURCE),
            }
        )
    return memories


def kept_calibration(
    *,
    threads: int = 0,
    seconds: float = 12.0,
    folder: Path | None = None,
    report: Callable[[str, int, int], None] | None = None,
) -> Path:
    """Return the platform file of this machine, measured the first time it is asked for.

    Args:
        threads: A number of threads it must have a mode for; 0 is one and every core.
        seconds: Time for measuring when it has to be.
        folder: Where it is kept; None is the user's cache.
        report: Told of progress.
    """
    place = folder or cache_folder()
    counts = sorted({1, threads or available_cores(), available_cores()})
    name = re.sub(r"[^a-z0-9]+", "-", cpu_name().lower()).strip("-") or "cpu"
    path = place / f"{name}-{'-'.join(str(count) for count in counts)}.yaml"
    if not path.exists():
        place.mkdir(parents=True, exist_ok=True)
        roofs = calibrate(seconds=seconds, threads=counts, report=report)
        if doubts(roofs):
            # Good for now, with its warning; the next call measures again.
            path = path.with_stem(f"{path.stem}-disturbed")
        write_whole(path, platform_yaml(roofs, "this-machine").encode())
    return path
