"""One case to predict: a workload on a machine's unit at a batch, and the times each level of it needs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from roofline.errors import DatatypeError, OptionError
from roofline.model._core import Floats, compute_time, memory_time
from roofline.model._prediction import Bound, LayerPrediction, Prediction
from roofline.model._requirement import Requirement, io_bytes
from roofline.precision import COMPUTE_DATATYPES, Precision, precision
from roofline.workload import Layer, Workload

if TYPE_CHECKING:
    from roofline.spec import Platform


@dataclass(frozen=True, slots=True)
class Case:
    """What is asked: every choice a prediction depends on, made and checked."""

    workload: Workload
    """The network at the precision it runs at."""
    platform: Platform
    precision: Precision
    """What was asked for."""
    unit: str
    """The peak it runs on."""
    batch: int
    traffic: str
    operations: str
    weights_read: str
    notes: tuple[str, ...] = ()

    @property
    def required_bytes(self) -> float:
        """Weights and the largest live set of activations of the batch."""
        workload = self.workload
        return workload.weight_bytes + workload.peak_activation_bytes * self.batch / workload.batch

    @property
    def fits(self) -> bool | None:
        """Whether the working set fits in the machine's memory; None when its capacity is not known."""
        capacity = self.platform.capacity
        return None if capacity is None else self.required_bytes <= capacity


@dataclass(frozen=True, slots=True)
class Times:
    """Seconds per layer of a case, and what they come from. Arrays have one entry per layer."""

    ops: Floats
    """Operations of the batch."""
    outer_bytes: Floats
    """Bytes across the outermost memory for the batch."""
    peaks: Floats
    compute: Floats
    memory: Floats

    @property
    def each(self) -> Floats:
        """The bound of each layer in seconds: the maximum of compute and memory, never their sum."""
        return np.maximum(self.compute, self.memory)


def main_datatype(workload: Workload) -> str | None:
    """Return the datatype in which most multiply-accumulates are done; None when the layers name none."""
    macs: dict[str, int] = {}
    for layer in workload.layers:
        if layer.datatype is not None:
            macs[layer.datatype] = macs.get(layer.datatype, 0) + layer.cost.macs
    return max(macs, key=lambda name: macs[name], default=None)


def choose_unit(
    platform: Platform, asked: Precision | str, *, emulate: bool = False
) -> tuple[str, tuple[str, ...]]:
    """Return the unit a datatype runs on, and notes about it.

    Args:
        platform: The machine.
        asked: A precision, or its name: ``int8``, ``w4a8``.
        emulate: Whether the next wider unit may stand in for one that the machine lacks.

    Raises:
        DatatypeError: The machine has no such unit, or none wider.
    """
    name, wanted = str(asked), precision(asked).peak
    if platform.has(wanted):
        return wanted, ()
    if not emulate:
        raise DatatypeError(
            f"{platform.key} has no {wanted} unit; it has {', '.join(platform.datatypes)}",
            repair="Choose one of them with -d, or let --emulate run on the next wider one",
        )
    unit = platform.emulating(wanted)
    return unit, (f"{name} is emulated: it runs on the {unit} unit of {platform.key}",)


def layer_units(
    workload: Workload, platform: Platform, unit: str, layers: Sequence[Layer]
) -> list[str]:
    """Return the unit of each layer: its own datatype's where that differs from the network's and the machine has it.

    Args:
        workload: The network the layers are of.
        platform: The machine.
        unit: The unit of the network's main datatype.
        layers: Its layers, in the view that is predicted.
    """
    own = main_datatype(workload)
    named = {layer.datatype for layer in layers if layer.datatype is not None}
    units = {name: precision(name).peak for name in named - {own} if name in COMPUTE_DATATYPES}
    units = {name: peak for name, peak in units.items() if platform.has(peak)}
    return [units.get(layer.datatype or "", unit) for layer in layers]


