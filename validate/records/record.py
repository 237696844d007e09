"""One measured run with its whole protocol: what was asked, what happened, under which conditions.

The same type holds runs of our own backends and runs imported from other tools. Times are in
seconds, sizes in bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache
from typing import TYPE_CHECKING, Any

from roofline.errors import DatatypeError
from roofline.precision import precision
from roofline.tables import Record
from roofline.units import scale
from roofline.validate.records import samples
from roofline.validate.records.executed import Executed
from roofline.validate.records.failure import Failure
from roofline.validate.records.flag import Flag, FlagKind, join_flags
from roofline.validate.records.plain import to_plain
from roofline.validate.records.request import RunRequest
from roofline.validate.records.tuning import Tuning

if TYPE_CHECKING:
    import pandas as pd

SCHEMA_VERSION = 2
"""Version of the record's fields; raised only when a field changes its meaning or goes (older: `migration`)."""

DISTURBED_SHARE = 0.05
"""Share of the machine's CPU time taken by others, above which a run is flagged as disturbed."""

DRIFT_LIMIT = 0.1
"""Relative difference between the medians of both halves of the samples that is flagged."""

UNEVEN_LIMIT = 0.15
"""Share by which the median of the samples may be above their 5 % quantile before a run is flagged."""

_SAMPLES_OF_A_SPREAD = 10
"""Samples from which their 5 % quantile says something."""


class Status(StrEnum):
    """How a run ended."""

    OK = "ok"
    FAILED = "failed"
    """It could not be imported, compiled or run; the failure says where."""
    WRONG = "wrong"
    """It ran, but its outputs are not the reference's: it is not timed."""
    TIMEOUT = "timeout"
    OUT_OF_MEMORY = "out-of-memory"


@dataclass(frozen=True, slots=True)
class Check:
    """How the outputs compare with the reference's on the same input."""

    reference: str = ""
    """What computed the reference; empty when there was none (``why`` says so)."""
    max_abs_error: float | None = None
    """None where the outputs cannot be compared element by element (``why`` says so)."""
    max_rel_error: float | None = None
    """Largest absolute error of an output over the largest magnitude of its reference, or over ``floor / tolerance``
    where that is more."""
    tolerance: float | None = None
    """The relative error allowed for this datatype."""
    informative: bool = True
    """False where the reference is constant, saturated or below the floor: a wrong program could give it too."""
    why: str = ""
    floor: float = 0.0
    """Absolute error that is always allowed: a rounding step of the largest intermediate value."""

    @property
    def passed(self) -> bool | None:
        """Whether the error is within the tolerance; None when nothing was compared."""
        if not self.reference or self.tolerance is None:
            return None
        return self.max_rel_error is not None and self.max_rel_error <= self.tolerance


@dataclass(frozen=True, slots=True)
class Environment:
    """The machine and the software, and what else was going on while the samples were taken."""

    host: str = ""
    cpu: str = ""
    cores: int = 0
    memory_bytes: int = 0
    governor: str = ""
    """Frequency governor, or empty where it cannot be read."""
    frequency_hz: float | None = None
    load_average: float | None = None
    """One-minute load average before the first timed run."""
    others_share: float | None = None
    """Share of the machine's CPU time that other processes took while the samples were taken."""
    stolen_share: float | None = None
    """Share of the machine's CPU time that the hypervisor gave to others meanwhile."""
    accelerator: str = ""
    """What the model ran on where that is not the CPU, as its driver calls it: ``NVIDIA H200``."""
    versions: Mapping[str, str] = field(default_factory=dict[str, str])
    """Versions of Python, this program, the backend and its compiler."""


@dataclass(frozen=True, slots=True)
class Reported:
    """Figures taken from elsewhere as they stand there, and the accuracy of the model."""

    source: str
    latency_s: float | None = None
    throughput_fps: float | None = None
    power_w: float | None = None
    accuracy: float | None = None
    """Top-1 accuracy as a share."""
    concurrency: int = 1
    """Inferences in flight, where throughput is not the inverse of latency."""
    accuracy_source: str = ""
    """Where the accuracy is from, where that is not the source of the other figures."""


@dataclass(frozen=True, slots=True)
class Turn:
    """Where a run stands in a campaign; no two records of a store share it."""

    point: str
    """Digest of what the campaign asks for: the same whenever and wherever it is asked."""
    round: int = 1
    """Campaigns may go through all their points several times, to see what time changes."""
    attempt: int = 1
    """Runs that failed or were disturbed may be repeated; the last attempt counts."""


@dataclass(frozen=True, slots=True)
class KernelTime:
    """One call of a compiled kernel: the shortest of a few runs."""

    kernel: str
    """The compiler's name for it."""
    seconds: float
    macs: int = 0
    layer: str = ""
    """The layer it computes, with what is fused to it; empty where none was found."""


