"""A model counted by the definitions that reference counts use, not always a workload's.

Multiply-accumulates by family, stored tensors by where they lie, and the constant operands of multiply-accumulate calls
by value name: one stored weight behind several Transposes is several operands.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from roofline.binding import Binding
from roofline.graph.reading.graphs import every_graph, stored_in
from roofline.graph.reading.read import read
from roofline.graph.reading.tensors import sparse_tensor, stored_tensor
from roofline.graph.totals.costs import call_costs, unmask
from roofline.graph.totals.liveness import CONTAINERS, activations
from roofline.graph.walking.resolve import resolve
from roofline.graph.walking.resolved import ResolvedNode
from roofline.node import Tensor
from roofline.precision import DatatypeKind

FAMILIES = ("conv", "gemm", "matmul", "rnn", "einsum", "other")
"""Where multiply-accumulates come from; ``other`` is attention and whatever else multiplies."""

_WEIGHT_TYPES = frozenset({
    "fp64", "fp32", "fp16", "bf16", "int8", "uint8", "fp8_e4m3", "fp8_e5m2", "int4", "uint4", "int2", "uint2", "fp4",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Census:
    """Totals of one inference by the reference definitions."""

    macs_conv: int
    macs_gemm: int
    macs_matmul: int
    macs_rnn: int
    macs_einsum: int
    macs_other: int
    params_initializer: int
    """Elements of float, int8 and narrower initializers, in all graphs, branches not taken too."""
    weight_bytes_initializer: int
    params_constant_nodes: int
    """The same for tensors in Constant nodes."""
    weight_bytes_constant_nodes: int
    mac_weight_elems: int
    """Elements of the distinct constant operands of executed multiply-accumulate calls."""
    mac_weight_bytes: int
    act_bytes_all: int
    act_bytes_dyn: int
    act_bytes_dyn_float: int
    peak_live_bytes: int
    nodes_in_file: int
    nodes_executed: int
    """Calls that run, Constant nodes aside, each as often as it runs."""


def census(path: Path, binding: Binding) -> Census:
    """Count a model by the reference definitions; calls of unknown size count as nothing."""
    model = read(path)
    graph = resolve(model, name=path.stem, binding=binding)
    costs = unmask(call_costs(graph))
    macs: dict[str, int] = dict.fromkeys(FAMILIES, 0)
    operands: dict[str, Tensor] = {}
    executed = 0
    for resolved, call in zip(graph.nodes, costs, strict=True):
        node = resolved.node
        executed += resolved.repeats if node.op_type != "Constant" else 0
        if not call.cost.macs:
            continue
        macs[family_of(node.op_type)] += call.cost.macs
        for tensor in node.operands:
            if tensor is not None and tensor.constant:
                operands[tensor.name] = tensor
    results = [
        (output, call)
        for call in graph.nodes
        for output in call.node.outputs
        if output is not None and call.node.op_type not in (*CONTAINERS, "Constant")
    ]
    floats = [(output, call) for output, call in results if call.dynamic and _is_float(output)]
    written = activations(graph)
    graphs = list(every_graph(model.graph))
    stored = [
        *(stored_tensor(entry, entry.name) for own in graphs for entry in own.initializer),
        *(
            sparse_tensor(part, part.values.name)
            for own in graphs
            for part in own.sparse_initializer
        ),
    ]
    initializers = [tensor for tensor in stored if _is_weight(tensor)]
    noted = [entry for own in graphs for entry in list(stored_in(own))[len(own.initializer) :]]
    constants = [held for name, entry in noted if _is_weight(held := stored_tensor(entry, name))]
    functions = [inner for own in model.functions for inner in every_graph(own)]
    return Census(
        macs["conv"], macs["gemm"], macs["matmul"], macs["rnn"], macs["einsum"], macs["other"],
        _elements(initializers), _bytes(initializers), _elements(constants), _bytes(constants),
        _elements(operands.values()), _bytes(operands.values()),
        _written(results), written.dynamic_bytes, _written(floats), written.peak_bytes,
        sum(len(own.node) for own in (*graphs, *functions)), executed,
    )  # fmt: skip


def family_of(op_type: str) -> str:
    """Return the family of an operator that multiplies and accumulates."""
    if "Attention" in op_type:
        return "other"
    for part, name in (
        ("Conv", "conv"),
        ("MatMul", "matmul"),
        ("Gemm", "gemm"),
        ("Einsum", "einsum"),
    ):
        if part in op_type:
            return name
    return "rnn" if op_type.endswith(("LSTM", "GRU", "RNN")) else "other"


def _is_weight(tensor: Tensor) -> bool:
    return tensor.dtype is not None and tensor.dtype.name in _WEIGHT_TYPES


def _is_float(tensor: Tensor) -> bool:
    return tensor.dtype is not None and tensor.dtype.kind is DatatypeKind.FLOAT


def _written(results: Iterable[tuple[Tensor, ResolvedNode]]) -> int:
    return sum((tensor.bytes or 0) * call.repeats for tensor, call in results)


def _elements(tensors: Iterable[Tensor]) -> int:
    return sum(tensor.elements or 0 for tensor in tensors)


def _bytes(tensors: Iterable[Tensor]) -> int:
    return sum(tensor.bytes or 0 for tensor in tensors)
