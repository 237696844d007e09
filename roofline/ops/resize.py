"""Resampling: the weighted sum of a neighbourhood for each output element.

Nearest copies; linear over n resized axes takes ``2 * 2**n - 1`` operations per output element
(products and sums), cubic ``2 * 4**n - 1``. Where the neighbours lie is computed once per axis and
left out.

Spec: https://onnx.ai/onnx/operators/onnx__Resize.html,
https://onnx.ai/onnx/operators/onnx__GridSample.html
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from roofline.cost import Cost
from roofline.node import Node, Shape
from roofline.number_format import plural
from roofline.ops._attributes import (
    choice,
    malformed_error,
    maybe_integers,
    maybe_numbers,
    number,
    text,
    version,
)
from roofline.ops._counts import in_dims, out_count
from roofline.ops._counts import result as result_of
from roofline.ops._registry import BOTH, TensorType, define
from roofline.ops._shapes import (
    Dim,
    at_least,
    axes_of,
    dtype,
    rank_held,
    ranked_shape,
    shape,
    unknown_shape,
)
from roofline.ops._values import entries

NodeTypes = Sequence[TensorType | None]
Numbers = tuple[float | None, ...]

_TAPS = {"nearest": 0, "linear": 2, "bilinear": 2, "cubic": 4, "bicubic": 4}


def _numbers(node: Node, position: int) -> Numbers | None:
    """Return the numbers an operand holds, None for unknown ones; None when it is absent, empty or unknown."""
    tensor = node.operand(position)
    if tensor is None or rank_held(node, position) == 0:
        return None
    if tensor.value is None:
        count = rank_held(node, position)
        return None if count is None else (None,) * count
    found: list[Any] = tensor.value.ravel().tolist()
    if not all(entry is None or isinstance(entry, (int, float)) for entry in found):
        raise malformed_error(node, f"operand {position} must hold numbers")
    return tuple(None if entry is None else float(entry) for entry in found)


def _scales(node: Node, rank: int) -> Numbers | None:
    """Return the scales of an Upsample or Resize call, from attribute or operand."""
    if node.op_type == "Upsample" and version(node) < 7:
        height, width = number(node, "height_scale", 0.0), number(node, "width_scale", 0.0)
        return (*[1.0] * (rank - 2), height, width)
    stated = maybe_numbers(node, "scales")
    if stated is not None:
        return stated
    early = node.op_type == "Upsample" or version(node) < 11
    return _numbers(node, 1 if early else 2)


def _scale(node: Node, size: Dim, scale: float | None) -> Dim:
    """Return ``floor(size * scale)`` in single precision, as runtimes compute it."""
    if scale is not None and not (scale > 0 and math.isfinite(scale)):
        raise malformed_error(node, f"its scales must be positive, one is {scale}")
    return (
        None if size is None or scale is None else math.floor(np.float32(size) * np.float32(scale))
    )


def _fit(node: Node, data: Sequence[Dim], sizes: Sequence[int | None]) -> tuple[Dim, ...]:
    """Return the sizes that keep the aspect ratio, when the policy asks for it."""
    policy = choice(
        node, "keep_aspect_ratio_policy", "stretch", ("stretch", "not_larger", "not_smaller")
    )
    if policy == "stretch":
        return tuple(sizes)
    ratios = [
        size / extent
        for extent, size in zip(data, sizes, strict=True)
        if extent is not None and size is not None and extent
    ]
    if len(ratios) < len(sizes):
        return (None,) * len(sizes)
    scale = min(ratios) if policy == "not_larger" else max(ratios)
    return tuple(None if extent is None else math.floor(scale * extent + 0.5) for extent in data)


def _resize_type(node: Node) -> NodeTypes:
    """Return each dimension times its scale, or the stated sizes."""
    data, kind = shape(node, 0), dtype(node, 0)
    if data is None:
        return ((None, kind),)
    axes = axes_of(node, maybe_integers(node, "axes") or tuple(range(len(data))), len(data))
    picked = [data[axis] for axis in axes]
    scales = _scales(node, len(data))
    has_sizes = node.op_type == "Resize" and version(node) >= 11 and rank_held(node, 3) != 0
    if scales is None and (not has_sizes or node.operand(3) is None):
        return ((unknown_shape(len(data)), kind),)
    if scales is not None:
        if len(scales) != len(axes):
            raise malformed_error(
                node, f"it must have {plural(len(axes), 'scale')}, it has {len(scales)}"
            )
        regions = _regions(node, len(axes))
        found = [
            _scale(node, size, None if scale is None or region is None else scale * region)
            for size, scale, region in zip(picked, scales, regions, strict=True)
        ]
    else:
        sizes = entries(node, 3) or (None,) * len(axes)
        if len(sizes) != len(axes) or any(size is not None and size < 0 for size in sizes):
            raise malformed_error(
                node,
                f"it must have {plural(len(axes), 'size')} that are not negative, they are {list(sizes)}",
            )
        found = list(_fit(node, picked, sizes))
    result = list(data)
    for axis, size in zip(axes, found, strict=True):
        result[axis] = size
    return ((tuple(result), kind),)


def _regions(node: Node, count: int) -> Numbers:
    """Return the share of each axis that is resized: less than all under ``tf_crop_and_resize`` only."""
    if text(node, "coordinate_transformation_mode", "half_pixel") != "tf_crop_and_resize":
        return (1.0,) * count
    bounds = _numbers(node, 1)
    if bounds is None or len(bounds) != 2 * count:
        return (None,) * count
    return tuple(
        None if start is None or end is None else end - start
        for start, end in zip(bounds[:count], bounds[count:], strict=True)
    )


def _interpolation(mode: str, axes: int) -> int:
    taps = _TAPS.get(mode, 2)
    return 2 * taps**axes - 1 if taps and axes else 0


def _resize_cost(node: Node) -> Cost:
    """Count the interpolation over the axes whose size changes."""
    before, after = in_dims(node, 0), result_of(node).shape or ()
    changed = sum(a != b for a, b in zip(before, after, strict=False))
    return Cost(other_ops=_interpolation(text(node, "mode", "nearest"), changed) * out_count(node))


def _grid_type(node: Node) -> NodeTypes:
    """Return batch and channels of the operand, and the grid's positions.

    Spec: https://onnx.ai/onnx/operators/onnx__GridSample.html
    """
    data, grid = at_least(node, 0, 3), at_least(node, 1, 3)
    if data is not None and grid is not None and len(data) != len(grid):
        raise malformed_error(node, "the operand and the grid must have one rank")
    if data is None and grid is None:
        return ((None, dtype(node, 0)),)
    rank = len(data or grid or ())
    lead: Shape = (None, None) if data is None else data[:2]
    positions: Shape = (None,) * (rank - 2) if grid is None else grid[1:-1]
    return (((*lead, *positions), dtype(node, 0)),)


def _grid_cost(node: Node) -> Cost:
    """Count the interpolation over all spatial axes."""
    axes = len(in_dims(node, 0)) - 2
    return Cost(other_ops=_interpolation(text(node, "mode", "linear"), axes) * out_count(node))


def _affine_type(node: Node) -> NodeTypes:
    """Return one position per point of the image whose size operand 1 holds.

    Spec: https://onnx.ai/onnx/operators/onnx__AffineGrid.html
    """
    theta = ranked_shape(node, 0, 3)
    sizes = entries(node, 1)
    if sizes is None:
        count = rank_held(node, 1)
        sizes = None if count is None else (None,) * count
    if sizes is None:
        return ((None, dtype(node, 0)),)
    if len(sizes) not in (4, 5):
        raise malformed_error(node, f"operand 1 must hold 4 or 5 sizes, it holds {len(sizes)}")
    batch = sizes[0] if sizes[0] is not None or theta is None else theta[0]
    return (((batch, *sizes[2:], len(sizes) - 2), dtype(node, 0)),)


def _affine_cost(node: Node) -> Cost:
    """Count a product and a sum per coordinate, and a sum, for each result."""
    axes = (result_of(node).shape or (2,))[-1] or 2
    return Cost(other_ops=2 * axes * out_count(node))


define("Resize", cost=_resize_cost, shape=_resize_type, settings=(1, 2, 3))
define("Upsample", cost=_resize_cost, shape=_resize_type, settings=(1,))
define("GridSample", domain=BOTH, cost=_grid_cost, shape=_grid_type)
define("AffineGrid", cost=_affine_cost, shape=_affine_type, settings=(1,))
