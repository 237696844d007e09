"""Operators that see a tensor differently or ask about its shape: no arithmetic and no copy.

Spec: https://onnx.ai/onnx/operators/onnx__Reshape.html and its siblings. Dropout is the identity
at inference.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from roofline.node import Array, Node, Shape
from roofline.ops import _datatypes
from roofline.ops._attributes import (
    flag,
    integer,
    malformed_error,
    maybe_integer,
    maybe_integers,
    operand,
    version,
)
from roofline.ops._datatypes import BOOL, INT64, target
from roofline.ops._registry import Kind, TensorType, define
from roofline.ops._shapes import (
    Dim,
    axes_of,
    axis_of,
    dtype,
    given_shape,
    product,
    rank_held,
    same_type,
    shape,
    show,
    unknown_shape,
)
from roofline.ops._values import (
    NOTHING,
    entries,
    fits,
    has_integers,
    is_partial,
    listed_integers,
    settle,
    single_result,
    values,
)
from roofline.precision import DatatypeKind


def _target(node: Node) -> tuple[int | None, ...] | None:
    """Return the asked-for dimensions: attribute ``shape`` before opset 5, then operand 1."""
    stated = maybe_integers(node, "shape")
    if stated is not None:
        return stated
    found = entries(node, 1) if node.operand(1) is not None else None
    if found is not None:
        return found
    if node.operand(1) is None and version(node) < 5:
        raise malformed_error(node, "attribute 'shape' is missing")
    size = rank_held(node, 1)
    return None if size is None else (None,) * size


def _reshape_type(node: Node) -> Sequence[TensorType | None]:
    return ((target_shape(node, operand(node, 0).shape, _target(node)), dtype(node, 0)),)


def target_shape(
    node: Node, data: Shape | None, wanted: tuple[int | None, ...] | None
) -> Shape | None:
    """Return the dimensions that a target with 0 (copy) and -1 (what is left) stands for.

    A dimension copied from the operand cancels, so that ``[0, -1]`` is found even when the batch is unknown; an unknown
    entry beside known ones is what is left as well.

    Raises:
        ModelError: The element counts cannot agree.
    """
    if wanted is None:
        return None
    keep_zero = flag(node, "allowzero")
    result: list[Dim] = []
    left: list[Dim] = list(data or ())
    others: list[Dim] = []
    free_axes: list[int] = []
    for axis, entry in enumerate(wanted):
        if entry == 0 and not keep_zero:
            if data is None:
                result.append(None)
                others.append(None)
                continue
            if axis >= len(data):
                raise malformed_error(
                    node,
                    f"entry {axis} of the new shape copies a dimension that {show(data)} lacks",
                )
            result.append(data[axis])
            left.remove(data[axis]) if data[axis] in left else others.append(data[axis])
            continue
        if entry is not None and entry < -1:
            raise malformed_error(node, f"the new shape {show(wanted)} holds a negative dimension")
        result.append(None if entry == -1 else entry)
        if entry is None or entry == -1:
            free_axes.append(axis)
        else:
            others.append(entry)
    if sum(entry == -1 for entry in wanted) > 1:
        raise malformed_error(node, f"the new shape {show(wanted)} holds more than one -1")
    have, need = product(left), product(others)
    if data is None or have is None or need is None:
        return tuple(result)
    if not free_axes:
        if have != need:
            raise malformed_error(
                node, f"a tensor of shape {show(data)} cannot take the shape {show(tuple(result))}"
            )
    elif len(free_axes) == 1:
        if need == 0 or have % need:
            if need == 0 and have == 0:
                return tuple(result)
            raise malformed_error(
                node, f"a tensor of shape {show(data)} cannot take the shape {show(wanted)}"
            )
        result[free_axes[0]] = have // need
    return tuple(result)


def _whole_sizes(found: Shape) -> tuple[int, ...]:
    """Return a shape of known dimensions as plain integers."""
    return tuple(size for size in found if size is not None)


@single_result
def _reshape(node: Node) -> Array | None:
    array = node.value(0)
    wanted = None if array is None else target_shape(node, array.shape, _target(node))
    if array is None or wanted is None or None in wanted:
        return None
    return array.reshape(_whole_sizes(wanted))


def _flattened_shape(node: Node, data: Shape) -> Shape:
    axis = axis_of(node, integer(node, "axis", 1), len(data), inclusive=True)
    return (product(data[:axis]), product(data[axis:]))


def _flatten_type(node: Node) -> Sequence[TensorType | None]:
    """Return two dimensions: those before the axis, and the rest.

    Spec: https://onnx.ai/onnx/operators/onnx__Flatten.html
    """
    data = shape(node, 0)
    return ((unknown_shape(2) if data is None else _flattened_shape(node, data), dtype(node, 0)),)


@single_result
def _flatten(node: Node) -> Array | None:
    array = node.value(0)
    return (
        None if array is None else array.reshape(_whole_sizes(_flattened_shape(node, array.shape)))
    )


def _squeeze(node: Node, data: Shape) -> Shape | None:
    """Return the shape without the named axes, or without every axis of size 1.

    Spec: https://onnx.ai/onnx/operators/onnx__Squeeze.html
    """
    axes = listed_integers(node, "axes", 1)
    if axes is None:
        if has_integers(node, "axes", 1):
            count = rank_held(node, 1)
            return None if count is None else unknown_shape(len(data) - count)
        return None if None in data else tuple(size for size in data if size != 1)
    dropped = axes_of(node, axes, len(data))
    for axis in dropped:
        if data[axis] not in (1, None):
            raise malformed_error(node, f"axis {axis} of {show(data)} has not size 1")
    return tuple(size for axis, size in enumerate(data) if axis not in dropped)


def _unsqueeze(node: Node, data: Shape) -> Shape | None:
    """Return the shape with axes of size 1 put in.

    Spec: https://onnx.ai/onnx/operators/onnx__Unsqueeze.html
    """
    axes = listed_integers(node, "axes", 1)
    if axes is None:
        if not has_integers(node, "axes", 1):
            raise malformed_error(node, "its axes are missing")
        count = rank_held(node, 1)
        return None if count is None else unknown_shape(len(data) + count)
    rank = len(data) + len(axes)
    added = axes_of(node, axes, rank)
    rest = iter(data)
    return tuple(1 if axis in added else next(rest) for axis in range(rank))


@single_result
def _refit(node: Node) -> Array | None:
    array = node.value(0)
    if array is None:
        return None
    found = (_squeeze if node.op_type == "Squeeze" else _unsqueeze)(node, array.shape)
    return None if found is None else array.reshape(_whole_sizes(found))


@values
def _pass_on(node: Node) -> Sequence[Array | None]:
    return (node.value(0),)


def _span(node: Node, data: Shape) -> Shape:
    """Return the dimensions from ``start`` to ``end``, clamped as Python's slices are."""
    return data[integer(node, "start", 0) : maybe_integer(node, "end")]


