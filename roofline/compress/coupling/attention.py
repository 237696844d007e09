"""Channel coupling of attention as one operator: a head goes whole, from queries, keys, values and caches."""

from __future__ import annotations

import numpy as np

from roofline.compress.call import Call, Results
from roofline.compress.coupling._registry import couples, like_block
from roofline.compress.labels import Axes, Labels

_SIZE = "the scale of the scores depends on a head's size"


@couples("Attention")
def attention(call: Call) -> Results:
    """Tie the heads; where several query heads share a key head they go with it.

    Q, K, V are [batch, heads, sequence, size] or, with the numbers of heads as attributes, [batch, sequence,
    heads x size].

    Spec: https://onnx.ai/onnx/operators/onnx__Attention.html
    """
    q, k, v = (call.axes(i) for i in range(3))
    queries = call.integer("q_num_heads", len(q[1]))
    keys = call.integer("kv_num_heads", len(k[1]))
    asking = _heads(call, q, queries)
    head = _heads(call, k, keys)
    call.tie(head, _heads(call, v, keys))
    spread = np.repeat(head, len(asking) // keys)
    call.tie(spread, asking)
    mask = call.axes(3)
    if len(mask) == 4 and len(mask[1]) == queries:
        call.tie(mask[1], spread)
    for position in (4, 5):
        if call.has(position):
            call.tie(call.axes(position)[1], head)
            call.fix(call.axes(position)[3], _SIZE)
    if len(q) == 3:
        call.count_attribute("q_num_heads", spread)
        call.count_attribute("kv_num_heads", head)
    return [
        _with_heads(axes, spread if i in {0, 3} else head)
        for i, axes in enumerate(call.all_output_axes())
    ]


@couples("MultiHeadAttention", domain="com.microsoft")
def multi_head_attention(call: Call) -> Results:
    """Tie the heads of separate queries, keys and values, each [batch, sequence, heads x size].

    Spec: https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#com.microsoft.MultiHeadAttention
    """
    if any(call.has(i) for i in range(3, len(call.node.input))) or len(call.axes(1)) != 3:
        return call.block("has packed operands, a bias, a mask or a cache")
    count = call.integer("num_heads", 1)
    head = _heads(call, call.axes(0), count)
    for position in (1, 2):
        call.tie(head, _heads(call, call.axes(position), count))
    call.count_attribute("num_heads", head)
    return [_with_heads(call.output_axes(), head)]


@couples("GroupQueryAttention", domain="com.microsoft")
def group_query_attention(call: Call) -> Results:
    """Tie the heads: a key head goes with its value head and with all query heads that share it.

    Queries, keys and values are [batch, sequence, heads x size]; without keys and values the first operand holds all
    three, heads of queries first. Caches are at 3 and 4, tables of the rotation at 7 and 8, a bias of the scores at
    10, a sink for each query head at 11.

    Spec: https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#com.microsoft.GroupQueryAttention
    """
    queries, keys = call.integer("num_heads", 1), call.integer("kv_num_heads", 1)
    if call.has(1):
        asking, head, value = (
            _heads(call, call.axes(i), count) for i, count in enumerate((queries, keys, keys))
        )
    else:
        packed = _heads(call, call.axes(0), queries + 2 * keys)
        asking, head, value = packed[:queries], packed[queries:-keys], packed[-keys:]
    spread = np.repeat(head, len(asking) // keys)
    call.tie(head, value)
    call.tie(spread, asking)
    for position in (3, 4):
        if call.has(position):
            call.tie(call.axes(position)[1], head)
            call.fix(call.axes(position)[3], _SIZE)
    for position in (7, 8):
        call.fix_all(call.axes(position), _SIZE)
    for axes, axis in ((call.axes(10), 1), (call.axes(11), 0)):
        if len(axes) > axis and len(axes[axis]) == queries:
            call.tie(axes[axis], spread)
    call.count_attribute("num_heads", spread)
    call.count_attribute("kv_num_heads", head)
    return [
        _with_heads(axes, head if i else spread) for i, axes in enumerate(call.all_output_axes())
    ]


def _heads(call: Call, x: Axes, count: int) -> Labels:
    """Return one label per head of a tensor whose heads go whole."""
    if len(x) == 4:
        call.fix(x[3], _SIZE)
        return x[1]
    return call.tie_rows(like_block(x[-1], count).T)


def _with_heads(axes: Axes | None, head: Labels) -> Axes | None:
    if axes is None:
        return None
    if len(axes) == 4:
        return (axes[0], head, *axes[2:])
    return (*axes[:-1], np.repeat(head, len(axes[-1]) // len(head)))
