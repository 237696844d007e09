"""Executed calls, or groups of them that a runtime fuses, as layers with their counts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import reduce

from roofline.cost import Cost
from roofline.graph.fusion._kinds import role
from roofline.graph.fusion.group import Group
from roofline.graph.totals.caches import Caches, caches_of
from roofline.graph.totals.costs import CallCost
from roofline.graph.walking.limits import limit_note, limit_of
from roofline.graph.walking.resolved import ResolvedGraph, ResolvedNode
from roofline.graph.walking.weights import Origins, StoredTensor
from roofline.layer import Access, Layer, Use, access
from roofline.node import Node, Tensor
from roofline.ops import Kind, Moves, Role
from roofline.ops._attributes import translate_errors
from roofline.ops.qonnx import product_peak
from roofline.precision import DataType, DatatypeKind

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
    caches = caches_of(graph)
    return tuple(
        _layer(graph, _lone(place, resolved, call), [call], origins, caches, alone=True)
        for place, (resolved, call, origins) in enumerate(
            zip(graph.nodes, costs, reads, strict=True)
        )
    )


def group_layers(
    graph: ResolvedGraph,
    groups: Iterable[Group],
    costs: Sequence[CallCost],
    reads: Sequence[Origins],
) -> tuple[Layer, ...]:
    """Return one layer for each group; values that live and die inside one cost no traffic.

    A group that is worked out before inference is no layer; it never multiplies and accumulates.
    """
    caches = caches_of(graph)
    return tuple(
        _layer(
            graph,
            group,
            [costs[place] for place in group.members],
            _unite(group.members, reads),
            caches,
        )
        for group in groups
        if not group.folded
    )


def _unite(members: Sequence[int], reads: Sequence[Origins]) -> Origins:
    if len(members) == 1:
        return reads[members[0]]
    found: dict[str, StoredTensor] = {}
    for place in members:
        for key, stored in reads[place].items():
            before = found.get(key)
            if before is None or (stored.parameter, stored.share) > (
                before.parameter,
                before.share,
            ):
                found[key] = stored
    return found


def _lone(place: int, resolved: ResolvedNode, call: CallCost) -> Group:
    """Return a call as a group of its own, which reads what does not only steer it and gives all its results."""
    node, settings = resolved.node, call.row.settings
    inputs: dict[str, Tensor] = {}
    readers: dict[str, tuple[tuple[int, int], ...]] = {}
    for position, tensor in enumerate(node.operands):
        if tensor is not None and not tensor.constant:
            readers[tensor.name] = (*readers.get(tensor.name, ()), (place, position))
            if position not in settings:
                inputs.setdefault(tensor.name, tensor)
    outputs = tuple([tensor for tensor in node.outputs if tensor is not None])
    datatype = _datatype(node) if call.cost.ops else None
    return Group(
        (place,), place, (), tuple(inputs.values()), readers, outputs, datatype, resolved.repeats
    )


def _moved(
    graph: ResolvedGraph, group: Group, calls: Sequence[CallCost], caches: Caches
) -> Iterator[Access]:
    """Yield what is read of each value that enters a group, and what leaves it."""
    moves = {
        place: caches.moves(graph.nodes[place].node, moves_of(graph.nodes[place].node, call))
        for place, call in zip(group.members, calls, strict=True)
    }
    readers = {
        name: [(moves[place], position) for place, position in places]
        for name, places in group.readers.items()
    }
    written = _caches_written([(graph.nodes[place].node, moves[place]) for place in moves])
    yield from _read(group.inputs, readers, group.repeats)
    yield from _writes(group.outputs, written, group.repeats)


_WHOLE = Moves()


def moves_of(node: Node, call: CallCost) -> Moves:
    """Return what a call moves in part; nothing is known of one whose sizes are not."""
    if call.row.moves is None or call.note:
        return _WHOLE
    with translate_errors(node):
        return call.row.moves(node)


def _read(
    inputs: Iterable[Tensor], readers: Mapping[str, Sequence[tuple[Moves, int]]], repeats: int
) -> Iterator[Access]:
    """Yield what is read of each input: all of it, unless every reader takes a part."""
    for tensor in inputs:
        whole = tensor.elements or 0
        places = readers.get(tensor.name, ())
        cached = [
            moves.cache_reads[place] for moves, place in places if place in moves.cache_reads
        ]
        if cached and len(cached) == len(places):
            yield access(Use.CACHE_READ, tensor, max(cached) * repeats)
            continue
        parts = [moves.reads.get(place, whole) for moves, place in places]
        yield access(Use.INPUT, tensor, max(parts, default=whole) * repeats)


def _caches_written(calls: Iterable[tuple[Node, Moves]]) -> Mapping[str, int]:
    """Return the new elements of each cache that calls write, by the name of the result."""
    return {
        output.name: elements
        for node, moves in calls
        for place, elements in moves.cache_writes.items()
        if place < len(node.outputs) and (output := node.outputs[place]) is not None
    }


def _writes(
    outputs: Iterable[Tensor], caches: Mapping[str, int], repeats: int
) -> Iterator[Access]:
    for tensor in outputs:
        if tensor.name in caches:
            yield access(Use.CACHE_WRITE, tensor, caches[tensor.name] * repeats)
        else:
            yield access(Use.OUTPUT, tensor, (tensor.elements or 0) * repeats)


def _layer(
    graph: ResolvedGraph,
    group: Group,
    calls: Sequence[CallCost],
    origins: Origins,
    caches: Caches,
    *,
    alone: bool = False,
) -> Layer:
    """Return a group as a layer; of a call that is looked at alone, nothing moves where it depends on no input."""
    nodes = [graph.nodes[place].node for place in group.members]
    anchor = graph.nodes[group.anchor]
    kinds = {call.row.kind for call in calls}
    kind = next((kind for kind in _BY_WEIGHT if kind in kinds), Kind.VIEW)
    moves = kind not in (Kind.VIEW, Kind.CONTROL) and (anchor.dynamic or not alone)
    moved = _moved(graph, group, calls, caches) if moves else ()
    cost = calls[0].cost if len(calls) == 1 else sum((call.cost for call in calls), Cost())
    note = next((call.note for call in calls if call.note), "")
    limit = reduce(lambda a, b: a | b, map(limit_of, nodes))
    stored = tuple(origins.values())
    parameters = trainable = 0
    for entry in stored:
        if entry.parameter:
            parameters += entry.elements
            trainable += 0 if entry.statistic else entry.elements
    read = tuple(_weight_access(key, entry) for key, entry in origins.items())
    accesses = (*read, *moved)
    elements = dict.fromkeys(Use, 0)
    sizes = dict.fromkeys(Use, 0)
    for entry in accesses:
        if entry.use is not Use.WEIGHT or entry.parameter:
            elements[entry.use] += entry.elements
        sizes[entry.use] += entry.bytes
    return Layer(
        name=anchor.node.name,
        op_type=anchor.node.op_type,
        cost=Cost(
            cost.macs,
            cost.other_ops,
            elements[Use.WEIGHT],
            elements[Use.INPUT],
            elements[Use.OUTPUT],
            elements[Use.CACHE_READ],
            elements[Use.CACHE_WRITE],
            cost.masked_macs,
            cost.masked_ops,
        ),
        kind=kind,
        domain=anchor.node.domain,
        inputs=group.inputs,
        weights=tuple(entry.tensor for entry in read),
        outputs=group.outputs,
        weight_bytes=sizes[Use.WEIGHT],
        input_bytes=sizes[Use.INPUT],
        output_bytes=sizes[Use.OUTPUT],
        cache_read_bytes=sizes[Use.CACHE_READ],
        cache_written_bytes=sizes[Use.CACHE_WRITE],
        accesses=accesses,
        parameters=parameters,
        trainable_parameters=trainable,
        datatype=group.datatype,
        repeats=group.repeats,
        members=() if alone else tuple([node.name for node in nodes]),
        attributes=anchor.node.attributes,
        unknown=bool(note),
        note=note or limit_note(limit),
        at_most=bool(limit),
    )


def _weight_access(key: str, entry: StoredTensor) -> Access:
    """Return the reading of a stored tensor under the name it is stored by, which calls of a function share."""
    tensor = entry.tensor if entry.tensor.name == key else replace(entry.tensor, name=key)
    return Access(
        Use.WEIGHT,
        tensor,
        entry.read_elements,
        entry.read_bytes,
        entry.parameter,
        entry.share != 1,
    )


def _datatype(node: Node) -> str | None:
    """Return the peak that a call's arithmetic runs on."""
    if node.op_type.startswith(_QUANTIZING):
        return "int8"
    if role(node) is Role.PRODUCT and (peak := product_peak(node)) is not None:
        return peak
    types = node.carried
    # An embedding or a comparison has integer operands beside the ones it works on.
    floats = [dtype for dtype in types if dtype.kind is DatatypeKind.FLOAT]
    chosen = (floats or types or [None])[0]
    if chosen is None:
        outputs = [tensor.dtype for tensor in node.outputs if tensor is not None]
        chosen = outputs[0] if outputs else None
    return _peak_name(chosen)


def _peak_name(dtype: DataType | None) -> str | None:
    if dtype is None or dtype.kind is DatatypeKind.STRING:
        return None
    return _PEAK_OF.get(dtype.name, dtype.name)
