"""Attention of ONNX Runtime's com.microsoft domain: both products in MACs, and its own projections.

Spec:
https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#com.microsoft.Attention
and its siblings.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from roofline.cost import Cost
from roofline.node import Node, Shape
from roofline.number_format import plural
from roofline.ops._attributes import flag, integer, malformed_error, maybe_integers
from roofline.ops._counts import dims, has, in_dims, input_elements, out_count, result, wants
from roofline.ops._heads import Heads, head_count, head_size
from roofline.ops._moves import least, picked_moves
from roofline.ops._registry import (
    MICROSOFT,
    CostFunction,
    Kind,
    Moves,
    MovesFunction,
    ShapeFunction,
    TensorType,
    define,
)
from roofline.ops._shapes import Dim, dtype, merge, ranked_shape, shape, show, total
from roofline.ops._values import scalar
from roofline.ops.attention import ROTATE

NodeTypes = Sequence[TensorType | None]


def _past_positions(node: Node, position: int, axis: int, rank: int) -> Dim:
    """Return how many positions a cache holds: none when it is absent."""
    if not has(node, position):
        return 0
    found = ranked_shape(node, position, rank)
    return None if found is None else found[axis]


def _projected_heads(node: Node, past: int) -> Heads:
    """Read the sizes of an operator that projects its operand to queries, keys and values itself."""
    data, weights = ranked_shape(node, 0, 3), ranked_shape(node, 1, 2)
    heads = head_count(node, "num_heads")
    sizes = maybe_integers(node, "qkv_hidden_sizes")
    width = None if weights is None else weights[1]
    if sizes is None:
        third = head_size(node, width, 3)
        sizes = (third, third, third)
    elif len(sizes) != 3:
        raise malformed_error(
            node, f"attribute 'qkv_hidden_sizes' must hold 3 sizes, it is {list(sizes)}"
        )
    else:
        merge(
            node,
            width,
            sum(sizes),
            "the weight's width and the sum of attribute 'qkv_hidden_sizes'",
        )
    if data is not None and weights is not None:
        merge(node, data[2], weights[0], "the operand's and the weight's features")
    batch, queries = (None, None) if data is None else (data[0], data[1])
    shared = flag(node, "past_present_share_buffer")
    keys = total(queries, 0 if shared else _past_positions(node, past, 3, 5))
    return Heads(
        batch,
        heads,
        heads,
        queries,
        keys,
        head_size(node, sizes[1], heads),
        head_size(node, sizes[2], heads),
        causal=flag(node, "unidirectional"),
    )


def _projected_type(past: int, scale: int | None) -> ShapeFunction:
    def types(node: Node) -> NodeTypes:
        found = _projected_heads(node, past)
        kind = dtype(node, 0 if scale is None else scale)
        cache: Shape = (2, *found.cache)
        if flag(node, "past_present_share_buffer") and has(node, past):
            cache = ranked_shape(node, past, 5) or cache
        return ((found.output, kind), (cache, kind))

    return types


def _projected_cost(past: int, mask: int, bias: int | None) -> CostFunction:
    def cost(node: Node) -> Cost:
        """Count the projection's ``batch x positions x elements of the weight`` MACs, its bias, and the attention."""
        batch, positions, _ = in_dims(node, 0, 3)
        width = in_dims(node, 1, 2)[1]
        projection = Cost(
            batch * positions * input_elements(node, 1), has(node, 2) * batch * positions * width
        )
        masks = has(node, mask) + (bias is not None and has(node, bias))
        found = _projected_heads(node, past)
        if flag(node, "past_present_share_buffer") and has(node, past):
            length = scalar(node, 6) if node.op_type == "Attention" else None
            found = replace(found, keys=total(found.queries, length))
        return projection + found.cost(node, per_score=masks)

    return cost


def _projected_moves(past: int) -> MovesFunction:
    def moves(node: Node) -> Moves:
        """Return the past positions that are read, and the new ones that are written."""
        if not has(node, past):
            return Moves()
        found = _projected_heads(node, past)
        buffer = in_dims(node, past, 5)[3]
        valid = buffer
        if flag(node, "past_present_share_buffer") and node.op_type == "Attention":
            used = scalar(node, 6) if has(node, 6) else None
            valid = buffer if used is None else min(used, buffer)
        each = input_elements(node, past) // max(buffer, 1)
        return Moves(
            cache_reads={past: each * valid}, cache_writes={1: each * (found.queries or 0)}
        )

    return moves


