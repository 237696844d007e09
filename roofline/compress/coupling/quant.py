"""Channel coupling of quantization: scales and zero points go with the channels they belong to."""

from __future__ import annotations

from roofline.compress.coupling._registry import Axes, Call, Results, couples
from roofline.compress.labels import fixed_labels


@couples("QuantizeLinear", "DequantizeLinear")
def quantize_linear(call: Call) -> Results:
    """Tie scales and zero points, one per position of an axis or one per block of it, to the axis.

    Spec: https://onnx.ai/onnx/operators/onnx__QuantizeLinear.html
    """
    x = call.axes(0)
    for position in (1, 2):
        _scales(call, x, call.axes(position))
    return [x]


@couples("DynamicQuantizeLinear")
def dynamic_quantize_linear(call: Call) -> Results:
    """Pass the labels on: the range always holds zero, so it is that of the network with zeroed channels.

    Spec: https://onnx.ai/onnx/operators/onnx__DynamicQuantizeLinear.html
    """
    return [call.axes(0), (), ()]


@couples("MatMulNBits", domain="com.microsoft")
def matmul_nbits(call: Call) -> Results:
    """Keep the contracted axis, whose blocks are packed, and the columns, whose scales are packed too.

    Spec: https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#com.microsoft.MatMulNBits
    """
    call.keep_whole("its weights are packed in blocks")
    x = call.axes(0)
    return [(*x[:-1], fixed_labels(call.integer("N", 0)))]


def _scales(call: Call, x: Axes, scale: Axes) -> None:
    axis = call.integer("axis", 1)
    if len(scale) == 1 and len(scale[0]) > 1 and len(x) >= 1:
        call.tie(x[axis % len(x)], scale[0])
    elif len(scale) == len(x) > 1:
        for ours, theirs in zip(x, scale, strict=True):
            if len(ours) == len(theirs):
                call.tie(ours, theirs)
            else:
                call.fix(ours, "its scales belong to blocks of this axis")
                call.fix(theirs, "scales of blocks")
