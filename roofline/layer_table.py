"""What is said of layers: a row of a table for each, and what share of them was counted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from roofline.layer import Layer
from roofline.node import Tensor
from roofline.ops import Kind


@dataclass(frozen=True, slots=True)
class Coverage:
    """What share of a network was counted; what was not is reported by name, never taken as zero in silence."""

    nodes: float
    """Share of executed nodes that were counted or are free by design."""
    bytes: float
    """Share of the bytes of their weights, inputs and outputs."""
    unsupported: tuple[str, ...]
    """Operators that are not in the table, by name, in sorted order."""
    unresolved: tuple[str, ...]
    """Names of nodes that were not counted, in execution order."""


def coverage_of(layers: Sequence[Layer]) -> Coverage:
    """Return what share of layers was counted."""
    missed = [layer for layer in layers if layer.unknown]
    total = sum(layer.traffic_bytes for layer in layers)
    lost = sum(layer.traffic_bytes for layer in missed)
    return Coverage(
        nodes=1 - len(missed) / len(layers) if layers else 1.0,
        bytes=1 - lost / total if total else 1.0,
        unsupported=tuple(
            sorted({full_name(layer) for layer in missed if layer.kind is Kind.UNSUPPORTED})
        ),
        unresolved=tuple(layer.name for layer in missed),
    )


def full_name(layer: Layer) -> str:
    """Return an operator's name with its domain, which ONNX's own leave out."""
    return f"{layer.domain}::{layer.op_type}" if layer.domain else layer.op_type


@dataclass(frozen=True, slots=True)
class LayerRow:
    """A layer as a table's row, exact, its columns named for JSON and CSV; counts that are unknown are None."""

    name: str
    op_type: str
    domain: str
    kind: str
    input_shapes: list[list[int | None] | None]
    weight_shapes: list[list[int | None] | None]
    output_shapes: list[list[int | None] | None]
    macs: int | None
    other_ops: int | None
    ops: int | None
    parameters: int
    trainable_parameters: int
    weight_bytes: int
    input_bytes: int
    output_bytes: int
    cache_read_bytes: int
    cache_written_bytes: int
    intensity: float | None
    """OP/B of its own weights, inputs, outputs and cache."""
    datatype: str | None
    repeats: int
    unknown: bool
    note: str


@dataclass(frozen=True, slots=True)
class FusedLayerRow(LayerRow):
    """A fused layer as a table's row."""

    members: list[str]
    """Names of the nodes in it."""


def row_of(layer: Layer) -> LayerRow:
    """Return a layer as a table's row."""
    cost = None if layer.unknown else layer.cost
    return LayerRow(
        name=layer.name,
        op_type=layer.op_type,
        domain=layer.domain,
        kind=layer.kind.value,
        input_shapes=[sizes_of(tensor) for tensor in layer.inputs],
        weight_shapes=[sizes_of(tensor) for tensor in layer.weights],
        output_shapes=[sizes_of(tensor) for tensor in layer.outputs],
        macs=None if cost is None else cost.macs,
        other_ops=None if cost is None else cost.other_ops,
        ops=None if cost is None else cost.ops,
        parameters=layer.parameters,
        trainable_parameters=layer.trainable_parameters,
        weight_bytes=layer.weight_bytes,
        input_bytes=layer.input_bytes,
        output_bytes=layer.output_bytes,
        cache_read_bytes=layer.cache_read_bytes,
        cache_written_bytes=layer.cache_written_bytes,
        intensity=None
        if cost is None or not layer.traffic_bytes
        else cost.ops / layer.traffic_bytes,
        datatype=layer.datatype,
        repeats=layer.repeats,
        unknown=layer.unknown,
        note=layer.note,
    )


def sizes_of(tensor: Tensor) -> list[int | None] | None:
    """Return a tensor's sizes; None where not even its rank is known."""
    return None if tensor.shape is None else list(tensor.shape)
