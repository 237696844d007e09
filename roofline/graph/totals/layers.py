"""Executed calls, or groups of them that a runtime fuses, as layers with their counts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from roofline.cost import Cost
from roofline.graph.fusion.group import Group
from roofline.graph.totals.costs import CallCost
from roofline.graph.walking.resolved import ResolvedGraph, ResolvedNode
from roofline.graph.walking.weights import Origins, Stored, weight_bytes
from roofline.layer import Layer
from roofline.node import Node, Tensor
from roofline.ops import Kind
from roofline.precision import DataType, packed_bytes

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


def call_layers(
    graph: ResolvedGraph, costs: Sequence[CallCost], reads: Sequence[Origins]
) -> tuple[Layer, ...]:
    """Return one layer for each executed call.

    Args:
        graph: The resolved graph.
        costs: What each call computes (`roofline.graph.totals.costs`).
        reads: What each call reads of the stored tensors (`roofline.graph.walking.weights`).
    """
    return tuple(map(_call_layer, graph.nodes, costs, reads))


def group_layers(
    graph: ResolvedGraph,
    groups: Iterable[Group],
    costs: Sequence[CallCost],
    reads: Sequence[Origins],
) -> tuple[Layer, ...]:
    """Return one layer for each group; values that live and die inside one cost no traffic.

    A group that is worked out before inference is no layer; it never multiplies and accumulates.
    """
    return tuple(
        _group_layer(
            graph, group, [costs[place] for place in group.members], _united(group.members, reads)
        )
        for group in groups
        if not group.folded
    )


def _united(members: Sequence[int], reads: Sequence[Origins]) -> Origins:
    if len(members) == 1:
        return reads[members[0]]
    found: dict[str, Stored] = {}
    for place in members:
        for key, stored in reads[place].items():
            if key not in found or stored.parameter:
                found[key] = stored
    return found


def _call_layer(resolved: ResolvedNode, call: CallCost, origins: Origins) -> Layer:
    node = resolved.node
    return _layer(
        name=node.name,
        op_type=node.op_type,
        kind=call.row.kind,
        domain=node.domain,
        cost=call.cost,
        inputs=_inputs(resolved, call.row.settings),
        outputs=tuple([tensor for tensor in node.outputs if tensor is not None]),
        origins=origins,
        moves=resolved.dynamic and call.row.kind not in (Kind.VIEW, Kind.CONTROL),
        repeats=resolved.repeats,
        note=call.note,
        members=(),
        attributes=node.attributes,
        datatype=_datatype(node) if call.cost.ops else None,
    )


def _group_layer(
    graph: ResolvedGraph, group: Group, calls: Sequence[CallCost], origins: Origins
) -> Layer:
    anchor = graph.nodes[group.anchor].node
    kinds = {call.row.kind for call in calls}
    kind = next((kind for kind in _BY_WEIGHT if kind in kinds), Kind.VIEW)
    return _layer(
        name=anchor.name,
        op_type=anchor.op_type,
        kind=kind,
        domain=anchor.domain,
        cost=calls[0].cost if len(calls) == 1 else sum((call.cost for call in calls), Cost()),
        inputs=group.inputs,
        outputs=group.outputs,
        origins=origins,
        moves=kind not in (Kind.VIEW, Kind.CONTROL),
        repeats=group.repeats,
        note=next((call.note for call in calls if call.note), ""),
        members=tuple([graph.nodes[place].node.name for place in group.members]),
        attributes=anchor.attributes,
        datatype=group.datatype,
    )


def _layer(
    *, name: str, op_type: str, kind: Kind, domain: str, cost: Cost, inputs: tuple[Tensor, ...],
    outputs: tuple[Tensor, ...], origins: Origins, moves: bool, repeats: int, note: str, members: tuple[str, ...],
    attributes: Mapping[str, object], datatype: str | None,
) -> Layer:  # fmt: skip
    stored = tuple(origins.values())
    parameters = trainable = stored_bytes = 0
    for entry in stored:
        stored_bytes += weight_bytes(entry)
        if entry.parameter:
            parameters += entry.elements
            trainable += 0 if entry.statistic else entry.elements
    read_elements, read_bytes = _sizes(inputs) if moves else (0, 0)
    written_elements, written_bytes = _sizes(outputs) if moves else (0, 0)
    return Layer(
        name=name,
        op_type=op_type,
        cost=Cost(
            cost.macs,
            cost.other_ops,
            parameters,
            read_elements * repeats,
            written_elements * repeats,
        ),
        kind=kind,
        domain=domain,
        inputs=inputs,
        weights=tuple(entry.tensor for entry in stored),
        outputs=outputs,
        weight_bytes=stored_bytes,
        input_bytes=read_bytes * repeats,
        output_bytes=written_bytes * repeats,
        parameters=parameters,
        trainable_parameters=trainable,
        datatype=datatype,
        repeats=repeats,
        members=members,
        attributes=attributes,
        unknown=bool(note),
        note=note,
    )


def _sizes(tensors: Iterable[Tensor]) -> tuple[int, int]:
    """Return elements and bytes of tensors; one of unknown size adds nothing."""
    elements = size = 0
    for tensor in tensors:
        count = tensor.elements
        if count is not None:
            elements += count
            if tensor.dtype is not None:
                size += packed_bytes(count, tensor.dtype.bits)
    return elements, size


def _inputs(resolved: ResolvedNode, settings: tuple[int, ...]) -> tuple[Tensor, ...]:
    """Return the input-dependent operands, each once; those that only steer are left out."""
    found: dict[str, Tensor] = {}
    for place, tensor in enumerate(resolved.node.operands):
        if tensor is not None and not tensor.constant and place not in settings:
            found.setdefault(tensor.name, tensor)
    return tuple(found.values())


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
