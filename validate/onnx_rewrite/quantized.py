"""Quantized ONNX operators in forms that TVM computes in integers, or exactly as their definition says.

A QLinear product becomes dequantize, product, quantize, which `roofline.validate.tvm.integer` turns into 8-bit
operands with 32-bit sums; where that form cannot hold it (weights that change, zero points that are computed), and
for ConvInteger, the product is one of 32-bit integers. Sums, activations and pools of quantized values are defined by
ONNX Runtime through real numbers (https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from roofline.node import Array, Attributes
from roofline.validate.measuring.backend import UnsupportedModelError
from roofline.validate.onnx_rewrite.scope import Scope, attributes_of, operand

_FLOAT, _INT32, _UINT8 = 1, 6, 2
_SMALL = frozenset({21, 22, 25, 26})
"""ONNX's numbers of uint4, int4, uint2 and int2."""


def real_convolution(scope: Scope, node: Any) -> bool:
    """Replace QLinearConv by dequantize, Conv, quantize."""
    inputs = node.input
    weights, scale, middle = _weights(scope, node, 3)
    wide = _dequantize(scope, inputs[0], inputs[1], inputs[2])
    operands = [wide, _dequantize(scope, weights, scale, middle, axis=0)]
    if operand(node, 8):
        bias = _constant(scope, node, 8).astype(np.float32)
        step = _constant(scope, node, 1) * _constant(scope, node, 4).reshape(-1)
        operands.append(scope.constant(bias * step, "bias"))
    result = scope.emit("Conv", operands, **attributes_of(node))[0]
    scope.emit("QuantizeLinear", [result, inputs[6], inputs[7]], [node.output[0]])
    return True


def real_product(scope: Scope, node: Any) -> bool:
    """Replace QLinearMatMul by dequantize, MatMul, quantize, or by a product of 32-bit integers."""
    inputs = node.input
    stored = scope.value(inputs[3])
    if stored is not None and stored.ndim == 2 and scope.value(inputs[2]) is not None:
        weights, scale, middle = _weights(scope, node, 3)
        left = _dequantize(scope, inputs[0], inputs[1], inputs[2])
        right = _dequantize(scope, weights, scale, middle, axis=1)
        result = scope.call("MatMul", left, right)
    else:
        left = _centre(scope, inputs[0], inputs[2], rows=True)
        right = _centre(scope, inputs[3], inputs[5], rows=False)
        total = scope.call("Cast", scope.call("MatMul", left, right), to=_FLOAT)
        rows = _as_column(scope, inputs[1]) if math.prod(scope.shape(inputs[1])) > 1 else inputs[1]
        step = scope.call("Mul", rows, inputs[4])
        result = scope.call("Mul", total, step)
    scope.emit("QuantizeLinear", [result, inputs[6], inputs[7]], [node.output[0]])
    return True


def real_gemm(scope: Scope, node: Any) -> bool:
    """Replace ONNX Runtime's QGemm by dequantize, Gemm, and quantize where its result is quantized."""
    inputs, attributes = node.input, attributes_of(node)
    weights, scale, middle = _weights(scope, node, 3)
    axis = 0 if attributes.get("transB", 0) else 1
    operands = [
        _dequantize(scope, inputs[0], inputs[1], inputs[2]),
        _dequantize(scope, weights, scale, middle, axis=axis),
    ]
    alpha = attributes.get("alpha", 1.0)
    if operand(node, 6):
        step = alpha * _constant(scope, node, 1) * _constant(scope, node, 4).reshape(-1)
        bias = _constant(scope, node, 6).astype(np.float32) * step
        operands.append(scope.constant(bias.astype(np.float32), "bias"))
    result = scope.emit("Gemm", operands, **attributes)[0]
    if operand(node, 7):
        scope.emit("QuantizeLinear", [result, inputs[7], operand(node, 8)], [node.output[0]])
    else:
        scope.bind(node.output[0], result)
    return True


