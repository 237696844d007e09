"""What a model says: a prediction for one network on one machine, and for each of its layers."""

from __future__ import annotations

import importlib
import math
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

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

    @property
    def intensity(self) -> float:
        """Operational intensity, OP/B; infinite when nothing crosses the outermost memory."""
        return self.ops / self.bytes if self.bytes else math.inf

    def record(self) -> dict[str, Any]:
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
        }


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
    throughput_fps: float
    """Items per second."""
    latency_s: float
    """Seconds for the whole batch."""
    bound: Bound
    ops: float
    """Operations of the batch."""
    bytes: float
    """Bytes that cross the outermost memory for the batch."""
    peak: float
    """Peak performance of the unit, OP/s."""
    bandwidth: float
    """Bandwidth of the outermost memory, B/s."""
    traffic: str
    """The traffic assumption, by name."""
    operations: str
    """Which arithmetic counts: ``macs`` (two operations each, the rest left out) or ``all``."""
    weights_read: str
    """``per-batch`` or ``per-item``: how often weights cross the memory interface."""
    required_bytes: float
    """Weights and the largest live set of activations of the batch."""
    fits: bool | None
    """Whether that fits in the machine's memory; None when its capacity is not known."""
    tdp: float | None = None
    """Thermal design power of the machine, W."""
    interval_fps: tuple[float, float] | None = None
    """Range the real throughput is expected in; None for bounds."""
    layers: tuple[LayerPrediction, ...] = ()
    notes: tuple[str, ...] = ()
    """Choices made on the way that the reader should know."""

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
        """Attained performance, OP/s."""
        return self.ops / self.latency_s if self.latency_s else math.inf

    @property
    def utilization(self) -> float:
        """Attained performance as a share of the peak."""
        return self.performance / self.peak if self.latency_s else 0.0

    @property
    def peak_fps(self) -> float:
        """Items per second at the compute peak: the throughput if memory never held it back."""
        return self.batch * self.peak / self.ops if self.ops else math.inf

    @property
    def energy_j(self) -> float | None:
        """Energy per item at the thermal design power, J."""
        return None if self.tdp is None else self.tdp / self.throughput_fps

    @property
    def fps_per_w(self) -> float | None:
        """Items per second for each watt of the thermal design power."""
        return None if self.tdp is None else self.throughput_fps / self.tdp

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
            "latency_ms": 1e3 * self.latency_s,
            "bound": self.bound.value,
            "intensity": self.intensity,
            "utilization": self.utilization,
            "fits": self.fits,
            "energy_mj": None if energy is None else 1e3 * energy,
            "fps_per_w": self.fps_per_w,
            "interval_fps": None if self.interval_fps is None else list(self.interval_fps),
            "upper_bound": self.upper_bound,
            "peak_fps": self.peak_fps,
            "ridge_point": self.ridge,
            "unit": self.unit,
            "ops": self.ops,
            "bytes": self.bytes,
            "performance_op_s": self.performance,
            "peak_op_s": self.peak,
            "bandwidth_b_s": self.bandwidth,
            "traffic": self.traffic,
            "operations": self.operations,
            "weights_read": self.weights_read,
            "required_bytes": self.required_bytes,
            "tdp_w": self.tdp,
            "notes": list(self.notes),
        }

    def to_frame(self) -> pd.DataFrame:
        """Return one row (needs pandas)."""
        return frame([self.record()])

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the machine's roofline with the prediction as a point on it (needs matplotlib).

        Args:
            ax: Axes to draw into; by default those of a new figure.
        """
        return drawn("roofline", [self.record()], ax)

    def layers_frame(self) -> pd.DataFrame:
        """Return one row per layer (needs pandas)."""
        return frame([layer.record() for layer in self.layers])


def drawn(kind: str, rows: list[dict[str, Any]], ax: Axes | None) -> Axes:
    """Draw rows as a kind of chart (needs matplotlib).

    Args:
        kind: Name of the chart.
        rows: What it shows.
        ax: Axes to draw into; by default those of a new figure.
    """
    # Charts are built on top of predictions; the registry is looked up when something is drawn.
    charts = importlib.import_module("roofline.chart").charts
    return charts.get(kind).compute(rows).plot(ax)


def frame(rows: list[dict[str, Any]]) -> pd.DataFrame:
    """Return rows as a DataFrame.

    Raises:
        MissingPackageError: pandas is not installed.
    """
    try:
        import pandas as pd
    except ImportError as error:
        from roofline.errors import MissingPackageError

        raise MissingPackageError("pandas", "tables", "A table") from error
    return pd.DataFrame(rows)
