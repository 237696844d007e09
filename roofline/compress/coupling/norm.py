"""Channel coupling of normalization, pooling, reduction and softmax."""

from __future__ import annotations

from collections.abc import Iterable

from roofline.compress.coupling._registry import Axes, Call, Results, couples, like_block
from roofline.compress.coupling.conv import NEIGHBOURS
from roofline.compress.coupling.elementwise import broadcast
from roofline.compress.labels import fixed_labels

STATISTICS = "its statistics run over these channels, so removing some would change the others"


@couples("BatchNormalization", "InstanceNormalization")
def batch_normalization(call: Call) -> Results:
    """Tie scale, offset and statistics to the channels, which are normalized apart.

    Spec: https://onnx.ai/onnx/operators/onnx__BatchNormalization.html
    """
    x = call.axes(0)
    for position in range(1, len(call.node.input)):
        for labels in call.axes(position):
            call.tie(x[1], labels)
    return [x, *(call.axes(i) for i in range(3, 3 + len(call.node.output) - 1))]


@couples("GroupNormalization")
def group_normalization(call: Call) -> Results:
    """Remove groups whole: a group's statistics run over its channels.

    Spec: https://onnx.ai/onnx/operators/onnx__GroupNormalization.html
    """
    x, groups = call.axes(0), call.integer("num_groups", 1)
    head = call.tie_rows(like_block(x[1], groups).T)
    for position in (1, 2):
        (labels,) = call.axes(position)
        call.tie(labels, x[1] if len(labels) == len(x[1]) else head)
    if groups == 1:
        call.fix(x[1], STATISTICS)
    call.count_attribute("num_groups", head)
    return [x]


@couples("LayerNormalization", "RMSNormalization")
def layer_normalization(call: Call) -> Results:
    """Keep the normalized axes; scale and offset belong to them.

    Spec: https://onnx.ai/onnx/operators/onnx__LayerNormalization.html
    """
    x = call.axes(0)
    _mix(call, x, range(call.integer("axis", -1) % len(x), len(x)), STATISTICS)
    for position in range(1, len(call.node.input)):
        broadcast(call, [x, call.axes(position)])
    return [x]


@couples(
    "SimplifiedLayerNormalization",
    "SkipLayerNormalization",
    "SkipSimplifiedLayerNormalization",
    domain="com.microsoft",
)
def skip_layer_normalization(call: Call) -> Results:
    """Keep the last axis; the operands are added and scaled along it.

    Spec: https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#com.microsoft.SkipLayerNormalization
    """
    x = broadcast(call, [call.axes(i) for i in range(len(call.node.input))])
    _mix(call, x, [len(x) - 1], STATISTICS)
    return [x, None, None, x]


@couples("LRN")
def local_response_normalization(call: Call) -> Results:
    """Keep the channels: each is divided by its neighbours, who would change.

    Spec: https://onnx.ai/onnx/operators/onnx__LRN.html
    """
    x = call.axes(0)
    _mix(
        call,
        x,
        [1],
        "it divides each channel by its neighbours, so removing some would change the others",
    )
    return [x]


@couples(
    "LpNormalization", "Softmax", "LogSoftmax", "Hardmax", "CumSum", "TopK", "ArgMax", "ArgMin"
)
def along_axis(call: Call) -> Results:
    """Keep the axis the operator runs along.

    Spec: https://onnx.ai/onnx/operators/onnx__Softmax.html
    """
    x = call.axes(0)
    axis: int = call.integer(
        "axis", _DEFAULT_AXIS.get(call.op_type, -1 if call.opset >= 13 else 1)
    )
    if call.op_type == "CumSum":
        known = call.integers(1)
        axis = known[0] if known else 0
    axis %= max(len(x), 1)
    # Before version 13 softmax ran over all axes from the given one on.
    flat = call.op_type in {"Softmax", "LogSoftmax", "Hardmax"} and call.opset < 13
    _mix(
        call,
        x,
        range(axis, len(x)) if flat else [axis],
        f"{call.op_type} runs along these channels",
    )
    if call.op_type == "TopK":
        result = (*x[:axis], *(call.output_axes() or x)[axis : axis + 1], *x[axis + 1 :])
        return [result, result]
    if call.op_type in {"ArgMax", "ArgMin"}:
        middle = (fixed_labels(1),) if call.integer("keepdims", 1) else ()
        return [(*x[:axis], *middle, *x[axis + 1 :])]
    return [x]


