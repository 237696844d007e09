"""Attention of the ai.onnx domain: both products in MACs, over the cached positions too.

Per score: one scaling, the softmax's five, one for an added mask, three for a soft cap. Rotary
embeddings take three per rotated element (two products, one sum).

Spec: https://onnx.ai/onnx/operators/onnx__Attention.html,
https://onnx.ai/onnx/operators/onnx__RotaryEmbedding.html
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from roofline.cost import Cost
from roofline.node import Node, Shape
from roofline.number_format import plural
from roofline.ops._attributes import (
    flag,
    integer,
    malformed_error,
    maybe_integer,
    number,
    operand,
)
from roofline.ops._counts import has, in_dims, input_elements
from roofline.ops._heads import Heads, head_count, head_size
from roofline.ops._moves import least
from roofline.ops._registry import MICROSOFT, Moves, MovesFunction, TensorType, define
from roofline.ops._shapes import Dim, dtype, merge, ranked_shape, shape, show, total
from roofline.ops._values import all_entries

NodeTypes = Sequence[TensorType | None]
ROTATE = 3


def _split(node: Node, position: int, attribute: str) -> tuple[Dim, Dim, Dim, Dim]:
    """Return batch, heads, positions and head size of an operand of rank 3 (heads side by side) or 4."""
    found = shape(node, position)
    if found is None:
        return (None, maybe_integer(node, attribute), None, None)
    if len(found) == 4:
        return (found[0], found[1], found[2], found[3])
    if len(found) != 3:
        raise malformed_error(
            node, f"operand {position} must have rank 3 or 4, its shape is {show(found)}"
        )
    heads = head_count(node, attribute)
    return (found[0], heads, found[1], head_size(node, found[2], heads))


def _heads(node: Node) -> Heads:
    """Read the sizes of an Attention call."""
    batch, heads, queries, size = _split(node, 0, "q_num_heads")
    kv_batch, kv_heads, length, key_size = _split(node, 1, "kv_num_heads")
    value_batch, _, value_length, value_size = _split(node, 2, "kv_num_heads")
    merge(node, size, key_size, "the head sizes of query and key")
    merge(node, length, value_length, "the lengths of key and value")
    if heads is not None and kv_heads is not None and (not kv_heads or heads % kv_heads):
        raise malformed_error(
            node,
            f"the {plural(heads, 'query head')} must be a multiple of the {plural(kv_heads, 'key head')}",
        )
    before: Dim = 0
    if has(node, 4):
        past = ranked_shape(node, 4, 4)
        before = None if past is None else past[2]
        length = total(length, before)
    if has(node, 6) and (valid := all_entries(node, 6)):
        # A cache of fixed length, of which so many positions are in use.
        length = max(valid)
        before = None if queries is None else length - queries
    batch = batch if batch is not None else kv_batch if kv_batch is not None else value_batch
    return Heads(
        batch,
        heads,
        kv_heads,
        queries,
        length,
        key_size if key_size is not None else size,
        value_size,
        offset=before,
        causal=flag(node, "is_causal"),
    )


def _attention_moves(node: Node) -> Moves:
    """Return the valid positions of a cache that are read, and the new ones that are written."""
    found = _heads(node)
    if has(node, 4):
        new = {place: input_elements(node, place) for place in (1, 2)}
        return Moves(
            cache_reads={4: input_elements(node, 4), 5: input_elements(node, 5)}, cache_writes=new
        )
    if has(node, 6) and found.keys is not None:
        reads: dict[int, int] = {}
        for place in (1, 2):
            dims = in_dims(node, place)
            reads[place] = min(
                input_elements(node, place)
                * found.keys
                // max(dims[-2 if len(dims) == 4 else 1], 1),
                input_elements(node, place),
            )
        return Moves(cache_reads=reads)
    return Moves()


def _attention_type(node: Node) -> NodeTypes:
    """Return the result in the query's layout, the caches with the new positions, and the scores."""
    found, query = _heads(node), shape(node, 0)
    if has(node, 6):
        # The keys' own length, whatever part of it is in use.
        held = _split(node, 1, "kv_num_heads")[2]
        found = replace(found, keys=held)
    kind = dtype(node, 0)
    result: Shape | None = None
    if query is not None:
        result = (
            found.output
            if len(query) == 3
            else (found.batch, found.heads, found.queries, found.value_size)
        )
    return (
        (result, kind),
        (found.cache, dtype(node, 1)),
        (found.value_cache, dtype(node, 2)),
        (found.scores, kind),
    )


def _attention_cost(node: Node) -> Cost:
    """Count ``batch x heads x queries x keys x (key size + value size)`` MACs."""
    return _heads(node).cost(
        node, per_score=has(node, 3) + 3 * (number(node, "softcap", 0.0) != 0.0)
    )


def _flex_type(node: Node) -> NodeTypes:
    found = _heads(node)
    return (((found.batch, found.heads, found.queries, found.value_size), dtype(node, 0)),)


def _flex_cost(node: Node) -> Cost:
    """Count as Attention; what the optional bodies do per score is not counted."""
    return _heads(node).cost(node)


def rotary_type(node: Node) -> NodeTypes:
    """Return the operand's own type."""
    found = shape(node, 0)
    if found is not None and len(found) not in (3, 4):
        raise malformed_error(node, f"operand 0 must have rank 3 or 4, its shape is {show(found)}")
    return ((found, dtype(node, 0)),)


def rotary_cost(node: Node) -> Cost:
    """Count three operations per rotated element; a partial rotation leaves the rest of each head alone."""
    dims, elements = in_dims(node, 0), input_elements(node, 0)
    partial = integer(node, "rotary_embedding_dim", 0)
    if partial <= 0:
        return Cost(other_ops=ROTATE * elements)
    heads = integer(node, "num_heads", 0)
    size = dims[-1] if len(dims) == 4 else dims[-1] // heads if heads > 0 else dims[-1]
    return Cost(other_ops=ROTATE * elements * min(partial, size) // size if size else 0)


def angles(*positions: int) -> MovesFunction:
    """Return that of tables of angles the rows of the positions are read; they are stored, but are no parameters."""

    def moves(node: Node) -> Moves:
        dims = in_dims(node, 0)
        rows = dims[0] * (dims[2] if len(dims) == 4 else dims[1])
        return Moves({
            place: least(node, place, rows * in_dims(node, place)[-1])
            for place in positions
            if has(node, place)
        })  # fmt: skip

    return moves


define(
    "Attention", cost=_attention_cost, shape=_attention_type, moves=_attention_moves, settings=(6,)
)
define("FlexAttention", domain="ai.onnx.preview", cost=_flex_cost, shape=_flex_type)
define(
    "RotaryEmbedding", cost=rotary_cost, shape=rotary_type, quantizers=(1, 2), moves=angles(1, 2)
)


def _embedding_type(node: Node) -> NodeTypes:
    """Return the type of com.microsoft's rotary embedding, whose positions are operand 1."""
    operand(node, 1)
    return rotary_type(node)


define(
    "RotaryEmbedding", domain=MICROSOFT, cost=rotary_cost, shape=_embedding_type, quantizers=(2, 3), moves=angles(2, 3),
)  # fmt: skip
