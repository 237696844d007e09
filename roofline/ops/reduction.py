"""Reductions and running sums.

Reducing n elements to one takes ``n - 1`` operations; a mean and a log-sum one more for the
division or logarithm, an absolute value or a square one more per element, a log-sum-exp four per
element (max, subtract, exp, sum).

Spec: https://onnx.ai/onnx/operators/onnx__ReduceSum.html and its siblings.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from roofline.cost import Cost
from roofline.node import Array, Node, Shape
from roofline.ops._attributes import flag, integer
from roofline.ops._counts import per_output
from roofline.ops._datatypes import INT64
from roofline.ops._registry import MICROSOFT, CostFunction, TensorType, define
from roofline.ops._shapes import (
    Dim,
    axes_of,
    axis_of,
    dtype,
    rank_held,
    result_type,
    same_type,
    shape,
    unknown_shape,
)
from roofline.ops._values import (
    has_integers,
    is_partial,
    known_value,
    listed_integers,
    scalar,
    single_result,
)

_Reducer = Callable[..., Any]


def _l1(array: Array, **how: Any) -> Array:
    return np.sum(np.abs(array), **how)


def _l2(array: Array, **how: Any) -> Array:
    return np.sqrt(np.sum(np.square(array), **how))


def _log_sum(array: Array, **how: Any) -> Array:
    return np.log(np.sum(array, **how))


def _log_sum_exp(array: Array, **how: Any) -> Array:
    return np.log(np.sum(np.exp(array), **how))


def _sum_square(array: Array, **how: Any) -> Array:
    return np.sum(np.square(array), **how)


_REDUCTIONS: dict[str, tuple[int, int, _Reducer]] = {
    # operations per operand element, per result, and the function
    "ReduceL1": (2, -1, _l1),
    "ReduceL2": (2, 0, _l2),
    "ReduceLogSum": (1, 0, _log_sum),
    "ReduceLogSumExp": (4, 0, _log_sum_exp),
    "ReduceMax": (1, -1, np.max),
    "ReduceMean": (1, 0, np.mean),
    "ReduceMin": (1, -1, np.min),
    "ReduceProd": (1, -1, np.prod),
    "ReduceSum": (1, -1, np.sum),
    "ReduceSumSquare": (2, -1, _sum_square),
}


_PLAIN = ("ReduceMax", "ReduceMean", "ReduceMin", "ReduceProd", "ReduceSum")
"""Those that compute nothing of an element alone."""


def _is_noop(node: Node) -> bool:
    """Return whether there are no axes, and that means that nothing is reduced."""
    if not flag(node, "noop_with_empty_axes"):
        return False
    return (
        not has_integers(node, "axes", 1)
        or listed_integers(node, "axes", 1) == ()
        or rank_held(node, 1) == 0
    )


def reduced_shape(node: Node, data: Shape | None) -> Shape | None:
    """Return the shape without the reduced axes, which stay with size 1 under ``keepdims``."""
    if data is None or _is_noop(node):
        return data
    keep = flag(node, "keepdims", default=True)
    axes = listed_integers(node, "axes", 1)
    if axes is None and has_integers(node, "axes", 1):
        count = rank_held(node, 1)
        if keep:
            return unknown_shape(len(data))
        if count is None:
            return None
        return unknown_shape(len(data) - count) if count else ()
    gone = axes_of(node, axes, len(data), scalar=True) if axes else tuple(range(len(data)))
    if keep:
        return tuple(1 if axis in gone else size for axis, size in enumerate(data))
    return tuple(size for axis, size in enumerate(data) if axis not in gone)


def _reduced(node: Node) -> Shape | None:
    """Return the shape without the reduced axes."""
    return reduced_shape(node, shape(node, 0))


def _reduction(inputs: int, results: int) -> CostFunction:
    """Return a cost per element of the operand and per result; nothing where nothing is reduced nor computed."""
    reducing = per_output(results, inputs=inputs)

    def cost(node: Node) -> Cost:
        return Cost() if _is_noop(node) and node.op_type in _PLAIN else reducing(node)

    cost.__doc__ = reducing.__doc__
    return cost


def _reducer(function: _Reducer) -> Callable[[Node], Sequence[Array | None]]:
    def value(node: Node) -> Array | None:
        array = known_value(node, 0)
        if array is None or (is_partial(array) and array.size):
            return None
        axes = listed_integers(node, "axes", 1)
        if axes is None and has_integers(node, "axes", 1):
            return None
        keep = flag(node, "keepdims", default=True)
        if _is_noop(node):
            # Without axes each element is a reduction of its own.
            return np.asarray(function(array[None], axis=0)).astype(array.dtype)
        found = axes_of(node, axes, array.ndim) if axes else None
        return np.asarray(function(array, axis=found, keepdims=keep)).astype(array.dtype)

    return single_result(value)


def _arg_type(node: Node) -> Sequence[TensorType | None]:
    """Return the operand's shape with the axis reduced.

    Spec: https://onnx.ai/onnx/operators/onnx__ArgMax.html
    """
    data = shape(node, 0)
    if data is None:
        return ((None, INT64),)
    axis = axis_of(node, integer(node, "axis", 0), len(data))
    kept: tuple[Dim, ...] = (1,) if flag(node, "keepdims", default=True) else ()
    return (((*data[:axis], *kept, *data[axis + 1 :]), INT64),)


@single_result
def _arg(node: Node) -> Array | None:
    array = known_value(node, 0)
    if array is None:
        return None
    axis = axis_of(node, integer(node, "axis", 0), array.ndim)
    pick = np.argmax if node.op_type == "ArgMax" else np.argmin
    if flag(node, "select_last_index"):
        found = array.shape[axis] - 1 - pick(np.flip(array, axis), axis=axis)
    else:
        found = pick(array, axis=axis)
    found = np.asarray(found, np.int64)
    return np.expand_dims(found, axis) if flag(node, "keepdims", default=True) else found


@single_result
def _accumulate(node: Node) -> Array | None:
    """Sum or multiply along an axis; ``exclusive`` leaves each element's own part out.

    Spec: https://onnx.ai/onnx/operators/onnx__CumSum.html
    """
    array, axis = known_value(node, 0), scalar(node, 1)
    if array is None or axis is None or array.dtype.kind not in "iuf":
        return None
    axis = axis_of(node, axis, array.ndim)
    sums = node.op_type == "CumSum"
    if flag(node, "reverse"):
        array = np.flip(array, axis)
    result = np.asarray((np.cumsum if sums else np.cumprod)(array, axis=axis)).astype(array.dtype)
    if flag(node, "exclusive"):
        first = np.full_like(result.take([0], axis), 0 if sums else 1)
        result = np.concatenate([first, result.take(range(result.shape[axis] - 1), axis)], axis)
    return np.flip(result, axis) if flag(node, "reverse") else result


for _name, (_inputs, _results, _function) in _REDUCTIONS.items():
    define(
        _name, cost=_reduction(_inputs, _results), shape=result_type(_reduced, 0), value=_reducer(_function),
        settings=(1,),
    )  # fmt: skip
define("ArgMax", "ArgMin", cost=_reduction(1, -1), shape=_arg_type, value=_arg)
define("CumSum", "CumProd", cost=per_output(1), shape=same_type, value=_accumulate, settings=(1,))


def _quantized_type(node: Node) -> Sequence[TensorType | None]:
    """Return the reduced shape; com.microsoft's QLinearReduceMean holds its axes in an attribute."""
    data = shape(node, 0)
    axes = node.attributes.get("axes")
    bare = Node(
        node.op_type,
        node.name,
        node.operands[:1],
        node.outputs,
        node.attributes,
        node.domain,
        node.version,
    )
    return (
        (reduced_shape(bare if axes is None else node, data), dtype(node, 4) or dtype(node, 0)),
    )


define(
    "QLinearReduceMean", domain=MICROSOFT, cost=per_output(3, inputs=1), shape=_quantized_type, quantizers=(1, 2, 3, 4),
)  # fmt: skip