_DEFAULT_AXIS = {"TopK": -1, "ArgMax": 0, "ArgMin": 0, "LpNormalization": -1}


@couples("MeanVarianceNormalization")
def mean_variance_normalization(call: Call) -> Results:
    """Keep the normalized axes.

    Spec: https://onnx.ai/onnx/operators/onnx__MeanVarianceNormalization.html
    """
    x = call.axes(0)
    _mix(call, x, call.attribute("axes", (0, 2, 3)), STATISTICS)
    return [x]


@couples(
    "ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceMax", "ReduceMean", "ReduceMin", "ReduceProd",
    "ReduceSum", "ReduceSumSquare",
)  # fmt: skip
def reduce_(call: Call) -> Results:
    """Keep the reduced axes: a mean over channels changes when some go.

    Spec: https://onnx.ai/onnx/operators/onnx__ReduceMean.html
    """
    x = call.axes(0)
    axes = call.integers(1) if call.has(1) else call.attribute("axes")
    if call.has(1) and axes is None:
        call.fix_all(x, "reduces axes that are not known")
        return [call.output_axes()]
    if not axes:
        axes = () if call.integer("noop_with_empty_axes", 0) else tuple(range(len(x)))
    reduced = {axis % max(len(x), 1) for axis in axes}
    _mix(call, x, reduced, f"{call.op_type} reduces these channels to one")
    keep = call.integer("keepdims", 1)
    return [tuple(
        fixed_labels(1) if i in reduced else labels
        for i, labels in enumerate(x) if keep or i not in reduced
    )]  # fmt: skip


@couples("MaxPool", "AveragePool", "LpPool", "GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool")
def pool(call: Call) -> Results:
    """Pass batch and channels on.

    Spec: https://onnx.ai/onnx/operators/onnx__MaxPool.html
    """
    x, shape = call.axes(0), call.output_axes()
    for labels in x[2:]:
        call.fix(labels, NEIGHBOURS)
    if len(call.node.output) > 1 and call.node.output[1]:
        call.fix(x[1], "returns positions that count the channels")
    space = shape[2:] if shape is not None else tuple(fixed_labels(None) for _ in x[2:])
    return [(*x[:2], *space)]


@couples("QLinearGlobalAveragePool", "QLinearAveragePool", domain="com.microsoft")
def qlinear_pool(call: Call) -> Results:
    """Pass batch and channels on; with channels last, their axis is the last."""
    x, shape = call.axes(0), call.output_axes()
    if shape is None or len(shape) != len(x):
        return call.block("has a result of unknown rank")
    kept = {0, len(x) - 1 if call.integer("channels_last", 0) else 1}
    return [tuple(labels if i in kept else shape[i] for i, labels in enumerate(x))]


@couples(
    "GatherElements", "GatherND", "ScatterElements", "ScatterND", "OneHot", "NonZero", "NonMaxSuppression", "Unique",
    "Compress", "RoiAlign", "GridSample", "ReverseSequence", "Trilu", "RotaryEmbedding", "Det", "DFT", "STFT",
)  # fmt: skip
def by_position(call: Call) -> Results:
    """Keep every axis: positions are addressed by data."""
    return call.keep_whole("its entries are addressed by data")


def _mix(call: Call, x: Axes, axes: Iterable[int], why: str) -> None:
    for axis in axes:
        call.fix(x[axis], why)