def evaluate(case: Case, required: Requirement, units: Sequence[str]) -> Times:
    """Return the times of each layer under the case's traffic assumption.

    Args:
        case: What is asked.
        required: Operations and bytes of each layer.
        units: The unit of each layer.
    """
    ops = required.ops * case.batch
    peaks = np.asarray([case.platform.peak(unit) for unit in units], np.float64)
    data, bandwidths = _levels(case, required)
    return Times(
        ops, data[0], peaks, compute_time(ops, peaks), memory_time(data, bandwidths[:, None])
    )


def conclude(
    case: Case, times: Times, model: str, layers: tuple[LayerPrediction, ...] = ()
) -> Prediction:
    """Return the prediction of a bound from its times: their sum, and what holds back for most of it."""
    latency = float(times.each.sum())
    in_memory = float(times.each[times.memory > times.compute].sum())
    unknown = [layer.name for layer in case.workload.layers if layer.unknown]
    notes = case.notes
    if unknown:
        named = ", ".join(case.workload.coverage.unsupported) or ", ".join(unknown[:3])
        notes += (f"layers not counted: {len(unknown)} ({named}); the bound leaves them out",)
    return Prediction(
        network=case.workload.name,
        platform=case.platform.key,
        datatype=case.precision.name,
        unit=case.unit,
        batch=case.batch,
        variant=case.workload.variant,
        model=model,
        upper_bound=True,
        throughput_fps=case.batch / latency if latency else float("inf"),
        latency_s=latency,
        bound=Bound.MEMORY if in_memory > latency - in_memory else Bound.COMPUTE,
        ops=float(times.ops.sum()),
        bytes=float(times.outer_bytes.sum()),
        peak=case.platform.peak(case.unit),
        bandwidth=case.platform.bandwidth,
        traffic=case.traffic,
        # A network without multiply-accumulates is asked for its other arithmetic.
        operations=case.operations if case.workload.macs else "all",
        weights_read=case.weights_read,
        required_bytes=case.required_bytes,
        fits=case.fits,
        tdp=case.platform.tdp,
        layers=layers,
        notes=notes,
    )


def check_batch(batch: int) -> int:
    """Return the batch.

    Raises:
        OptionError: It is below one.
    """
    if batch < 1:
        raise OptionError(f"batch {batch} is not a number of items", repair="Use 1 or more")
    return batch


def _levels(case: Case, required: Requirement) -> tuple[Floats, Floats]:
    """Return the bytes that cross each memory level, outermost first, and the levels' bandwidths."""
    reads = case.batch if case.weights_read == "per-item" else 1
    weights, activations = required.weights * reads, required.activations * case.batch
    everything = weights + activations
    if case.traffic != "resident":
        return everything[None, :], np.asarray([case.platform.bandwidth], np.float64)
    rows: list[Floats] = []
    bandwidths: list[float] = []
    charged = everything
    # From the innermost level outwards: what a level holds is not charged to any level outside it.
    for level in reversed(case.platform.memories):
        if level.bandwidth is not None:
            rows.append(charged)
            bandwidths.append(level.bandwidth.base)
        if level.capacity is not None:
            charged = np.minimum(
                charged, _through(case, required, level.capacity.base, weights, activations)
            )
    return np.stack(rows[::-1]), np.asarray(bandwidths[::-1], np.float64)


def _through(
    case: Case, required: Requirement, capacity: float, weights: Floats, activations: Floats
) -> Floats:
    """Return the bytes of each layer that a level of this capacity has to fetch from outside."""
    if case.required_bytes <= capacity:
        # Everything stays; only the network's own inputs and outputs pass, spread by the layers' traffic.
        share = (
            activations / activations.sum() if activations.sum() else np.zeros_like(activations)
        )
        return share * io_bytes(case.workload) * case.batch / case.workload.batch
    held = required.weights + activations <= capacity
    return np.where(held, weights, weights + activations)
