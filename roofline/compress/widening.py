"""Half-precision networks as networks that compute in fp32, for tools that quantize nothing else.

What is stored in half floats stays so, behind a Cast; inputs and outputs keep their type.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from roofline.graph.reading.graphs import copy_of, replace_calls
from roofline.graph.reading.reads import rename_reads, subgraphs

if TYPE_CHECKING:
    from collections.abc import Iterable

    import onnx

_TYPES = frozenset({"to", "dtype", "output_dtype", "stash_type"})
"""Attributes that name an element type."""


def widen(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a model whose half-precision values are computed in fp32; the given model is unchanged.

    Args:
        model: Without local functions.
    """
    copy = copy_of(model)
    if not _widen(copy.graph):
        return model
    _cast_interface(copy.graph)
    return copy


def _widen(graph: onnx.GraphProto) -> bool:
    """Store halves behind a Cast and let calls give fp32, in subgraphs too; return whether there were any halves."""
    from onnx import TensorProto, helper

    changed = False
    casts: list[onnx.NodeProto] = []
    stored = [tensor for tensor in graph.initializer if tensor.data_type == TensorProto.FLOAT16]
    listed = {given.name: given for given in graph.input}
    for tensor in stored:
        name, tensor.name = tensor.name, f"{tensor.name}_half"
        if name in listed:
            graph.input.remove(listed[name])
        casts.append(
            helper.make_node("Cast", [tensor.name], [name], f"{name}_wide", to=TensorProto.FLOAT)
        )
    for node in graph.node:
        changed |= _retype(node)
        if node.op_type == "Constant" and _holds_half(node):
            name, node.output[0] = node.output[0], f"{node.output[0]}_half"
            casts.append(
                helper.make_node(
                    "Cast", [node.output[0]], [name], f"{name}_wide", to=TensorProto.FLOAT
                )
            )
        for inner in subgraphs(node):
            changed |= _widen(inner)
            for entry in (*inner.input, *inner.output):
                if entry.type.tensor_type.elem_type == TensorProto.FLOAT16:
                    entry.type.tensor_type.elem_type = TensorProto.FLOAT
    halves = any(
        entry.type.tensor_type.elem_type == TensorProto.FLOAT16
        for entry in (*graph.input, *graph.output)
    )
    del graph.value_info[:]
    _order(graph, casts)
    return changed or bool(casts) or halves


def _holds_half(node: onnx.NodeProto) -> bool:
    from onnx import TensorProto

    return any(a.name == "value" and a.t.data_type == TensorProto.FLOAT16 for a in node.attribute)


def _retype(node: onnx.NodeProto) -> bool:
    """Let a call that names half precision as its result's type give fp32; return whether it did."""
    from onnx import TensorProto, numpy_helper

    changed = False
    for attribute in node.attribute:
        if attribute.name in _TYPES and attribute.i == TensorProto.FLOAT16:
            attribute.i, changed = TensorProto.FLOAT, True
        elif node.op_type == "ConstantOfShape" and attribute.t.data_type == TensorProto.FLOAT16:
            array = numpy_helper.to_array(attribute.t).astype("float32")
            attribute.t.CopyFrom(numpy_helper.from_array(array))
            changed = True
    return changed


def _order(graph: onnx.GraphProto, casts: list[onnx.NodeProto]) -> None:
    """Put each Cast right after the constant it takes, and those of stored tensors first."""
    after = {cast.input[0]: cast for cast in casts}
    constants = {name for node in graph.node if node.op_type == "Constant" for name in node.output}
    nodes = [cast for cast in casts if cast.input[0] not in constants]
    for node in graph.node:
        nodes.append(node)
        nodes += [after[name] for name in node.output if name in after and name in constants]
    replace_calls(graph, nodes)


def _cast_interface(graph: onnx.GraphProto) -> None:
    """Cast half-precision inputs to fp32 where they come in, and outputs back where they leave."""
    from onnx import TensorProto, helper

    def halves(entries: Iterable[onnx.ValueInfoProto]) -> list[str]:
        return [e.name for e in entries if e.type.tensor_type.elem_type == TensorProto.FLOAT16]

    inputs, outputs = halves(graph.input), halves(graph.output)
    names = {name: f"{name}_wide" for name in (*inputs, *outputs)}
    nodes = [rename_reads(node, names) for node in graph.node]
    for node in nodes:
        for place, name in enumerate(node.output):
            node.output[place] = names.get(name, name)
    first = [
        helper.make_node("Cast", [name], [names[name]], f"{name}_widened", to=TensorProto.FLOAT)
        for name in inputs
    ]
    last = [
        helper.make_node("Cast", [names[name]], [name], f"{name}_narrowed", to=TensorProto.FLOAT16)
        for name in outputs if name not in inputs
    ]  # fmt: skip
    replace_calls(graph, [*first, *nodes, *last])
