"""The order in which a graph's calls run, and the rules on names: one producer each, no cycles, nothing missing."""

from __future__ import annotations

from collections import deque
from collections.abc import Container, Iterable
from typing import TYPE_CHECKING

from roofline.errors import ModelError, did_you_mean
from roofline.graph.reading.reads import Reads, reads

if TYPE_CHECKING:
    from onnx import NodeProto


def label(node: NodeProto) -> str:
    """Return how messages name a call."""
    if node.name:
        return f"{node.op_type} node {node.name!r}"
    first = next((name for name in node.output if name), "")
    if not node.op_type:
        return f"the node that gives {first!r}"
    return f"the {node.op_type} node that gives {first!r}"


def schedule(
    nodes: Iterable[NodeProto],
    given: Iterable[str],
    outer: Container[str],
    where: str,
    known: Reads,
) -> tuple[list[NodeProto], bool]:
    """Return calls in an order in which every operand is known before its use.

    Args:
        nodes: The calls as the file lists them.
        given: Names of inputs and initializers of this graph.
        outer: Names that the surrounding graphs define.
        where: The graph's name for messages.
        known: What was found of subgraphs so far; a graph in many others is looked into once.

    Returns:
        The calls, and whether the file listed them in another order.

    Raises:
        ModelError: A value is produced twice, or never, or depends on itself.
    """
    listed = list(nodes)
    defined = set(given)
    producer: dict[str, int] = {}
    in_order = True
    for index, node in enumerate(listed):
        for name in node.output:
            if name:
                if name in producer or name in defined:
                    raise ModelError(
                        f"the value {name!r} is defined twice in {where}: {_clash(listed, name)}"
                    )
                producer[name] = index
    for index, node in enumerate(listed):
        for name in reads(node, known):
            source = producer.get(name)
            if source is not None:
                in_order = in_order and source < index
            elif name not in defined and name not in outer:
                hint = did_you_mean(name, [*producer, *defined]) if len(producer) < 10_000 else ""
                raise ModelError(
                    f"{label(node)} reads {name!r}, which nothing in {where} produces", repair=hint
                )
    return (listed, False) if in_order else (_sort(listed, producer, where, known), True)


def _clash(nodes: list[NodeProto], name: str) -> str:
    makers = [label(node) for node in nodes if name in node.output]
    return (
        f"by {' and by '.join(makers[:2])}"
        if len(makers) > 1
        else f"{makers[0]} gives an input's name"
    )


def _sort(
    nodes: list[NodeProto], producer: dict[str, int], where: str, known: Reads
) -> list[NodeProto]:
    """Return calls sorted by their dependences; among those that are ready the file's order stays."""
    waiting = [0] * len(nodes)
    readers: list[list[int]] = [[] for _ in nodes]
    for index, node in enumerate(nodes):
        for source in {producer[name] for name in reads(node, known) if name in producer}:
            waiting[index] += 1
            readers[source].append(index)
    ready = deque(index for index, count in enumerate(waiting) if not count)
    order: list[NodeProto] = []
    while ready:
        index = ready.popleft()
        order.append(nodes[index])
        for reader in readers[index]:
            waiting[reader] -= 1
            if not waiting[reader]:
                ready.append(reader)
    if len(order) < len(nodes):
        raise ModelError(f"{where} has a cycle: {_cycle(nodes, producer, waiting, known)}")
    return order


def _cycle(
    nodes: list[NodeProto], producer: dict[str, int], waiting: list[int], known: Reads
) -> str:
    """Return the calls of one cycle as text; every call that waits has an operand whose producer waits."""
    index = next(index for index, count in enumerate(waiting) if count)
    seen: list[int] = []
    places: dict[int, int] = {}
    while index not in places:
        places[index] = len(seen)
        seen.append(index)
        sources = (producer[name] for name in reads(nodes[index], known) if name in producer)
        index = next(source for source in sources if waiting[source])
    names = [label(nodes[step]) for step in reversed(seen[places[index] :])]
    shown = names if len(names) <= 5 else [*names[:4], f"{len(names) - 4} more"]
    return " -> ".join([*shown, names[0]])
