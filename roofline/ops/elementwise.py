"""Elementwise arithmetic: one operation per result of an elementary function.

A binary operator takes one operation per output element, an n-ary one (Sum, Max, Min) ``n - 1``,
and Mean one more for the division; Clip takes one per bound. A square root, exponential or
trigonometric function is one operation.

Spec: https://onnx.ai/onnx/operators/onnx__Add.html and its siblings.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any

import numpy as np

from roofline.cost import Cost
from roofline.node import Array, Node
from roofline.ops._attributes import integer, operand, present, version
from roofline.ops._counts import out_count, per_output
from roofline.ops._registry import TensorType, ValueFunction, define, define_elementwise
from roofline.ops._shapes import broadcast, same_type
from roofline.ops._values import arithmetic, known_value, single_result


def binary_type(node: Node) -> Sequence[TensorType]:
    """Return the broadcast of two operands, with the type of the first."""
    first, second = operand(node, 0), operand(node, 1)
    found = first.shape if version(node) < 7 else broadcast(node, (first.shape, second.shape))
    return ((found, first.dtype or (second.dtype if node.op_type != "Pow" else None)),)


def _variadic_type(node: Node) -> Sequence[TensorType]:
    """Return the broadcast of one or more operands; before opset 8 they had one shape."""
    tensors = present(node)
    types = [tensor.dtype for tensor in tensors if tensor.dtype is not None]
    shapes = (tensor.shape for tensor in tensors)
    if version(node) < 8:
        found = next((shape for shape in shapes if shape is not None), None)
    else:
        found = broadcast(node, shapes)
    return ((found, types[0] if types else None),)


def _divide(left: Array, right: Array) -> Array:
    """Divide; integers truncate towards zero, as in C."""
    if left.dtype.kind not in "iu":
        return np.divide(left, right)
    if not np.all(right):
        raise ValueError("division by zero")
    quotient = np.abs(left) // np.abs(right)
    return np.where((left < 0) != (right < 0), -quotient, quotient).astype(left.dtype)


def _power(base: Array, exponent: Array) -> Array:
    """Raise to a power; the result has the base's type."""
    return np.power(base, exponent).astype(base.dtype)


_BINARY: dict[str, Callable[..., Array]] = {
    "Add": np.add,
    "Sub": np.subtract,
    "Mul": np.multiply,
    "Div": _divide,
    "Pow": _power,
    "BitwiseAnd": np.bitwise_and,
    "BitwiseOr": np.bitwise_or,
    "BitwiseXor": np.bitwise_xor,
}
_VARIADIC: dict[str, Callable[..., Array]] = {"Max": np.maximum, "Min": np.minimum, "Sum": np.add}
_UNARY: dict[str, Callable[..., Array] | None] = {
    "Abs": np.abs,
    "Acos": np.arccos,
    "Acosh": np.arccosh,
    "Asin": np.arcsin,
    "Asinh": np.arcsinh,
    "Atan": np.arctan,
    "Atanh": np.arctanh,
    "BitwiseNot": np.invert,
    "Ceil": np.ceil,
    "Cos": np.cos,
    "Cosh": np.cosh,
    "Erf": None,
    "Exp": np.exp,
    "Floor": np.floor,
    "Log": np.log,
    "Neg": np.negative,
    "Reciprocal": np.reciprocal,
    "Round": np.round,
    "Sign": np.sign,
    "Sin": np.sin,
    "Sinh": np.sinh,
    "Sqrt": np.sqrt,
    "Tan": np.tan,
}


def _elementwise(function: Callable[..., Array]) -> ValueFunction:
    def value(node: Node) -> Array | None:
        if version(node) < 7 and len(node.operands) > 1:
            return _align(node, function)
        return arithmetic(node, function)

    return single_result(value)


