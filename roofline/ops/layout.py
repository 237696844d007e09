"""Operators that copy elements to other places: no arithmetic.

Spec: https://onnx.ai/onnx/operators/onnx__Transpose.html and its siblings.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from roofline.node import Array, Node, Shape
from roofline.number_format import plural
from roofline.ops._attributes import (
    integer,
    malformed_error,
    maybe_integers,
    operand,
    present,
    required_integer,
    version,
)
from roofline.ops._registry import BOTH, Kind, TensorType, define
from roofline.ops._shapes import (
    Dim,
    at_least,
    axis_of,
    broadcast,
    divide,
    dtype,
    merge,
    rank_held,
    result_type,
    scale,
    shape,
    show,
    unknown_shape,
)
from roofline.ops._values import (
    MAX_VALUE_ELEMENTS,
    all_entries,
    entries,
    fits,
    has_integers,
    is_partial,
    scalar,
    single_result,
    values,
)

NodeTypes = Sequence[TensorType | None]


def _permutation(node: Node, rank: int) -> tuple[int, ...]:
    perm = maybe_integers(node, "perm")
    if perm is None:
        return tuple(range(rank))[::-1]
    perm = tuple(axis + rank if axis < 0 else axis for axis in perm)
    if sorted(perm) != list(range(rank)):
        raise malformed_error(
            node, f"attribute 'perm' must order {plural(rank, 'axis', 'axes')}, it is {list(perm)}"
        )
    return perm


def _transpose_type(node: Node) -> NodeTypes:
    """Return the dimensions in the order of ``perm``, reversed without it.

    Spec: https://onnx.ai/onnx/operators/onnx__Transpose.html
    """
    data = shape(node, 0)
    if data is None:
        perm = maybe_integers(node, "perm")
        return ((None if perm is None else unknown_shape(len(perm)), dtype(node, 0)),)
    return ((tuple(data[axis] for axis in _permutation(node, len(data))), dtype(node, 0)),)


@single_result
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
        other = next(found for found in known if len(found) != rank)
        raise malformed_error(
            node, f"operands {show(known[0])} and {show(other)} must have one rank"
        )
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
            if found[place] != size:
                what = f"dimensions {place} of {show(known[0])} and {show(found)}"
                size = merge(node, size, found[place], what)
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


@single_result
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
            raise malformed_error(
                node, f"the parts {show(sizes)} must sum to the dimension's {size}"
            )
        return sizes
    count = integer(node, "num_outputs", max(1, len(node.outputs)))
    if has_integers(node, "split", 1):
        return (None,) * (rank_held(node, 1) or len(node.outputs))
    if count < 1 or (node.outputs and count != len(node.outputs)):
        raise malformed_error(
            node,
            f"attribute 'num_outputs' must be its {plural(len(node.outputs), 'result')}, it is {count}",
        )
    if size is None:
        return (None,) * count
    if version(node) < 18 and size % count:
        raise malformed_error(
            node, f"a dimension of {size} does not split into {plural(count, 'equal part')}"
        )
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
        raise malformed_error(
            node, f"its repeats must hold {plural(rank, 'count')}, they are {show(found)}"
        )
    return found


def _tile_type(node: Node) -> NodeTypes:
    """Return each dimension times its repeats.

    Spec: https://onnx.ai/onnx/operators/onnx__Tile.html
    """
    data = shape(node, 0)
    operand(node, 1)
    if data is None:
        size = rank_held(node, 1) if version(node) >= 6 else None
        return ((None if size is None else unknown_shape(size), dtype(node, 0)),)
    repeats = _repeats(node, len(data))
    sizes = tuple(
        None if size is None or count is None else size * count
        for size, count in zip(data, repeats, strict=True)
    )
    return ((sizes, dtype(node, 0)),)


@single_result
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
        size = rank_held(node, 1)
        wanted = None if size is None else (None,) * size
    elif any(size is not None and size < 0 for size in wanted):
        # PyTorch's exporter writes -1 for a dimension that stays.
        if any(size is not None and size < -1 for size in wanted):
            raise malformed_error(node, f"the new shape {show(wanted)} holds a negative dimension")
        wanted = tuple(1 if size == -1 else size for size in wanted)
    return ((broadcast(node, (shape(node, 0), wanted)), dtype(node, 0)),)


@single_result
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
        raise malformed_error(node, f"attribute 'blocksize' must be positive, it is {size}")
    if data is None:
        return ((unknown_shape(4), dtype(node, 0)),)
    spatial = len(data) - 2
    if node.op_type == "DepthToSpace":
        channels = divide(node, data[1], size**spatial, "the channels")
        return (
            ((data[0], channels, *(scale(extent, size) for extent in data[2:])), dtype(node, 0)),
        )
    extents = tuple(divide(node, extent, size, "a spatial dimension") for extent in data[2:])
    return (((data[0], scale(data[1], size**spatial), *extents), dtype(node, 0)),)


@single_result
def _trilu(node: Node) -> Array | None:
    array = node.value(0)
    offset = scalar(node, 1) if node.operand(1) is not None else 0
    if array is None or offset is None or is_partial(array):
        return None
    return np.triu(array, offset) if integer(node, "upper", 1) else np.tril(array, offset)


define("Transpose", kind=Kind.MOVE, shape=_transpose_type, value=_transpose)
define("Concat", kind=Kind.MOVE, shape=_concat_type, value=_concat)
define("Split", kind=Kind.MOVE, shape=_split_type, value=_split, settings=(1,))
define("Tile", kind=Kind.MOVE, shape=_tile_type, value=_tile, settings=(1, 2))
define("Expand", kind=Kind.MOVE, shape=_expand_type, value=_expand, settings=(1,))
define("DepthToSpace", "SpaceToDepth", kind=Kind.MOVE, shape=_blocks_type)
_MATRICES = result_type(lambda node: at_least(node, 0, 2), 0)
define("ReverseSequence", kind=Kind.MOVE, shape=_MATRICES, settings=(1,))
define("Trilu", kind=Kind.MOVE, domain=BOTH, shape=_MATRICES, value=_trilu, settings=(1,))