@dataclass(frozen=True, slots=True)
class Measurement:
    """One run: the job, how it ended, its samples, and what is needed to judge it later."""

    job: RunRequest
    """What was asked for, with every default filled in; of imported runs as far as it is known."""
    status: Status
    failure: Failure | None = None
    """Why it is not ``ok``."""
    machine: str = ""
    """Key of the platform it ran on (``tx2:maxn``), or a name of this machine."""
    executed: Executed = field(default_factory=Executed)
    """What the products really were computed in."""
    compiled_for: str = ""
    """The backend's own description of the target."""
    samples_s: tuple[float, ...] = ()
    """Every timed run, in the order taken."""
    first_s: float | None = None
    """The discarded first run."""
    wall_s: float | None = None
    """Elapsed time from the first timed run to the last, with those that ran untimed between them."""
    cpu_s: float | None = None
    """CPU time of the process over the same span, all its threads."""
    peak_rss_bytes: int | None = None
    """Largest resident set of the process that ran it (compiling happens in another)."""
    compile_s: float | None = None
    tune_s: float | None = None
    tuning_finished: bool | None = None
    """Whether all was tried that was asked for; false where the budget ended it. None where nothing was tuned, and in
    records that were made before it was kept."""
    kernels: int | None = None
    untuned_kernels: tuple[str, ...] = ()
    """Kernels that ran with no tuned schedule."""
    check: Check = field(default_factory=Check)
    environment: Environment = field(default_factory=Environment)
    reported: Reported | None = None
    kernel_times: tuple[KernelTime, ...] = ()
    """Times of single kernels in the order of their calls, when they were asked for."""
    notes: tuple[str, ...] = ()
    timestamp: str = ""
    """When it ended: ISO 8601, UTC."""
    turn: Turn | None = None
    """Its place in a campaign; None outside of campaigns."""
    schema_version: int = SCHEMA_VERSION

    def __repr__(self) -> str:
        median = self.median_s
        how = self.status.value if not self.ok or median is None else f"{1e3 * median:.4g} ms"
        return f"<Measurement {self.job.network} on {self.job.backend}, batch {self.job.batch}: {how}>"

    @property
    def ok(self) -> bool:
        """Whether it ended well; only such a run has a speed."""
        return self.status is Status.OK

    @property
    def reason(self) -> str:
        """Why it is not ``ok``, in one line; empty when it is."""
        return self.failure.detail if self.failure is not None else ""

    @property
    def operands(self) -> str:
        """Datatype of the operands that were multiplied, by its name: what a prediction is looked up by.

        Where several were multiplied it is the narrowest, at whose peak a bound still is one.
        """
        return self.executed.datatype or self.job.datatype or "fp32"

    @property
    def asked(self) -> str:
        """The datatype that was asked for: that the network was narrowed to, or its own."""
        return self.job.compression.datatype or self.job.datatype or "fp32"

    @property
    def is_emulated(self) -> bool:
        """Whether another datatype was multiplied than the one that was asked for, or that one by way of another."""
        known = self.executed.datatype
        return self.executed.emulated or bool(
            known and known not in {self.asked, _unit(self.asked)}
        )

    @property
    def tokens_per_s(self) -> float | None:
        """Of a decoder: new tokens of all requests a second, or positions of the prompts; None of other networks."""
        tokens = self.job.tokens_per_item
        return scale(self.throughput_fps, tokens) if self.ok and tokens else None

    @property
    def median_s(self) -> float | None:
        """Median time of one inference of the whole batch, or the reported latency."""
        if self.samples_s:
            return samples.median(self.samples_s)
        return self.reported.latency_s if self.reported is not None else None

    @property
    def min_s(self) -> float | None:
        """Shortest sample."""
        return min(self.samples_s, default=None)

    @property
    def throughput_fps(self) -> float | None:
        """Items per second: batch over the median time, or the figure as reported."""
        if self.reported is not None and self.reported.throughput_fps is not None:
            return self.reported.throughput_fps
        median = self.median_s
        return max(1, self.job.batch) / median if median else None

    @property
    def accuracy_percent(self) -> float | None:
        """Top-1 accuracy in percent, where it is known; ``reported`` names its source."""
        share = None if self.reported is None else self.reported.accuracy
        return scale(share, 100)

    @property
    def _accuracy_source(self) -> str:
        known = self.reported
        if known is None or known.accuracy is None:
            return ""
        return known.accuracy_source or known.source

    @property
    def cpu_per_wall(self) -> float | None:
        """CPU seconds per elapsed second and thread: near 1 when undisturbed and all busy."""
        if not self.wall_s or self.cpu_s is None:
            return None
        return self.cpu_s / self.wall_s / max(1, self.job.threads)

    @property
    def drift(self) -> float | None:
        """Median of the second half of the samples over that of the first, less one."""
        half = len(self.samples_s) // 2
        if half < 2:
            return None
        first, second = self.samples_s[:half], self.samples_s[half:]
        return samples.median(second) / samples.median(first) - 1.0

    @property
    def unevenness(self) -> float | None:
        """Median of the samples over their 5 % quantile, less one; None of too few."""
        if len(self.samples_s) < _SAMPLES_OF_A_SPREAD:
            return None
        return samples.median(self.samples_s) / samples.quantile(self.samples_s, 0.05) - 1.0

    @property
    def flags(self) -> tuple[Flag, ...]:
        """What makes this run suspicious; empty when nothing does."""
        found = list(self.disturbances)
        if self.ok and self.job.tuning is Tuning.UNTUNED:
            found.append(Flag(FlagKind.UNTUNED))
        if self.job.tuning is Tuning.TUNED and self.untuned_kernels:
            share = len(self.untuned_kernels) / self.kernels if self.kernels else None
            found.append(Flag(FlagKind.KERNELS_UNTUNED, share))
        if self.ok and self.is_emulated:
            found.append(Flag(FlagKind.OTHER_DATATYPE))
        own = self.reported is None or bool(self.samples_s)
        if self.ok and own and self.check.passed is None:
            found.append(Flag(FlagKind.UNCHECKED))
        elif self.ok and not self.check.informative:
            found.append(Flag(FlagKind.WEAK_CHECK))
        return tuple(found)

    @property
    def disturbances(self) -> tuple[Flag, ...]:
        """The flags that a repetition in a quieter moment may do without."""
        found: list[Flag] = []
        taken = (self.environment.others_share or 0.0) + (self.environment.stolen_share or 0.0)
        # Idle cores can serve others at no cost to the run; only what exceeds them disturbs it.
        spare = (
            1.0 - max(1, self.job.threads) / self.environment.cores
            if self.environment.cores
            else 0.0
        )
        if taken > max(0.0, spare) + DISTURBED_SHARE:
            found.append(Flag(FlagKind.DISTURBED, taken))
        had = self.cpu_per_wall
        if self.job.threads <= 1 and had is not None and had < 0.9:
            found.append(Flag(FlagKind.WAITED, had))
        drift = self.drift
        if drift is not None and abs(drift) > DRIFT_LIMIT:
            found.append(Flag(FlagKind.DRIFT, drift))
        uneven = self.unevenness
        if uneven is not None and uneven > UNEVEN_LIMIT:
            found.append(Flag(FlagKind.UNEVEN, uneven))
        return tuple(found)

    def quantile_s(self, share: float) -> float | None:
        """Return a quantile of the samples, linearly interpolated.

        Args:
            share: 0 is the shortest sample, 0.5 the median, 1 the longest.
        """
        return samples.quantile(self.samples_s, share) if self.samples_s else None

    def to_dict(self) -> dict[str, Any]:
        """Return the record as plain JSON values; `reading.from_dict` reads it back."""
        return to_plain(self)

    def to_frame(self) -> pd.DataFrame:
        """Return one row (needs pandas)."""
        from roofline.tables import frame

        return frame([self.to_row()])

    def to_row(self) -> Record:
        """Return one flat row with the computed figures, for tables."""
        return {
            "network": self.job.network,
            "variant": self.job.compression.label,
            "datatype": self.asked,
            "executed": self.executed.label,
            "phase": self.job.phase,
            "context": self.job.context or None,
            "batch": self.job.batch,
            "threads": self.job.threads,
            "backend": self.job.backend,
            "tuning": self.job.tuning,
            "algorithm": self.job.algorithm,
            "machine": self.machine,
            "status": self.status.value,
            "failure": self.failure.kind.value if self.failure is not None else "",
            "reason": self.reason,
            "measured_fps": self.throughput_fps if self.ok and not self.job.phase else None,
            "tokens_per_s": self.tokens_per_s,
            "median_ms": scale(self.median_s, 1e3),
            "min_ms": scale(self.min_s, 1e3),
            "p5_ms": scale(self.quantile_s(0.05), 1e3),
            "p95_ms": scale(self.quantile_s(0.95), 1e3),
            "samples": len(self.samples_s),
            "cpu_per_wall": self.cpu_per_wall,
            "peak_rss_mb": self.peak_rss_bytes / 1e6 if self.peak_rss_bytes else None,
            "compile_s": self.compile_s,
            "tune_s": self.tune_s,
            "max_rel_error": self.check.max_rel_error,
            "accuracy": self.accuracy_percent,
            "accuracy_source": self._accuracy_source,
            "flags": join_flags(self.flags),
            "timestamp": self.timestamp,
        }


@cache
def _unit(datatype: str) -> str:
    """Return the datatype whose units a datatype is asked to run on: ``w4a8`` runs on int8's."""
    try:
        return precision(datatype).peak
    except DatatypeError:
        return datatype
