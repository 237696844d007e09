"""The sizes that every attention operator has, whatever the layout of its operands."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from roofline.cost import Cost
from roofline.errors import DimensionError
from roofline.node import Node, Shape
from roofline.ops._attributes import malformed, required_integer
from roofline.ops._shapes import Dim, divided, scaled

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
        width = None if self.heads is None else scaled(self.value_size, self.heads)
        return (self.batch, self.queries, width)

    def cost(self, node: Node, *, per_score: int = 0) -> Cost:
        """Count both products over all keys, and per score a scale, the softmax, and what else is asked for.

        A causal mask leaves products out that runtimes compute all the same: they are counted.

        Raises:
            DimensionError: A size is unknown.
        """
        sizes = [self.batch, self.heads, self.queries, self.keys, self.key_size, self.value_size]
        known = [size for size in sizes if size is not None]
        if len(known) != len(sizes):
            raise DimensionError(
                f"{node.op_type} node {node.name!r}: the length of its queries or of its cache is not known",
                repair="Give it with --dim or --input",
            )
        scores = prod(known[:4])
        return Cost(scores * (known[4] + known[5]), scores * (1 + SOFTMAX + per_score))


def head_count(node: Node, name: str) -> int:
    """Return how many heads an attribute states.

    Raises:
        ModelError: It is missing or not positive.
    """
    count = required_integer(node, name)
    if count < 1:
        raise malformed(node, f"attribute {name!r} must be positive, it is {count}")
    return count


def head_size(node: Node, width: Dim, heads: int) -> Dim:
    """Return the width of one head of so many side by side."""
    return divided(node, width, heads, "the width of the heads")
