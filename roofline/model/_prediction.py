"""What a model says: a prediction for one network on one machine, and for each of its layers."""

from __future__ import annotations

import importlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from roofline.conventions import Operations, Traffic, WeightsRead
from roofline.model._power import Draw
from roofline.model._tokens import INTERVALS, Tokens
from roofline.number_format import number
from roofline.tables import Record, frame

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes


class Bound(StrEnum):
    """What holds a network or a layer back."""

    COMPUTE = "compute"
    """The peak performance of the arithmetic units."""
    MEMORY = "memory"
    """The bandwidth of a memory."""
    LATENCY = "latency"
    """Fixed costs per run or per layer; only models with such a term say so."""


class Basis(StrEnum):
    """What a term of a predicted time rests on."""

    DATASHEET = "datasheet"
    DERIVED = "derived"
    MEASURED = "measured"
    INTERPOLATED = "interpolated"
    BORROWED = "borrowed"
    """Measured on another kind of operation, another machine or another runtime."""
    PUBLISHED = "published"
    ESTIMATED = "estimated"


@dataclass(frozen=True, slots=True)
class Term:
    """A part of the predicted time and what it rests on."""

    term: str
    """``compute``, ``memory``, ``fixed``: what takes the time."""
    basis: Basis
    share: float
    """Share of the predicted time, 0 to 1."""

    def record(self) -> Record:
        """Return the term as a row."""
        return {"term": self.term, "basis": self.basis.value, "share": self.share}


@dataclass(frozen=True, slots=True)
class LayerPrediction:
    """One layer (or fused group) of a network on a machine, for one batch."""

    name: str
    op_type: str
    datatype: str
    """The peak its arithmetic runs on."""
    ops: float
    """Operations of the batch."""
    bytes: float
    """Bytes that cross the outermost memory for the batch."""
    time_s: float
    """Seconds for the batch."""
    bound: Bound
    utilization: float
    """Share of the peak it attains."""
    bound_s: float | None = None
    """Seconds at the speed of light, where the time is an estimate."""
    basis: Basis | None = None
    """What an estimated time rests on."""

    @property
    def intensity(self) -> float:
        """Operational intensity, OP/B; infinite when nothing crosses the outermost memory."""
        return self.ops / self.bytes if self.bytes else math.inf

    def record(self) -> Record:
        """Return the layer as a row, with the unit in each column's name."""
        return {
            "layer": self.name,
            "op_type": self.op_type,
            "datatype": self.datatype,
            "ops": self.ops,
            "bytes": self.bytes,
            "intensity": self.intensity,
            "performance_op_s": self.ops / self.time_s if self.time_s else 0.0,
            "time_ms": 1e3 * self.time_s,
            "bound": self.bound.value,
            "utilization": self.utilization,
            **self._estimate_fields(),
        }

    def _estimate_fields(self) -> Record:
        """Return what only an estimate says."""
        if self.bound_s is None or self.basis is None:
            return {}
        share = self.bound_s / self.time_s if self.time_s else None
        return {"bound_ms": 1e3 * self.bound_s, "share_of_bound": share, "basis": self.basis.value}


