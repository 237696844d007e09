"""Normalizations and softmaxes: a fixed number of operations per element.

Statistics that inference holds constant are folded: BatchNormalization is one product and one sum.
A softmax takes five per element (max, subtract, exp, sum, divide), a layer normalization seven
(mean, subtract, square, sum, scale by the inverse root, weight), each bias one more. The few
operations per row (root, reciprocal) are left out.

Spec: https://onnx.ai/onnx/operators/onnx__BatchNormalization.html and its siblings.
"""

from __future__ import annotations

from collections.abc import Sequence

from roofline.cost import Cost
from roofline.node import Node, Shape
from roofline.number_format import plural
from roofline.ops._attributes import integer, malformed_error, operand, required_integer, version
from roofline.ops._counts import has, in_dims, out_count, per_output
from roofline.ops._datatypes import FLOAT32, INT32, target_or
from roofline.ops._moves import picked_moves
from roofline.ops._registry import BOTH, MICROSOFT, TensorType, define
from roofline.ops._shapes import (
    at_least,
    axis_of,
    dtype,
    first_shape,
    merge,
    ranked_shape,
    result_type,
    same_type,
    shape,
)

_SOFTMAX = 5
_LAYER = 6
_RMS = 4


def _checked_axis(node: Node) -> Sequence[TensorType | None]:
    """Return the operand's type; the axis must be one of its own."""
    found = operand(node, 0).shape
    if found is not None:
        axis_of(
            node,
            integer(node, "axis", -1 if version(node) >= 13 else 1),
            len(found),
            inclusive=version(node) < 13,
            scalar=True,
        )
    return same_type(node)


def _batch_type(node: Node) -> Sequence[TensorType | None]:
    """Return the operand's type, and the statistics' for the results that hold them."""
    data = at_least(node, 0, 1)
    channels = None if data is None or len(data) < 2 else data[1]
    scale = shape(node, 1)
    if scale is not None and len(scale) == 1 and data is not None and len(data) > 1:
        merge(node, channels, scale[0], "the operand's channels and the scale's length")
    statistic = (operand(node, 1).shape, dtype(node, 3) or dtype(node, 1) or dtype(node, 0))
    return ((data, dtype(node, 0)), statistic, statistic, statistic, statistic)


def _batch_cost(node: Node) -> Cost:
    """Count one product and one sum per element; finding the statistics in training takes four more."""
    training = integer(node, "training_mode", 0) or (
        version(node) < 7 and not integer(node, "is_test", 1)
    )
    return Cost(other_ops=(6 if training else 2) * out_count(node))


def _layer_type(node: Node) -> Sequence[TensorType | None]:
    """Return the operand's type, and one mean and one inverse deviation for each normalized part."""
    data, kind = shape(node, 0), dtype(node, 0)
    stash = target_or(node, "stash_type", FLOAT32)
    if data is None:
        return ((None, kind), (None, stash), (None, stash))
    axis = axis_of(node, integer(node, "axis", -1), len(data))
    statistic: Shape = (*data[:axis], *[1] * (len(data) - axis))
    # Runtimes' SimplifiedLayerNormalization and com.microsoft's variants have no mean among their results.
    return ((data, kind), (statistic, stash), (statistic, stash))


def _group_type(node: Node) -> Sequence[TensorType | None]:
    """Return the operand's type; its channels must fall into ``num_groups`` equal groups."""
    data = at_least(node, 0, 2)
    groups = required_integer(node, "num_groups")
    channels = None if data is None else data[1]
    if groups < 1 or (channels is not None and channels % groups):
        count = "channels" if channels is None else plural(channels, "channel")
        raise malformed_error(
            node,
            f"{count} do not fall into {plural(groups, 'group')}",
        )
    return same_type(node)


def _lrn_cost(node: Node) -> Cost:
    """Count ``size`` squares and sums over neighbouring channels, then scale, add, power and divide.

    Spec: https://onnx.ai/onnx/operators/onnx__LRN.html
    """
    size = required_integer(node, "size")
    if size < 1:
        raise malformed_error(node, f"attribute 'size' must be positive, it is {size}")
    return Cost(other_ops=(2 * size + 4) * out_count(node))


