"""Comparisons, logic and selection: one operation per output element.

Spec: https://onnx.ai/onnx/operators/onnx__Equal.html and its siblings.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import cast

import numpy as np

from roofline.node import Array, Node
from roofline.ops._attributes import operand
from roofline.ops._counts import per_output
from roofline.ops._datatypes import BOOL
from roofline.ops._registry import TensorType, define_elementwise
from roofline.ops._shapes import broadcast, dtype, first_shape, result_type
from roofline.ops._values import arithmetic, fits, settle, single_result
from roofline.ops.elementwise import binary_type

_COMPARISONS: dict[str, Callable[..., Array]] = {
    "And": np.logical_and,
    "Equal": np.equal,
    "Greater": np.greater,
    "GreaterOrEqual": np.greater_equal,
    "Less": np.less,
    "LessOrEqual": np.less_equal,
    "Or": np.logical_or,
    "Xor": np.logical_xor,
}
_TESTS: dict[str, Callable[..., Array]] = {
    "IsInf": np.isinf,
    "IsNaN": np.isnan,
    "Not": np.logical_not,
}


def _comparison_type(node: Node) -> Sequence[TensorType | None]:
    found = binary_type(node)[0][0]
    return ((found, BOOL),)


def _compute(function: Callable[..., Array]) -> Callable[[Node], Sequence[Array | None]]:
    return single_result(lambda node: arithmetic(node, function))


@single_result
def _is_inf(node: Node) -> Array | None:
    """Test for infinity, of either sign unless an attribute leaves one out."""
    low = node.attributes.get("detect_negative", 1) != 0
    high = node.attributes.get("detect_positive", 1) != 0

    def infinite(array: Array) -> Array:
        return (np.isposinf(array) & high) | (np.isneginf(array) & low)

    return arithmetic(node, infinite)


def _where_type(node: Node) -> Sequence[TensorType | None]:
    """Return the broadcast of condition and choices.

    Spec: https://onnx.ai/onnx/operators/onnx__Where.html
    """
    found = broadcast(node, (operand(node, position).shape for position in range(3)))
    return ((found, dtype(node, 1) or dtype(node, 2)),)


@single_result
def _where(node: Node) -> Array | None:
    """Select; an entry of unknown condition is unknown unless both choices agree, and what is not chosen may be."""
    condition, yes, no = node.value(0), node.value(1), node.value(2)
    if condition is None or (yes is None and no is None):
        return None
    shapes = [operand(node, position).shape for position in range(3)]
    sizes = [tuple(size for size in shape or (None,) if size is not None) for shape in shapes]
    if any(
        shape is None or len(size) != len(shape) for shape, size in zip(shapes, sizes, strict=True)
    ):
        return None
    if not fits(*sizes):
        return None
    blank: Array = np.full((), None, object)
    sources = [condition, blank if yes is None else yes, blank if no is None else no]
    wide = np.broadcast_shapes(*sizes)
    flat = [
        cast("list[object]", np.broadcast_to(array.astype(object), wide).ravel().tolist())
        for array in sources
    ]
    picked = [
        (b if a else c) if a is not None else (b if b is not None and b == c else None)
        for a, b, c in zip(*flat, strict=True)
    ]
    result = np.empty(len(picked), object)
    result[:] = picked
    result = settle(result.reshape(wide))
    kind = yes.dtype if yes is not None else no.dtype if no is not None else result.dtype
    return result if "O" in (result.dtype.kind, kind.kind) else result.astype(kind)


for _name, _function in _COMPARISONS.items():
    define_elementwise(
        _name, cost=per_output(1), shape=_comparison_type, value=_compute(_function)
    )
_TRUTHS = result_type(first_shape, BOOL)
for _name, _function in _TESTS.items():
    _value = _is_inf if _name == "IsInf" else _compute(_function)
    define_elementwise(_name, cost=per_output(1), shape=_TRUTHS, value=_value)
define_elementwise("Where", cost=per_output(1), shape=_where_type, value=_where)
