"""One case to predict: a workload on a machine's unit at a batch, and the times each level of it needs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from roofline.conventions import Operations, Traffic, WeightsRead
from roofline.errors import OptionError
from roofline.model._core import Floats, compute_time, memory_time
from roofline.model._power import Draw
from roofline.model._prediction import Basis, Bound, LayerPrediction, Prediction, Term
from roofline.model._requirement import Requirement, io_bytes
from roofline.model.fast_convolution import note_of, room
from roofline.workload import Workload

if TYPE_CHECKING:
    from roofline.model._law_estimates import Effect
    from roofline.precision import Precision
    from roofline.spec import Platform
    from roofline.spec.quantity import Quantity


GUESSED_SHORT = 10.0
"""Times that a memory whose size is a guess may be larger."""


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
    traffic: Traffic
    operations: Operations
    weights_read: WeightsRead
    notes: tuple[str, ...] = ()
    holds_weights: bool = False
    """Whether weights that fit in the machine's memory for weights stay there; only the rest is read again."""
    runtime: str | None = None
    """The runtime of an estimate from published runs; None is the fastest of the machine's class."""
    effects: Mapping[str, Effect] | None = None
    """What figures of single machines say of them, by key."""

    @property
    def datatype(self) -> str:
        """The name of the precision asked for."""
        return self.precision.name

    @property
    def required_bytes(self) -> float:
        """Weights and the largest live set of activations of the batch."""
        return float(self.required_bytes_at(self.batch))

    def required_bytes_at(self, batches: ArrayLike) -> Floats:
        """Return the weights and the largest live set of activations at each batch, in bytes."""
        per_item = self.workload.peak_activation_bytes / self.workload.batch
        return self.workload.weight_bytes + np.asarray(batches, np.float64) * per_item

    @property
    def fits(self) -> bool | None:
        """Whether the working set fits in the machine's memory; None when its capacity is not known."""
        capacity = self.platform.capacity
        return None if capacity is None else self.required_bytes <= capacity

    @property
    def upper_bound(self) -> bool:
        """Whether no run can need less than what is charged: nothing charged could stay on the chip instead."""
        return bool(self.upper_bound_at(self.batch))

    def upper_bound_at(self, batches: ArrayLike) -> NDArray[np.bool_]:
        """Return at each batch whether no run can need less than what is charged."""
        items = np.asarray(batches, np.float64)
        if self.workload.at_most:
            return np.zeros(items.shape, np.bool_)
        loose = (self.weights_read is WeightsRead.PER_ITEM) & (items > 1) | self.routed_at(items)
        held = self.holds_weights or not self._could_hold
        anyhow = self.traffic == "resident" or held
        on_chip = self.platform.on_chip_capacity
        if self.traffic == "resident" or on_chip is None:
            return anyhow & ~loose
        inside = self.required_bytes_at(items) <= on_chip
        return np.where(inside, self.traffic == "weights" and held, anyhow) & ~loose

    def routed_at(self, batches: ArrayLike) -> NDArray[np.bool_]:
        """Return at each batch whether the experts that tokens reach are an expectation."""
        more = np.asarray(batches, np.float64) > self.workload.batch
        return more & bool(self.workload.mixtures) | self.workload.is_routed

    @property
    def may_round(self) -> bool:
        """Whether runtimes may round activations and so run on a faster unit than the case's."""
        narrow = self.precision.rounded
        fast = self.platform.peak(narrow) if narrow and self.platform.has(narrow) else 0.0
        return fast > self.platform.peak(self.unit)

    def strict_at(self, batches: ArrayLike, times: Times) -> NDArray[np.bool_]:
        """Return at each batch whether no run is faster than these times, rounded activations included."""
        return self.upper_bound_at(batches) & (times.memory_alone | (not self.may_round))

    @property
    def _could_hold(self) -> bool:
        return self.platform.weight_memory is not None


@dataclass(frozen=True, slots=True)
class Times:
    """Seconds of a case, and what they come from. Arrays have layers on the first axis, batches on the second."""

    ops: Floats
    """Operations of the batch."""
    outer_bytes: Floats
    """Bytes across the outermost memory for the batch."""
    peaks: Floats
    """OP/s; one entry on the axis of batches."""
    compute: Floats
    memory: Floats

    @property
    def each(self) -> Floats:
        """The bound of each layer in seconds: the maximum of compute and memory, never their sum."""
        return np.maximum(self.compute, self.memory)

    @property
    def latency(self) -> Floats:
        """Seconds of the whole network at each batch: the sum over its layers."""
        return self.each.sum(axis=0)

    @property
    def in_memory(self) -> Floats:
        """Those of them that layers take which memory holds back."""
        return np.where(self.memory > self.compute, self.memory, 0.0).sum(axis=0)

    @property
    def memory_alone(self) -> NDArray[np.bool_]:
        """Whether memory holds back every layer, so that faster arithmetic would gain nothing."""
        return np.asarray((self.memory >= self.compute).all(axis=0), np.bool_)

    def at(self, place: int) -> Times:
        """Return the times at one of the batches."""
        column = slice(place, place + 1)
        return Times(
            self.ops[:, column], self.outer_bytes[:, column], self.peaks, self.compute[:, column],
            self.memory[:, column],
        )  # fmt: skip


