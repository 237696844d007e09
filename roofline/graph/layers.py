"""Executed calls, or groups of them that a runtime fuses, as layers with their counts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from roofline.cost import Cost
from roofline.graph.fusion.group import Group
from roofline.graph.resolved import ResolvedGraph, ResolvedNode
from roofline.graph.weights import Origins, Stored, weight_bytes
from roofline.layer import Layer
from roofline.node import Node, Tensor
from roofline.ops import Kind, lookup
from roofline.precision import DataType

_PEAK_OF = {
    "uint8": "int8", "uint4": "int4", "uint2": "int2", "int16": "int32", "uint16": "int32", "uint32": "int32",
    "int64": "int32", "uint64": "int32", "bool": "int8", "fp8_e4m3": "fp8", "fp8_e5m2": "fp8", "fp8_e8m0": "fp8",
    "complex64": "fp32", "complex128": "fp64",
}  # fmt: skip
"""The peak that arithmetic on a datatype runs on, where it has another name."""

_BY_WEIGHT = (Kind.UNSUPPORTED, Kind.COMPUTE, Kind.MOVE, Kind.CONTROL)
"""The kind of a group is the first of these that a member has."""

_QUANTIZING = ("DynamicQuantize", "QLinear", "QAttention", "QGemm", "MatMulInteger", "ConvInteger")
"""Operators whose products are of 8-bit integers, whatever their operands' datatypes."""


def call_layers(graph: ResolvedGraph, reads: Sequence[Origins]) -> tuple[Layer, ...]:
    """Return one layer for each executed call.

    Args:
        graph: The resolved graph.
        reads: What each call reads of the stored tensors (`roofline.graph.weights`).
    """
    return tuple(
        _call_layer(resolved, origins)
        for resolved, origins in zip(graph.nodes, reads, strict=True)
    )


def group_layers(
    graph: ResolvedGraph, groups: Iterable[Group], reads: Sequence[Origins]
) -> tuple[Layer, ...]:
    """Return one layer for each group; values that live and die inside one cost no traffic.

    A group that is worked out before inference is a layer only where it multiplies, so that the multiply-accumulates
    of all groups are those of all calls.
    """
    layers = (
        _group_layer(graph, group, _united(reads[place] for place in group.members))
        for group in groups
    )
    return tuple(layer for layer in layers if layer is not None)


def _united(parts: Iterable[Origins]) -> Origins:
    found: dict[str, Stored] = {}
    for part in parts:
        for key, stored in part.items():
            if key not in found or stored.parameter:
                found[key] = stored
    return found


def _call_layer(resolved: ResolvedNode, origins: Origins) -> Layer:
    node = resolved.node
    row = lookup(node)
    inputs = _inputs(resolved)
    outputs = tuple(tensor for tensor in node.outputs if tensor is not None)
    cost, note = _cost(resolved)
    moves = row.kind not in (Kind.VIEW, Kind.CONTROL) and resolved.dynamic
    return _layer(
        name=node.name,
        op_type=node.op_type,
        kind=row.kind,
        domain=node.domain,
        cost=cost,
        inputs=inputs,
        outputs=outputs,
        origins=origins,
        moves=moves,
        repeats=resolved.repeats,
        note=note,
        members=(),
        attributes=node.attributes,
        datatype=_datatype(node) if cost.ops else None,
    )


def _group_layer(graph: ResolvedGraph, group: Group, origins: Origins) -> Layer | None:
    members = [graph.nodes[place] for place in group.members]
    costs = [_cost(resolved) for resolved in members]
    total = sum((cost for cost, _ in costs), Cost())
    if group.folded and not total.macs:
        return None
    anchor = graph.nodes[group.anchor]
    kinds = {lookup(resolved.node).kind for resolved in members}
    kind = next((kind for kind in _BY_WEIGHT if kind in kinds), Kind.VIEW)
    return _layer(
        name=anchor.node.name,
        op_type=anchor.node.op_type,
        kind=kind,
        domain=anchor.node.domain,
        cost=total,
        inputs=group.inputs,
        outputs=group.outputs,
        origins=origins,
        moves=kind not in (Kind.VIEW, Kind.CONTROL) and not group.folded,
        repeats=group.repeats,
        note=next((note for _, note in costs if note), ""),
        members=tuple(resolved.node.name for resolved in members),
        attributes=anchor.node.attributes,
        datatype=group.datatype,
    )


