"""The sizes that every attention operator has, whatever the layout of its operands."""

from __future__ import annotations

from dataclasses import dataclass

from roofline.cost import Cost
from roofline.errors import DimensionError
from roofline.node import Node, Shape
from roofline.ops._attributes import malformed_error, required_integer
from roofline.ops._shapes import Dim, divide, scale
from roofline.surfaces import DIMS, INPUTS

SOFTMAX = 5
"""Operations per score: max, subtract, exp, sum, divide."""


@dataclass(frozen=True)
class Heads:
    """Sizes of one attention; ``keys`` counts the cached positions too."""

    batch: Dim
    heads: Dim
    kv_heads: Dim
    queries: Dim
    keys: Dim
    key_size: Dim
    value_size: Dim
    offset: Dim = None
    """Positions before the first query that it may see, in causal attention: the past ones; None without a mask."""
    causal: bool = False
    window: int = 0
    """Positions that a query sees, its own among them; 0 without a limit."""

    @property
    def cache(self) -> Shape:
        """Shape of the cached keys."""
        return (self.batch, self.kv_heads, self.keys, self.key_size)

    @property
    def value_cache(self) -> Shape:
        """Shape of the cached values."""
        return (self.batch, self.kv_heads, self.keys, self.value_size)

    @property
    def scores(self) -> Shape:
        """Shape of the products of queries and keys."""
        return (self.batch, self.heads, self.queries, self.keys)

    @property
    def output(self) -> Shape:
        """Shape of the result with the heads side by side: batch, positions, width."""
        width = None if self.heads is None else scale(self.value_size, self.heads)
        return (self.batch, self.queries, width)

    def cost(self, node: Node, *, per_score: int = 0) -> Cost:
        """Count both products, and per score a scale, the softmax, and what else is asked for.

        Of causal and windowed attention the scores that remain are counted: half the square and half the diagonal.
        Those that the mask leaves out are kept apart (`Cost.masked_macs`).

        Raises:
            DimensionError: A size is unknown.
        """
        sizes = [self.batch, self.heads, self.queries, self.keys, self.key_size, self.value_size]
        known = [size for size in sizes if size is not None]
        if len(known) != len(sizes):
            raise DimensionError(
                f"{node.op_type} node {node.name!r}: the length of its queries or of its cache is not known",
                repair=f"Give it with {DIMS} or {INPUTS}",
            )
        batch, heads, queries, keys, key_size, value_size = known
        offset = keys - queries if self.offset is None else self.offset
        seen = queries * keys
        if self.causal:
            seen = visible_scores(queries, keys, offset, self.window)
        each, per = key_size + value_size, 1 + SOFTMAX + per_score
        scores, masked = batch * heads * seen, batch * heads * (queries * keys - seen)
        return Cost(
            scores * each, scores * per, masked_macs=masked * each, masked_ops=masked * per
        )

    def positions_read(self, past: int) -> int:
        """Return how many of the past positions any query sees: all, unless a window ends before."""
        if not self.window or not self.causal:
            return past
        # The first query sees the most of the past.
        return min(past, self.window - 1)


def visible_scores(queries: int, keys: int, offset: int, window: int = 0) -> int:
    """Return how many scores a causal mask leaves: query i sees the keys up to ``offset + i``, of a window the last.

    Example:
        >>> visible_scores(4, 4, 0), visible_scores(1, 10, 9), visible_scores(4, 4, 0, 2)
        (10, 10, 7)
    """
    offset = max(min(offset, keys), -queries)
    return _ramp(queries, offset, keys) - (
        _ramp(queries, offset - window, keys - window) if window > 0 else 0
    )


def _ramp(queries: int, offset: int, most: int) -> int:
    """Return the sum of ``clamp(offset + i + 1, 0, most)`` over the queries."""
    if most <= 0:
        return 0
    first = min(max(-offset, 0), queries)
    full = min(max(most - offset, first), queries)
    count = full - first
    rising = count * (offset + first + 1 + offset + full) // 2
    return rising + (queries - full) * most


def head_count(node: Node, name: str) -> int:
    """Return how many heads an attribute states.

    Raises:
        ModelError: It is missing or not positive.
    """
    count = required_integer(node, name)
    if count < 1:
        raise malformed_error(node, f"attribute {name!r} must be positive, it is {count}")
    return count


def head_size(node: Node, width: Dim, heads: int) -> Dim:
    """Return the width of one head of so many side by side."""
    return divide(node, width, heads, "the width of the heads")
