"""Cutting tensors and filling them up: Slice, Pad and their kin; no arithmetic.

Spec: https://onnx.ai/onnx/operators/onnx__Slice.html,
https://onnx.ai/onnx/operators/onnx__Pad.html
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from roofline.node import Array, Node, Shape
from roofline.number_format import plural
from roofline.ops._attributes import (
    choice,
    malformed_error,
    maybe_integers,
    number,
    operand,
    version,
)
from roofline.ops._moves import picked_moves
from roofline.ops._registry import MICROSOFT, Kind, TensorType, define
from roofline.ops._shapes import (
    Dim,
    axes_of,
    dtype,
    given_shape,
    rank_held,
    shape,
    show,
    unknown_shape,
)
from roofline.ops._values import all_entries, entries, fits, single_result

NodeTypes = Sequence[TensorType | None]


def _slices(node: Node, rank: int) -> dict[int, tuple[int | None, int | None, int | None]] | None:
    """Return start, end and step by axis, None where unknown; None when even the axes are unknown."""
    if version(node) < 10:
        starts, ends = maybe_integers(node, "starts"), maybe_integers(node, "ends")
        if starts is None or ends is None:
            raise malformed_error(node, "attributes 'starts' and 'ends' are missing")
        axes, steps = maybe_integers(node, "axes"), None
        count = len(starts)
    else:
        starts, ends = entries(node, 1), entries(node, 2)
        axes, steps = all_entries(node, 3), entries(node, 4)
        sizes = [size for size in (rank_held(node, 1), rank_held(node, 2)) if size is not None]
        if not sizes or (node.operand(3) is not None and axes is None):
            return None
        count = sizes[0]
        if node.operand(4) is not None and steps is None:
            steps = (None,) * count
    axes = tuple(range(count)) if axes is None else axes
    starts = (None,) * count if starts is None else starts
    ends = (None,) * count if ends is None else ends
    steps = (1,) * count if steps is None else steps
    if not len(starts) == len(ends) == len(axes) == len(steps):
        raise malformed_error(node, "its starts, ends, axes and steps must have one length")
    if 0 in steps:
        raise malformed_error(node, "its steps must not be zero")
    places = axes_of(node, axes, rank)
    return {place: bounds for place, *bounds in zip(places, starts, ends, steps, strict=True)}  # pyright: ignore[reportReturnType]


def _indices(size: int, start: int, end: int, step: int) -> range:
    """Return the indices a slice takes: bounds count from the end when negative, and are clamped."""
    return (
        range(*slice(start, end, step).indices(size))
        if step > 0 or end >= -size
        else _backwards(size, start, step)
    )


def _backwards(size: int, start: int, step: int) -> range:
    """Return the indices of a negative step whose end lies before the first element."""
    return range(*slice(start, None, step).indices(size))


@given_shape()
def _slice_type(node: Node, data: Shape) -> Shape:
    """Return the dimensions of a strided slice.

    Spec: https://onnx.ai/onnx/operators/onnx__Slice.html
    """
    slices = _slices(node, len(data))
    if slices is None:
        return unknown_shape(len(data))
    result = list(data)
    for axis, (start, end, step) in slices.items():
        size = data[axis]
        if size is None or start is None or end is None or step is None:
            result[axis] = 0 if size == 0 else None
        else:
            result[axis] = len(_indices(size, start, end, step))
    return tuple(result)


def cut_of(node: Node) -> tuple[int, int, int] | None:
    """Return the axis that a Slice cuts and the first index it takes and that behind its last; None where not one such.

    Of several axes, unknown bounds and steps beyond one nothing is said.

    Raises:
        ModelError: The node breaks a rule of its operator.
    """
    data = shape(node, 0)
    slices = None if data is None else _slices(node, len(data))
    if data is None or slices is None:
        return None
    cut: list[tuple[int, int, int]] = []
    for axis, (start, end, step) in slices.items():
        size = data[axis]
        if size is None or start is None or end is None or step not in (1, -1):
            return None
        taken = _indices(size, start, end, step)
        if len(taken) < size:
            cut.append((axis, min(taken, default=0), max(taken, default=-1) + 1))
    return cut[0] if len(cut) == 1 else None


@single_result
def _slice(node: Node) -> Array | None:
    array = node.value(0)
    slices = None if array is None else _slices(node, array.ndim)
    if array is None or slices is None:
        return None
    for axis, (start, end, step) in slices.items():
        if start is None or end is None or step is None:
            return None
        array = array.take(_indices(array.shape[axis], start, end, step), axis)
    return array


def _pads(node: Node, rank: int) -> list[tuple[int | None, int | None]] | None:
    """Return what is added before and after each axis, None where unknown; None when the axes are unknown."""
    stated = maybe_integers(node, "pads")
    if stated is None:
        stated = maybe_integers(node, "paddings")
    if stated is None and node.operand(1) is None:
        raise malformed_error(node, "its pads are missing")
    pads = entries(node, 1) if stated is None else stated
    axes: Sequence[int] | None = range(rank)
    if node.operand(3) is not None:
        axes = all_entries(node, 3)
        axes = None if axes is None else axes_of(node, axes, rank)
    if pads is None or axes is None:
        return None
    if len(pads) != 2 * len(axes):
        raise malformed_error(
            node, f"its pads must hold {2 * len(axes)} integers, they are {show(pads)}"
        )
    result: list[tuple[int | None, int | None]] = [(0, 0)] * rank
    for index, axis in enumerate(axes):
        result[axis] = (pads[index], pads[len(axes) + index])
    return result


@given_shape()
def _pad_type(node: Node, data: Shape) -> Shape:
    """Return the dimensions with what is added, or cut off where a pad is negative.

    Spec: https://onnx.ai/onnx/operators/onnx__Pad.html
    """
    pads = _pads(node, len(data))
    if pads is None:
        return unknown_shape(len(data))
    result: list[Dim] = []
    for size, (before, after) in zip(data, pads, strict=True):
        wide = None if size is None or before is None or after is None else size + before + after
        if wide is not None and wide < 0:
            raise malformed_error(
                node, f"pads {before} and {after} leave a negative size of a dimension of {size}"
            )
        result.append(wide)
    return tuple(result)


@single_result
def _pad(node: Node) -> Array | None:
    array = node.value(0)
    if (
        array is None
        or choice(node, "mode", "constant", ("constant", "edge", "reflect", "wrap")) != "constant"
    ):
        return None
    pads = _pads(node, array.ndim)
    if pads is None:
        return None
    widths = [
        (before, after) for before, after in pads if before is not None and after is not None
    ]
    if len(widths) < len(pads) or min((min(pair) for pair in widths), default=0) < 0:
        return None
    if not fits(tuple(size + sum(pair) for size, pair in zip(array.shape, widths, strict=True))):
        return None
    fill = node.value(2)
    if node.operand(2) is not None and fill is None:
        return None
    constant = number(node, "value", 0.0) if fill is None else fill.ravel()[0]
    return np.pad(array, widths, constant_values=constant)


def _crop_type(node: Node) -> NodeTypes:
    """Return the operand's shape with the named axes cropped or padded to the sizes of operand 1.

    Spec: https://onnx.ai/onnx/operators/onnx__CenterCropPad.html
    """
    data = shape(node, 0)
    operand(node, 1)
    if data is None:
        return ((None, dtype(node, 0)),)
    axes = axes_of(node, maybe_integers(node, "axes") or tuple(range(len(data))), len(data))
    sizes = entries(node, 1) or (None,) * len(axes)
    if len(sizes) != len(axes):
        raise malformed_error(
            node, f"operand 1 must hold {plural(len(axes), 'size')}, it holds {len(sizes)}"
        )
    result = list(data)
    for axis, size in zip(axes, sizes, strict=True):
        result[axis] = size
    return ((tuple(result), dtype(node, 0)),)


define(
    "Slice", "DynamicSlice", kind=Kind.MOVE, shape=_slice_type, value=_slice, settings=(1, 2, 3, 4),
    moves=picked_moves(0),
)  # fmt: skip
define("Pad", kind=Kind.MOVE, shape=_pad_type, value=_pad, settings=(1, 2, 3))
define("CenterCropPad", kind=Kind.MOVE, shape=_crop_type, settings=(1,))
define("Pad", kind=Kind.MOVE, domain=MICROSOFT, shape=_pad_type, value=_pad, settings=(1, 2))
