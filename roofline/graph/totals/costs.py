"""The arithmetic of every executed call, or why it is not known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from roofline.cost import Cost
from roofline.graph.walking.resolved import ResolvedGraph, ResolvedNode
from roofline.graph.walking.sequences import SEQUENCE_OPERATORS
from roofline.node import Node
from roofline.ops import Kind, Operator, lookup
from roofline.ops._attributes import translate_errors


@dataclass(frozen=True, slots=True)
class CallCost:
    """What one call computes over all its trips."""

    row: Operator
    """Its operator's row in the table."""
    cost: Cost
    note: str = ""
    """Why it is not known; the cost is then nothing, and reported as unknown."""


_NOTHING = Cost()


def call_costs(graph: ResolvedGraph) -> tuple[CallCost, ...]:
    """Return the cost of each executed call, in order."""
    return tuple(call_cost(resolved) for resolved in graph.nodes)


def unmask(costs: Sequence[CallCost]) -> tuple[CallCost, ...]:
    """Return costs that count the whole square of causal and windowed attention."""
    return tuple(replace(call, cost=call.cost.unmasked) for call in costs)


def call_cost(resolved: ResolvedNode) -> CallCost:
    """Return the arithmetic of a call over all its trips."""
    node = resolved.node
    row = lookup(node)
    if row.kind is Kind.UNSUPPORTED:
        name = f"{node.domain}::{node.op_type}" if node.domain else node.op_type
        return CallCost(row, _NOTHING, f"the operator {name} is not supported")
    if resolved.note:
        return CallCost(row, _NOTHING, resolved.note)
    if row.kind is Kind.CONTROL:
        return CallCost(row, _NOTHING)
    unsized = _unsized_name(node, row.settings)
    if unsized is not None:
        return CallCost(row, _NOTHING, f"the size of {unsized!r} is not known before it runs")
    if row.cost is None:
        return CallCost(row, _NOTHING)
    with translate_errors(node):
        cost = row.cost(node)
    return CallCost(row, cost if resolved.repeats == 1 else cost * resolved.repeats)


def _unsized_name(node: Node, settings: tuple[int, ...]) -> str | None:
    """Return the name of a value that matters and has no known size; sequences have none by nature."""
    if node.op_type in SEQUENCE_OPERATORS and not node.domain:
        return None
    for place, tensor in enumerate(node.operands):
        if (
            tensor is not None
            and (tensor.shape is None or None in tensor.shape)
            and place not in settings
        ):
            return tensor.name
    for tensor in node.outputs:
        if tensor is not None and (tensor.shape is None or None in tensor.shape):
            return tensor.name
    return None
