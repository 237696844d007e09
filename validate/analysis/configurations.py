"""What records say together: speed-ups of compression, scaling over threads, memory, gains of tuning."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from roofline.errors import RooflineError
from roofline.precision import DATATYPES, width_of
from roofline.validate.analysis.counted import counted
from roofline.validate.analysis.gains import squares
from roofline.validate.records.compression import Compression
from roofline.validate.records.executed import Executed
from roofline.validate.records.flag import joined
from roofline.validate.records.record import Measurement
from roofline.validate.records.tuning import Tuning

if TYPE_CHECKING:
    from roofline.workload import Workload

DENSE, CHANNELS, WEIGHTS = "dense", "channel pruning", "weight pruning"


@dataclass(frozen=True, slots=True)
class Ran:
    """One configuration that ran well, all its rounds together."""

    network: str
    technique: str
    """``dense``, ``channel pruning``, ``weight pruning``, a datatype, or several joined with ``+``."""
    removed: float
    """Share of channels or weights that pruning took; 0 for none."""
    compression: Compression
    datatype: str
    backend: str
    algorithm: str
    tuning: Tuning
    trials: int
    budget_s: float
    batch: int
    threads: int
    machine: str
    seconds: float
    peak_rss_bytes: int | None
    rounds: int
    low_s: float
    """Shortest time that the samples and the number of rounds leave possible; see `_interval`."""
    high_s: float
    executed: Executed = field(default_factory=Executed)
    """What the arithmetic really ran in."""
    emulated: bool = False
    """Whether it was computed in another datatype than the one asked for."""
    disturbed: str = ""
    """What disturbed one of its runs; empty when nothing did."""

    @property
    def variant(self) -> str:
        """What was taken from the network, in a few words."""
        return self.compression.label

    @property
    def shown_technique(self) -> str:
        """The technique, with a word where the datatype was emulated."""
        return f"{self.technique} (emulated)" if self.emulated else self.technique

    @property
    def expected(self) -> float:
        """The speed-up that the reduction of work promises: the inverse of what remains, times that of the bits.

        What remains is counted in multiply-accumulates that are not by a pruned zero. For weight pruning this is the
        expectation of Gibson et al. (DLAS, 2023), 1 / (1 - sparsity); channel pruning takes more than the share of
        channels, as both the inputs and the outputs of a layer shrink.
        """
        whole = DATATYPES["fp32"].bits
        bits = float(whole / width_of(self.datatype, whole))
        try:
            dense = counted(self.network, Compression(), "fp32", 1).macs
            return bits * dense / macs(self)
        except RooflineError:
            # A network that is not shipped cannot be counted here: the share that is named must do.
            return bits / (1.0 - self.removed)

    def row(self) -> dict[str, Any]:
        """Return what tells the configuration from others."""
        return {
            "network": self.network,
            "technique": self.shown_technique,
            "pruning": self.variant,
            "datatype": self.datatype,
            "backend": " ".join(
                word
                for word in (self.backend, self.tuning, self.algorithm)
                if word not in {"none", "default"}
            ),
            "batch": self.batch,
            "threads": self.threads,
            "machine": self.machine,
        }

    def workload(self) -> Workload:
        """Return what it requires, counted anew.

        Raises:
            RooflineError: The network is not shipped, or cannot be counted so.
        """
        return counted(self.network, self.compression, self.datatype, 1)

    def beside(self, *ignored: str) -> tuple[Any, ...]:
        """Return a key that configurations share which differ in nothing but the fields named."""
        fields = ("network", "technique", "removed", "variant", "datatype", "backend", "algorithm",
                  "tuning", "trials", "budget_s", "batch", "threads", "machine")  # fmt: skip
        return tuple(getattr(self, name) for name in fields if name not in ignored)


_COMPRESSION = ("technique", "removed", "variant", "datatype")


def configurations(runs: Iterable[Measurement], *, shortest: bool = False) -> tuple[Ran, ...]:
    """Return one entry for every configuration that ran well, in the order first met.

    Args:
        runs: Records; those that failed are left out.
        shortest: Take the shortest sample of all, which load beside the run disturbs least, instead of the median of
            the rounds' medians.
    """
    found: dict[tuple[Any, ...], list[Measurement]] = {}
    for run in runs:
        if not run.ok or run.median_s is None:
            continue
        job = run.job
        # Machines are named by the records; a board's or a host's name stands in where none is given.
        place = run.machine or run.environment.host
        key = (job.network, job.compression.label, run.asked, job.backend, job.algorithm, job.tuning,
               job.trials, job.tuning_budget_s, max(1, job.batch), max(1, job.threads), place)  # fmt: skip
        found.setdefault(key, []).append(run)
    return tuple(_ran(key, group, shortest=shortest) for key, group in found.items())


def _ran(key: tuple[Any, ...], group: Sequence[Measurement], *, shortest: bool) -> Ran:
    (network, _, datatype, backend, algorithm, tuning, trials, budget_s, batch, threads,
     machine) = key  # fmt: skip
    medians = [run.median_s for run in group if run.median_s]
    samples = [run.min_s for run in group if run.min_s]
    seconds = min(samples) if shortest and samples else statistics.median(medians)
    low, high = _around(seconds) if shortest else _interval(group)
    compression = group[-1].job.compression
    technique, removed = _technique(compression, datatype)
    marks = joined(flag for run in group for flag in run.disturbances)
    resident = [run.peak_rss_bytes for run in group if run.peak_rss_bytes]
    return Ran(
        network, technique, removed, compression, datatype, backend, algorithm, tuning, trials, budget_s,
        batch, threads, machine, seconds, min(resident, default=None), len(group), low, high,
        group[-1].executed, group[-1].emulated, marks,
    )  # fmt: skip


ROUND_MARGIN = 0.05
"""How far the same program may be off in another hour, where one round alone was run.

