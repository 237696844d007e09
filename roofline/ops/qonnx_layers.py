"""What QONNX puts in the place of layers: channels-last convolutions and pools, windows laid out, XNOR products, LSTM.

Spec: https://github.com/fastmachinelearning/qonnx/tree/main/docs/qonnx-custom-ops,
https://github.com/fastmachinelearning/qonnx/tree/main/src/qonnx/custom_op
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import prod

from roofline.cost import Cost
from roofline.node import Node, Shape
from roofline.ops._attributes import flag, integer, integers, text
from roofline.ops._counts import in_dims, input_elements, out_count, per_output
from roofline.ops._registry import Kind, TensorType, define
from roofline.ops._shapes import Dim, dtype, ranked_shape, result_type, same_type, scale
from roofline.ops._windows import kernel, slide, window
from roofline.ops.activation import OPS_PER_ELEMENT
from roofline.ops.convolution import REQUANTIZE, conv_macs, nhwc_shape
from roofline.ops.matmul import matmul_macs, operands_product
from roofline.ops.pooling import nhwc_pool_type, window_cost
from roofline.ops.qonnx import CHANNELS_LAST, DOMAINS


def _channels_first(node: Node) -> Node:
    """Return a call whose weight ``[out, *kernel, in]`` is ``[out, in, *kernel]``, as ai.onnx has it."""
    weight = node.operand(1)
    if weight is None or weight.shape is None or len(weight.shape) < 3:
        return node
    first, *spatial, last = weight.shape
    operands = (
        node.operand(0),
        replace(weight, shape=(first, last, *spatial)),
        *node.operands[2:],
    )
    return replace(node, operands=operands)


def _conv_shape(node: Node) -> Shape | None:
    """Return a channels-last convolution's output shape."""
    return nhwc_shape(_channels_first(node))


def _pair(node: Node, name: str) -> tuple[int, int]:
    """Return an attribute of one or two sizes as two."""
    found = integers(node, name, (1, 1))
    return (found[0], found[-1]) if found else (1, 1)


def _windows_type(node: Node) -> Sequence[TensorType]:
    """Return ``[batch, height, width, kernel elements x channels]``: every window of the operand in a row."""
    data = ranked_shape(node, 0, 4)
    if data is None:
        return ((None, dtype(node, 0)),)
    sizes = _pair(node, "kernel_size")
    plain = replace(
        node,
        attributes={
            "strides": _pair(node, "stride"),
            "dilations": _pair(node, "dilations"),
            "pads": integers(node, "pad_amount", (0, 0, 0, 0)),
        },
    )
    spatial = slide(node, data[1:3], kernel(plain, 2, sizes), window(plain, 2))
    return (((data[0], *spatial, scale(data[3], prod(sizes))), dtype(node, 0)),)


def _mean_type(node: Node) -> Sequence[TensorType]:
    """Return the pooled shape; the channels lie where ``data_layout`` says."""
    data = ranked_shape(node, 0, 4)
    if data is None:
        return ((None, dtype(node, 0)),)
    size, stride = integer(node, "kernel", 1), integer(node, "stride", 1)
    plain = replace(node, attributes={"strides": (stride, stride)})
    found = window(plain, 2)
    if text(node, "data_layout", "NCHW") == "NHWC":
        return (
            ((data[0], *slide(plain, data[1:3], (size, size), found), data[3]), dtype(node, 0)),
        )
    return (((*data[:2], *slide(plain, data[2:], (size, size), found)), dtype(node, 0)),)


def _mean_cost(node: Node) -> Cost:
    """Count the sum of each window, and three operations to narrow each result."""
    return Cost(other_ops=(integer(node, "kernel", 1) ** 2 + REQUANTIZE) * out_count(node))


_WEIGHTS = tuple(range(3, 11))
_BIASES = tuple(range(11, 15))
_QUANTIZED = 6
_CELL_QUANTIZERS = (
    11  # the output, the cell state, four sums, four gates and the hidden state's tanh
)


def _cell_type(node: Node) -> Sequence[TensorType]:
    """Return the whole sequence, the last hidden state and the last cell state."""
    data, recurrent = ranked_shape(node, 0, 3), ranked_shape(node, 7, 2)
    hidden: Dim = None if recurrent is None else recurrent[1]
    first, second = (None, None) if data is None else data[:2]
    batch = first if flag(node, "batch_first") else second
    state = ((batch, hidden), dtype(node, 0))
    return (((first, second, hidden), dtype(node, 0)), state, state)


def _cell_cost(node: Node) -> Cost:
    """Count ``T x B x (elements of the eight weights)`` MACs, the gates' sums, activations and quantizers."""
    first, second, _ = in_dims(node, 0, 3)
    steps = first * second
    hidden = in_dims(node, 7, 2)[1]
    activations = 3 * OPS_PER_ELEMENT["Sigmoid"] + 2 * OPS_PER_ELEMENT["Tanh"]
    per_unit = 4 * 2 + activations + 4 + _QUANTIZED * _CELL_QUANTIZERS
    return Cost(
        steps * sum(input_elements(node, place) for place in _WEIGHTS), steps * hidden * per_unit
    )


define(
    "Conv", domain=CHANNELS_LAST, cost=per_output(0, 2, macs=conv_macs), shape=result_type(_conv_shape, 0),
    weights=(1, 2),
)  # fmt: skip
define("MaxPool", domain=CHANNELS_LAST, cost=window_cost(lambda k: k - 1), shape=nhwc_pool_type)
define(
    "BatchNormalization", domain=CHANNELS_LAST, cost=per_output(2), shape=same_type, statistics=(3, 4),
)  # fmt: skip
define("MaxPoolNHWC", domain=DOMAINS, cost=window_cost(lambda k: k - 1), shape=nhwc_pool_type)
define("Im2Col", kind=Kind.MOVE, domain=DOMAINS, shape=_windows_type)
define("QuantAvgPool2d", domain=DOMAINS, cost=_mean_cost, shape=_mean_type)
# An XNOR and its share of the population count are one multiply-accumulate of two bits.
define(
    "XnorPopcountMatMul", domain=DOMAINS, cost=per_output(0, macs=matmul_macs), shape=result_type(operands_product, 0),
)  # fmt: skip
define("DebugMarker", kind=Kind.VIEW, domain=DOMAINS, shape=same_type)
define(
    "QuantLSTMCell", domain=DOMAINS, cost=_cell_cost, shape=_cell_type, weights=(*_WEIGHTS, *_BIASES),
    settings=tuple(range(15, 48)),
)  # fmt: skip
