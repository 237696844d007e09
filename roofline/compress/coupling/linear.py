"""Channel coupling of matrix products: Gemm, MatMul, Einsum and their quantized forms."""

from __future__ import annotations

from functools import partial

import numpy as np

from roofline.compress.coupling._registry import Axes, Call, Labels, Results, couples, couplings
from roofline.compress.coupling.elementwise import broadcast


@couples("Gemm")
def gemm(call: Call) -> Results:
    """Tie the contracted axes; the other axis of the stored matrix makes output channels.

    Spec: https://onnx.ai/onnx/operators/onnx__Gemm.html
    """
    made = _gemm(call, 1)
    return [broadcast(call, [made, call.axes(2)]) if call.has(2) else made]


@couples("QGemm", domain="com.microsoft")
def qgemm(call: Call) -> Results:
    """Multiply 8-bit matrices: A at 0, B at 3 with scales at 4 and 5, C at 6.

    Spec: https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#com.microsoft.QGemm
    """
    made = _gemm(call, 3)
    _per_column(call, made[1], (4, 5, 6))
    return [made]


def _gemm(call: Call, right: int) -> Axes:
    """Couple the product of operand 0 and another matrix, either of them turned, and return its rows and columns."""
    flip_a, flip_b = call.integer("transA", 0), call.integer("transB", 0)
    a, b = call.axes(0), call.axes(right)
    call.tie(a[0 if flip_a else 1], b[1 if flip_b else 0])
    if call.is_stored(right):
        call.produce(right, 0 if flip_b else 1)
    elif call.is_stored(0):
        call.produce(0, 1 if flip_a else 0)
    return (a[1 if flip_a else 0], b[0 if flip_b else 1])


@couples("MatMul")
def matmul(call: Call) -> Results:
    """Tie the contracted axes and the batch axes; a stored operand makes output channels.

    Spec: https://onnx.ai/onnx/operators/onnx__MatMul.html
    """
    return [product_of(call, 0, 1)]


QUANTIZED_PRODUCTS = {
    "::MatMulInteger": (1, (3,)),
    "::QLinearMatMul": (3, (4, 5)),
    "com.microsoft::DynamicQuantizeMatMul": (1, (2, 3, 4)),
    "com.microsoft::MatMulIntegerToFloat": (1, (3, 5, 6)),
}
"""Products of 8-bit matrices, of which A is operand 0: the place of B, and those of B's scales, zero points and biases.

Specs: https://onnx.ai/onnx/operators/onnx__MatMulInteger.html,
https://onnx.ai/onnx/operators/onnx__QLinearMatMul.html,
https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md
"""


def _quantized_product(call: Call, right: int, per_column: tuple[int, ...]) -> Results:
    """Tie the axes of a product of 8-bit matrices, and what is given for each column of B to its columns."""
    result = product_of(call, 0, right)
    _per_column(call, result[-1], per_column)
    return [result]


for _operator, (_right, _columns) in QUANTIZED_PRODUCTS.items():
    couplings.add(_operator, partial(_quantized_product, right=_right, per_column=_columns))


@couples("FusedMatMul", domain="com.microsoft")
def fused_matmul(call: Call) -> Results:
    """Multiply, with either operand's last two axes swapped.

    Spec: https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#com.microsoft.FusedMatMul
    """
    if call.integer("transBatchA", 0) or call.integer("transBatchB", 0):
        return call.block("transposes its batch axes")
    return [
        product_of(call, 0, 1, bool(call.integer("transA", 0)), bool(call.integer("transB", 0)))
    ]


@couples("Einsum")
def einsum(call: Call) -> Results:
    """Tie the axes that share a letter.

    Spec: https://onnx.ai/onnx/operators/onnx__Einsum.html
    """
    equation = call.attribute("equation", b"").decode().replace(" ", "")
    if "." in equation or "->" not in equation:
        return call.block("has an equation with an ellipsis or without a result")
    terms, result = equation.split("->")
    letters: dict[str, Labels] = {}
    for position, term in enumerate(terms.split(",")):
        for letter, labels in zip(term, call.axes(position), strict=True):
            if letter in letters:
                call.tie(letters[letter], labels)
            if letter not in letters or len(labels) > len(letters[letter]):
                letters[letter] = labels
    for position, term in enumerate(terms.split(",")):
        for axis, letter in enumerate(term):
            if call.is_stored(position) and letter in result:
                call.produce(position, axis)
    return [tuple(letters[letter] for letter in result)]


def product_of(
    call: Call,
    left: int,
    right: int,
    flip_left: bool = False,
    flip_right: bool = False,
) -> Axes:
    """Couple a matrix product of two operands, of any rank, and return the labels of the result."""
    a, b = call.axes(left), call.axes(right)
    a = (*a[:-2], a[-1], a[-2]) if flip_left else a
    b = (*b[:-2], b[-1], b[-2]) if flip_right else b
    call.tie(a[-1], b[-min(2, len(b))])
    if call.is_stored(right) and len(b) > 1:
        call.produce(right, len(b) - (2 if flip_right else 1))
    if call.is_stored(left) and len(a) > 1:
        call.produce(left, len(a) - (1 if flip_left else 2))
    batch = broadcast(call, [a[:-2], b[:-2]])
    rows = a[-2:-1] if len(a) > 1 else ()
    columns = b[-1:] if len(b) > 1 else ()
    return (*batch, *rows, *columns)


def _per_column(call: Call, columns: Labels, positions: tuple[int, ...]) -> None:
    for position in positions:
        axes = call.axes(position)
        if axes and len(axes[-1]) == len(columns):
            call.tie(axes[-1], columns)
        elif axes and np.size(axes[-1]) > 1:
            call.fix(columns, "scales of another length")
