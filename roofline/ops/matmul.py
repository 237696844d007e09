"""Matrix products: output elements times the contracted dimension, in MACs.

A Gemm's bias adds one operation per output element; ``alpha`` and ``beta`` other than 1 one
product each. An integer result that is scaled or requantized takes the operations its docstring
says.

Spec: https://onnx.ai/onnx/operators/onnx__MatMul.html,
https://onnx.ai/onnx/operators/onnx__Gemm.html
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np

from roofline.cost import Cost
from roofline.node import Array, Node, Shape
from roofline.ops._attributes import flag, malformed_error, number, operand, text
from roofline.ops._counts import has, in_dims, out_count, per_output
from roofline.ops._datatypes import INT32
from roofline.ops._registry import MICROSOFT, TensorType, define
from roofline.ops._shapes import at_least, broadcast, dtype, merge, ranked_shape, result_type, show
from roofline.ops._values import known_value, single_result
from roofline.ops.activation import OPS_PER_ELEMENT
from roofline.ops.convolution import REQUANTIZE


def product_shape(node: Node, left: Shape | None, right: Shape | None) -> Shape | None:
    """Return the shape of numpy's matmul of two shapes."""
    if left is None or right is None:
        return None
    if not left or not right:
        raise malformed_error(node, f"operands {show(left)} and {show(right)} must not be scalars")
    inner = right[0] if len(right) == 1 else right[-2]
    merge(node, left[-1], inner, f"the contracted dimensions of {show(left)} and {show(right)}")
    batch = broadcast(node, (left[:-2], right[:-2]))
    rows = left[-2:-1] if len(left) > 1 else ()
    columns = right[-1:] if len(right) > 1 else ()
    return (*(batch or ()), *rows, *columns)


def operands_product(node: Node, right: int = 1) -> Shape | None:
    """Return the shape of the product of operand 0 and another."""
    return product_shape(node, operand(node, 0).shape, operand(node, right).shape)


def matmul_macs(node: Node, left: int = 0) -> int:
    """Return output elements times the last dimension of the left operand."""
    dims = in_dims(node, left)
    if not dims:
        raise malformed_error(node, f"operand {left} must not be a scalar")
    return out_count(node) * dims[-1]


@single_result
def _matmul(node: Node) -> Array | None:
    left, right = known_value(node, 0), known_value(node, 1)
    return None if left is None or right is None else np.asarray(np.matmul(left, right))


def _flip(shape: Shape | None, *, turned: bool) -> Shape | None:
    return (
        shape
        if shape is None or not turned or len(shape) < 2
        else (*shape[:-2], shape[-1], shape[-2])
    )


def _gemm_shape(node: Node, second: int = 1) -> Shape:
    """Return rows and columns of the product of the first operand and the one at a position."""
    left = _flip(ranked_shape(node, 0, 2), turned=flag(node, "transA")) or (None, None)
    right = _flip(ranked_shape(node, second, 2), turned=flag(node, "transB")) or (None, None)
    merge(node, left[1], right[0], f"the contracted dimensions of {show(left)} and {show(right)}")
    return (left[0], right[1])


def _gemm_macs(node: Node) -> int:
    rows, columns = in_dims(node, 0, 2)
    return out_count(node) * (rows if flag(node, "transA") else columns)


def _gemm_cost(node: Node) -> Cost:
    """Count ``M x N x K`` MACs, the bias, and the products with alpha and beta."""
    bias = has(node, 2)
    factors = (number(node, "alpha", 1.0) != 1.0) + (
        bias and number(node, "beta", 1.0) not in (0.0, 1.0)
    )
    activation = OPS_PER_ELEMENT.get(text(node, "activation", ""), 0)
    return Cost(_gemm_macs(node), (bias + factors + activation) * out_count(node))


def _fused_shape(node: Node) -> Shape | None:
    left, right = operand(node, 0).shape, operand(node, 1).shape
    left = _flip(_batch_last(left, moved=flag(node, "transBatchA")), turned=flag(node, "transA"))
    right = _flip(_batch_last(right, moved=flag(node, "transBatchB")), turned=flag(node, "transB"))
    return product_shape(node, left, right)


def _batch_last(shape: Shape | None, *, moved: bool) -> Shape | None:
    """Return a shape whose second-last axis was the first: com.microsoft's ``transBatch``."""
    return (
        shape
        if shape is None or not moved or len(shape) < 3
        else (*shape[1:-1], shape[0], shape[-1])
    )


def _fused_cost(node: Node) -> Cost:
    """Count the MACs at the transposed shapes, and the product with alpha."""
    dims: Shape = in_dims(node, 0)
    turned = _flip(_batch_last(dims, moved=flag(node, "transBatchA")), turned=flag(node, "transA"))
    inner = turned[-1] if turned else None
    scale = number(node, "alpha", 1.0) != 1.0
    elements = out_count(node)
    return Cost(elements * (inner or 0), scale * elements)


def _qgemm_type(node: Node) -> Sequence[TensorType]:
    """Return the quantized result, or fp32 when no output scale is given."""
    scaled = node.operand(7) is None
    kind = dtype(node, 1) if scaled else dtype(node, 8) or dtype(node, 0)
    return ((_gemm_shape(node, 3), kind),)


def _qgemm_cost(node: Node) -> Cost:
    """Count the MACs, the bias, and three operations per output element to requantize (one to scale only)."""
    per_element = has(node, 6) + (REQUANTIZE if has(node, 7) else 1)
    return Cost(_gemm_macs(node), per_element * out_count(node))


