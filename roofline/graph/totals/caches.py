"""Key-value caches that a graph grows by plain Concat: the past is an input, past and new positions are an output.

Runtimes keep such a cache in one buffer: the new positions are written behind the past ones, which nothing copies. What
reads the result reads the cache.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from roofline.graph.walking.resolved import ResolvedGraph
from roofline.node import Node
from roofline.ops import Kind, Moves, lookup

_RANK = 3
"""The fewest axes of a cache: batch, positions, width."""


@dataclass(frozen=True, slots=True)
class Caches:
    """The caches of one graph."""

    grown: Mapping[str, int] = field(default_factory=dict[str, int])
    """Result of each Concat that grows a cache, and at which operand the past stands."""
    shown: frozenset[str] = frozenset()
    """Every name under which such a cache is read: the results, and views of them."""

    def moves(self, node: Node, own: Moves) -> Moves:
        """Return what a call moves when it grows or reads one of these caches; otherwise its own."""
        if not self.grown:
            return own
        result = node.outputs[0] if node.outputs else None
        if result is not None and result.name in self.grown:
            place = self.grown[result.name]
            past = node.operands[place]
            new = (result.elements or 0) - ((past.elements or 0) if past is not None else 0)
            return Moves(cache_reads={place: 0}, cache_writes={0: new})
        read = {
            place: own.reads.get(place, tensor.elements or 0)
            for place, tensor in enumerate(node.operands)
            if tensor is not None and tensor.name in self.shown
        }
        return replace(own, cache_reads={**read, **own.cache_reads}) if read else own


def caches_of(graph: ResolvedGraph) -> Caches:
    """Return the caches that a graph grows by Concat."""
    inputs = {tensor.name for tensor in graph.inputs if len(tensor.shape or ()) >= _RANK}
    outputs = {tensor.name for tensor in graph.outputs}
    if not inputs or not outputs:
        return Caches()
    grown: dict[str, int] = {}
    shown: set[str] = set()
    for resolved in graph.nodes:
        node = resolved.node
        result = node.outputs[0] if node.outputs else None
        if result is None:
            continue
        if node.op_type == "Concat" and not node.domain and result.name in outputs:
            past = [
                place
                for place, tensor in enumerate(node.operands)
                if tensor is not None and tensor.name in inputs
            ]
            if len(past) == 1 and len(node.operands) > 1:
                grown[result.name] = past[0]
                shown.add(result.name)
        elif shown and lookup(node).kind is Kind.VIEW:
            first = node.operand(0)
            if first is not None and first.name in shown and first.elements == result.elements:
                shown.add(result.name)
    return Caches(grown, frozenset(shown))