def _align(node: Node, function: Callable[..., Array]) -> Array | None:
    """Apply a binary function as before opset 7: the second operand's axes start at attribute ``axis``."""
    left, right = known_value(node, 0), known_value(node, 1)
    if left is None or right is None:
        return None
    axis = integer(node, "axis", left.ndim - right.ndim)
    axis = axis + left.ndim if axis < 0 else axis
    return function(left, right.reshape((*right.shape, *[1] * (left.ndim - axis - right.ndim))))


@single_result
def _mod(node: Node) -> Array | None:
    function = np.fmod if integer(node, "fmod", 0) else np.mod
    divisor = known_value(node, 1)
    if divisor is not None and divisor.dtype.kind in "iu" and not np.all(divisor):
        return None
    return arithmetic(node, function)


def _fold(function: Callable[..., Array]) -> ValueFunction:
    return single_result(lambda node: arithmetic(node, lambda *arrays: reduce(function, arrays)))


@single_result
def _mean(node: Node) -> Array | None:
    return arithmetic(
        node, lambda *arrays: (reduce(np.add, arrays) / len(arrays)).astype(arrays[0].dtype)
    )


@single_result
def _shift(node: Node) -> Array | None:
    left = node.attributes.get("direction") in ("LEFT", b"LEFT")
    return arithmetic(node, np.left_shift if left else np.right_shift)


def _variadic_cost(node: Node) -> Cost:
    """Count ``n - 1`` operations per output element for n operands; Mean divides too."""
    return Cost(other_ops=(len(present(node)) - 1 + (node.op_type == "Mean")) * out_count(node))


def _bounds(node: Node) -> tuple[Any, Any]:
    """Return Clip's bounds as arrays or numbers; None for an absent one."""
    if version(node) < 11:
        return node.attributes.get("min"), node.attributes.get("max")
    return node.operand(1), node.operand(2)


def _clip_cost(node: Node) -> Cost:
    """Count one comparison per bound and output element.

    Spec: https://onnx.ai/onnx/operators/onnx__Clip.html
    """
    return Cost(
        other_ops=max(1, sum(bound is not None for bound in _bounds(node))) * out_count(node)
    )


@single_result
def _clip(node: Node) -> Array | None:
    array = node.value(0)
    if array is None:
        return None
    low, high = _bounds(node)
    if version(node) >= 11:
        low_value, high_value = known_value(node, 1), known_value(node, 2)
        if (low is not None and low_value is None) or (high is not None and high_value is None):
            return None
        low, high = low_value, high_value

    def clip(inner: Array) -> Array:
        clipped = inner if low is None else np.maximum(inner, low)
        return (clipped if high is None else np.minimum(clipped, high)).astype(inner.dtype)

    return arithmetic(node, clip, (0,))


for _name, _function in _BINARY.items():
    define_elementwise(_name, cost=per_output(1), shape=binary_type, value=_elementwise(_function))
for _name, _function in _VARIADIC.items():
    define_elementwise(_name, cost=_variadic_cost, shape=_variadic_type, value=_fold(_function))
for _name, _unary in _UNARY.items():
    define_elementwise(
        _name, cost=per_output(1), shape=same_type, value=None if _unary is None else _elementwise(_unary),
    )  # fmt: skip
define_elementwise("Mod", cost=per_output(1), shape=binary_type, value=_mod)
define_elementwise("BitShift", cost=per_output(1), shape=binary_type, value=_shift)
define_elementwise("Mean", cost=_variadic_cost, shape=_variadic_type, value=_mean)
define_elementwise("Clip", cost=_clip_cost, shape=same_type, value=_clip, settings=(1, 2))


# Operators of the first experimental operator sets, which runtimes still accept.
define("Affine", "ImageScaler", cost=per_output(2), shape=same_type)  # multiply, add
define("ScaledTanh", cost=per_output(3), shape=same_type)  # multiply, tanh, multiply
define("ParametricSoftplus", cost=per_output(5), shape=same_type)  # softplus (3), two products
define("Scale", cost=per_output(1), shape=same_type)