def evaluate(
    case: Case,
    required: Requirement,
    units: Sequence[str],
    batches: Sequence[int] | Floats | None = None,
) -> Times:
    """Return the times of each layer under the case's traffic assumption, for many batches at once.

    Args:
        case: What is asked.
        required: Operations and bytes of each layer.
        units: The unit of each layer.
        batches: Items per batch; by default the case's alone.
    """
    items = np.asarray([case.batch] if batches is None else batches, np.float64)
    ops = required.ops[:, None] * items
    peaks = np.asarray([case.platform.peak(unit) for unit in units], np.float64)[:, None]
    compute = compute_time(ops, peaks)
    data, bandwidths = levels(case, required, items, compute)
    return Times(ops, data[0], peaks, compute, memory_time(data, bandwidths[:, None, None]))


def conclude(
    case: Case, times: Times, model: str, layers: tuple[LayerPrediction, ...] = (), place: int = 0
) -> Prediction:
    """Return the prediction of a bound from its times: their sum, and what holds back for most of it.

    Args:
        case: What is asked, at one batch.
        times: The times at several batches.
        model: The model's name.
        layers: What it says of each layer.
        place: Which of the batches is the case's.
    """
    times = times.at(place)
    latency, in_memory = float(times.latency[0]), float(times.in_memory[0])
    unknown = [layer.name for layer in case.workload.unknown_layers]
    notes = case.notes
    if case.routed_at(case.batch):
        notes += ("uniform routing assumed (reached experts are expected): no upper bound",)
    if case.workload.at_most:
        notes += ("counts of some layers are upper limits: no upper bound",)
    strict = bool(case.strict_at(case.batch, times)[0])
    if case.may_round and case.upper_bound and not strict:
        narrow = case.precision.rounded
        notes += (
            f"{case.platform.key} is faster in {narrow} than in {case.unit}, and runtimes such as llama.cpp may round "
            f"activations to it: no upper bound where arithmetic binds",
        )
    exceeded = 1.0
    if strict and case.platform.kind in {"cpu", "gpu"}:
        exceeded = room(case.workload, case.unit)
        notes += note_of(case.workload, case.unit)
    if unknown:
        named = ", ".join(case.workload.coverage.unsupported) or ", ".join(unknown[:3])
        notes += (f"layers not counted: {len(unknown)} ({named}); so there is no bound",)
    return Prediction(
        network=case.workload.name,
        platform=case.platform.key,
        datatype=case.precision.name,
        unit=case.unit,
        batch=case.batch,
        variant=case.workload.variant,
        model=model,
        upper_bound=strict,
        # What is not counted has no bound; nor has a network of which nothing was.
        throughput_fps=None if unknown or not latency else case.batch / latency,
        latency_s=None if unknown or not latency else latency,
        bound=Bound.MEMORY if in_memory > latency - in_memory else Bound.COMPUTE,
        ops=float(times.ops.sum()),
        bytes=float(times.outer_bytes.sum()),
        peak=case.platform.peak(case.unit),
        bandwidth=case.platform.bandwidth,
        traffic=case.traffic,
        # A network without multiply-accumulates is asked for its other arithmetic.
        operations=case.operations if case.workload.macs else Operations.ALL,
        weights_read=case.weights_read,
        required_bytes=case.required_bytes,
        fits=case.fits,
        draw=draw_of(case.platform),
        basis=_terms(case, latency, in_memory),
        layers=layers,
        notes=notes,
        exceeded=exceeded,
    )


def _terms(case: Case, latency: float, in_memory: float) -> tuple[Term, ...]:
    """Return what a bound rests on: the figures of the platform file, by the time that each takes."""
    bandwidth = case.platform.memories[0].bandwidth
    shares = (
        ("compute", case.platform.peaks[case.unit].kind, latency - in_memory),
        ("memory", None if bandwidth is None else bandwidth.kind, in_memory),
    )
    return tuple(
        Term(term, Basis(kind), seconds / latency)
        for term, kind, seconds in shares
        if kind is not None and seconds > 0
    )


