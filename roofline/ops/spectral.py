"""Fourier transforms and what surrounds them.

A transform of n points takes ``5 n log2(n)`` real operations, the customary count of a fast one
(half of it when only one side of the spectrum is wanted); a window's product takes one per sample.

Spec: https://onnx.ai/onnx/operators/onnx__DFT.html,
https://onnx.ai/onnx/operators/onnx__STFT.html; the count: Frigo and Johnson, The Design and
Implementation of FFTW3, Proceedings of the IEEE 93 (2005).
"""

from __future__ import annotations

from collections.abc import Sequence
from math import log2, prod

from roofline.cost import Cost
from roofline.node import Node, Shape
from roofline.ops._attributes import flag, integer, malformed_error, operand, version
from roofline.ops._counts import has, in_dims, out_count, per_output, result
from roofline.ops._datatypes import FLOAT32, target_or
from roofline.ops._registry import MICROSOFT, TensorType, define
from roofline.ops._shapes import (
    Dim,
    at_least,
    axis_of,
    dtype,
    given_shape,
    length,
    ranked_shape,
    unknown_shape,
)
from roofline.ops._values import scalar

NodeTypes = Sequence[TensorType | None]


def _transform(points: int, *, onesided: bool) -> int:
    full = round(5 * points * log2(points)) if points > 1 else 0
    return full // 2 if onesided else full


def _axis(node: Node, rank: int) -> int | None:
    """Return the transformed axis: an attribute before opset 20, then operand 2; None when it is unknown."""
    if version(node) < 20:
        return axis_of(node, integer(node, "axis", 1), rank)
    axis = scalar(node, 2) if has(node, 2) else -2
    return None if axis is None else axis_of(node, axis, rank)


def _points(node: Node, size: Dim) -> Dim:
    """Return the transform's length: operand 1, or the axis' own; an inverse of one side has twice as many points."""
    if has(node, 1):
        return scalar(node, 1)
    if flag(node, "onesided") and flag(node, "inverse"):
        return None if size is None else 2 * (size - 1)
    return size


@given_shape(2)
def _dft_type(node: Node, data: Shape) -> Shape:
    """Return the spectrum: real and imaginary parts in the last dimension, one side of it when asked."""
    axis = _axis(node, len(data))
    if axis is None:
        return unknown_shape(len(data))
    points, onesided, inverse = (
        _points(node, data[axis]),
        flag(node, "onesided"),
        flag(node, "inverse"),
    )
    if points is not None and onesided and not inverse:
        points = points // 2 + 1
    found = [*data[:-1], 1 if onesided and inverse else 2]
    found[axis] = points
    return tuple(found)


def _dft_cost(node: Node) -> Cost:
    """Count one transform for each line along the axis."""
    dims = in_dims(node, 0)
    after = result(node).shape or dims
    axis = _axis(node, len(dims))
    if axis is None or not dims[axis]:
        return Cost(other_ops=out_count(node))
    onesided = flag(node, "onesided")
    points = _points(node, dims[axis]) or after[axis] or dims[axis]
    lines = prod(size for place, size in enumerate(dims[:-1]) if place != axis)
    return Cost(other_ops=lines * _transform(points, onesided=onesided))


def _frame(node: Node) -> Dim:
    """Return a frame's length: operand 3, the window's, or the whole signal's."""
    if has(node, 3):
        return scalar(node, 3)
    if has(node, 2):
        return length(node.operand(2))
    data = operand(node, 0).shape
    return None if data is None or len(data) < 2 else data[1]


def _stft_type(node: Node) -> NodeTypes:
    """Return ``[batch, frames, bins, 2]``."""
    data = at_least(node, 0, 2)
    step, frame = scalar(node, 1), _frame(node)
    if step is not None and step < 1:
        raise malformed_error(node, f"its frame step must be positive, it is {step}")
    batch, samples = (None, None) if data is None else data[:2]
    frames: Dim = None
    if samples is not None and frame is not None and step is not None:
        if frame > samples:
            raise malformed_error(
                node, f"a frame of {frame} is longer than the signal of {samples}"
            )
        frames = (samples - frame) // step + 1
    bins = frame if frame is None or not flag(node, "onesided", default=True) else frame // 2 + 1
    return (((batch, frames, bins, 2), dtype(node, 0)),)


def _stft_cost(node: Node) -> Cost:
    """Count the window's products and one transform per frame."""
    batch, frames, *_ = (size or 0 for size in result(node).shape or (0, 0))
    points = _frame(node) or 0
    windowed = points if has(node, 2) else 0
    each = windowed + _transform(points, onesided=flag(node, "onesided", default=True))
    return Cost(other_ops=batch * frames * each)


def _window_type(node: Node) -> NodeTypes:
    """Return a window of as many samples as operand 0 says.

    Spec: https://onnx.ai/onnx/operators/onnx__HannWindow.html
    """
    operand(node, 0)
    size = scalar(node, 0)
    if size is not None and size < 0:
        raise malformed_error(node, f"its size must not be negative, it is {size}")
    return (((size,), target_or(node, "output_datatype", FLOAT32)),)


def _mel_type(node: Node) -> NodeTypes:
    """Return ``[points // 2 + 1, bins]``.

    Spec: https://onnx.ai/onnx/operators/onnx__MelWeightMatrix.html
    """
    bins, points = scalar(node, 0), scalar(node, 1)
    return (
        (
            (None if points is None else points // 2 + 1, bins),
            target_or(node, "output_datatype", FLOAT32),
        ),
    )


@given_shape(1)
def _rfft_type(node: Node, data: Shape) -> Shape:
    """Return com.microsoft's transform of the last axes: one side, real and imaginary parts in a new dimension."""
    if node.op_type == "Rfft":
        bins = None if data[-1] is None else data[-1] // 2 + 1
        return (*data[:-1], bins, 2)
    data = ranked_shape(node, 0, max(2, len(data))) or data
    points = None if data[-2] is None else 2 * (data[-2] - 1)
    return (*data[:-2], points)


def _rfft_cost(node: Node) -> Cost:
    """Count one one-sided transform per line of the last axis."""
    dims = (
        in_dims(node, 0)
        if node.op_type == "Rfft"
        else tuple(size or 0 for size in result(node).shape or ())
    )
    if not dims:
        return Cost()
    return Cost(other_ops=prod(dims[:-1]) * _transform(dims[-1], onesided=True))


define("DFT", cost=_dft_cost, shape=_dft_type, settings=(1, 2))
define("STFT", cost=_stft_cost, shape=_stft_type, settings=(1, 3))
# A cosine window: index times constant, cosine, and the weighted sum (4); Blackman's has two cosines (7).
define("HannWindow", "HammingWindow", cost=per_output(4), shape=_window_type, settings=(0,))
define("BlackmanWindow", cost=per_output(7), shape=_window_type, settings=(0,))
# Two slopes (a difference and a division each), their minimum and zero's maximum.
define("MelWeightMatrix", cost=per_output(6), shape=_mel_type, settings=(0, 1, 2, 3, 4))
define("Rfft", "Irfft", domain=MICROSOFT, cost=_rfft_cost, shape=_rfft_type)
