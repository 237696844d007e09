"""Operators that copy elements to other places: no arithmetic.

Spec: https://onnx.ai/onnx/operators/onnx__Transpose.html and its siblings.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from roofline.node import Array, Node, Shape
from roofline.ops._attributes import (
    choice,
    integer,
    malformed,
    maybe_integers,
    number,
    operand,
    present,
    required_integer,
    version,
)
from roofline.ops._registry import Kind, TensorType, define
from roofline.ops._shapes import (
    Dim,
    at_least,
    axes_of,
    axis_of,
    broadcast,
    divided,
    dtype,
    length,
    merge,
    scaled,
    shape,
    show,
    unknown,
)
from roofline.ops._values import (
    MAX_VALUE_ELEMENTS,
    all_entries,
    entries,
    fits,
    given,
    is_partial,
    one,
    scalar,
    values,
)

NodeTypes = Sequence[TensorType | None]


def _permutation(node: Node, rank: int) -> tuple[int, ...]:
    perm = maybe_integers(node, "perm")
    if perm is None:
        return tuple(range(rank))[::-1]
    perm = tuple(axis + rank if axis < 0 else axis for axis in perm)
    if sorted(perm) != list(range(rank)):
        raise malformed(node, f"attribute 'perm' must order {rank} axes, it is {list(perm)}")
    return perm


def _transpose_type(node: Node) -> NodeTypes:
    """Return the dimensions in the order of ``perm``, reversed without it.

    Spec: https://onnx.ai/onnx/operators/onnx__Transpose.html
    """
    data = shape(node, 0)
    if data is None:
        perm = maybe_integers(node, "perm")
        return ((None if perm is None else unknown(len(perm)), dtype(node, 0)),)
    return ((tuple(data[axis] for axis in _permutation(node, len(data))), dtype(node, 0)),)


@one
def _transpose(node: Node) -> Array | None:
    array = node.value(0)
    return None if array is None else array.transpose(_permutation(node, array.ndim))


def concat_shape(node: Node, shapes: Sequence[Shape | None], axis: int) -> Shape | None:
    """Return the shape of tensors joined along an axis; unknown dimensions are filled in from the others."""
    known = [found for found in shapes if found is not None]
    if not known:
        return None
    rank = len(known[0])
    if any(len(found) != rank for found in known):
        raise malformed(node, f"operands {', '.join(map(show, known))} must have one rank")
    joined = axis_of(node, axis, rank)
    result: list[Dim] = []
    for place in range(rank):
        if place == joined:
            sizes = [found[place] for found in known]
            whole = len(known) == len(shapes) and None not in sizes
            result.append(sum(size for size in sizes if size is not None) if whole else None)
            continue
        size: Dim = None
        for found in known:
            size = merge(
                node, size, found[place], f"dimensions {place} of {', '.join(map(show, known))}"
            )
        result.append(size)
    return tuple(result)


def _concat_axis(node: Node) -> int:
    return integer(node, "axis", 1) if version(node) < 4 else required_integer(node, "axis")


def _concat_type(node: Node) -> NodeTypes:
    """Return the operands joined along the axis.

    Spec: https://onnx.ai/onnx/operators/onnx__Concat.html
    """
    tensors = present(node)
    types = [tensor.dtype for tensor in tensors if tensor.dtype is not None]
    found = concat_shape(node, [tensor.shape for tensor in tensors], _concat_axis(node))
    return ((found, types[0] if types else None),)


@one
def _concat(node: Node) -> Array | None:
    """Join values; an operand of known size whose entries are unknown contributes unknown entries."""
    parts: list[Array] = []
    for tensor in present(node):
        if tensor.value is not None:
            parts.append(tensor.value)
        elif (
            tensor.elements is not None
            and tensor.elements <= MAX_VALUE_ELEMENTS
            and tensor.shape is not None
        ):
            parts.append(np.full([size or 0 for size in tensor.shape], None, object))
        else:
            return None
    if all(tensor.value is None for tensor in present(node)):
        return None
    return np.concatenate(parts, axis=_concat_axis(node))


def split_sizes(node: Node, size: Dim) -> tuple[Dim, ...]:
    """Return the sizes of the parts that a dimension is split into.

    They come from attribute or operand ``split``, from ``num_outputs`` (the last part may be smaller), or are equal.
    """
    stated = maybe_integers(node, "split")
    sizes = entries(node, 1) if stated is None else stated
    if sizes is not None:
        total = sum(part for part in sizes if part is not None)
        if any(part is not None and part < 0 for part in sizes) or (
            size is not None and None not in sizes and total != size
        ):
            raise malformed(node, f"the parts {show(sizes)} must sum to the dimension's {size}")
        return sizes
    count = integer(node, "num_outputs", max(1, len(node.outputs)))
    if given(node, "split", 1):
        return (None,) * (length(node.operand(1)) or len(node.outputs))
    if count < 1:
        raise malformed(node, f"attribute 'num_outputs' must be positive, it is {count}")
    if size is None:
        return (None,) * count
    if version(node) < 18 and size % count:
        raise malformed(node, f"a dimension of {size} does not split into {count} equal parts")
    part = -(-size // count)
    return tuple(max(0, min(part, size - index * part)) for index in range(count))


def _split_type(node: Node) -> NodeTypes:
    """Return the parts of the operand along the axis.

    Spec: https://onnx.ai/onnx/operators/onnx__Split.html
    """
    data, kind = shape(node, 0), dtype(node, 0)
    if data is None:
        return tuple((None, kind) for _ in node.outputs)
    axis = axis_of(node, integer(node, "axis", 0), len(data))
    return tuple(
        ((*data[:axis], part, *data[axis + 1 :]), kind) for part in split_sizes(node, data[axis])
    )


@values
def _split(node: Node) -> Sequence[Array | None]:
    array = node.value(0)
    if array is None:
        return (None,)
    axis = axis_of(node, integer(node, "axis", 0), array.ndim)
    sizes = [size for size in split_sizes(node, array.shape[axis]) if size is not None]
    ends = np.cumsum(sizes)
    return tuple(
        array.take(range(int(end) - size, int(end)), axis)
        for end, size in zip(ends, sizes, strict=True)
    )


def _slices(node: Node, rank: int) -> dict[int, tuple[int | None, int | None, int | None]] | None:
    """Return start, end and step by axis, None where unknown; None when even the axes are unknown."""
    if version(node) < 10:
        starts, ends = maybe_integers(node, "starts"), maybe_integers(node, "ends")
        if starts is None or ends is None:
            raise malformed(node, "attributes 'starts' and 'ends' are missing")
        axes, steps = maybe_integers(node, "axes"), None
        count = len(starts)
    else:
        starts, ends = entries(node, 1), entries(node, 2)
        axes, steps = all_entries(node, 3), entries(node, 4)
        sizes = [
            size
            for size in (length(operand(node, 1)), length(operand(node, 2)))
            if size is not None
        ]
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
        raise malformed(node, "its starts, ends, axes and steps must have one length")
    if 0 in steps:
        raise malformed(node, "its steps must not be zero")
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


def _slice_type(node: Node) -> NodeTypes:
    """Return the dimensions of a strided slice.

    Spec: https://onnx.ai/onnx/operators/onnx__Slice.html
    """
    data = shape(node, 0)
    if data is None:
        return ((None, dtype(node, 0)),)
    slices = _slices(node, len(data))
    if slices is None:
        return ((unknown(len(data)), dtype(node, 0)),)
    result = list(data)
    for axis, (start, end, step) in slices.items():
        size = data[axis]
        lost = size is None or start is None or end is None or step is None
        result[axis] = None if lost else len(_indices(size, start, end, step))
        if size == 0:
            result[axis] = 0
    return ((tuple(result), dtype(node, 0)),)


@one
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
        raise malformed(node, "its pads are missing")
    pads = entries(node, 1) if stated is None else stated
    axes: Sequence[int] | None = range(rank)
    if node.operand(3) is not None:
        axes = all_entries(node, 3)
        axes = None if axes is None else axes_of(node, axes, rank)
    if pads is None or axes is None:
        return None
    if len(pads) != 2 * len(axes):
        raise malformed(
            node, f"its pads must hold {2 * len(axes)} integers, they are {show(pads)}"
        )
    result: list[tuple[int | None, int | None]] = [(0, 0)] * rank
    for index, axis in enumerate(axes):
        result[axis] = (pads[index], pads[len(axes) + index])
    return result


def _pad_type(node: Node) -> NodeTypes:
    """Return the dimensions with what is added, or cut off where a pad is negative.

    Spec: https://onnx.ai/onnx/operators/onnx__Pad.html
    """
    data = shape(node, 0)
    if data is None:
        return ((None, dtype(node, 0)),)
    pads = _pads(node, len(data))
    if pads is None:
        return ((unknown(len(data)), dtype(node, 0)),)
    result: list[Dim] = []
    for size, (before, after) in zip(data, pads, strict=True):
        wide = None if size is None or before is None or after is None else size + before + after
        if wide is not None and wide < 0:
            raise malformed(
                node, f"pads {before} and {after} leave a negative size of a dimension of {size}"
            )
        result.append(wide)
    return ((tuple(result), dtype(node, 0)),)


@one
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


def _repeats(node: Node, rank: int) -> tuple[int | None, ...]:
    """Return how often each axis is repeated; opset 1 names one axis and one count."""
    if version(node) < 6:
        count, axis = scalar(node, 1), scalar(node, 2)
        if axis is None:
            return (None,) * rank
        place = axis_of(node, axis, rank)
        return tuple(count if index == place else 1 for index in range(rank))
    found = entries(node, 1)
    if found is None:
        return (None,) * rank
    if len(found) != rank or any(count is not None and count < 0 for count in found):
        raise malformed(node, f"its repeats must hold {rank} counts, they are {show(found)}")
    return found


def _tile_type(node: Node) -> NodeTypes:
    """Return each dimension times its repeats.

    Spec: https://onnx.ai/onnx/operators/onnx__Tile.html
    """
    data = shape(node, 0)
    operand(node, 1)
    if data is None:
        size = length(node.operand(1)) if version(node) >= 6 else None
        return ((None if size is None else unknown(size), dtype(node, 0)),)
    repeats = _repeats(node, len(data))
    sizes = tuple(
        None if size is None or count is None else size * count
        for size, count in zip(data, repeats, strict=True)
    )
    return ((sizes, dtype(node, 0)),)


@one
def _tile(node: Node) -> Array | None:
    array = node.value(0)
    if array is None:
        return None
    repeats = _repeats(node, array.ndim)
    counts = tuple(count for count in repeats if count is not None)
    if len(counts) < len(repeats) or not fits(
        tuple(a * b for a, b in zip(array.shape, counts, strict=True))
    ):
        return None
    return np.tile(array, counts)


def _expand_type(node: Node) -> NodeTypes:
    """Return the broadcast of the operand with the shape that operand 1 holds.

    Spec: https://onnx.ai/onnx/operators/onnx__Expand.html
    """
    wanted = entries(node, 1)
    if wanted is None:
        size = length(operand(node, 1))
        wanted = None if size is None else (None,) * size
    elif any(size is not None and size < 0 for size in wanted):
        # PyTorch's exporter writes -1 for a dimension that stays.
        if any(size is not None and size < -1 for size in wanted):
            raise malformed(node, f"the new shape {show(wanted)} holds a negative dimension")
        wanted = tuple(1 if size == -1 else size for size in wanted)
    return ((broadcast(node, (shape(node, 0), wanted)), dtype(node, 0)),)


@one
def _expand(node: Node) -> Array | None:
    array, wanted = node.value(0), all_entries(node, 1)
    if array is None or wanted is None:
        return None
    wanted = tuple(1 if size == -1 else size for size in wanted)
    if not fits(array.shape, wanted):
        return None
    return np.broadcast_to(array, np.broadcast_shapes(array.shape, wanted))


def _blocks_type(node: Node) -> NodeTypes:
    """Return channels traded for height and width, in blocks.

    Spec: https://onnx.ai/onnx/operators/onnx__DepthToSpace.html
    """
    data = at_least(node, 0, 3)
    size = required_integer(node, "blocksize")
    if size < 1:
        raise malformed(node, f"attribute 'blocksize' must be positive, it is {size}")
    if data is None:
        return ((unknown(4), dtype(node, 0)),)
    spatial = len(data) - 2
    if node.op_type == "DepthToSpace":
        channels = divided(node, data[1], size**spatial, "the channels")
        return (
            ((data[0], channels, *(scaled(extent, size) for extent in data[2:])), dtype(node, 0)),
        )
    extents = tuple(divided(node, extent, size, "a spatial dimension") for extent in data[2:])
    return (((data[0], scaled(data[1], size**spatial), *extents), dtype(node, 0)),)


def _reverse_type(node: Node) -> NodeTypes:
    data = at_least(node, 0, 2)
    return ((data, dtype(node, 0)),)


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
        raise malformed(node, f"operand 1 must hold {len(axes)} sizes, it holds {len(sizes)}")
    result = list(data)
    for axis, size in zip(axes, sizes, strict=True):
        result[axis] = size
    return ((tuple(result), dtype(node, 0)),)


@one
def _trilu(node: Node) -> Array | None:
    array = node.value(0)
    offset = scalar(node, 1) if node.operand(1) is not None else 0
    if array is None or offset is None or is_partial(array):
        return None
    return np.triu(array, offset) if integer(node, "upper", 1) else np.tril(array, offset)


def _trilu_type(node: Node) -> NodeTypes:
    return ((at_least(node, 0, 2), dtype(node, 0)),)


define("Transpose", kind=Kind.MOVE, shape=_transpose_type, value=_transpose)
define("Concat", kind=Kind.MOVE, shape=_concat_type, value=_concat)
define("Split", kind=Kind.MOVE, shape=_split_type, value=_split, settings=(1,))
define(
    "Slice", "DynamicSlice", kind=Kind.MOVE, shape=_slice_type, value=_slice, settings=(1, 2, 3, 4)
)
define("Pad", kind=Kind.MOVE, shape=_pad_type, value=_pad, settings=(1, 2, 3))
define("Tile", kind=Kind.MOVE, shape=_tile_type, value=_tile, settings=(1, 2))
define("Expand", kind=Kind.MOVE, shape=_expand_type, value=_expand, settings=(1,))
define("DepthToSpace", "SpaceToDepth", kind=Kind.MOVE, shape=_blocks_type)
define("ReverseSequence", kind=Kind.MOVE, shape=_reverse_type, settings=(1,))
define("CenterCropPad", kind=Kind.MOVE, shape=_crop_type, settings=(1,))
for _domain in ("", "com.microsoft"):
    define("Trilu", kind=Kind.MOVE, domain=_domain, shape=_trilu_type, value=_trilu, settings=(1,))
define("Pad", kind=Kind.MOVE, domain="com.microsoft", shape=_pad_type, value=_pad, settings=(1, 2))
