"""Activation functions: a fixed number of elementary operations per element.

Each number below counts the comparisons, sums, products and functions (exponential, logarithm,
tanh, erf: one each) in the operator's own formula; constants that can be folded beforehand are
free.

Spec: https://onnx.ai/onnx/operators/onnx__Sigmoid.html and its siblings.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from roofline.node import Array, Node
from roofline.ops._attributes import operand
from roofline.ops._counts import per_output
from roofline.ops._registry import MICROSOFT, TensorType, define, define_elementwise
from roofline.ops._shapes import broadcast, divide, same_type
from roofline.ops._values import arithmetic, single_result

OPS_PER_ELEMENT: dict[str, int] = {
    "Relu": 1,  # max(x, 0)
    "LeakyRelu": 2,  # compare, multiply
    "ThresholdedRelu": 1,  # compare
    "Elu": 4,  # compare, exp, subtract, multiply
    "Selu": 5,  # as Elu, and the scale
    "Celu": 5,  # compare, divide, exp, subtract, multiply
    "Sigmoid": 4,  # negate, exp, add, divide
    "HardSigmoid": 4,  # multiply, add, max, min
    "HardSwish": 5,  # as HardSigmoid, and the product with x
    "Tanh": 1,
    "Softplus": 3,  # exp, add, log
    "Softsign": 3,  # abs, add, divide
    "Mish": 5,  # softplus (3), tanh, multiply
    "Swish": 6,  # scale, sigmoid (4), multiply
    "Shrink": 3,  # two comparisons, add
    "Gelu": 5,  # scale, erf, add, multiply, halve
}
"""Operations per element, by operator."""
_CONTRIB_OPS_PER_ELEMENT: dict[str, int] = {
    "Gelu": 5,
    "QuickGelu": 6,  # as Swish
}
_TANH_GELU = 8  # cube (2), multiply, add, scale, tanh, add, and the product with x / 2


@single_result
def _relu(node: Node) -> Array | None:
    def relu(array: Array) -> Array:
        return np.maximum(array, array.dtype.type(0))

    return arithmetic(node, relu)


@single_result
def _sigmoid(node: Node) -> Array | None:
    def sigmoid(array: Array) -> Array:
        return (1 / (1 + np.exp(-array))).astype(array.dtype)

    return arithmetic(node, sigmoid)


@single_result
def _tanh(node: Node) -> Array | None:
    return arithmetic(node, np.tanh)


_VALUES = {"Relu": _relu, "Sigmoid": _sigmoid, "Tanh": _tanh}

for _name, _ops in OPS_PER_ELEMENT.items():
    define_elementwise(_name, cost=per_output(_ops), shape=same_type, value=_VALUES.get(_name))
for _name, _ops in _CONTRIB_OPS_PER_ELEMENT.items():
    define_elementwise(_name, domain=MICROSOFT, cost=per_output(_ops), shape=same_type)


def _biased_type(node: Node) -> Sequence[TensorType | None]:
    """Return the broadcast of the operand and its bias."""
    first, bias = operand(node, 0), node.operand(1)
    found = first.shape if bias is None else broadcast(node, (first.shape, bias.shape))
    return ((found, first.dtype),)


def _glu_type(node: Node) -> Sequence[TensorType | None]:
    """Return half the last dimension: the operand holds value and gate side by side."""
    found = operand(node, 0).shape
    if not found:
        return ((found, operand(node, 0).dtype),)
    return (
        ((*found[:-1], divide(node, found[-1], 2, "the last dimension")), operand(node, 0).dtype),
    )


define_elementwise("PRelu", cost=per_output(2), shape=same_type)  # compare, multiply
define("SwiGLU", cost=per_output(7), shape=same_type)  # swish (6), multiply
define_elementwise("BiasGelu", domain=MICROSOFT, cost=per_output(5, 1), shape=_biased_type)
define_elementwise(
    "FastGelu", domain=MICROSOFT, cost=per_output(_TANH_GELU, 1), shape=_biased_type
)
define("BiasSplitGelu", domain=MICROSOFT, cost=per_output(12, 1), shape=_glu_type)
