"""Looking up and writing elements by index: no arithmetic, but one operation per update where a scatter reduces.

A look-up reads the elements it gives, never the whole of what it looks them up in.

Spec: https://onnx.ai/onnx/operators/onnx__Gather.html and its siblings.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from roofline.cost import Cost
from roofline.node import Array, Node
from roofline.ops._attributes import choice, integer, malformed_error
from roofline.ops._counts import input_elements
from roofline.ops._moves import picked_moves
from roofline.ops._registry import BOTH, Kind, Moves, TensorType, ValueFunction, define
from roofline.ops._shapes import at_least, axis_of, dtype, shape, show, unknown_shape
from roofline.ops._values import known_value, single_result

NodeTypes = Sequence[TensorType | None]


def _gather_type(node: Node) -> NodeTypes:
    """Return the operand's dimensions with the axis replaced by the indices' dimensions.

    Spec: https://onnx.ai/onnx/operators/onnx__Gather.html
    """
    data, indices = at_least(node, 0, 1), shape(node, 1)
    if data is None or indices is None:
        return ((None, dtype(node, 0)),)
    axis = axis_of(node, integer(node, "axis", 0), len(data))
    return (((*data[:axis], *indices, *data[axis + 1 :]), dtype(node, 0)),)


def _look_up(function: Callable[[Node, Array, Array], Array]) -> ValueFunction:
    """Make a value function of one that is given the operand and the indices, where both are known."""

    def value(node: Node) -> Array | None:
        array, indices = node.value(0), known_value(node, 1)
        return None if array is None or indices is None else function(node, array, indices)

    return single_result(value)


@_look_up
def _gather(node: Node, array: Array, indices: Array) -> Array:
    return np.asarray(np.take(array, indices, axis=integer(node, "axis", 0)))


def _elements_type(node: Node) -> NodeTypes:
    """Return the indices' dimensions.

    Spec: https://onnx.ai/onnx/operators/onnx__GatherElements.html
    """
    data, indices = at_least(node, 0, 1), at_least(node, 1, 1)
    if data is not None:
        axis_of(node, integer(node, "axis", 0), len(data))
        if indices is not None and len(indices) != len(data):
            raise malformed_error(
                node, f"operand {show(data)} and indices {show(indices)} must have one rank"
            )
    if indices is None and data is not None:
        indices = unknown_shape(len(data))
    return ((indices, dtype(node, 0)),)


@_look_up
def _gather_elements(node: Node, array: Array, indices: Array) -> Array:
    axis = integer(node, "axis", 0)
    return np.take_along_axis(
        array, np.where(indices < 0, indices + array.shape[axis], indices), axis
    )


def _nd_type(node: Node) -> NodeTypes:
    """Return the indices' dimensions but the last, then the operand's that an index leaves.

    Spec: https://onnx.ai/onnx/operators/onnx__GatherND.html
    """
    data, indices = at_least(node, 0, 1), at_least(node, 1, 1)
    batch = integer(node, "batch_dims", 0)
    if data is None or indices is None:
        return ((None, dtype(node, 0)),)
    depth = indices[-1]
    if depth is None:
        return ((None, dtype(node, 0)),)
    if batch < 0 or batch >= len(indices) or batch + depth > len(data):
        raise malformed_error(
            node,
            f"indices {show(indices)} with batch_dims {batch} point deeper than the operand {show(data)}",
        )
    return (((*indices[:-1], *data[batch + depth :]), dtype(node, 0)),)


@_look_up
def _gather_nd(node: Node, array: Array, indices: Array) -> Array:
    batch = integer(node, "batch_dims", 0)
    lead = array.shape[:batch]
    flat = array.reshape(-1, *array.shape[batch:])
    places = indices.reshape(flat.shape[0], -1, indices.shape[-1])
    picked = [item[tuple(row)] for item, table in zip(flat, places, strict=True) for row in table]
    inner = array.shape[batch + indices.shape[-1] :]
    result = np.empty((len(picked), *inner), array.dtype)
    for place, item in enumerate(picked):
        result[place] = item
    return result.reshape(*lead, *indices.shape[batch:-1], *inner)


def _scatter_type(node: Node) -> NodeTypes:
    """Return the operand's own type.

    Spec: https://onnx.ai/onnx/operators/onnx__ScatterND.html
    """
    data, indices = at_least(node, 0, 1), at_least(node, 1, 1)
    if node.op_type == "ScatterND" and data is not None and indices is not None:
        depth = indices[-1]
        if depth is not None and depth > len(data):
            raise malformed_error(
                node, f"indices {show(indices)} point deeper than the operand {show(data)}"
            )
    return ((data, dtype(node, 0)),)


def _reduction(node: Node) -> str:
    return choice(node, "reduction", "none", ("none", "add", "mul", "max", "min"))


def _scatter_cost(node: Node) -> Cost:
    """Count one operation per update where the old and the new element are combined, else none."""
    return Cost(other_ops=0 if _reduction(node) == "none" else input_elements(node, 2))


def _write(function: Callable[[Node, Array, Array, Array], Array | None]) -> ValueFunction:
    """Make a value function of one that is given a copy of the operand to write into, the indices and the updates."""

    def value(node: Node) -> Array | None:
        array, indices, updates = node.value(0), known_value(node, 1), node.value(2)
        if array is None or indices is None or updates is None or _reduction(node) != "none":
            return None
        kind = array.dtype if array.dtype == updates.dtype else np.dtype(object)
        return function(node, array.astype(kind), indices, updates)

    return single_result(value)


@_write
def _scatter_nd(_: Node, result: Array, indices: Array, updates: Array) -> Array | None:
    if updates.shape != (*indices.shape[:-1], *result.shape[indices.shape[-1] :]):
        return None
    for place in np.ndindex(indices.shape[:-1]):
        result[tuple(indices[place])] = updates[place]
    return result


@_write
def _scatter_elements(node: Node, result: Array, indices: Array, updates: Array) -> Array:
    axis = integer(node, "axis", 0)
    for place in np.ndindex(indices.shape):
        target = list(place)
        target[axis] = int(indices[place])
        result[tuple(target)] = updates[place]
    return result


def _cache_type(node: Node) -> NodeTypes:
    """Return the cache's own type.

    Spec: https://onnx.ai/onnx/operators/onnx__TensorScatter.html
    """
    cache, update = at_least(node, 0, 2), at_least(node, 1, 2)
    if cache is not None and update is not None and len(cache) != len(update):
        raise malformed_error(
            node, f"cache {show(cache)} and update {show(update)} must have one rank"
        )
    return ((cache, dtype(node, 0)),)


def _cache_moves(node: Node) -> Moves:
    """Return the new positions, written into the cache in place; the rest of it stays where it is."""
    return Moves(cache_reads={0: 0}, cache_writes={0: input_elements(node, 1)})


define(
    "Gather", kind=Kind.MOVE, shape=_gather_type, value=_gather, weights=(0,), moves=picked_moves(0),
)  # fmt: skip
define(
    "GatherElements", kind=Kind.MOVE, shape=_elements_type, value=_gather_elements, weights=(0,), moves=picked_moves(0)
)  # fmt: skip
define(
    "GatherND", kind=Kind.MOVE, domain=BOTH, shape=_nd_type, value=_gather_nd, weights=(0,), moves=picked_moves(0),
)  # fmt: skip
define(
    "Scatter", "ScatterElements", cost=_scatter_cost, shape=_scatter_type, value=_scatter_elements, weights=(0, 2),
)  # fmt: skip
define("ScatterND", cost=_scatter_cost, shape=_scatter_type, value=_scatter_nd, weights=(0, 2))
define(
    "TensorScatter", kind=Kind.MOVE, shape=_cache_type, weights=(0, 1), settings=(2,), moves=_cache_moves
)  # fmt: skip