def _shape_type(node: Node) -> Sequence[TensorType | None]:
    """Return a vector of as many dimensions as are asked for.

    Spec: https://onnx.ai/onnx/operators/onnx__Shape.html
    """
    data = shape(node, 0)
    return (((None if data is None else len(_span(node, data)),), INT64),)


@single_result
def _shape(node: Node) -> Array | None:
    data = shape(node, 0)
    if data is None:
        return None
    found = _span(node, data)
    return np.array(found, object if None in found else np.int64)


def _size_type(node: Node) -> Sequence[TensorType | None]:
    operand(node, 0)
    return (((), INT64),)


@single_result
def _size(node: Node) -> Array | None:
    data = shape(node, 0)
    total = None if data is None else product(data)
    return None if total is None else np.array(total, np.int64)


def _dropout_type(node: Node) -> Sequence[TensorType | None]:
    """Return the operand's type; the mask is boolean from opset 10 on."""
    first = operand(node, 0)
    return (
        (first.shape, first.dtype),
        (first.shape, BOOL if version(node) >= 10 else first.dtype),
    )


@values
def _dropout(node: Node) -> Sequence[Array | None]:
    training = node.value(2)
    if node.operand(2) is not None and (training is None or bool(np.any(training))):
        return NOTHING
    array = node.value(0)
    return (array, None if array is None else np.ones(array.shape, bool))


def _cast_type(node: Node) -> Sequence[TensorType | None]:
    """Return the shape with the type that attribute ``to`` names.

    Spec: https://onnx.ai/onnx/operators/onnx__Cast.html
    """
    return ((shape(node, 0), target(node, "to")),)


def _cast_like_type(node: Node) -> Sequence[TensorType | None]:
    return ((shape(node, 0), operand(node, 1).dtype),)


_INTEGERS = (DatatypeKind.INT, DatatypeKind.UINT)
_NUMBERS = (*_INTEGERS, DatatypeKind.FLOAT)


@single_result
def _cast(node: Node) -> Array | None:
    array = node.value(0)
    wanted = target(node, "to") if node.op_type == "Cast" else dtype(node, 1)
    kind = _datatypes.numpy_type(wanted)
    if array is None or kind is None or wanted is None or wanted.name == "bf16":
        return None
    array = settle(array)
    if is_partial(array):
        return array if wanted.kind in _NUMBERS and _numeric(array) else None
    if array.dtype.kind == "f" and wanted.kind in _INTEGERS and not np.isfinite(array).all():
        return None
    return array.astype(kind)


def _numeric(array: Array) -> bool:
    """Return whether known entries are whole numbers, which every number type holds unchanged."""
    return all(
        entry is None or (isinstance(entry, int) and not isinstance(entry, bool))
        for entry in array.flat
    )


@single_result
def _bit_cast(node: Node) -> Array | None:
    array = node.value(0)
    kind = _datatypes.numpy_type(target(node, "to"))
    if (
        array is None
        or kind is None
        or is_partial(array)
        or np.dtype(kind).itemsize != array.dtype.itemsize
    ):
        return None
    return array.view(kind) if fits(array.shape) else None


define("Reshape", kind=Kind.VIEW, shape=_reshape_type, value=_reshape, settings=(1,))
define("Flatten", kind=Kind.VIEW, shape=_flatten_type, value=_flatten)
define("Squeeze", kind=Kind.VIEW, shape=given_shape()(_squeeze), value=_refit, settings=(1,))
define("Unsqueeze", kind=Kind.VIEW, shape=given_shape()(_unsqueeze), value=_refit, settings=(1,))
define("Identity", kind=Kind.VIEW, shape=same_type, value=_pass_on)
define("Shape", kind=Kind.VIEW, shape=_shape_type, value=_shape)
define("Size", kind=Kind.VIEW, shape=_size_type, value=_size)
define("Dropout", kind=Kind.VIEW, shape=_dropout_type, value=_dropout, settings=(1, 2))
define("Cast", kind=Kind.MOVE, shape=_cast_type, value=_cast)
define("CastLike", kind=Kind.MOVE, shape=_cast_like_type, value=_cast, settings=(1,))
define("BitCast", kind=Kind.VIEW, shape=_cast_type, value=_bit_cast)