def _cache_moves(node: Node, caches: tuple[int, int], found: Heads, new: int, valid: int) -> Moves:
    """Return what is read of two caches of so many valid positions, and the new positions written to their results."""
    reads: dict[int, int] = {}
    writes: dict[int, int] = {}
    for output, place in enumerate(caches, 1):
        if has(node, place):
            buffer = in_dims(node, place, 4)[2]
            each = input_elements(node, place) // buffer if buffer else 0
            reads[place] = each * found.positions_read(min(valid, buffer))
        if wants(node, output):
            held = dims(node, result(node, output))
            writes[output] = out_count(node, output) * min(new, held[2]) // max(held[2], 1)
    return Moves(cache_reads=reads, cache_writes=writes)


def _positions(node: Node, found: Shape) -> Dim:
    """Return how many positions a key or value has: heads side by side (rank 3) or apart (rank 4)."""
    if len(found) not in (3, 4):
        raise malformed_error(
            node, f"a key or value must have rank 3 or 4, its shape is {show(found)}"
        )
    return found[2] if len(found) == 4 else found[1]


def _positions_before(node: Node) -> Dim:
    """Return how many past positions MultiHeadAttention sees: its cache's, or those that operand 8 says are in use."""
    used = scalar(node, 8) if has(node, 8) else None
    return _past_positions(node, 6, 2, 4) if used is None else used


def _multi_head_moves(node: Node) -> Moves:
    found = _multi_head(node)
    before = _positions_before(node) or 0
    return _cache_moves(node, (6, 7), found, (found.keys or 0) - before, before)


def _multi_head(node: Node) -> Heads:
    """Read the sizes of MultiHeadAttention in each of its layouts.

    Query, key and value with heads side by side; a query of rank 5 that holds all three; a key of rank 5 that
    holds key and value; or key and value of rank 4, which another attention has cached.
    """
    heads = head_count(node, "num_heads")
    query = shape(node, 0)
    if query is None:
        return Heads(None, heads, heads, None, None, None, None)
    if len(query) not in (3, 5):
        raise malformed_error(node, f"operand 0 must have rank 3 or 5, its shape is {show(query)}")
    size = query[4] if len(query) == 5 else head_size(node, query[2], heads)
    length, value_size = _multi_head_keys(node, query, heads, size)
    return Heads(
        query[0], heads, heads, query[1], total(length, _positions_before(node)), size, value_size,
        causal=flag(node, "unidirectional"),
    )  # fmt: skip


def _multi_head_keys(node: Node, query: Shape, heads: int, size: Dim) -> tuple[Dim, Dim]:
    """Return how many new keys MultiHeadAttention is given, and the size of a value's head."""
    key = shape(node, 1) if has(node, 1) else None
    if len(query) == 5 or not has(node, 1):
        return query[1], size
    if key is None:
        return None, size
    if len(key) == 5:
        return key[1], size
    length = _positions(node, key)
    if not has(node, 2):
        return length, size
    value = shape(node, 2)
    if value is None:
        return length, None
    _positions(node, value)
    return length, value[3] if len(value) == 4 else head_size(node, value[-1], heads)


def _multi_head_type(node: Node) -> NodeTypes:
    found, kind = _multi_head(node), dtype(node, 0)
    return (
        (found.output, kind),
        (found.cache, kind),
        (found.value_cache, kind),
        (found.scores, kind),
    )


def _multi_head_cost(node: Node) -> Cost:
    """Count the attention, and the bias that is added to queries, keys and values."""
    found = _multi_head(node)
    bias = has(node, 3) * sum(
        input_elements(node, position) for position in range(3) if has(node, position)
    )
    return found.cost(node, per_score=has(node, 4) + has(node, 5)) + Cost(other_ops=bias)


