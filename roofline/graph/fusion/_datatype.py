"""The peak on which a call's arithmetic runs, told from the datatypes of its operands."""

from __future__ import annotations

from roofline.graph.fusion._kinds import role
from roofline.graph.fusion._view import View
from roofline.node import Node
from roofline.ops import Role
from roofline.ops.qonnx import product_peak
from roofline.precision import COMPUTE_DATATYPES, DataType, DatatypeKind

_INTEGER_OPERANDS = {
    "QLinearConv": (0, 3),
    "QLinearMatMul": (0, 3),
    "MatMulInteger": (0, 1),
    "ConvInteger": (0, 1),
    "QGemm": (0, 3),
    "QAttention": (0, 1),
    "MatMulIntegerToFloat": (0, 1),
}
"""Operators on integers, with the positions of what they multiply."""

_DYNAMIC = frozenset({"DynamicQuantizeMatMul", "DynamicQuantizeLSTM"})
"""Operators that quantize the activation themselves, to the width of the weight at position 1."""


def peak_of(dtype: DataType) -> str | None:
    """Return the peak of arithmetic on an element type, or None where no machine states one.

    Example:
        >>> from roofline.precision import DATATYPES
        >>> peak_of(DATATYPES["uint8"]), peak_of(DATATYPES["fp8_e4m3"]), peak_of(DATATYPES["string"])
        ('int8', 'fp8', None)
    """
    if dtype.kind is DatatypeKind.FLOAT:
        name = f"fp{dtype.bits}" if dtype.bits in (4, 8) else dtype.name
    elif dtype.kind in (DatatypeKind.INT, DatatypeKind.UINT):
        name = f"int{dtype.bits}"
    else:
        return None
    return name if name in COMPUTE_DATATYPES else None


def arithmetic(view: View, place: int) -> str | None:
    """Return the peak on which a call runs, or None for one without arithmetic of a known kind.

    A product whose operands all come from DequantizeLinear runs on the integers behind them. One whose weight
    alone does (weight-only quantization) runs at the activation's own type.
    """
    node = view.node(place)
    if node.op_type in _INTEGER_OPERANDS:
        return _widest(_types(node, _INTEGER_OPERANDS[node.op_type]))
    if node.op_type in _DYNAMIC:
        return _widest(_types(node, (1,)))
    if role(node) is Role.PRODUCT:
        stored = [_quantized_type(view, node, position) for position in (0, 1)]
        if all(stored):
            return _widest([dtype for dtype in stored if dtype is not None])
        if (peak := product_peak(node)) is not None:
            return peak
    types = node.carried
    floats = [dtype for dtype in types if dtype.kind is DatatypeKind.FLOAT]
    if floats:
        # The first floating-point operand is the activation; scales may be wider.
        return peak_of(floats[0])
    return peak_of(types[0]) if types else None


def _types(node: Node, positions: tuple[int, ...]) -> list[DataType]:
    found = [node.operand(position) for position in positions]
    return [tensor.dtype for tensor in found if tensor is not None and tensor.dtype is not None]


def _widest(types: list[DataType]) -> str | None:
    return peak_of(max(types, key=lambda dtype: dtype.bits)) if types else None


def _quantized_type(view: View, node: Node, position: int) -> DataType | None:
    """Return the stored type of an operand that a DequantizeLinear gives, seen through copies."""
    operand = node.operand(position)
    for _ in range(4):
        maker = None if operand is None else view.maker.get(operand.name)
        if maker is None:
            return None
        source = view.node(maker)
        operand = source.operand(0)
        if role(source) is Role.DEQUANTIZE:
            return None if operand is None else operand.dtype
        if source.op_type not in (
            "Transpose",
            "Reshape",
            "Identity",
            "Unsqueeze",
            "Squeeze",
            "Flatten",
        ):
            return None
    return None