def _skip_type(node: Node) -> Sequence[TensorType | None]:
    """Return the normalized sum; results 1 and 2 are the statistics, 3 the sum itself."""
    data, kind = at_least(node, 0, 2), dtype(node, 0)
    statistic = None if data is None else (*data[:-1], 1)
    return ((data, kind), (statistic, FLOAT32), (statistic, FLOAT32), (data, kind))


def _embed_type(node: Node) -> Sequence[TensorType | None]:
    """Return the normalized embeddings ``[batch, sequence, hidden]``, the mask's sums, and the embeddings.

    Spec: https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#com.microsoft.EmbedLayerNormalization
    """
    ids, words = ranked_shape(node, 0, 2), ranked_shape(node, 2, 2)
    batch, sequence = ids or (None, None)
    embedded = (batch, sequence, None if words is None else words[1])
    kind = dtype(node, 2)
    return ((embedded, kind), ((batch,), INT32), (embedded, kind))


def _group_norm_cost(node: Node) -> Cost:
    """Count a normalization with weight and bias, the residual sum where there is one, and SiLU's six when asked."""
    residual = node.op_type == "SkipGroupNorm"
    swish = 6 * bool(integer(node, "activation", 0))
    biased = residual and has(node, 4)
    return Cost(other_ops=(_LAYER + 2 + residual + biased + swish) * out_count(node))


def _group_norm_type(node: Node) -> Sequence[TensorType | None]:
    first = operand(node, 0)
    return ((first.shape, first.dtype), (first.shape, first.dtype))


def _softmax_grouped(node: Node) -> Cost:
    """Count five operations per element, and the rows' logarithm for LogSoftmax."""
    elements = out_count(node)
    dims = in_dims(node, 0)
    if node.op_type != "LogSoftmax" or not dims:
        return Cost(other_ops=_SOFTMAX * elements)
    default = -1 if version(node) >= 13 else 1
    axis = axis_of(
        node, integer(node, "axis", default), len(dims), inclusive=version(node) < 13, scalar=True
    )
    width = 1
    for size in dims[axis : axis + 1] if version(node) >= 13 else dims[axis:]:
        width *= size
    return Cost(other_ops=_SOFTMAX * elements + (elements // width if width else 0))


define("Softmax", "LogSoftmax", cost=_softmax_grouped, shape=_checked_axis)
define("Hardmax", cost=per_output(1), shape=_checked_axis)
define("BatchNormalization", cost=_batch_cost, shape=_batch_type, statistics=(3, 4))
define("InstanceNormalization", cost=per_output(_LAYER + 2), shape=same_type)
define("GroupNormalization", cost=per_output(_LAYER + 2), shape=_group_type)
define("LRN", cost=_lrn_cost, shape=same_type)
define("LpNormalization", cost=per_output(3), shape=same_type)  # power, sum, divide
define("MeanVarianceNormalization", cost=per_output(_LAYER), shape=same_type)
define("RMSNormalization", cost=per_output(_RMS), shape=same_type)
define("LayerNormalization", domain=BOTH, cost=per_output(_LAYER + 1, 2), shape=_layer_type)


def _simplified_type(node: Node) -> Sequence[TensorType | None]:
    """Return the operand's type and the inverse deviation, as ONNX Runtime's operator has them."""
    normalized, statistic, _ = _layer_type(node)
    return (normalized, statistic)


define("SimplifiedLayerNormalization", domain=BOTH, cost=per_output(_RMS), shape=_simplified_type)
define(
    "SkipLayerNormalization", domain=MICROSOFT, cost=per_output(1 + _LAYER + 1, 3, 4), shape=_skip_type,
)  # fmt: skip
define(
    "SkipSimplifiedLayerNormalization", domain=MICROSOFT, cost=per_output(1 + _RMS, 3), shape=_skip_type,
)  # fmt: skip
define(
    "EmbedLayerNormalization", domain=MICROSOFT, cost=per_output(_LAYER + 2, 1), shape=_embed_type,
    weights=(2, 3, 4, 5, 6), moves=picked_moves(2, 3, 4),
)  # fmt: skip
define(
    "QLinearSoftmax", domain=MICROSOFT, cost=per_output(_SOFTMAX + 5), shape=result_type(first_shape, 4, 0),
    quantizers=(1, 2, 3, 4),
)  # fmt: skip
define(
    "GroupNorm", "SkipGroupNorm", domain=MICROSOFT, cost=_group_norm_cost, shape=_group_norm_type
)