Half of the deviation between rounds from which a campaign calls a run disturbed (`record.DRIFT_LIMIT`).
"""


def _interval(group: Sequence[Measurement]) -> tuple[float, float]:
    """Return between which times a configuration lies.

    From the least of the rounds' 5 % quantiles to the greatest of their 95 % quantiles; of a disturbed run from the
    shortest sample to the longest. A single round is given `ROUND_MARGIN` to both sides of its median at least.
    Shortest samples have that alone.
    """
    lows: list[float] = []
    highs: list[float] = []
    for run in group:
        tail = 0.0 if run.disturbances else 0.05
        median = run.median_s or 0.0
        low, high = run.quantile_s(tail), run.quantile_s(1.0 - tail)
        lows.append(median if low is None else low)
        highs.append(median if high is None else high)
    if len(group) == 1:
        low, high = _around(group[0].median_s or 0.0)
        lows.append(low)
        highs.append(high)
    return min(lows), max(highs)


def _around(seconds: float) -> tuple[float, float]:
    return seconds * (1.0 - ROUND_MARGIN), seconds * (1.0 + ROUND_MARGIN)


def _technique(compression: Compression, datatype: str) -> tuple[str, float]:
    names: list[str] = []
    kept = 1.0
    if compression.keep_channels != 1:
        names.append(CHANNELS)
        kept *= compression.keep_channels
    if compression.sparsity:
        names.append(WEIGHTS)
        kept *= 1.0 - compression.sparsity
    if datatype not in {"fp32", ""}:
        names.append(datatype)
    return " + ".join(names) or DENSE, 1.0 - kept


def speedups(found: Iterable[Ran]) -> list[dict[str, Any]]:
    """Return the speed-up of every compressed configuration over the dense one that is run the same way.

    Returns:
        Rows with ``expected_speedup``, ``achieved_speedup`` and the ends of its interval, ``achieved_share``, the share
        of the expectation, and ``disturbed`` where a run of either was.
    """
    return [
        {
            **one.row(),
            "expected_speedup": one.expected,
            "achieved_speedup": base.seconds / one.seconds,
            "achieved_low": base.low_s / one.high_s,
            "achieved_high": base.high_s / one.low_s,
            "achieved_share": base.seconds / one.seconds / one.expected,
            "dense_ms": base.seconds * 1e3,
            "median_ms": one.seconds * 1e3,
            "disturbed": "yes" if base.disturbed or one.disturbed else "",
        }
        for base, one in pairs(found)
    ]


def pairs(found: Iterable[Ran]) -> list[tuple[Ran, Ran]]:
    """Return every compressed configuration after the dense one that is run the same way."""
    entries = tuple(found)
    dense = {one.beside(*_COMPRESSION): one for one in entries if one.technique == DENSE}
    together = ((dense.get(one.beside(*_COMPRESSION)), one) for one in entries)
    return [(base, one) for base, one in together if base is not None and one.technique != DENSE]


def scaling(found: Iterable[Ran]) -> list[dict[str, Any]]:
    """Return how every configuration scales over threads, beside itself at the fewest threads measured.

    Returns:
        Rows with ``measured_fps``, ``thread_speedup`` and ``parallel_efficiency`` (speed-up per factor of threads);
        configurations with one thread count alone are left out.
    """
    groups = _grouped(found, "threads")
    rows: list[dict[str, Any]] = []
    for group in groups:
        ordered = sorted(group, key=lambda one: one.threads)
        first = ordered[0]
        if len(ordered) < 2:
            continue
        for one in ordered:
            gain = first.seconds / one.seconds
            rows.append(
                {
                    **one.row(),
                    "measured_fps": one.batch / one.seconds,
                    "thread_speedup": gain,
                    "parallel_efficiency": gain * first.threads / one.threads,
                }
            )
    return rows


def tuning_gains(found: Iterable[Ran]) -> list[dict[str, Any]]:
    """Return what tuning makes of every configuration that was run both ways: ``tuning_speedup``."""
    return [
        {
            **tuned.row(),
            "trials": tuned.trials,
            "untuned_ms": untuned.seconds * 1e3,
            "tuned_ms": tuned.seconds * 1e3,
            "tuning_speedup": untuned.seconds / tuned.seconds,
        }
        for untuned, tuned in both_ways(found)
    ]


def both_ways(found: Iterable[Ran]) -> list[tuple[Ran, Ran]]:
    """Return every configuration that was run both ways, untuned and tuned."""
    groups = _grouped(found, "tuning", "trials", "budget_s")
    times = [{one.tuning: one for one in group} for group in groups]
    return [
        (by[Tuning.UNTUNED], by[Tuning.TUNED])
        for by in times
        if {Tuning.UNTUNED, Tuning.TUNED} <= set(by)
    ]


def footprints(found: Iterable[Ran]) -> list[dict[str, Any]]:
    """Return the largest resident set of every run beside what weights and activations need.

    A process also holds its runtime, and a runtime may keep weights twice (as stored and as packed for its kernels), so
    what a run takes beyond the least of its backend is shown too: there the runtime itself cancels.

    Returns:
        Rows with ``measured_mb``, ``predicted_mb`` (weights and the largest live activations), and both beyond the
        smallest prediction of the same backend and machine; networks that cannot be counted are left out.
    """
    counted = [
        (one, one.peak_rss_bytes / 1e6, required / 1e6)
        for one in found
        if one.peak_rss_bytes and (required := _required_bytes(one)) is not None
    ]
    least: dict[tuple[str, str], tuple[float, float]] = {}
    for one, measured, predicted in counted:
        place = (one.backend, one.machine)
        if place not in least or predicted < least[place][1]:
            least[place] = (measured, predicted)
    rows: list[dict[str, Any]] = []
    for one, measured, predicted in counted:
        base, smallest = least[one.backend, one.machine]
        rows.append(
            {
                **one.row(),
                "measured_mb": measured,
                "predicted_mb": predicted,
                "measured_beyond_least_mb": measured - base,
                "predicted_beyond_least_mb": predicted - smallest,
            }
        )
    return rows


def _required_bytes(one: Ran) -> float | None:
    try:
        workload = counted(one.network, one.compression, one.datatype, one.batch)
    except RooflineError:
        return None
    return float(workload.weight_bytes + workload.peak_activation_bytes)


def macs(one: Ran) -> float:
    """Return the multiply-accumulates of one inference that are not by a pruned zero.

    Raises:
        RooflineError: The network is not shipped, or cannot be counted so.
    """
    workload = counted(
        one.network, one.compression if one.technique != WEIGHTS else Compression(), "fp32", 1
    )
    share = (
        1.0 - one.removed if WEIGHTS in one.technique and CHANNELS not in one.technique else 1.0
    )
    return workload.macs * share


def _grouped(found: Iterable[Ran], *ignored: str) -> list[list[Ran]]:
    groups: dict[tuple[Any, ...], list[Ran]] = {}
    for one in found:
        groups.setdefault(one.beside(*ignored), []).append(one)
    return list(groups.values())


KINDS: Mapping[str, Callable[[Iterable[Ran]], list[dict[str, Any]]]] = MappingProxyType(
    {
        "speedup": speedups,
        "threads": scaling,
        "tuning": tuning_gains,
        "memory": footprints,
        "orthogonality": squares,
    }
)
"""The tables by name."""
