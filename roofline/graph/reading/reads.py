"""Which values a call reads: its operands, and what its subgraphs at any depth take from around them.

Whoever rewrites a graph asks here before a value goes or changes its name.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from onnx import GraphProto, NodeProto

_GRAPH = 5
_GRAPHS = 10

Reads = dict[int, "tuple[GraphProto, list[str]]"]
"""Names that subgraphs read from around them, by the graph's identity; the graph is kept so that it stays its own."""


def subgraphs(node: NodeProto) -> Iterator[GraphProto]:
    """Yield the graphs that are attributes of a call."""
    for attribute in node.attribute:
        if attribute.type == _GRAPH or attribute.HasField("g"):
            yield attribute.g
        elif attribute.type == _GRAPHS:
            yield from attribute.graphs


def reads(node: NodeProto, known: Reads | None = None) -> Iterator[str]:
    """Yield the names that a call reads: its operands, and what its subgraphs take from around them.

    Args:
        node: The call.
        known: What was found of subgraphs so far; a graph in many others is looked into once.
    """
    for name in node.input:
        if name:
            yield name
    yield from inner_reads(node, known)


def inner_reads(node: NodeProto, known: Reads | None = None) -> Iterator[str]:
    """Yield the names that a call's subgraphs take from around them."""
    if any(attribute.type in (_GRAPH, _GRAPHS) for attribute in node.attribute):
        for graph in subgraphs(node):
            yield from _free_names(graph, {} if known is None else known)


def read_counts(graph: GraphProto) -> Counter[str]:
    """Return how often each value of a graph is read: by operands, by subgraphs, and as an output of the graph."""
    known: Reads = {}
    counts = Counter(name for node in graph.node for name in reads(node, known))
    counts.update(entry.name for entry in graph.output)
    return counts


def rename_reads(node: NodeProto, names: Mapping[str, str]) -> NodeProto:
    """Return a copy of a call that reads values, in its subgraphs too, by other names.

    Args:
        node: The call.
        names: New names by the old ones; others stay.
    """
    copy = type(node)()
    copy.CopyFrom(node)
    for position, name in enumerate(node.input):
        copy.input[position] = names.get(name, name)
    for inner in subgraphs(copy):
        own = {item.name for item in (*inner.input, *inner.initializer)}
        own |= {name for call in inner.node for name in call.output}
        outer = {old: new for old, new in names.items() if old not in own}
        calls = [rename_reads(call, outer) for call in inner.node]
        del inner.node[:]
        inner.node.extend(calls)
        for result in inner.output:
            result.name = outer.get(result.name, result.name)
    return copy


def _free_names(graph: GraphProto, known: Reads) -> list[str]:
    if (found := known.get(id(graph))) is not None:
        return found[1]
    defined = {entry.name for entry in graph.input}
    defined.update(entry.name for entry in graph.initializer)
    defined.update(entry.values.name for entry in graph.sparse_initializer)
    for node in graph.node:
        defined.update(node.output)
    free = {name for node in graph.node for name in reads(node, known) if name not in defined}
    free.update(entry.name for entry in graph.output if entry.name and entry.name not in defined)
    names = sorted(free)
    known[id(graph)] = (graph, names)
    return names