@dataclass(frozen=True, slots=True)
class Prediction:
    """What a model says about one network, at one precision, pruning and batch, on one machine."""

    network: str
    platform: str
    datatype: str
    """The precision asked for."""
    unit: str
    """The peak it runs on; another than ``datatype`` when that is emulated or mixed (``w4a8`` on ``int8``)."""
    batch: int
    """Items per batch."""
    variant: str
    """What was done to the network: ``dense``, ``keep-channels=0.5``."""
    model: str
    """Name of the prediction model."""
    upper_bound: bool
    """Whether the throughput is a bound from above and not an estimate."""
    throughput_fps: float | None
    """Items per second; None where the network is not fully counted."""
    latency_s: float | None
    """Seconds for the whole batch; None also where the evidence is of throughput only."""
    bound: Bound
    ops: float
    """Operations of the batch."""
    bytes: float
    """Bytes that cross the outermost memory for the batch."""
    peak: float
    """Peak performance of the unit, OP/s."""
    bandwidth: float
    """Bandwidth of the outermost memory, B/s."""
    traffic: Traffic
    """The traffic assumption, by name."""
    operations: Operations
    """Which arithmetic counts: ``macs`` (two operations each, the rest left out) or ``all``."""
    weights_read: WeightsRead
    """``per-batch`` or ``per-item``: how often weights cross the memory interface."""
    required_bytes: float
    """Weights and the largest live set of activations of the batch."""
    fits: bool | None
    """Whether that fits in the machine's memory; None when its capacity is not known."""
    draw: Draw = field(default_factory=Draw)
    """Power of the machine."""
    interval_fps: tuple[float, float] | None = None
    """Range in which eight of ten real throughputs lie; None for bounds."""
    intervals: Mapping[str, tuple[float, float]] = field(
        default_factory=dict[str, tuple[float, float]]
    )
    """The same for further quantities, by the name of their column: ``latency_ms``."""
    basis: tuple[Term, ...] = ()
    """What each term of the time rests on."""
    layers: tuple[LayerPrediction, ...] = ()
    notes: tuple[str, ...] = ()
    """Choices made on the way that the reader should know."""
    exceeded: float = 1.0
    """Times the bound that a run may reach by algorithms with fewer multiplications, as a note then says."""
    estimate_of: str = ""
    """Of an estimate, what is expected: the runtime, what it rests on and how it is meant, in the words of its note."""
    tokens: Tokens | None = None
    """What it says of a decoder, whose throughput is in tokens and not in items; None for other networks."""

    @property
    def intensity(self) -> float:
        """Operational intensity of the batch, OP/B; infinite when nothing crosses the outermost memory."""
        return self.ops / self.bytes if self.bytes else math.inf

    @property
    def ridge(self) -> float:
        """Ridge point of the machine at this unit, OP/B."""
        return self.peak / self.bandwidth

    @property
    def performance(self) -> float:
        """Attained performance, OP/s; zero where the throughput is not known."""
        return self.ops * (self.throughput_fps or 0.0) / self.batch

    @property
    def utilization(self) -> float:
        """Attained performance as a share of the peak."""
        return self.performance / self.peak

    @property
    def peak_fps(self) -> float:
        """Items per second at the compute peak: the throughput if memory never held it back."""
        return self.batch * self.peak / self.ops if self.ops else math.inf

    @property
    def tdp(self) -> float | None:
        """Thermal design power of the machine, W."""
        return self.draw.tdp

    @property
    def power_w(self) -> float | None:
        """Power while it runs, W: between idle and full where both are known, else the thermal design power."""
        return self.draw.at(self.utilization) if self.throughput_fps else None

    @property
    def energy_j(self) -> float | None:
        """Energy per item at that power, J."""
        watts = self.power_w
        return watts / self.throughput_fps if watts and self.throughput_fps else None

    @property
    def fps_per_w(self) -> float | None:
        """Items per second for each watt."""
        watts = self.power_w
        return self.throughput_fps / watts if watts and self.throughput_fps else None

    def _interval_fps_per_w(self) -> list[float] | None:
        """Return the range of items per second for each watt, by what is not known of either."""
        rate, fps, ends = self.fps_per_w, self.throughput_fps, self.interval_fps
        if rate is None or fps is None or ends is None:
            return None
        low, high = ends
        found = self.draw.rate_interval(self.utilization, (low / fps, high / fps))
        return None if found is None else [rate * end for end in found]

    def with_overhead(self, seconds: float) -> Prediction:
        """Return the prediction with time for each item that the network does not account for.

        Args:
            seconds: Of pre- and post-processing, per item, beside which the network does not run.
        """
        if self.throughput_fps is None or not seconds:
            return self

        def slower(fps: float) -> float:
            return 1 / (1 / fps + seconds)

        added = seconds * self.batch
        ends = self.interval_fps
        return replace(
            self,
            throughput_fps=slower(self.throughput_fps),
            latency_s=None if self.latency_s is None else self.latency_s + added,
            interval_fps=None if ends is None else (slower(ends[0]), slower(ends[1])),
            intervals={
                name: (low + 1e3 * added, high + 1e3 * added)
                if name == "latency_ms"
                else (low, high)
                for name, (low, high) in self.intervals.items()
            },
            notes=(*self.notes, f"with {1e3 * seconds:g} ms an item of pre- and post-processing"),
        )

    def __repr__(self) -> str:
        where = f"{self.network} on {self.platform}, {self.datatype}, batch {self.batch}"
        return f"<Prediction {where}: {number(self.throughput_fps)} fps, {self.bound.value}-bound>"

    @property
    def _is_rated(self) -> bool:
        """Whether there is a rate or a time that could be a bound."""
        known = (self.throughput_fps, self.latency_s, self.tokens and self.tokens.tokens_per_s)
        return any(value is not None for value in known)

    def interval_columns(self) -> dict[str, list[float] | None]:
        """Return the ends of each quantity's interval, under ``interval_`` and its column's name; None without one."""
        names = ("latency_ms", *(() if self.tokens is None else INTERVALS))
        return {
            "interval_fps": None if self.interval_fps is None else list(self.interval_fps),
            **{f"interval_{name}": None for name in names},
            **{f"interval_{name}": list(ends) for name, ends in self.intervals.items()},
        }

    def record(self) -> dict[str, Any]:
        """Return the prediction as a row, with the unit in each column's name."""
        energy = self.energy_j
        return {
            "network": self.network,
            "platform": self.platform,
            "datatype": self.datatype,
            "batch": self.batch,
            "pruning": self.variant,
            "model": self.model,
            "throughput_fps": self.throughput_fps,
            "latency_ms": None if self.latency_s is None else 1e3 * self.latency_s,
            "bound": None if self.throughput_fps is self.latency_s is None else self.bound.value,
            "intensity": self.intensity,
            "utilization": None if self.throughput_fps is None else self.utilization,
            "fits": self.fits,
            "energy_mj": None if energy is None else 1e3 * energy,
            "fps_per_w": self.fps_per_w,
            **self.interval_columns(),
            "interval_fps_per_w": self._interval_fps_per_w(),
            "upper_bound": self.upper_bound if self._is_rated else None,
            "skipped": None,
            "basis": [term.record() for term in self.basis],
            "peak_fps": self.peak_fps if self.tokens is None else None,
            "ridge_point": self.ridge,
            "unit": self.unit,
            "ops": self.ops,
            "bytes": self.bytes,
            "performance_op_s": None if self.throughput_fps is None else self.performance,
            "peak_op_s": self.peak,
            "bandwidth_b_s": self.bandwidth,
            "traffic": self.traffic.value,
            "operations": self.operations.value,
            "weights_read": self.weights_read.value,
            "required_bytes": self.required_bytes,
            "tdp_w": self.tdp,
            "notes": list(self.notes),
            **({} if self.tokens is None else self.tokens.record()),
        }

    def to_frame(self) -> pd.DataFrame:
        """Return one row (needs pandas)."""
        return frame([self.record()])

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the machine's roofline with the prediction as a point on it (needs matplotlib).

        Args:
            ax: Axes to draw into; by default those of a new figure.
        """
        return draw("roofline", [self.record()], ax)


def draw(kind: str, rows: list[dict[str, Any]], ax: Axes | None) -> Axes:
    """Draw rows as a kind of chart (needs matplotlib).

    Args:
        kind: Name of the chart.
        rows: What it shows.
        ax: Axes to draw into; by default those of a new figure.
    """
    # Charts are built on top of predictions; the registry is looked up when something is drawn.
    charts = importlib.import_module("roofline.chart").charts
    return charts.get(kind).compute(rows).plot(ax)