def _float_result_type(node: Node) -> Sequence[TensorType]:
    """Return the product as a floating-point tensor of the scale's type."""
    scale = 1 if node.op_type == "DynamicQuantizeMatMul" else 2
    shape = operands_product(node)
    own = dtype(node, 0) if node.op_type == "DynamicQuantizeMatMul" else None
    return ((shape, own or dtype(node, scale + 1) or dtype(node, scale)),)


def _dynamic_cost(node: Node) -> Cost:
    """Count the MACs; six operations per operand element quantize it, and two per result scale and add the bias."""
    left = in_dims(node, 0)
    elements = 1
    for size in left:
        elements *= size
    return Cost(
        matmul_macs(node), DYNAMIC_QUANTIZE * elements + (1 + has(node, 4)) * out_count(node)
    )


DYNAMIC_QUANTIZE = 6
"""Operations per element that find a tensor's range (2) and quantize it (divide, round, add, saturate)."""


def _packed_type(node: Node) -> Sequence[TensorType]:
    """Return ``[..., N]`` for a weight packed in blocks.

    Spec: https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#com.microsoft.MatMulNBits
    """
    data = at_least(node, 0, 1)
    inner, columns = packed_sizes(node)
    if data is None:
        return ((None, dtype(node, 0)),)
    merge(node, data[-1], inner, "the operand's last dimension and attribute 'K'")
    return (((*data[:-1], columns), dtype(node, 0)),)


def packed_sizes(node: Node) -> tuple[int, int]:
    """Return a packed weight's K and N, which only the attributes state."""
    sizes: list[int] = []
    for name in ("K", "N"):
        size = node.attributes.get(name)
        if not isinstance(size, int) or size < 1:
            raise malformed_error(
                node, f"attribute {name!r} must be a positive integer, it is {size!r}"
            )
        sizes.append(size)
    return sizes[0], sizes[1]


def _packed_cost(node: Node) -> Cost:
    """Count ``rows x K x N`` MACs, two operations per weight to dequantize it, and the bias."""
    inner, columns = packed_sizes(node)
    return Cost(out_count(node) * inner, 2 * inner * columns + has(node, 5) * out_count(node))


def _sparse_type(node: Node) -> Sequence[TensorType]:
    left = operand(node, 0).shape
    right = operand(node, 1).shape
    columns = None if not right else right[-1]
    return (
        (
            (None if not left else left[0], columns)
            if left is None or len(left) == 2
            else (*left[:-1], columns),
            dtype(node, 1),
        ),
    )


def _det_type(node: Node) -> Sequence[TensorType | None]:
    """Return one determinant per matrix.

    Spec: https://onnx.ai/onnx/operators/onnx__Det.html
    """
    data = at_least(node, 0, 2)
    if data is not None:
        merge(node, data[-1], data[-2], "the sides of the matrices")
    return ((None if data is None else data[:-2], dtype(node, 0)),)


def _det_cost(node: Node) -> Cost:
    """Count ``2 n**3 / 3`` operations per matrix: an LU decomposition."""
    side = in_dims(node, 0)[-1]
    return Cost(other_ops=out_count(node) * (2 * side**3 // 3))


_MATMUL = per_output(0, macs=matmul_macs)
_GEMM_TYPE, _SUMS = result_type(_gemm_shape, 0, 1), result_type(operands_product, INT32)

define("Det", cost=_det_cost, shape=_det_type)
define("MatMul", cost=_MATMUL, shape=result_type(operands_product, 0, 1), value=_matmul)
define("Gemm", cost=_gemm_cost, shape=_GEMM_TYPE)
define("MatMulInteger", cost=_MATMUL, shape=_SUMS, weights=(0, 1), quantizers=(2, 3))
define(
    "QLinearMatMul", cost=per_output(REQUANTIZE, macs=matmul_macs),
    shape=result_type(partial(operands_product, right=3), 7, 0), weights=(0, 3), quantizers=(1, 2, 4, 5, 6, 7),
)  # fmt: skip
define("FusedGemm", domain=MICROSOFT, cost=_gemm_cost, shape=_GEMM_TYPE)
define(
    "FusedMatMul", "TransposeMatMul", "FusedMatMulActivation", domain=MICROSOFT, cost=_fused_cost,
    shape=result_type(_fused_shape, 0),
)  # fmt: skip
define("SparseToDenseMatMul", domain=MICROSOFT, cost=_MATMUL, shape=_sparse_type)
define("MatMulInteger16", domain=MICROSOFT, cost=_MATMUL, shape=_SUMS, weights=(0, 1))
define(
    "QGemm", domain=MICROSOFT, cost=_qgemm_cost, shape=_qgemm_type, weights=(0, 3, 6), quantizers=(1, 2, 4, 5, 7, 8),
)  # fmt: skip
define(
    "DynamicQuantizeMatMul", domain=MICROSOFT, cost=_dynamic_cost, shape=_float_result_type, weights=(1, 4),
    quantizers=(2, 3),
)  # fmt: skip
define(
    "MatMulIntegerToFloat", domain=MICROSOFT, cost=per_output(1, 6, macs=matmul_macs), shape=_float_result_type,
    weights=(0, 1, 6), quantizers=(2, 3, 4, 5),
)  # fmt: skip
define(
    "MatMulNBits", domain=MICROSOFT, cost=_packed_cost, shape=_packed_type, weights=(1, 5), quantizers=(2, 3),
    settings=(4,),
)  # fmt: skip
define(
    "MatMulBnb4", domain=MICROSOFT, cost=_packed_cost, shape=_packed_type, weights=(1,), quantizers=(2,),
)  # fmt: skip
