"""What the time law is told of a network at hand: the counts that published runs state, from its layers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from roofline.model._core import Floats
from roofline.model._layer_groups import groups_of
from roofline.model._network_layers import groups_of_workload
from roofline.model._run_facts import Facts
from roofline.precision import Precision, precision

if TYPE_CHECKING:
    from roofline.spec import Platform
    from roofline.workload import Layer, Workload

MARKED = {"depthwise": 0.01, "grouped": 0.05, "attention": 0.01}
"""Share of the multiply-accumulates from which a network counts as one of that kind; tables say yes or no only."""

STREAMED = 64.0
"""Items under way on a chip that holds all weights; published rates at batches of 1 and of 8 are the same."""

ONE_ITEM = frozenset({"edgetpu"})
"""Runtimes that run one item at a time: the items of a batch take turns."""

GUESSED = 1.3
"""What a memory for weights holds, over what is guessed where its size is not published: the largest network that
published runs show to stay there, at the same rate whatever the batch, is of 25.6 MB where 20 MB are guessed."""

CLASSES = {
    ("cpu", "data centre"): "cpu",
    ("cpu", "desktop"): "cpu",
    ("cpu", "laptop"): "cpu",
    ("cpu", "edge"): "cpu_mobile",
    ("cpu", "phone"): "cpu_mobile",
    ("gpu", "data centre"): "gpu_dc",
    ("gpu", "desktop"): "gpu_consumer",
    ("gpu", "laptop"): "gpu_consumer",
    ("gpu", "edge"): "gpu_embedded",
    ("gpu", "phone"): "gpu_embedded",
    ("npu", "data centre"): "npu",
    ("npu", "desktop"): "npu",
    ("npu", "laptop"): "npu",
    ("npu", "edge"): "npu",
    ("npu", "phone"): "npu",
    ("tpu", "edge"): "npu",
    ("fpga", "edge"): "fpga_dpu",
    ("fpga", "data centre"): "fpga_dpu",
}
"""The class of machines, by kind and segment; other pairs have no evidence."""

X86_MAKERS = frozenset({"Intel", "AMD"})
"""Makers whose processors have the instructions of the machines that published runs of processors (``cpu``) are of."""


def class_of(platform: Platform) -> str | None:
    """Return the class of machines that a platform's evidence is of; None where there is none.

    The evidence of FPGAs is of overlays that compute in int8; dataflow pipelines of narrower datatypes have none.
    Processors of boards are of one class by their instructions, so that Atoms are with other x86 processors.
    """
    if platform.kind == "fpga" and not platform.has("int8"):
        return None
    if platform.kind == "cpu" and platform.vendor in X86_MAKERS:
        return "cpu"
    return CLASSES.get((platform.kind, platform.segment or ""))


def marks_of(workload: Workload) -> dict[str, float]:
    """Return 1 for each kind of arithmetic that a network does a share of, else 0."""
    return workload.once("marked", lambda: _mark_kinds(workload))


def _mark_kinds(workload: Workload) -> dict[str, float]:
    macs = {"depthwise": 0, "grouped": 0, "attention": 0}
    for layer in workload.layers:
        kind = _kind(layer)
        if kind is not None:
            macs[kind] += layer.cost.macs
    whole = max(workload.macs, 1)
    return {name: float(count / whole >= MARKED[name]) for name, count in macs.items()}


def _kind(layer: Layer) -> str | None:
    if layer.op_type in {"Attention", "MultiHeadAttention", "GroupQueryAttention"}:
        return "attention"
    if layer.op_type == "MatMul" and not layer.weights:
        return "attention"
    group = int(layer.attributes.get("group", 1) or 1)
    if "Conv" not in layer.op_type or group == 1:
        return None
    weight = layer.weights[0].shape if layer.weights else None
    if weight is not None and len(weight) > 1 and weight[1] == 1:
        return "depthwise"
    return "grouped"


def activation_elements(workload: Workload) -> int:
    """Return the elements that layers with multiply-accumulates write, which is what published tables state."""
    return workload.once(
        "activation elements",
        lambda: sum(layer.cost.outputs for layer in workload.layers if layer.cost.macs),
    )


def items_under_way(batch: ArrayLike, weights: ArrayLike, held: ArrayLike) -> Floats:
    """Return the items that a machine has under way: a chip that holds all weights streams them whatever the batch.

    Args:
        batch: Items per batch.
        weights: Bytes of weights.
        held: Bytes of weights that stay on the chip.
    """
    stay = np.less(0, weights) & np.less_equal(weights, held)
    return np.where(stay, np.maximum(batch, STREAMED), batch)


def under_way(runs: Facts, batches: Floats) -> Floats:
    """Return the items that a machine has under way at each batch.

    Args:
        runs: Facts of one run, or of as many as there are batches.
        batches: Items per batch.
    """
    numbers = runs.numbers
    alone = np.isin(runs.runtime, list(ONE_ITEM))
    return items_under_way(
        np.where(alone, 1.0, batches),
        numbers["parameters"] * numbers["weight_bytes"],
        numbers["held"],
    )


def origin(platform: Platform, machine_class: str) -> dict[str, float]:
    """Return what a platform's file tells of its make, by the names that the law has for it."""
    return {
        "half": float(machine_class == "cpu_mobile" and platform.has("fp16")),
        "phone": float(machine_class == "npu" and platform.segment == "phone"),
        "year": float(platform.year),
    }