def _grouped_heads(node: Node) -> Heads:
    """Read the sizes of GroupQueryAttention; without key and value the query holds all three.

    The cache holds the past positions and the new ones, unless operand 6 says how many are in use.
    """
    heads, kv_heads = head_count(node, "num_heads"), head_count(node, "kv_num_heads")
    if heads % kv_heads:
        raise malformed_error(
            node,
            f"the {plural(heads, 'query head')} must be a multiple of the {plural(kv_heads, 'key head')}",
        )
    query = ranked_shape(node, 0, 3) or (None, None, None)
    size = head_size(node, query[2], heads if has(node, 1) else heads + 2 * kv_heads)
    length = query[1]
    if has(node, 1):
        key = shape(node, 1)
        length = None if key is None else _positions(node, key)
    used = scalar(node, 6) if has(node, 6) else None
    keys = used if used is not None and used > 0 else total(length, _past_positions(node, 3, 2, 4))
    window = max(integer(node, "local_window_size", -1), 0)
    return Heads(query[0], heads, kv_heads, query[1], keys, size, size, causal=True, window=window)


def _grouped_moves(node: Node) -> Moves:
    """Return the valid past positions that a query sees, the new ones, and the rows of the tables of angles."""
    found = _grouped_heads(node)
    new = found.queries or 0
    if has(node, 1):
        new = _positions(node, in_dims(node, 1)) or 0
    moved = _cache_moves(node, (3, 4), found, new, max((found.keys or 0) - new, 0))
    rows = {
        place: least(node, place, (found.batch or 1) * new * in_dims(node, place)[-1])
        for place in (7, 8)
        if has(node, place)
    }
    return replace(moved, reads=rows)


def _grouped_type(node: Node) -> NodeTypes:
    """Return the result and the caches, which stay as long as they were when they are longer than what is in use."""
    found, kind = _grouped_heads(node), dtype(node, 0)
    past = _past_positions(node, 3, 2, 4)
    used = scalar(node, 6) if has(node, 6) else None
    keys = found.keys
    if used is not None and used > 0:
        keys = None if past is None else max(past, used)
    cached = replace(found, keys=keys)
    stored = dtype(node, 3) if has(node, 3) else kind
    return (
        (found.output, kind),
        (cached.cache, stored),
        (cached.value_cache, stored),
        (found.scores, kind),
    )


def _grouped_cost(node: Node) -> Cost:
    """Count the attention, and the rotation of queries and keys when the operator does it."""
    found = _grouped_heads(node)
    rotated = 0
    if flag(node, "do_rotary"):
        batch, positions, width = in_dims(node, 0, 3)
        heads, kv_heads = found.heads or 1, found.kv_heads or 1
        size = width // (heads if has(node, 1) else heads + 2 * kv_heads)
        rotated = ROTATE * batch * positions * (heads + kv_heads) * size
    softcap = 3 * bool(node.attributes.get("softcap", 0))
    return found.cost(node, per_score=has(node, 10) + softcap) + Cost(other_ops=rotated)


def _relative_type(node: Node) -> NodeTypes:
    """Return ``[1, heads, queries, keys]`` of a looked-up position bias."""
    table = ranked_shape(node, 0, 2)
    heads = None if table is None else table[1]
    return (((1, heads, scalar(node, 1), scalar(node, 2)), dtype(node, 0)),)


define(
    "Attention", domain=MICROSOFT, cost=_projected_cost(4, 3, 5), shape=_projected_type(4, None), weights=(1, 2),
    moves=_projected_moves(4),
)  # fmt: skip
define(
    "QAttention", domain=MICROSOFT, cost=_projected_cost(8, 5, None), shape=_projected_type(8, 3), weights=(1, 2),
    quantizers=(3, 4, 6, 7), moves=_projected_moves(8),
)  # fmt: skip
define(
    "MultiHeadAttention", domain=MICROSOFT, cost=_multi_head_cost, shape=_multi_head_type, moves=_multi_head_moves,
)  # fmt: skip
define(
    "GroupQueryAttention", domain=MICROSOFT, cost=_grouped_cost, shape=_grouped_type, settings=(5, 6),
    quantizers=(7, 8), moves=_grouped_moves,
)  # fmt: skip
define(
    "RelativePositionBias", kind=Kind.MOVE, domain=MICROSOFT, shape=_relative_type, settings=(1, 2),
    moves=picked_moves(0),
)  # fmt: skip
