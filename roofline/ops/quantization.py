"""Quantizing, dequantizing, and elementwise operators on quantized tensors.

QuantizeLinear divides, rounds, adds the zero point and saturates (4 operations per element, 3
without a zero point); DequantizeLinear subtracts the zero point and multiplies (2, or 1 without
one); DynamicQuantizeLinear finds the range as well (2 more). com.microsoft's QLinear operators
count as dequantize, compute, quantize.

Spec: https://onnx.ai/onnx/operators/onnx__QuantizeLinear.html,
https://onnx.ai/onnx/operators/onnx__DequantizeLinear.html,
https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import ceil

from roofline.node import Node
from roofline.ops._attributes import integer, malformed_error, operand, required_integer
from roofline.ops._counts import has, input_elements, out_count, per_output
from roofline.ops._datatypes import FLOAT32, UINT8, target_or
from roofline.ops._registry import BOTH, MICROSOFT, Moves, TensorType, define
from roofline.ops._shapes import axis_of, broadcast, dtype, first_shape, result_type, scale, shape
from roofline.ops.activation import OPS_PER_ELEMENT
from roofline.ops.layout import concat_shape
from roofline.ops.matmul import DYNAMIC_QUANTIZE

QUANTIZE = 4
DEQUANTIZE = 2


def _quantize_type(node: Node) -> Sequence[TensorType | None]:
    kind = (
        dtype(node, 2) if node.operand(2) is not None else target_or(node, "output_dtype", UINT8)
    )
    operand(node, 1)
    return ((shape(node, 0), kind),)


def _dequantize_type(node: Node) -> Sequence[TensorType | None]:
    scale = operand(node, 1).dtype
    return ((shape(node, 0), target_or(node, "output_dtype", scale)),)


def _dynamic_type(node: Node) -> Sequence[TensorType | None]:
    """Return the quantized tensor, its scale and its zero point.

    Spec: https://onnx.ai/onnx/operators/onnx__DynamicQuantizeLinear.html
    """
    return ((shape(node, 0), UINT8), ((), FLOAT32), ((), UINT8))


def _binary_type(node: Node) -> Sequence[TensorType | None]:
    return ((broadcast(node, (shape(node, 0), shape(node, 3))), dtype(node, 7) or dtype(node, 0)),)


def _concat_type(node: Node) -> Sequence[TensorType | None]:
    """Return the operands at positions 2, 5, 8, ... joined; a scale and a zero point follow each."""
    tensors = [operand(node, position) for position in range(2, len(node.operands), 3)]
    found = concat_shape(
        node, [tensor.shape for tensor in tensors], required_integer(node, "axis")
    )
    return ((found, dtype(node, 1) or (tensors[0].dtype if tensors else None)),)


def _where_type(node: Node) -> Sequence[TensorType | None]:
    found = broadcast(node, (shape(node, 0), shape(node, 1), shape(node, 4)))
    return ((found, dtype(node, 8) or dtype(node, 1)),)


def _gather_type(node: Node) -> Sequence[TensorType | None]:
    """Return the gathered rows, dequantized; bytes that pack several elements widen the last dimension."""
    data, indices = shape(node, 0), shape(node, 1)
    if data is None or indices is None:
        return ((None, dtype(node, 2)),)
    axis = axis_of(node, integer(node, "gather_axis", 0), len(data))
    bits = integer(node, "bits", 4)
    if bits not in (2, 4, 8):
        raise malformed_error(node, f"attribute 'bits' must be 2, 4 or 8, it is {bits}")
    if dtype(node, 0) == UINT8 and data:
        data = (*data[:-1], scale(data[-1], 8 // bits))
    return (((*data[:axis], *indices, *data[axis + 1 :]), dtype(node, 2)),)


def _gather_moves(node: Node) -> Moves:
    """Return the rows looked up, packed as the table is, with the scales and zero points of their blocks."""
    table = operand(node, 0)
    packed = 8 // integer(node, "bits", 4) if table.dtype == UINT8 else 1
    whole = input_elements(node, 0) * packed
    share = Fraction(min(out_count(node), whole), whole or 1)
    return Moves(
        {
            place: ceil(input_elements(node, place) * share)
            for place in (0, 2, 3)
            if has(node, place)
        }
    )


define(
    "QuantizeLinear", domain=BOTH, cost=per_output(QUANTIZE - 1, 2), shape=_quantize_type, quantizers=(1, 2),
)  # fmt: skip
define(
    "DequantizeLinear", domain=BOTH, cost=per_output(DEQUANTIZE - 1, 2), shape=_dequantize_type, weights=(0,),
    quantizers=(1, 2),
)  # fmt: skip
define("DynamicQuantizeLinear", cost=per_output(DYNAMIC_QUANTIZE), shape=_dynamic_type)
for _name in ("QLinearAdd", "QLinearMul"):
    define(
        _name, domain=MICROSOFT, cost=per_output(2 * DEQUANTIZE + 1 + QUANTIZE), shape=_binary_type,
        weights=(0, 3), quantizers=(1, 2, 4, 5, 6, 7),
    )  # fmt: skip
for _name in ("LeakyRelu", "Sigmoid"):
    define(
        f"QLinear{_name}", domain=MICROSOFT, cost=per_output(DEQUANTIZE + OPS_PER_ELEMENT[_name] + QUANTIZE),
        shape=result_type(first_shape, 4, 0), quantizers=(1, 2, 3, 4),
    )  # fmt: skip
define(
    "QLinearConcat", domain=MICROSOFT, cost=per_output(DEQUANTIZE + QUANTIZE), shape=_concat_type,
    quantizers=(0, 1, *(place for place in range(2, 1024) if place % 3 != 2)),
)  # fmt: skip
define(
    "QLinearWhere", domain=MICROSOFT, cost=per_output(2 * DEQUANTIZE + 1 + QUANTIZE), shape=_where_type, weights=(1, 4),
    quantizers=(2, 3, 5, 6, 7, 8),
)  # fmt: skip
define(
    "GatherBlockQuantized", domain=MICROSOFT, cost=per_output(DEQUANTIZE), shape=_gather_type, weights=(0,),
    quantizers=(2, 3), settings=(1,), moves=_gather_moves,
)  # fmt: skip
