"""Configurations that ran well: the records of each together, and which of them differ in one thing alone."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from roofline.errors import RooflineError
from roofline.precision import DATATYPES, width_of
from roofline.tables import Record
from roofline.validate.analysis.counting import count_network
from roofline.validate.records.compression import Compression
from roofline.validate.records.executed import Executed
from roofline.validate.records.flag import join_flags
from roofline.validate.records.record import Measurement
from roofline.validate.records.tuning import Tuning

if TYPE_CHECKING:
    from roofline.workload import Workload

DENSE, CHANNELS, WEIGHTS = "dense", "channel pruning", "weight pruning"


@dataclass(frozen=True, slots=True)
class Configuration:
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
            dense = count_network(self.network, Compression(), "fp32", 1).macs
            return bits * dense / macs(self)
        except RooflineError:
            # A network that is not shipped cannot be counted here: the share that is named must do.
            return bits / (1.0 - self.removed)

    @property
    def run_by(self) -> str:
        """Backend, tuning and algorithm in a few words."""
        words = (self.backend, self.tuning, self.algorithm)
        return " ".join(word for word in words if word not in {"none", "default"})

    def row(self) -> Record:
        """Return what tells the configuration from others."""
        return {
            "network": self.network, "technique": self.shown_technique, "pruning": self.variant,
            "datatype": self.datatype, "backend": self.run_by, "batch": self.batch, "threads": self.threads,
            "machine": self.machine,
        }  # fmt: skip

    def workload(self) -> Workload:
        """Return what it requires, counted anew.

        Raises:
            RooflineError: The network is not shipped, or cannot be counted so.
        """
        return count_network(self.network, self.compression, self.datatype, 1)

    def beside(self, *ignored: str) -> tuple[Any, ...]:
        """Return a key that configurations share which differ in nothing but the fields named."""
        fields = ("network", "technique", "removed", "variant", "datatype", "backend", "algorithm",
                  "tuning", "trials", "budget_s", "batch", "threads", "machine")  # fmt: skip
        return tuple(getattr(self, name) for name in fields if name not in ignored)


_COMPRESSION = ("technique", "removed", "variant", "datatype")


def configurations(
    runs: Iterable[Measurement], *, shortest: bool = False
) -> tuple[Configuration, ...]:
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
        # What an imported record does not say of items and threads is one.
        key = (job.network, job.compression.label, run.asked, job.backend, job.algorithm, job.tuning,
               job.trials, job.tuning_budget_s, max(1, job.batch), max(1, job.threads), place)  # fmt: skip
        found.setdefault(key, []).append(run)
    return tuple(_configuration(key, group, shortest=shortest) for key, group in found.items())


def _configuration(
    key: tuple[Any, ...], group: Sequence[Measurement], *, shortest: bool
) -> Configuration:
    (network, _, datatype, backend, algorithm, tuning, trials, budget_s, batch, threads,
     machine) = key  # fmt: skip
    medians = [run.median_s for run in group if run.median_s]
    samples = [run.min_s for run in group if run.min_s]
    seconds = min(samples) if shortest and samples else statistics.median(medians)
    low, high = _range_around(seconds) if shortest else _interval(group)
    compression = group[-1].job.compression
    technique, removed = _technique(compression, datatype)
    marks = join_flags(flag for run in group for flag in run.disturbances)
    resident = [run.peak_rss_bytes for run in group if run.peak_rss_bytes]
    return Configuration(
        network, technique, removed, compression, datatype, backend, algorithm, tuning, trials, budget_s,
        batch, threads, machine, seconds, min(resident, default=None), len(group), low, high,
        group[-1].executed, group[-1].is_emulated, marks,
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
        low, high = _range_around(group[0].median_s or 0.0)
        lows.append(low)
        highs.append(high)
    return min(lows), max(highs)


def _range_around(seconds: float) -> tuple[float, float]:
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


def pairs(found: Iterable[Configuration]) -> list[tuple[Configuration, Configuration]]:
    """Return every compressed configuration after the dense one that is run the same way."""
    entries = tuple(found)
    dense = {entry.beside(*_COMPRESSION): entry for entry in entries if entry.technique == DENSE}
    together = ((dense.get(entry.beside(*_COMPRESSION)), entry) for entry in entries)
    return [
        (base, entry) for base, entry in together if base is not None and entry.technique != DENSE
    ]


def tuning_pairs(found: Iterable[Configuration]) -> list[tuple[Configuration, Configuration]]:
    """Return every configuration that was run both ways, untuned and tuned."""
    groups = group_configurations(found, "tuning", "trials", "budget_s")
    times = [{entry.tuning: entry for entry in group} for group in groups]
    return [
        (by[Tuning.UNTUNED], by[Tuning.TUNED])
        for by in times
        if {Tuning.UNTUNED, Tuning.TUNED} <= set(by)
    ]


def macs(entry: Configuration) -> float:
    """Return the multiply-accumulates of one inference that are not by a pruned zero.

    Of the weights that pruned channels leave, the share that sparsity names is zero.

    Raises:
        RooflineError: The network is not shipped, or cannot be counted so.
    """
    left = replace(entry.compression, sparsity=0.0, sparse_layers=(), sparse_format="dense")
    workload = count_network(entry.network, left, "fp32", 1)
    return workload.macs * (1.0 - entry.compression.sparsity)


def group_configurations(
    found: Iterable[Configuration], *ignored: str
) -> list[list[Configuration]]:
    """Return those together that differ in nothing but the fields named."""
    groups: dict[tuple[Any, ...], list[Configuration]] = {}
    for entry in found:
        groups.setdefault(entry.beside(*ignored), []).append(entry)
    return list(groups.values())
