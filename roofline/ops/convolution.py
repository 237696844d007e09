"""Convolutions.

MACs are the output's elements times the weights of one output channel (input channels of its group
times kernel elements); a transposed convolution's are the operand's elements times the weights of
one input channel. Products with padding are counted. A bias adds one operation per output element,
and a quantized result three (scale, round, saturate).

Spec: https://onnx.ai/onnx/operators/onnx__Conv.html,
https://onnx.ai/onnx/operators/onnx__ConvTranspose.html
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from math import prod

from roofline.cost import Cost
from roofline.node import Node, Shape
from roofline.number_format import plural
from roofline.ops._attributes import integer, integers, malformed_error, maybe_integers, text
from roofline.ops._counts import has, in_dims, input_elements, out_count, per_output
from roofline.ops._datatypes import INT32
from roofline.ops._registry import BOTH, MICROSOFT, CostFunction, TensorType, define
from roofline.ops._shapes import Dim, at_least, dtype, merge, result_type, scale, show
from roofline.ops._windows import Window, kernel, slide, window
from roofline.ops.activation import OPS_PER_ELEMENT

REQUANTIZE = 3
"""Operations per element that bring an integer accumulator to a quantized result: scale, round, saturate."""


def _groups(node: Node) -> int:
    groups = integer(node, "group", 1)
    if groups < 1:
        raise malformed_error(node, f"attribute 'group' must be positive, it is {groups}")
    return groups


def _kernel_sizes(node: Node, weights: Shape | None, axes: int) -> tuple[Dim, ...]:
    """Return the kernel's spatial sizes, from the weights or the attribute, which must agree."""
    stated = maybe_integers(node, "kernel_shape")
    if stated is not None:
        kernel(node, axes, stated)
    if weights is None:
        return stated or (None,) * axes
    found = weights[2:]
    if stated is not None:
        return tuple(
            merge(node, a, b, "the weight's and attribute 'kernel_shape's sizes")
            for a, b in zip(found, stated, strict=True)
        )
    return found


def _pair_shapes(node: Node, x: int, w: int) -> tuple[Shape | None, Shape | None, int]:
    """Return the operand's and the weight's shapes and the number of spatial axes; they must have one rank."""
    data, weights = at_least(node, x, 3), at_least(node, w, 3)
    if data is not None and weights is not None and len(data) != len(weights):
        raise malformed_error(
            node, f"operand {show(data)} and weight {show(weights)} must have the same rank"
        )
    rank = len(data) if data is not None else len(weights) if weights is not None else 0
    return data, weights, rank - 2


def conv_shape(node: Node, x: int = 0, w: int = 1) -> Shape | None:
    """Return a convolution's output shape: operand at position ``x``, weight at ``w``."""
    data, weights, axes = _pair_shapes(node, x, w)
    groups = _groups(node)
    if axes < 0:
        return None
    found = window(node, axes)
    sizes = _kernel_sizes(node, weights, axes)
    if data is None:
        return (None, weights[0] if weights else None, *[None] * axes)
    if weights is not None:
        expected = scale(weights[1], groups)
        if data[1] is not None and expected is not None and data[1] != expected:
            raise malformed_error(
                node,
                f"the operand has {plural(data[1], 'channel')}, but the weight {show(weights)} and group {groups}"
                f" ask for {expected}",
            )
        if weights[0] is not None and weights[0] % groups:
            raise malformed_error(
                node,
                f"the weight's {plural(weights[0], 'output channel')} must be a multiple of group {groups}",
            )
    return (data[0], weights[0] if weights else None, *slide(node, data[2:], sizes, found))


def conv_macs(node: Node, w: int = 1) -> int:
    """Return output elements times the weights of one output channel."""
    return out_count(node) * prod(in_dims(node, w)[1:])


def _fused_cost(node: Node) -> Cost:
    """Count as Conv; a summed operand adds one operation per output element, the activation its own."""
    per_element = (
        has(node, 2) + has(node, 3) + OPS_PER_ELEMENT.get(text(node, "activation", ""), 0)
    )
    return Cost(conv_macs(node), per_element * out_count(node))


def _blocked_cost(node: Node) -> Cost:
    """Count as FusedConv with the operand's own channels, where the weight's are filled up to whole blocks."""
    channels, *kernel_dims = in_dims(node, 1, 4)[1:]
    if _groups(node) == 1:
        channels = min(channels, in_dims(node, 0, 4)[1])
    macs = out_count(node) * channels * prod(kernel_dims)
    return replace(_fused_cost(node), macs=macs)


def _quantized_shape(node: Node) -> Shape | None:
    """Return QLinearConv's output shape; com.microsoft's attribute ``channels_last`` moves the channels to the end."""
    return (nhwc_shape if integer(node, "channels_last", 0) else conv_shape)(node, 0, 3)


def nhwc_shape(node: Node, x: int = 0, w: int = 1) -> Shape | None:
    """Return the output shape of a convolution over channels-last data with a channels-first weight."""
    data, weights, axes = _pair_shapes(node, x, w)
    if axes < 0:
        return None
    batch, spatial = (data[0], data[1:-1]) if data is not None else (None, (None,) * axes)
    sizes = _kernel_sizes(node, weights, axes)
    return (
        batch,
        *slide(node, spatial, sizes, window(node, axes)),
        weights[0] if weights else None,
    )