def integer_convolution(scope: Scope, node: Any) -> bool:
    """Replace ConvInteger by the windows of its input, in columns, times its weights, in 32-bit integers.

    Raises:
        UnsupportedModelError: It is no convolution of images, or pads by a rule instead of numbers.
    """
    attributes = attributes_of(node)
    shape, kernel = scope.shape(node.input[0]), scope.shape(node.input[1])
    if len(shape) != 4 or attributes.get("auto_pad", "NOTSET") != "NOTSET":
        raise UnsupportedModelError(
            f"ConvInteger {node.output[0]!r} is not of images with set pads"
        )
    groups = attributes.get("group", 1)
    strides, dilations = (attributes.get(name, [1, 1]) for name in ("strides", "dilations"))
    top, left, bottom, right = attributes.get("pads", [0] * 4)
    image = _centre(scope, node.input[0], operand(node, 2), rows=False)
    if any((top, left, bottom, right)):
        frame = scope.integers(0, 0, top, left, 0, 0, bottom, right)
        image = scope.call("Pad", image, frame, scope.constant(np.array(0, np.int32), "zero"))
    framed = (shape[2] + top + bottom, shape[3] + left + right)
    size = [
        (whole - dilation * (span - 1) - 1) // stride + 1
        for whole, span, stride, dilation in zip(
            framed, kernel[2:], strides, dilations, strict=True
        )
    ]
    windows: list[str] = []
    for row in range(kernel[2]):
        for column in range(kernel[3]):
            start = (row * dilations[0], column * dilations[1])
            end = [at + (n - 1) * by + 1 for at, n, by in zip(start, size, strides, strict=True)]
            part = scope.call(
                "Slice", image, scope.integers(*start), scope.integers(*end), scope.integers(2, 3),
                scope.integers(*strides),
            )  # fmt: skip
            flat = scope.integers(shape[0], groups, kernel[1], 1, size[0] * size[1])
            windows.append(scope.call("Reshape", part, flat))
    depth = kernel[1] * kernel[2] * kernel[3]
    columns = windows[0] if len(windows) == 1 else scope.call("Concat", *windows, axis=3)
    columns = scope.call(
        "Reshape", columns, scope.integers(shape[0], groups, depth, size[0] * size[1])
    )
    weights = _centre(scope, node.input[1], operand(node, 3), rows=False, first=True)
    weights = scope.call("Reshape", weights, scope.integers(groups, kernel[0] // groups, depth))
    total = scope.call("MatMul", weights, columns)
    scope.emit("Reshape", [total, scope.integers(shape[0], kernel[0], *size)], [node.output[0]])
    return True


def dynamic_quantization(scope: Scope, node: Any) -> bool:
    """Replace DynamicQuantizeLinear by its definition; a tensor of zeros gets the scale 1, as in ONNX Runtime."""
    name = node.input[0]
    zero = scope.constant(np.array(0, np.float32), "zero")
    one = scope.constant(np.array(1, np.float32), "one")
    most = scope.constant(np.array(255, np.float32), "most")
    # Max and Min of two become stacks and reductions in TVM; a Relu computes the same.
    high = scope.call("Relu", scope.call("ReduceMax", name, keepdims=0))
    least = scope.call("ReduceMin", name, keepdims=0)
    low = scope.call("Sub", least, scope.call("Relu", least))
    span = scope.call("Sub", high, low)
    empty = scope.call("Equal", span, zero)
    scale = scope.call("Where", empty, one, scope.call("Div", span, most))
    middle = scope.call("Round", scope.call("Sub", zero, scope.call("Div", low, scale)))
    middle = scope.call("Clip", middle, zero, most)
    steps = scope.call("Add", scope.call("Round", scope.call("Div", name, scale)), middle)
    results = (
        scope.call("Cast", scope.call("Clip", steps, zero, most), to=_UINT8),
        scale,
        scope.call("Cast", middle, to=_UINT8),
    )
    for output, result in zip(node.output, results, strict=False):
        scope.bind(output, result)
    return True


def small_weights(scope: Scope, node: Any) -> bool:
    """Replace a DequantizeLinear of constant 2-bit, 4-bit or blocked weights by the real numbers they stand for."""
    attributes = attributes_of(node)
    if not (attributes.get("block_size") or scope.kind(node.input[0]) in _SMALL):
        return False
    value = scope.value(node.output[0])
    if value is None:
        raise UnsupportedModelError(
            f"DequantizeLinear {node.output[0]!r} has 2-bit, 4-bit or blocked values that are no constants"
        )
    scope.bind(node.output[0], scope.constant(value, "weights"))
    return True


def packed_product(scope: Scope, node: Any) -> bool:
    """Replace ONNX Runtime's MatMulNBits by a product with the real numbers its packed weights stand for.

    Raises:
        UnsupportedModelError: Its weights are no constants, or not 4-bit integers in their own order.
    """
    attributes = attributes_of(node)
    bits, depth, outputs, block = (attributes[name] for name in ("bits", "K", "N", "block_size"))
    if bits != 4 or operand(node, 4):
        raise UnsupportedModelError(
            f"MatMulNBits {node.output[0]!r} is not of 4-bit weights in order"
        )
    blocks = -(-depth // block)
    values = _nibbles(_constant(scope, node, 1).reshape(outputs, blocks, block // 2))
    scale = _constant(scope, node, 2).reshape(outputs, blocks, 1)
    middle: Array = np.full((outputs, blocks), 8, np.float32)
    if operand(node, 3):
        stored = _constant(scope, node, 3)
        packed = stored.dtype == np.uint8
        middle = (
            _nibbles(stored.reshape(outputs, -1))[:, :blocks]
            if packed
            else stored.reshape(outputs, blocks)
        )
    real = (values.astype(np.float32) - middle.astype(np.float32)[:, :, None]) * scale
    real = real.reshape(outputs, blocks * block)[:, :depth].astype(scale.dtype)
    weights = scope.constant(np.ascontiguousarray(real.T), "weights")
    result = scope.call("MatMul", node.input[0], weights)
    if operand(node, 5):
        result = scope.call("Add", result, node.input[5])
    scope.bind(node.output[0], result)
    return True


def _nibbles(packed: Array) -> Array:
    """Return 4-bit integers, two a byte, the lower first."""
    pairs = np.stack([packed & 15, packed >> 4], axis=-1)
    return pairs.reshape(*packed.shape[:-1], 2 * packed.shape[-1])


def elementwise(scope: Scope, node: Any) -> bool:
    """Replace a quantized sum, product or activation by dequantize, operator, quantize."""
    operator = {"QLinearAdd": "Add", "QLinearMul": "Mul"}.get(node.op_type)
    if operator is not None:
        left, right = (
            _dequantize(scope, *(operand(node, place + part) for part in range(3)))
            for place in (0, 3)
        )
        result = scope.call(operator, left, right)
        ends = [operand(node, 6), operand(node, 7)]
    else:
        operator, defaults = _UNARY[node.op_type]
        attributes = {**defaults, **attributes_of(node)}
        if attributes.pop("channels_last", 0):
            raise UnsupportedModelError(f"{node.op_type} {node.output[0]!r} has its channels last")
        attributes.pop("opset", None)
        wide = _dequantize(scope, *(operand(node, part) for part in range(3)))
        result = scope.call(operator, wide, **attributes)
        ends = [operand(node, 3), operand(node, 4)]
    scope.emit("QuantizeLinear", [result, *(end for end in ends if end)], [node.output[0]])
    return True


_UNARY: Mapping[str, tuple[str, Attributes]] = {
    "QLinearSigmoid": ("Sigmoid", {}),
    "QLinearLeakyRelu": ("LeakyRelu", {"alpha": 0.01}),
    "QLinearSoftmax": ("Softmax", {}),
    "QLinearAveragePool": ("AveragePool", {}),
    "QLinearGlobalAveragePool": ("GlobalAveragePool", {}),
}


def concatenate(scope: Scope, node: Any) -> bool:
    """Replace QLinearConcat by dequantize, Concat, quantize."""
    parts = [
        _dequantize(scope, *node.input[place : place + 3])
        for place in range(2, len(node.input), 3)
    ]
    result = scope.call("Concat", *parts, **attributes_of(node))
    scope.emit("QuantizeLinear", [result, node.input[0], node.input[1]], [node.output[0]])
    return True


QUANTIZED: Mapping[str, Callable[[Scope, Any], bool]] = {
    "QLinearConv": real_convolution,
    "QLinearMatMul": real_product,
    "QGemm": real_gemm,
    "ConvInteger": integer_convolution,
    "DynamicQuantizeLinear": dynamic_quantization,
    "DequantizeLinear": small_weights,
    "MatMulNBits": packed_product,
    "QLinearConcat": concatenate,
    **dict.fromkeys(("QLinearAdd", "QLinearMul", *_UNARY), elementwise),
}
"""What rewrites each operator."""


def _weights(scope: Scope, node: Any, place: int) -> tuple[str, str, str]:
    """Return weights, scale and zero point by name; unsigned weights around 128 become signed around 0."""
    name, scale, middle = node.input[place], node.input[place + 1], operand(node, place + 2)
    stored, zero = scope.value(name), scope.value(middle) if middle else None
    if stored is None or zero is None or stored.dtype != np.uint8 or (zero != 128).any():
        return name, scale, middle
    signed = (stored.astype(np.int16) - 128).astype(np.int8)
    zeros = np.zeros(zero.shape, np.int8)
    return scope.constant(signed, "weights"), scale, scope.constant(zeros, "zero")


def _dequantize(
    scope: Scope, name: str, scale: str, middle: str, *, axis: int | None = None
) -> str:
    inputs = [name, scale, *([middle] if middle else [])]
    attributes = {} if axis is None or not _wide(scope, scale) else {"axis": axis}
    if axis is not None:
        # A vector of one element stands for the whole tensor here, for one channel in DequantizeLinear.
        inputs = [name, *(_scalar(scope, part) for part in inputs[1:])]
    return scope.call("DequantizeLinear", *inputs, **attributes)


def _wide(scope: Scope, name: str) -> bool:
    return math.prod(scope.shape(name)) > 1


def _scalar(scope: Scope, name: str) -> str:
    value = scope.value(name)
    if value is None or value.size != 1:
        return name
    return scope.constant(value.reshape(()), "scalar")


def _centre(scope: Scope, name: str, middle: str, *, rows: bool, first: bool = False) -> str:
    """Return integers less their zero point, in 32 bits.

    Args:
        scope: Where calls are appended.
        name: The integers.
        middle: The zero point, empty where it is 0; one of several elements is one for every row or column.
        rows: Whether its elements belong to the rows.
        first: Whether they belong to the first dimension.
    """
    wide = scope.call("Cast", name, to=_INT32)
    if not middle:
        return wide
    zero = scope.call("Cast", middle, to=_INT32)
    if _wide(scope, middle) and first:
        ones = [1] * (len(scope.shape(name)) - 1)
        zero = scope.call("Reshape", zero, scope.integers(-1, *ones))
    elif _wide(scope, middle) and rows and len(scope.shape(middle)) == 1:
        zero = scope.call("Reshape", zero, scope.integers(-1, 1))
    return scope.call("Sub", wide, zero)


def _as_column(scope: Scope, name: str) -> str:
    """Return one number a row as a column."""
    return (
        name if len(scope.shape(name)) > 1 else scope.call("Reshape", name, scope.integers(-1, 1))
    )


def _constant(scope: Scope, node: Any, place: int) -> Array:
    value = scope.value(node.input[place])
    if value is None:
        raise UnsupportedModelError(
            f"{node.op_type} {node.output[0]!r}: {node.input[place]!r} is no constant"
        )
    return value
