"""Pooling: a window's elements are reduced.

A maximum takes ``k - 1`` comparisons per output element of a window of k elements, an average
``k`` operations (the sum and the division), a p-norm ``2k`` (power, sum, root) and absolute values
one more each. Windows that hang over the edge count whole.

Spec: https://onnx.ai/onnx/operators/onnx__MaxPool.html,
https://onnx.ai/onnx/operators/onnx__AveragePool.html
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod

from roofline.cost import Cost
from roofline.node import Node, Shape
from roofline.ops._attributes import flag, integer, malformed_error, required_integers
from roofline.ops._counts import in_dims, input_elements, out_count, per_output
from roofline.ops._datatypes import INT64
from roofline.ops._registry import MICROSOFT, CostFunction, Kind, TensorType, define
from roofline.ops._shapes import Dim, at_least, dtype, ranked_shape
from roofline.ops._values import all_entries
from roofline.ops._windows import kernel, slide, window
from roofline.ops.convolution import REQUANTIZE


def _pool_shape(node: Node, *, last: bool = False) -> Shape | None:
    """Return a pooled shape; the channels are the last axis when ``last``."""
    data = at_least(node, 0, 3)
    sizes = required_integers(node, "kernel_shape")
    if data is None:
        return (None,) * (len(sizes) + 2)
    axes = len(data) - 2
    found = window(node, axes)
    kernel(node, axes, sizes)
    ceil = flag(node, "ceil_mode")
    if last:
        return (data[0], *slide(node, data[1:-1], sizes, found, ceil=ceil), data[-1])
    return (*data[:2], *slide(node, data[2:], sizes, found, ceil=ceil))


def _pool_type(node: Node) -> Sequence[TensorType]:
    shape = _pool_shape(node)
    return ((shape, dtype(node, 0)), (shape, INT64))


def nhwc_pool_type(node: Node) -> Sequence[TensorType]:
    """Return the pooled shape of channels-last data."""
    return ((_pool_shape(node, last=True), dtype(node, 0)),)


def _global_type(node: Node) -> Sequence[TensorType]:
    data = at_least(node, 0, 2)
    return ((None if data is None else (*data[:2], *[1] * (len(data) - 2)), dtype(node, 0)),)


def _quantized_type(node: Node) -> Sequence[TensorType]:
    last = bool(integer(node, "channels_last", 0))
    if node.op_type == "QLinearGlobalAveragePool":
        data = at_least(node, 0, 2)
        ones = [1] * (len(data or ()) - 2)
        shape = (
            None if data is None else (data[0], *ones, data[-1]) if last else (*data[:2], *ones)
        )
    else:
        shape = _pool_shape(node, last=last)
    return ((shape, dtype(node, 4) or dtype(node, 0)),)


def window_cost(ops: Callable[[int], int]) -> CostFunction:
    """Return a cost of ``ops(k)`` operations, linear in k, per output element for a window of k elements."""

    def cost(node: Node) -> Cost:
        return Cost(other_ops=ops(prod(required_integers(node, "kernel_shape"))) * out_count(node))

    each, rest = ops(2) - ops(1), 2 * ops(1) - ops(2)
    window = "k" if each == 1 else f"{each} k"
    window += f" - {-rest}" if rest else ""
    cost.__doc__ = f"Count {window} operations for each element of the result, k in a window."
    return cost


def _quantized_cost(node: Node) -> Cost:
    """Count the sum of each window, and three operations to requantize each result."""
    if node.op_type == "QLinearGlobalAveragePool":
        return Cost(other_ops=input_elements(node, 0) + REQUANTIZE * out_count(node))
    return Cost(
        other_ops=(prod(required_integers(node, "kernel_shape")) + REQUANTIZE) * out_count(node)
    )


def _unpool_type(node: Node) -> Sequence[TensorType]:
    """Return the shape that pooling started from, or the one operand 2 states.

    Spec: https://onnx.ai/onnx/operators/onnx__MaxUnpool.html
    """
    data = at_least(node, 0, 3)
    kind = dtype(node, 0)
    if node.operand(2) is not None:
        stated = all_entries(node, 2)
        return ((stated or (None if data is None else (None,) * len(data)), kind),)
    sizes = required_integers(node, "kernel_shape")
    if data is None:
        return (((None,) * (len(sizes) + 2), kind),)
    axes = len(data) - 2
    kernel(node, axes, sizes)
    found = window(node, axes)
    spatial: list[Dim] = []
    for axis, size in enumerate(data[2:]):
        cut = found.pads[axis] + found.pads[axes + axis]
        spatial.append(
            None if size is None else (size - 1) * found.strides[axis] - cut + sizes[axis]
        )
    return (((*data[:2], *spatial), kind),)


def _roi_type(node: Node) -> Sequence[TensorType]:
    """Return one pooled map per region.

    Spec: https://onnx.ai/onnx/operators/onnx__MaxRoiPool.html
    """
    data, regions = ranked_shape(node, 0, 4), ranked_shape(node, 1, 2)
    pooled = required_integers(node, "pooled_shape")
    if len(pooled) != 2:
        raise malformed_error(
            node, f"attribute 'pooled_shape' must hold 2 integers, it is {list(pooled)}"
        )
    channels = None if data is None else data[1]
    return (((None if regions is None else regions[0], channels, *pooled), dtype(node, 0)),)


def _roi_cost(node: Node) -> Cost:
    """Count one comparison per element of each region, at most the whole map: its size is data."""
    _, channels, height, width = in_dims(node, 0, 4)
    return Cost(other_ops=in_dims(node, 1, 2)[0] * channels * height * width)


_CHANNELS_FIRST = ("", "com.microsoft.nchwc")
_CHANNELS_LAST = "com.ms.internal.nhwc"
_MAXIMUM, _AVERAGE = window_cost(lambda k: k - 1), window_cost(lambda k: k)

for _name, _cost in (("MaxPool", _MAXIMUM), ("AveragePool", _AVERAGE)):
    define(_name, domain=_CHANNELS_FIRST, cost=_cost, shape=_pool_type)
    define(_name, domain=_CHANNELS_LAST, cost=_cost, shape=nhwc_pool_type)
define("NhwcMaxPool", domain=MICROSOFT, cost=_MAXIMUM, shape=nhwc_pool_type)
define("LpPool", cost=window_cost(lambda k: 2 * k), shape=_pool_type)
for _name, _cost in (("Average", per_output(0, inputs=1)), ("Max", per_output(-1, inputs=1))):
    define(f"Global{_name}Pool", domain=_CHANNELS_FIRST, cost=_cost, shape=_global_type)
define("GlobalLpPool", cost=per_output(0, inputs=2), shape=_global_type)
define("MaxUnpool", kind=Kind.MOVE, shape=_unpool_type, settings=(2,))
define("MaxRoiPool", cost=_roi_cost, shape=_roi_type)
define(
    "QLinearAveragePool", "QLinearGlobalAveragePool", domain=MICROSOFT, cost=_quantized_cost, shape=_quantized_type,
    quantizers=(1, 2, 3, 4),
)  # fmt: skip
