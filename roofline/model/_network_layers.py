"""The layers of a network at hand as the law of layers is told them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from roofline.model._activation_patterns import is_product, pattern_of
from roofline.model._core import Floats
from roofline.model._layer_groups import OTHER, WIDE, LayerCounts, gather_alike, group_layers
from roofline.model._layer_shapes import shape_of
from roofline.ops import Kind

if TYPE_CHECKING:
    from roofline.workload import Layer, Workload

FOLDED = frozenset({
    "BatchNormalization", "Cast", "DequantizeLinear", "DynamicQuantizeLinear", "QuantizeLinear",
})  # fmt: skip
"""Operators that runtimes fold into those around them, as exporters often did before."""


def groups_of_workload(workload: Workload) -> Floats | None:
    """Return the groups of a network's layers; None for one without multiply-accumulates."""
    return workload.once(
        "layer groups", lambda: group_layers(gather_alike(layer_counts(workload)))
    )


def layer_counts(workload: Workload) -> Iterator[LayerCounts]:
    """Yield what each layer requires. What is one call however it was exported, is one."""
    folded = _folded_names(workload)
    for layer in workload.layers:
        if layer.cost.macs:
            yield _count_products(layer)
        elif (
            layer.kind not in (Kind.VIEW, Kind.CONTROL)
            and layer.inputs
            and layer.op_type not in FOLDED
            and layer.name not in folded
        ):
            written = layer.cost.outputs / layer.repeats
            yield LayerCounts(OTHER, 0.0, 2 * written, written, 0.0, WIDE, layer.repeats)


def _folded_names(workload: Workload) -> frozenset[str]:
    """Return the names of layers that are part of another's call: all of a pattern but its last, and added biases."""
    by_name = {layer.name: layer for layer in workload.layers}
    found: set[str] = set()
    for group in workload.fused_layers:
        members = [by_name[name] for name in group.members if name in by_name]
        anchor = by_name.get(group.name)
        if len(members) < 2 or anchor is None:
            continue
        pattern = pattern_of(members, anchor)
        if pattern is not None:
            found.update(layer.name for layer in pattern[1][:-1])
        if is_product(anchor):
            found.update(
                layer.name
                for layer in members
                if layer.op_type == "Add" and layer.weights and len(layer.inputs) == 1
            )
    return frozenset(found)


def _count_products(layer: Layer) -> LayerCounts:
    """Return what a layer with multiply-accumulates requires, for one of its repeats."""
    kind, narrow = _kind(layer)
    cost, times = layer.cost, layer.repeats
    return LayerCounts(
        kind, cost.macs / times, (cost.inputs + cost.outputs) / times, cost.outputs / times,
        cost.weights, narrow, times,
    )  # fmt: skip


def _kind(layer: Layer) -> tuple[str, float]:
    """Return the kind of a layer with multiply-accumulates, and the fewer of its channels."""
    weight = max((shape_of(each) for each in layer.weights), key=len, default=())
    if "Conv" in layer.op_type and len(weight) > 2:
        groups = int(layer.attributes.get("group", 1) or 1)
        narrow = min(weight[1], weight[0] // groups)
        if groups > 1:
            return ("depthwise" if weight[1] == 1 else "grouped"), narrow
        return ("conv1" if all(size == 1 for size in weight[2:]) else "conv"), narrow
    if "Attention" in layer.op_type:
        return "attention", WIDE
    if len(weight) > 1:
        return "product", min(weight[-2:])
    results = shape_of(layer.outputs[0]) if layer.outputs else ()
    operands = [shape_of(each) for each in layer.inputs]
    # Of a product of two values, what is summed over is the last axis of the first.
    inner = operands[0][-1] if operands and operands[0] else WIDE
    return "batched", min(inner, results[-1] if results else WIDE)
