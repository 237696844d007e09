"""Channel coupling of convolutions, transposed convolutions and their quantized forms."""

from __future__ import annotations

from functools import partial

import numpy as np

from roofline.compress.coupling._registry import (
    Axes,
    Call,
    Labels,
    Results,
    couples,
    couplings,
    like_block,
)
from roofline.compress.labels import fixed_labels

KERNEL = "kernel positions are not channels"
NEIGHBOURS = "it runs along these channels and mixes each with its neighbours, so removing some would change the others"
"""Why channels stay that lie where positions in space do, as under the one-dimensional convolution of ECA."""


CONVOLUTIONS = {
    "::Conv": (0, 1, (2,)),
    "::ConvInteger": (0, 1, (3,)),
    "::QLinearConv": (0, 3, (4, 5, 8)),
}
"""Where a convolution has its data, its filters, and what is given for each filter: biases, scales, zero points.

Input channels are tied to the filters' depth; one filter makes one output channel. Groups keep equal sizes: the same
positions of every group go. In a depthwise convolution a group goes whole.

Specs: https://onnx.ai/onnx/operators/onnx__Conv.html, https://onnx.ai/onnx/operators/onnx__ConvInteger.html,
https://onnx.ai/onnx/operators/onnx__QLinearConv.html
"""


@couples("FusedConv", domain="com.microsoft")
def fused_conv(call: Call) -> Results:
    """Convolve, add the operand at 3, activate.

    Spec: https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#com.microsoft.FusedConv
    """
    result = _convolve(call, 0, 1, (2,))
    if call.has(3):
        for ours, theirs in zip(result, call.axes(3), strict=True):
            call.tie(ours, theirs)
    return [result]


@couples("DeformConv")
def deform_conv(call: Call) -> Results:
    """Convolve at offset positions: x, w, the offsets, a bias at 3, a mask at 4.

    The channels of each offset group move together, so groups keep equal sizes. Offsets and mask have an entry for
    each kernel position of a group, and stay.

    Spec: https://onnx.ai/onnx/operators/onnx__DeformConv.html
    """
    for position in (2, 4):
        call.fix_all(call.axes(position), "its offsets and mask belong to positions of the kernel")
    call.tie_rows(like_block(call.axes(0)[1], call.integer("offset_group", 1)))
    return [_convolve(call, 0, 1, (3,))]


@couples("ConvTranspose")
def conv_transpose(call: Call) -> Results:
    """Tie input channels to the first axis of the filters; the second axis makes output channels, per group.

    Spec: https://onnx.ai/onnx/operators/onnx__ConvTranspose.html
    """
    x, w = call.axes(0), call.axes(1)
    for labels in w[2:]:
        call.fix(labels, KERNEL)
    group = call.integer("group", 1)
    call.tie(x[1], w[0])
    if group == 1:
        made = w[1]
        call.produce(1, 1)
    elif len(w[1]) == 1 and len(x[1]) == group:
        made = w[0]
        call.produce(1, 0)
        call.count_attribute("group", x[1])
    else:
        call.tie_rows(like_block(x[1], group))
        made = np.tile(w[1], group)
        call.produce(1, 1)
    if call.has(2):
        call.tie(call.axes(2)[0], made)
    return [_result(call, x, made)]


def _convolution(call: Call, data: int, weight: int, per_filter: tuple[int, ...]) -> Results:
    return [_convolve(call, data, weight, per_filter)]


for _operator, (_data, _weight, _given) in CONVOLUTIONS.items():
    couplings.add(_operator, partial(_convolution, data=_data, weight=_weight, per_filter=_given))


def _convolve(call: Call, data: int, weight: int, per_filter: tuple[int, ...]) -> Axes:
    x, w = call.axes(data), call.axes(weight)
    for labels in w[2:]:
        call.fix(labels, KERNEL)
    group = call.integer("group", 1)
    channels, filters = len(x[1]), len(w[0])
    if group == 1:
        call.tie(x[1], w[1])
    elif channels == group:
        call.tie(np.repeat(x[1], filters // group), w[0])
        call.count_attribute("group", x[1])
    else:
        for row in like_block(x[1], group):
            call.tie(row, w[1])
        call.tie_rows(like_block(w[0], group))
    call.produce(weight, 0)
    for position in per_filter:
        axes = call.axes(position)
        if axes and len(axes[0]) == filters:
            call.tie(axes[0], w[0])
    return _result(call, x, w[0])


def _result(call: Call, x: Axes, made: Labels) -> Axes:
    for labels in x[2:]:
        call.fix(labels, NEIGHBOURS)
    shape = call.output_axes()
    space = shape[2:] if shape is not None else tuple(fixed_labels(None) for _ in x[2:])
    return (x[0], made, *space)