def held_bytes(platform: Platform, attention: float = 0.0) -> float:
    """Return the bytes of weights that stay on the chip; 0 where none do.

    Networks with attention run in parts that take turns on the chip, whatever their size: published rates at batches of
    1 and of 8, which are alike where everything stays there, differ in 51 of 52 of them.

    Args:
        platform: The machine.
        attention: 1 for a network with attention, else 0.
    """
    holder = platform.weight_memory
    if holder is None or holder.capacity is None or attention:
        return 0.0
    return holder.capacity.base * (GUESSED if holder.capacity.kind == "estimated" else 1.0)


class NetworkCounts(NamedTuple):
    """What the law is told of a network, of one item."""

    macs: float
    parameters: float
    activations: float
    """Elements that layers with multiply-accumulates write."""
    marks: Mapping[str, float]
    """1 for each kind of arithmetic that it does a share of, else 0; the names are those of `MARKED`."""
    groups: Floats | None
    """Its layers as `LayerGroups.values` has them; None where they are not known."""


def counts_of(workload: Workload) -> NetworkCounts:
    """Return what the law is told of a network at hand."""
    return NetworkCounts(
        max(workload.macs, 1) / workload.batch, max(workload.parameters, 1),
        max(activation_elements(workload), 1) / workload.batch, marks_of(workload), groups_of_workload(workload),
    )  # fmt: skip


def facts_of(workload: Workload, platform: Platform, **run: Any) -> Facts:
    """Return what the law is told of a network on a platform.

    Args:
        workload: The network at its precision.
        platform: The machine.
        **run: What `facts_of_counts` takes.
    """
    return facts_of_counts(counts_of(workload), platform, **run)


def facts_of_counts(
    counts: NetworkCounts,
    platform: Platform,
    *,
    machine_class: str,
    runtime: str,
    datatype: str,
    unit: str,
    batch: int,
    cores: float,
    in_flight: bool,
) -> Facts:
    """Return what the law is told of counts on a platform.

    Args:
        counts: Those of the network.
        platform: The machine.
        machine_class: Its class.
        runtime: The runtime.
        datatype: The precision.
        unit: The peak it runs on.
        batch: Items per batch.
        cores: Cores that share the peak, where the platform does not say.
        in_flight: Whether several runs are in flight.
    """
    if unit == "fp16" and runs_in_halves(platform, machine_class, runtime, "fp32"):
        # One run whatever it is called: tables call it one in single precision, with that peak.
        datatype = unit = "fp32"
    wide = precision(datatype)
    peak, lanes = _peak_of(platform, machine_class, unit, wide, runtime), platform.lanes
    if lanes > 1 and not in_flight:
        # One run at a time is on one of the cores.
        peak, cores, lanes = peak / lanes, 1.0, 1
    numbers = {
        "peak": peak,
        "bandwidth": platform.weight_bandwidth or platform.bandwidth,
        "cores": float(lanes) if lanes > 1 else cores,
        "batch": float(batch),
        "macs": counts.macs,
        "parameters": counts.parameters,
        "activations": counts.activations,
        **counts.marks,
        "weight_bytes": float(wide.weight_bits) / 8,
        "activation_bytes": float(wide.activation_bits) / 8,
        "throughput": float(in_flight),
        "held": held_bytes(platform, counts.marks["attention"]),
        **origin(platform, machine_class),
    }
    weights = numbers["parameters"] * numbers["weight_bytes"]
    numbers["batch"] = float(
        items_under_way(1 if runtime in ONE_ITEM else batch, weights, numbers["held"])
    )
    return Facts(
        _word(platform.key),
        _word(machine_class),
        _word(runtime),
        _word(common_name(datatype)),
        {name: np.asarray([value], np.float64) for name, value in numbers.items()},
        groups_of([counts.groups]),
    )


IN_HALVES = frozenset({"ncnn"})
"""Runtimes that compute networks in single precision in halves on processors which have arithmetic of them."""


def runs_in_halves(platform: Platform, machine_class: str, runtime: str, unit: str) -> bool:
    """Return whether a run in single precision is computed in halves.

    Args:
        platform: The machine.
        machine_class: Its class.
        runtime: The runtime.
        unit: The peak that the run is on.
    """
    halves = machine_class == "cpu_mobile" and runtime in IN_HALVES and platform.has("fp16")
    return halves and unit == "fp32"


def _word(name: str) -> NDArray[np.object_]:
    """Return a name as an array with one entry, an object."""
    return np.asarray([name, ""], object)[:1]


HALF_SUMS = frozenset({"trt", "ort-trt", "tf-trt", "paddle-trt"})
"""Runtimes that keep sums in fp16 where that is faster; frameworks keep them in fp32."""


def _peak_of(
    platform: Platform, machine_class: str, unit: str, asked: Precision, runtime: str
) -> float:
    """Return the peak that runs of a precision are compared with, in OP/s."""
    stated = platform.peaks[unit]
    if (
        machine_class == "gpu_consumer"
        and stated.accumulate == "fp16"
        and runtime not in HALF_SUMS
    ):
        # Sums in fp32 are at half the headline of such cards.
        wide = stated.alternatives.get("fp32-accumulate")
        return stated.base / 2 if wide is None else wide.base
    peak = platform.peak(unit)
    if machine_class == "cpu_mobile" and unit == "int8":
        # Runs of such processors are compared with vectors of four times as many bytes, whose products take two steps;
        # the runtimes of published runs use no dot products.
        return min(peak, 2 * platform.peak("fp32")) if platform.has("fp32") else peak
    if unit == "int8" and asked.activation_bits == 16:
        # Tables rate wide activations at fp16, which is half of int8.
        return platform.peak("fp16") if platform.has("fp16") else peak / 2
    return peak


def common_name(datatype: str) -> str:
    """Return the name that tables give a precision: int8 of weights and activations is int8."""
    return {"w8a8": "int8", "bf16": "fp16", "tf32": "fp32"}.get(datatype, datatype)
