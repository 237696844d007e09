"""Operators that choose elements: their results' sizes may depend on data, and are None then.

Comparisons are counted as documented at each cost function.

Spec: https://onnx.ai/onnx/operators/onnx__TopK.html and its siblings.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from roofline.cost import Cost
from roofline.node import Array, Node
from roofline.ops._attributes import (
    flag,
    integer,
    malformed_error,
    maybe_integer,
    required_integer,
    version,
)
from roofline.ops._counts import in_dims, input_elements, out_count, per_output
from roofline.ops._datatypes import INT64
from roofline.ops._registry import Kind, TensorType, define
from roofline.ops._shapes import Dim, at_least, axis_of, dtype, product, ranked_shape, shape
from roofline.ops._values import NOTHING, fits, known_value, number, scalar, single_result, values

NodeTypes = Sequence[TensorType | None]


def _k(node: Node) -> int | None:
    return required_integer(node, "k") if version(node) < 10 else scalar(node, 1)


def _topk_type(node: Node) -> NodeTypes:
    """Return the operand's dimensions with k along the axis, for values and indices.

    Spec: https://onnx.ai/onnx/operators/onnx__TopK.html
    """
    data, count = at_least(node, 0, 1), _k(node)
    if data is None:
        return ((None, dtype(node, 0)), (None, INT64))
    axis = axis_of(node, integer(node, "axis", -1), len(data))
    size = data[axis]
    if count is not None and (count < 0 or (size is not None and count > size)):
        raise malformed_error(node, f"k must lie in [0, {size}], it is {count}")
    found = (*data[:axis], count, *data[axis + 1 :])
    return ((found, dtype(node, 0)), (found, INT64))


def _axis_size(node: Node) -> int | None:
    """Return the size of the axis among whose elements is chosen."""
    data = shape(node, 0)
    return None if data is None else data[axis_of(node, integer(node, "axis", -1), len(data))]


def _topk_cost(node: Node) -> Cost:
    """Count ``ceil(log2(k + 1))`` comparisons per operand element: a heap of k entries."""
    dims = in_dims(node, 0)
    axis = axis_of(node, integer(node, "axis", -1), len(dims))
    rows = math.prod(dims) // dims[axis] if dims[axis] else 0
    count = out_count(node) // rows if rows else 0
    return Cost(other_ops=input_elements(node, 0) * count.bit_length())


@values
def _topk(node: Node) -> Sequence[Array | None]:
    array, count = known_value(node, 0), _k(node)
    if array is None or count is None:
        return NOTHING
    axis = axis_of(node, integer(node, "axis", -1), array.ndim)
    if flag(node, "largest", default=True):
        # Equal elements keep their order: sort the mirror image and mirror it back.
        order = (
            array.shape[axis]
            - 1
            - np.flip(np.argsort(np.flip(array, axis), axis, kind="stable"), axis)
        )
    else:
        order = np.argsort(array, axis, kind="stable")
    picked = order.take(range(count), axis).astype(np.int64)
    return (np.take_along_axis(array, picked, axis), picked)


def _nonzero_type(node: Node) -> NodeTypes:
    """Return one row per axis and one column per element that is not zero.

    Spec: https://onnx.ai/onnx/operators/onnx__NonZero.html
    """
    data, found = shape(node, 0), known_value(node, 0)
    count = None if found is None else int(np.count_nonzero(found))
    if product(data or (None,)) == 0:
        count = 0
    return (((None if data is None else len(data), count), INT64),)


def _all_elements(node: Node) -> int | None:
    data = shape(node, 0)
    return None if data is None else product(data)


@single_result
def _nonzero(node: Node) -> Array | None:
    array = known_value(node, 0)
    return None if array is None or not array.ndim else np.array(np.nonzero(array), np.int64)


def _unique_type(node: Node) -> NodeTypes:
    """Return what is distinct along an axis, or among all elements; its size is data.

    Spec: https://onnx.ai/onnx/operators/onnx__Unique.html
    """
    data, axis = shape(node, 0), maybe_integer(node, "axis")
    found = _unique_values(node)[0]
    index = (None if data is None else product(data), INT64)
    if axis is None:
        count: Dim = None if found is None else found.shape[0]
        distinct: tuple[Dim, ...] | None = (count,)
    elif data is None:
        count, distinct = None, None
    else:
        place = axis_of(node, axis, len(data))
        count = None if found is None or found.ndim != len(data) else found.shape[place]
        distinct = (*data[:place], count, *data[place + 1 :])
        index = (data[place], INT64)
    return ((distinct, dtype(node, 0)), ((count,), INT64), ((index[0],), INT64), ((count,), INT64))


def _along_axis(node: Node) -> int | None:
    """Return the size of the stated axis, or of all elements without one."""
    return _all_elements(node) if maybe_integer(node, "axis") is None else _axis_size(node)


def _unique_cost(node: Node) -> Cost:
    """Count ``ceil(log2(n))`` comparisons per element: a sort."""
    elements = input_elements(node, 0)
    return Cost(other_ops=elements * max(0, elements - 1).bit_length())


@values
def _unique_values(node: Node) -> Sequence[Array | None]:
    array = known_value(node, 0)
    if array is None or array.dtype == object:
        return NOTHING
    axis = maybe_integer(node, "axis")
    distinct, first, inverse, counts = np.unique(
        array, return_index=True, return_inverse=True, return_counts=True, axis=axis
    )
    inverse = inverse.ravel()
    if not flag(node, "sorted", default=True):
        order = np.argsort(first)
        place = np.argsort(order)
        distinct, first, counts = distinct.take(order, axis or 0), first[order], counts[order]
        inverse = place[inverse]
    return (distinct, *(found.astype(np.int64) for found in (first, inverse, counts)))


def _compress_type(node: Node) -> NodeTypes:
    """Return the operand with what the condition leaves along the axis, or flattened.

    Spec: https://onnx.ai/onnx/operators/onnx__Compress.html
    """
    data, condition, axis = shape(node, 0), known_value(node, 1), maybe_integer(node, "axis")
    ranked_shape(node, 1, 1)
    count = None if condition is None else int(np.count_nonzero(condition))
    if axis is None:
        return (((count,), dtype(node, 0)),)
    if data is None:
        return ((None, dtype(node, 0)),)
    place = axis_of(node, axis, len(data))
    return (((*data[:place], count, *data[place + 1 :]), dtype(node, 0)),)


def _compress_bound(node: Node) -> int | None:
    """Return how many elements the condition can leave: its own length, or that of the axis."""
    condition = ranked_shape(node, 1, 1)
    found = (_along_axis(node), None if condition is None else condition[0])
    return min((size for size in found if size is not None), default=None)


@single_result
def _compress(node: Node) -> Array | None:
    array, condition = node.value(0), known_value(node, 1)
    if array is None or condition is None:
        return None
    return np.compress(condition.astype(bool), array, axis=maybe_integer(node, "axis"))


def _onehot_type(node: Node) -> NodeTypes:
    """Return the indices' dimensions with ``depth`` put in at the axis.

    Spec: https://onnx.ai/onnx/operators/onnx__OneHot.html
    """
    indices, depth = shape(node, 0), number(node, 1)
    if indices is None:
        return ((None, dtype(node, 2)),)
    axis = axis_of(node, integer(node, "axis", -1), len(indices) + 1)
    size = None if depth is None else int(depth)
    if size is not None and size < 0:
        raise malformed_error(node, f"its depth must not be negative, it is {size}")
    return (((*indices[:axis], size, *indices[axis:]), dtype(node, 2)),)


@single_result
def _onehot(node: Node) -> Array | None:
    indices, depth, choices = known_value(node, 0), number(node, 1), known_value(node, 2)
    if (
        indices is None
        or depth is None
        or choices is None
        or not fits((*indices.shape, int(depth)))
    ):
        return None
    axis = axis_of(node, integer(node, "axis", -1), indices.ndim + 1)
    places = np.expand_dims(np.where(indices < 0, indices + int(depth), indices), axis)
    steps = np.arange(int(depth)).reshape(
        [-1 if place == axis else 1 for place in range(indices.ndim + 1)]
    )
    return choices[np.equal(places, steps).astype(np.int64)]


def _suppression_type(node: Node) -> NodeTypes:
    """Return the kept boxes as rows of batch, class and box; how many is data.

    Spec: https://onnx.ai/onnx/operators/onnx__NonMaxSuppression.html
    """
    boxes, scores = ranked_shape(node, 0, 3), ranked_shape(node, 1, 3)
    most = scalar(node, 2) if node.operand(2) is not None else 0
    empty = most == 0 or 0 in (boxes or ()) or 0 in (scores or ())
    return (((0 if empty else None, 3), INT64),)


def _suppression_bound(node: Node) -> int | None:
    """Return batch times classes times the boxes kept of each: at most ``max_output_boxes_per_class``."""
    scores = ranked_shape(node, 1, 3)
    most = scalar(node, 2) if node.operand(2) is not None else 0
    if scores is None or None in scores:
        return None
    batch, classes, boxes = scores
    return product((batch, classes, boxes if most is None or boxes is None else min(most, boxes)))


def _suppression_cost(node: Node) -> Cost:
    """Count one comparison per score, and 12 operations per kept candidate and box, at most ``max_output_boxes``.

    An overlap takes four bounds, two extents and their product, a union of two sums and a difference, a division and a
    comparison: 12.
    """
    batch, classes, boxes = in_dims(node, 1, 3)
    most = scalar(node, 2) if node.operand(2) is not None else 0
    kept = boxes if most is None else min(most, boxes)
    return Cost(other_ops=batch * classes * boxes * (1 + 12 * kept))


define("TopK", cost=_topk_cost, shape=_topk_type, value=_topk, settings=(1,), bound=_axis_size)
define(
    "NonZero", cost=per_output(0, inputs=1), shape=_nonzero_type, value=_nonzero, bound=_all_elements,
)  # fmt: skip
define("Unique", cost=_unique_cost, shape=_unique_type, value=_unique_values, bound=_along_axis)
define(
    "Compress", kind=Kind.MOVE, shape=_compress_type, value=_compress, weights=(0,), bound=_compress_bound,
)  # fmt: skip
define("OneHot", kind=Kind.MOVE, shape=_onehot_type, value=_onehot, settings=(1, 2))
define(
    "NonMaxSuppression", cost=_suppression_cost, shape=_suppression_type, settings=(2, 3, 4), bound=_suppression_bound,
)  # fmt: skip