def _layer(
    *, name: str, op_type: str, kind: Kind, domain: str, cost: Cost, inputs: tuple[Tensor, ...],
    outputs: tuple[Tensor, ...], origins: Origins, moves: bool, repeats: int, note: str, members: tuple[str, ...],
    attributes: Mapping[str, object], datatype: str | None,
) -> Layer:  # fmt: skip
    stored = tuple(origins.values())
    parameters = sum(entry.elements for entry in stored if entry.parameter)
    read = inputs if moves else ()
    written = outputs if moves else ()
    return Layer(
        name=name,
        op_type=op_type,
        cost=Cost(
            cost.macs,
            cost.other_ops,
            parameters,
            sum(tensor.elements or 0 for tensor in read) * repeats,
            sum(tensor.elements or 0 for tensor in written) * repeats,
        ),
        kind=kind,
        domain=domain,
        inputs=inputs,
        weights=tuple(entry.tensor for entry in stored),
        outputs=outputs,
        weight_bytes=sum(weight_bytes(entry) for entry in stored),
        input_bytes=sum(tensor.bytes or 0 for tensor in read) * repeats,
        output_bytes=sum(tensor.bytes or 0 for tensor in written) * repeats,
        parameters=parameters,
        trainable_parameters=sum(
            entry.elements for entry in stored if entry.parameter and not entry.statistic
        ),
        datatype=datatype,
        repeats=repeats,
        members=members,
        attributes=attributes,
        unknown=bool(note),
        note=note,
    )


def _inputs(resolved: ResolvedNode) -> tuple[Tensor, ...]:
    """Return the input-dependent operands, each once; those that only steer are left out."""
    settings = lookup(resolved.node).settings
    found: dict[str, Tensor] = {}
    for place, tensor in enumerate(resolved.node.operands):
        if tensor is not None and not tensor.constant and place not in settings:
            found.setdefault(tensor.name, tensor)
    return tuple(found.values())


def _cost(resolved: ResolvedNode) -> tuple[Cost, str]:
    """Return the arithmetic of a call over all its trips, and why it is not known when it is not."""
    node = resolved.node
    row = lookup(node)
    if row.kind is Kind.UNSUPPORTED:
        return Cost(), f"the operator {_full_name(node)} is not supported"
    if resolved.note:
        return Cost(), resolved.note
    if row.kind is Kind.CONTROL:
        return Cost(), ""
    unsized = _unsized(node, row.settings)
    if unsized is not None:
        return Cost(), f"the size of {unsized!r} depends on data"
    return (row.cost(node) * resolved.repeats if row.cost is not None else Cost()), ""


def _full_name(node: Node) -> str:
    return f"{node.domain}::{node.op_type}" if node.domain else node.op_type


def _unsized(node: Node, settings: tuple[int, ...]) -> str | None:
    """Return the name of a value that matters and has no known size; sequences have none by nature."""
    from roofline.graph.sequences import SEQUENCE_OPERATORS

    if node.op_type in SEQUENCE_OPERATORS and not node.domain:
        return None
    for place, tensor in enumerate(node.operands):
        if tensor is not None and tensor.elements is None and place not in settings:
            return tensor.name
    return next(
        (tensor.name for tensor in node.outputs if tensor is not None and tensor.elements is None),
        None,
    )


def _datatype(node: Node) -> str | None:
    """Return the peak that a call's arithmetic runs on."""
    if node.op_type.startswith(_QUANTIZING):
        return "int8"
    types = [
        tensor.dtype for tensor in node.operands if tensor is not None and tensor.dtype is not None
    ]
    # An embedding or a comparison has integer operands beside the ones it works on.
    floats = [dtype for dtype in types if dtype.kind == "float"]
    chosen = (floats or types or [None])[0]
    if chosen is None:
        outputs = [tensor.dtype for tensor in node.outputs if tensor is not None]
        chosen = outputs[0] if outputs else None
    return _peak_name(chosen)


def _peak_name(dtype: DataType | None) -> str | None:
    if dtype is None or dtype.kind == "string":
        return None
    return _PEAK_OF.get(dtype.name, dtype.name)