def draw_of(platform: Platform) -> Draw:
    """Return what a platform's file says of its power."""
    return Draw(platform.tdp, platform.idle_power, platform.full_power)


def check_batch(batch: int) -> int:
    """Return the batch.

    Raises:
        OptionError: It is below one.
    """
    if batch < 1:
        raise OptionError(f"batch {batch} is not a number of items", repair="Use 1 or more")
    return batch


def levels(
    case: Case, required: Requirement, batches: Floats, compute: Floats
) -> tuple[Floats, Floats]:
    """Return the bytes that cross each memory level and link, outermost first, and the bandwidth of each.

    Args:
        case: What is asked.
        required: Bytes of each layer.
        batches: Items per batch.
        compute: Seconds of arithmetic, layers × batches: where it binds, holding weights gains nothing.

    Returns:
        Bytes, levels × layers × batches, and B/s by level.
    """
    reads = batches if case.weights_read is WeightsRead.PER_ITEM else np.ones_like(batches)
    weights = required.weights[:, None] * reads
    activations = required.activations[:, None] * batches
    if case.traffic is Traffic.RESIDENT:
        return _resident(case, required, weights, activations, batches)
    outer = np.asarray([case.platform.bandwidth], np.float64)
    holder, link = case.platform.weight_memory, case.platform.weight_bandwidth
    if not case.holds_weights or holder is None or holder.capacity is None:
        return (weights + activations)[None], outer
    held = most_held(holder.capacity)
    if case.workload.weight_bytes <= held:
        return activations[None], outer
    if link is None:
        link = case.platform.bandwidth
    excess = weights - _held_bytes(weights, compute * link, held)
    if holder.excess_from == "memory":
        return (excess + activations)[None], outer
    return np.stack([excess + activations, excess]), np.append(outer, link)


def most_held(capacity: Quantity) -> float:
    """Return the bytes of weights that a memory may hold.

    A bound must hold whatever the memory's true size: weights in excess of a guess may stay there, too. A guess that is
    more than `GUESSED_SHORT` times too small would be none.
    """
    return capacity.base * (GUESSED_SHORT if capacity.kind == "estimated" else 1.0)


def _held_bytes(weights: Floats, hidden: Floats, capacity: float) -> Floats:
    """Return the bytes of weights to hold that shorten the time most, layers × batches.

    A byte held shortens a layer only while reading takes longer than its arithmetic, so those bytes come first: no
    other choice of as many bytes is faster. What is left holds the rest in order.

    Args:
        weights: Bytes of each layer's weights.
        hidden: Bytes that can be read while the layer's arithmetic runs.
        capacity: B.
    """
    first = _fill(np.maximum(weights - hidden, 0.0), capacity)
    return first + _fill(weights - first, capacity - first.sum(axis=0))


def _fill(wanted: Floats, room: Floats | float) -> Floats:
    before = np.cumsum(wanted, axis=0) - wanted
    return np.minimum(wanted, np.maximum(room - before, 0.0))


def _resident(
    case: Case, required: Requirement, weights: Floats, activations: Floats, batches: Floats
) -> tuple[Floats, Floats]:
    rows: list[Floats] = []
    bandwidths: list[float] = []
    charged = weights + activations
    # From the innermost level outwards: what a level holds is not charged to any level outside it.
    for level in reversed(case.platform.memories):
        if level.bandwidth is not None:
            rows.append(charged)
            bandwidths.append(level.bandwidth.base)
        if level.capacity is not None:
            through = _fetched_bytes(
                case, required, level.capacity.base, weights, activations, batches
            )
            charged = np.minimum(charged, through)
    return np.stack(rows[::-1]), np.asarray(bandwidths[::-1], np.float64)


def _fetched_bytes(
    case: Case, required: Requirement, capacity: float, weights: Floats, activations: Floats,
    batches: Floats,
) -> Floats:  # fmt: skip
    """Return the bytes of each layer that a level of this capacity has to fetch from outside."""
    total = activations.sum(axis=0)
    share = np.divide(activations, total, out=np.zeros_like(activations), where=total > 0)
    # Where everything stays, only the network's own inputs and outputs pass, spread by the layers' traffic.
    passing = share * (io_bytes(case.workload) * batches / case.workload.batch)
    held = required.weights[:, None] + activations <= capacity
    each = np.where(held, weights, weights + activations)
    return np.where(case.required_bytes_at(batches) <= capacity, passing, each)
