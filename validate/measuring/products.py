"""What the products of an ONNX graph compute in, and how the file keeps what is widened for them."""

from __future__ import annotations

from pathlib import Path
from types import MappingProxyType
from typing import Any

from roofline.graph.reading.graphs import every_graph
from roofline.validate.records.executed import StoredAs

_FLOATS = MappingProxyType({1: "fp32", 10: "fp16", 11: "fp64", 16: "bf16"})
_BFLOAT16 = 16
_PACKED = MappingProxyType({21: 4, 22: 4, 23: 4, 25: 2, 26: 2})
"""Bits of ONNX's element types of less than a byte: uint4, int4, float4e2m1, uint2, int2."""

_QUANTIZED = frozenset({"QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear", "QGemm"})

_FLOAT_PRODUCTS = frozenset({
    "Conv", "ConvTranspose", "Gemm", "MatMul", "Einsum", "LSTM", "GRU", "RNN", "Attention", "FusedConv", "FusedGemm",
    "FusedMatMul", "NhwcFusedConv", "MultiHeadAttention", "GroupQueryAttention", "TransposeMatMul", "MatMulNBits",
    "FusedMatMulActivation",
})  # fmt: skip
_INTEGER_PRODUCTS = frozenset({
    "QLinearConv", "QLinearMatMul", "ConvInteger", "MatMulInteger", "MatMulIntegerToFloat", "DynamicQuantizeMatMul",
    "DynamicQuantizeLSTM", "QGemm", "QAttention", "QLinearConvTranspose", "MatMulIntegerToFloat16",
})  # fmt: skip
_WATCHED = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul"})
"""Products whose results are looked at: sums of many terms, whose rounding all that follows keeps."""
_MOST_BYTES = 1 << 30

_INTEGER_LEVEL = 4
"""Value of MatMulNBits' ``accuracy_level`` at which a runtime may quantize the activations to 8 bits."""


def storage_form(model: Any) -> StoredAs | None:
    """Return how a model keeps values that cannot be multiplied as they are, None where there are none.

    Args:
        model: An ``onnx.ModelProto``, before it is rewritten.
    """
    stored = {
        tensor.data_type for graph in every_graph(model.graph) for tensor in graph.initializer
    }
    operators = {node.op_type for graph in every_graph(model.graph) for node in graph.node}
    if "MatMulNBits" in operators or stored & _PACKED.keys():
        return StoredAs.PACKED
    if _BFLOAT16 in stored:
        return StoredAs.BF16
    if operators & _QUANTIZED or any(name.startswith("QLinear") for name in operators):
        return StoredAs.DEQUANTIZED
    return None


def stored_bits(model: Any) -> int:
    """Return how many bits each of a model's packed weights has; 0 where none is packed, or they differ.

    Args:
        model: An ``onnx.ModelProto``, before it is rewritten.
    """
    found: set[int] = set()
    for graph in every_graph(model.graph):
        found |= {_PACKED.get(tensor.data_type, 0) for tensor in graph.initializer}
        found |= {
            next((a.i for a in node.attribute if a.name == "bits"), 4)
            for node in graph.node
            if node.op_type == "MatMulNBits"
        }
    widths = found - {0}
    return widths.pop() if len(widths) == 1 else 0


def widens_in_blocks(model: Any) -> bool:
    """Return whether all narrow weights of a graph are read as they are stored, and widened within their products.

    Args:
        model: An ``onnx.ModelProto`` as it is run, after the runtime's own rewriting.
    """
    operators = {node.op_type for graph in every_graph(model.graph) for node in graph.node}
    return "MatMulNBits" in operators and "DequantizeLinear" not in operators


def product_datatypes(model: Any) -> frozenset[str]:
    """Return the datatypes of the operands that a graph's convolutions and matrix products multiply.

    Args:
        model: An ``onnx.ModelProto`` as it is run, after the runtime's own rewriting.
    """
    found: set[str] = set()
    types: dict[str, int] = {}
    for graph in every_graph(model.graph):
        for entry in (*graph.input, *graph.value_info, *graph.output):
            types.setdefault(entry.name, entry.type.tensor_type.elem_type)
        types |= {tensor.name: tensor.data_type for tensor in graph.initializer}
        for node in graph.node:
            _note_result(node, types)
            if node.op_type in _INTEGER_PRODUCTS:
                found.add("int8")
            elif node.op_type in _FLOAT_PRODUCTS:
                level = next((a.i for a in node.attribute if a.name == "accuracy_level"), 0)
                kind = types.get(node.input[0], 0)
                found.add("int8" if level == _INTEGER_LEVEL else _FLOATS.get(kind, ""))
    return frozenset(found - {""})


def with_magnitudes(path: Path) -> bytes | None:
    """Return a model that also gives the largest magnitude of each product's results, after its own outputs.

    Args:
        path: An ONNX file with its weights inside.

    Returns:
        The serialized model; None where it has no such product, or is too large for one file.
    """
    import onnx
    from onnx import TensorProto, helper

    if path.stat().st_size > _MOST_BYTES:
        return None
    model = onnx.load(path)  # pyright: ignore[reportUnknownMemberType]
    graph = model.graph
    made = [node.output[0] for node in graph.node if node.op_type in _WATCHED]
    for name in made:
        size, largest, result = (f"{name}/{step}" for step in ("size", "largest", "magnitude"))
        graph.node.append(helper.make_node("Abs", [name], [size]))
        graph.node.append(helper.make_node("ReduceMax", [size], [largest], keepdims=0))
        graph.node.append(helper.make_node("Cast", [largest], [result], to=TensorProto.DOUBLE))
        graph.output.append(helper.make_tensor_value_info(result, TensorProto.DOUBLE, []))
    return model.SerializeToString() if made else None


def _note_result(node: Any, types: dict[str, int]) -> None:
    """Note the element type of a node's first result where the graph does not state it."""
    if not node.output or types.get(node.output[0]):
        return
    if node.op_type == "Cast":
        kind = next((a.i for a in node.attribute if a.name == "to"), 0)
    else:
        # A scale has the type of what it scales back to; everywhere else the first operand's type goes on.
        position = 1 if node.op_type == "DequantizeLinear" else 0
        kind = types.get(node.input[position], 0) if len(node.input) > position else 0
    types[node.output[0]] = kind