def _blocked_type(node: Node) -> Sequence[TensorType]:
    """Return the output of a convolution whose channels are filled up to whole blocks, in weight and operand alike."""
    data, weights, axes = _pair_shapes(node, 0, 1)
    if axes < 0 or data is None:
        return ((None, dtype(node, 0)),)
    sizes = _kernel_sizes(node, weights, axes)
    spatial = slide(node, data[2:], sizes, window(node, axes))
    return (((data[0], weights[0] if weights else None, *spatial), dtype(node, 0)),)


def _transpose_shape(node: Node) -> Shape | None:
    """Return ``stride (in - 1) + output_padding + dilation (k - 1) + 1 - pads``, or the stated output_shape."""
    data, weights, axes = _pair_shapes(node, 0, 1)
    groups = _groups(node)
    if axes < 0:
        return None
    found = window(node, axes)
    sizes = _kernel_sizes(node, weights, axes)
    extra = integers(node, "output_padding", (0,) * axes)
    stated = maybe_integers(node, "output_shape")
    if len(extra) != axes:
        raise malformed_error(
            node,
            f"attribute 'output_padding' must hold {plural(axes, 'integer')}, it is {list(extra)}",
        )
    if stated is not None and len(stated) == axes + 2:
        stated = stated[2:]
    if stated is not None and (len(stated) != axes or min(stated) < 1):
        raise malformed_error(
            node,
            f"attribute 'output_shape' must hold {plural(axes, 'positive integer')}, it is {list(stated)}",
        )
    channels = None if weights is None else scale(weights[1], groups)
    if data is None:
        return (None, channels, *(stated or [None] * axes))
    if weights is not None:
        merge(node, data[1], weights[0], "the operand's channels and the weight's input channels")
        if weights[0] is not None and weights[0] % groups:
            raise malformed_error(
                node,
                f"the weight's {plural(weights[0], 'input channel')} must be a multiple of group {groups}",
            )
    spatial = stated or _spread(node, data[2:], sizes, found, extra)
    return (data[0], channels, *spatial)


def _spread(
    node: Node,
    spatial: tuple[Dim, ...],
    sizes: tuple[Dim, ...],
    found: Window,
    extra: tuple[int, ...],
) -> tuple[Dim, ...]:
    results: list[Dim] = []
    for axis, (size, extent) in enumerate(zip(spatial, sizes, strict=True)):
        stride = found.strides[axis]
        if size is not None and found.auto_pad in ("SAME_UPPER", "SAME_LOWER"):
            results.append(size * stride)
            continue
        if size is None or extent is None:
            results.append(None)
            continue
        cut = (
            0 if found.auto_pad == "VALID" else found.pads[axis] + found.pads[len(spatial) + axis]
        )
        wide = stride * (size - 1) + extra[axis] + found.dilations[axis] * (extent - 1) + 1 - cut
        if wide < 0:
            raise malformed_error(
                node, f"the pads leave a negative size ({wide}) on spatial axis {axis}"
            )
        results.append(wide)
    return tuple(results)


def _transpose_cost(node: Node) -> Cost:
    """Count ``operand elements x prod(W.shape[1:])`` MACs, and the bias."""
    return Cost(
        input_elements(node, 0) * prod(in_dims(node, 1)[1:]), has(node, 2) * out_count(node)
    )


def _deform_cost(node: Node) -> Cost:
    """Count Conv's MACs; a bilinear sample takes 8 operations per kernel element, group channel and position.

    Each sample has two coordinate sums, four weights and their weighted sum, taken as 14 operations; a mask one more.

    Spec: https://onnx.ai/onnx/operators/onnx__DeformConv.html
    """
    weights = in_dims(node, 1)
    batch, _, *spatial = in_dims(node, 2, len(weights))
    samples = in_dims(node, 0, len(weights))[1] * prod(weights[2:]) * batch * prod(spatial)
    return Cost(conv_macs(node), has(node, 3) * out_count(node) + (14 + has(node, 4)) * samples)


_CONV_TYPE, _CONV_COST = result_type(conv_shape, 0, 1), per_output(0, 2, macs=conv_macs)


def _define(op_type: str, cost: CostFunction, domain: str = "", *, nhwc: bool = False) -> None:
    shape = result_type(nhwc_shape, 0) if nhwc else _CONV_TYPE
    define(op_type, domain=domain, cost=cost, shape=shape, weights=(1, 2))


_define("Conv", _CONV_COST)
define(
    "ConvTranspose", cost=_transpose_cost, shape=result_type(_transpose_shape, 0, 1), weights=(1, 2),
)  # fmt: skip
define("DeformConv", cost=_deform_cost, shape=_CONV_TYPE, weights=(1, 3))
define(
    "Conv", domain="com.microsoft.nchwc", cost=_blocked_cost, shape=_blocked_type, weights=(1, 2)
)
_define("FusedConv", _fused_cost, MICROSOFT)
_define("NhwcConv", _CONV_COST, MICROSOFT, nhwc=True)
_define("NhwcFusedConv", _fused_cost, MICROSOFT, nhwc=True)
_define("Conv", _CONV_COST, "com.ms.internal.nhwc", nhwc=True)
_define("FusedConv", _fused_cost, "com.ms.internal.nhwc", nhwc=True)
define(
    "ConvInteger", domain=BOTH, cost=per_output(0, macs=conv_macs), shape=result_type(conv_shape, INT32), weights=(1,),
    quantizers=(2, 3),
)  # fmt: skip
define(
    "QLinearConv", domain=BOTH, cost=per_output(REQUANTIZE, 8, macs=partial(conv_macs, w=3)),
    shape=result_type(_quantized_shape, 7, 0), weights=(3, 8), quantizers=(1, 2, 4, 5, 6, 7),
)  # fmt: skip
