"""Operators that carry a state of fixed size from position to position, instead of keys and values that grow.

A state that is passed in is read and the new one written once a call, however many positions it goes through.

Spec: https://onnx.ai/onnx/operators/onnx__LinearAttention.html,
https://onnx.ai/onnx/operators/onnx__CausalConvWithState.html
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from roofline.cost import Cost
from roofline.node import Node
from roofline.ops._attributes import choice, flag, integer, malformed_error, text
from roofline.ops._counts import has, in_dims, input_elements, out_count
from roofline.ops._heads import head_count, head_size
from roofline.ops._registry import BOTH, Moves, TensorType, define
from roofline.ops._shapes import Dim, dtype, ranked_shape, scale
from roofline.ops.activation import OPS_PER_ELEMENT

NodeTypes = Sequence[TensorType | None]
_STATE, _NEW_STATE = 3, 1
"""Operand with the state before, and result with the one behind."""


def _moves(node: Node) -> Moves:
    """Return that the state is a cache, of which all is read and written."""
    reads = {_STATE: input_elements(node, _STATE)} if has(node, _STATE) else {}
    kept = len(node.outputs) > _NEW_STATE and node.outputs[_NEW_STATE] is not None
    return Moves(
        cache_reads=reads, cache_writes={_NEW_STATE: out_count(node, _NEW_STATE)} if kept else {}
    )


def _linear_heads(node: Node) -> tuple[int, int, Dim, Dim]:
    """Return query heads, key heads, key size and value size of a LinearAttention call."""
    heads, kv_heads = head_count(node, "q_num_heads"), head_count(node, "kv_num_heads")
    key, value = ranked_shape(node, 1, 3), ranked_shape(node, 2, 3)
    return (
        heads,
        kv_heads,
        None if key is None else head_size(node, key[2], kv_heads),
        None if value is None else head_size(node, value[2], kv_heads),
    )


def _linear_type(node: Node) -> NodeTypes:
    """Return the attended values and the recurrent state.

    Spec: https://onnx.ai/onnx/operators/onnx__LinearAttention.html
    """
    query = ranked_shape(node, 0, 3) or (None, None, None)
    heads, kv_heads, key_size, value_size = _linear_heads(node)
    state = dtype(node, 3) if has(node, 3) else dtype(node, 0)
    result = (query[0], query[1], scale(value_size, max(heads, kv_heads)))
    return ((result, dtype(node, 0)), ((query[0], kv_heads, key_size, value_size), state))


def _linear_cost(node: Node) -> Cost:
    """Count a state of key size by value size per position: one MAC per entry to update and to read it.

    The delta rules read it once more for the correction, in MACs. A decay takes one product per entry, the correction
    two operations and the scale one per value.
    """
    batch, length, _ = in_dims(node, 0, 3)
    heads, kv_heads, _, _ = _linear_heads(node)
    key, value = in_dims(node, 1, 3)[2] // kv_heads, in_dims(node, 2, 3)[2] // kv_heads
    rule = choice(node, "update_rule", "gated_delta", ("linear", "gated", "delta", "gated_delta"))
    delta, gated = rule.endswith("delta"), rule.startswith("gated")
    entries = key * value
    macs = kv_heads * entries * (1 + delta) + max(heads, kv_heads) * entries
    other = (
        gated * kv_heads * (entries + key)
        + delta * kv_heads * 2 * value
        + max(heads, kv_heads) * value
    )
    return Cost(batch * length * macs, batch * length * other)


def _channels_last(node: Node) -> bool:
    """Return whether positions stand in front of channels; two and more axes of positions are refused."""
    if integer(node, "ndim", 1) != 1:
        raise malformed_error(node, "only one axis of positions is known (attribute 'ndim')")
    return flag(node, "channels_last")


def _causal_type(node: Node) -> NodeTypes:
    """Return the operand's type, and the positions before that the next ones still see as state."""
    data, weights = ranked_shape(node, 0, 3), ranked_shape(node, 1, 3)
    kind = dtype(node, 0)
    kept = None
    if weights is not None and weights[2] is not None:
        kept = (weights[2] - 1) * integer(node, "dilation", 1)
    state = None
    if data is not None:
        state = (data[0], kept, data[2]) if _channels_last(node) else (data[0], data[1], kept)
    return ((data, kind), (state, kind))


def _causal_cost(node: Node) -> Cost:
    """Count ``output elements x k`` MACs, the bias, and six operations per element for SiLU."""
    swish = text(node, "activation", "none") != "none"
    elements = out_count(node)
    return Cost(
        elements * prod(in_dims(node, 1)[1:]),
        (has(node, 2) + swish * OPS_PER_ELEMENT["Swish"]) * elements,
    )


define("LinearAttention", domain=BOTH, cost=_linear_cost, shape=_linear_type, moves=_moves)
define(
    "CausalConvWithState", domain=BOTH, cost=_causal_cost, shape=_causal_type, weights=(1, 2), moves=_moves,
)  # fmt: skip
