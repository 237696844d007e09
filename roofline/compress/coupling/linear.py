"""Channel coupling of matrix products: Gemm, MatMul, Einsum and their quantized forms."""

from __future__ import annotations

import numpy as np

from roofline.compress.coupling._registry import Axes, Call, Labels, Results, couples
from roofline.compress.coupling.elementwise import broadcast


@couples("Gemm")
def gemm(call: Call) -> Results:
    """Tie the contracted axes; the other axis of the stored matrix makes output channels.

    Spec: https://onnx.ai/onnx/operators/onnx__Gemm.html
    """
    flip_a, flip_b = call.integer("transA", 0), call.integer("transB", 0)
    a, b = call.axes(0), call.axes(1)
    call.tie(a[0 if flip_a else 1], b[1 if flip_b else 0])
    made = (a[1 if flip_a else 0], b[0 if flip_b else 1])
    if call.stored(1):
        call.produce(1, 0 if flip_b else 1)
    elif call.stored(0):
        call.produce(0, 1 if flip_a else 0)
    return [broadcast(call, [made, call.axes(2)]) if call.has(2) else made]


@couples("QGemm", domain="com.microsoft")
def qgemm(call: Call) -> Results:
    """Multiply 8-bit matrices: A at 0, B at 3 with scales at 4 and 5, C at 6.

    Spec: https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#com.microsoft.QGemm
    """
    flip_a, flip_b = call.integer("transA", 0), call.integer("transB", 0)
    a, b = call.axes(0), call.axes(3)
    call.tie(a[0 if flip_a else 1], b[1 if flip_b else 0])
    made = (a[1 if flip_a else 0], b[0 if flip_b else 1])
    call.produce(3, 0 if flip_b else 1)
    _per_column(call, made[1], (4, 5, 6))
    return [made]


@couples("MatMul")
def matmul(call: Call) -> Results:
    """Tie the contracted axes and the batch axes; a stored operand makes output channels.

    Spec: https://onnx.ai/onnx/operators/onnx__MatMul.html
    """
    return [product_of(call, 0, 1)]


@couples("MatMulInteger")
def matmul_integer(call: Call) -> Results:
    """Multiply 8-bit integer matrices: A, B, and the zero point of each.

    Spec: https://onnx.ai/onnx/operators/onnx__MatMulInteger.html
    """
    result = product_of(call, 0, 1)
    _per_column(call, result[-1], (3,))
    return [result]


@couples("QLinearMatMul")
def qlinear_matmul(call: Call) -> Results:
    """Multiply 8-bit matrices: A at 0, B at 3 with scale and zero point at 4 and 5.

    Spec: https://onnx.ai/onnx/operators/onnx__QLinearMatMul.html
    """
    result = product_of(call, 0, 3)
    _per_column(call, result[-1], (4, 5))
    return [result]


@couples("DynamicQuantizeMatMul", domain="com.microsoft")
def dynamic_quantize_matmul(call: Call) -> Results:
    """Multiply floats A by 8-bit B: scale at 2, zero point at 3, bias at 4.

    Spec: https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md
    """
    result = product_of(call, 0, 1)
    _per_column(call, result[-1], (2, 3, 4))
    return [result]


@couples("MatMulIntegerToFloat", domain="com.microsoft")
def matmul_integer_to_float(call: Call) -> Results:
    """Multiply 8-bit matrices into floats: scales at 2 and 3, zero points at 4 and 5, bias at 6.

    Spec: https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md
    """
    result = product_of(call, 0, 1)
    _per_column(call, result[-1], (3, 5, 6))
    return [result]


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
            if call.stored(position) and letter in result:
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
    if call.stored(right) and len(b) > 1:
        call.produce(right, len(b) - (2 if flip_right else 1))
    if call.stored(left) and len(a) > 1:
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
