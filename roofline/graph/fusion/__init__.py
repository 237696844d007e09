"""The fused view: executed calls grouped as every runtime groups them, multiply-accumulates unchanged.

Views join what they show; patterns of several calls are claimed first (`_patterns`), then producers are joined with
their only readers in execution order (`_epilogues`). Every step keeps groups to one exit, so that they never wait for
each other in a circle. The work is linear in the calls.
"""

from __future__ import annotations

from collections.abc import Mapping

from roofline.graph.fusion import _epilogues, _patterns
from roofline.graph.fusion._datatype import arithmetic, peak_of
from roofline.graph.fusion._view import Block, View
from roofline.graph.fusion.group import Group, report
from roofline.graph.walking.resolved import ResolvedGraph
from roofline.node import Tensor
from roofline.ops import Kind, lookup

__all__ = ["Group", "fuse", "peak_of", "report"]


def fuse(graph: ResolvedGraph) -> tuple[Group, ...]:
    """Return the groups of a graph's calls in execution order: each call is in exactly one.

    Calls that are worked out before inference come first, one to a group, marked ``folded``; a constant call
    with multiply-accumulates is never among them.
    """
    view = View(graph)
    _patterns.apply(view)
    _epilogues.apply(view)
    folded = [
        Group((place,), place, ("constant_folding",), repeats=call.repeats, folded=True)
        for place, call in enumerate(graph.nodes)
        if not view.live[place]
    ]
    return (*folded, *(_group(view, block) for block in view.blocks()))


def _group(view: View, block: Block) -> Group:
    members = tuple(sorted(block.members))
    return Group(
        members,
        block.anchor,
        tuple(block.steps),
        _tensors(view, [view.root(flow) for flow in block.flows]),
        _readers(view, members, block),
        _tensors(view, _left_values(view, block)),
        _datatype(view, block),
        view.calls[block.exit].repeats,
    )


def _tensors(view: View, names: list[str]) -> tuple[Tensor, ...]:
    return tuple(view.tensors[name] for name in dict.fromkeys(names) if name in view.tensors)


def _readers(
    view: View, members: tuple[int, ...], block: Block
) -> Mapping[str, tuple[tuple[int, int], ...]]:
    """Return which members read what flows in, and at which operand; a view hands on what it shows."""
    entering = {view.root(flow) for flow in block.flows}
    found: dict[str, tuple[tuple[int, int], ...]] = {}
    for place in members:
        node = view.node(place)
        shows = any(output is not None and output.name in view.storage for output in node.outputs)
        for position, operand in enumerate(() if shows else node.operands):
            if operand is not None and (root := view.root(operand.name)) in entering:
                found[root] = (*found.get(root, ()), (place, position))
    return found


def _left_values(view: View, block: Block) -> list[str]:
    own = view.leader(block.exit)
    leaving = [
        name
        for name in block.frontier
        if name in view.kept
        or any(view.leader(reader) != own for reader in view.readers.get(name, ()))
    ]
    # A loop's body hands its results on by position: nobody reads them by name.
    return [view.root(name) for name in leaving or block.frontier[:1]]


def _datatype(view: View, block: Block) -> str | None:
    node = view.node(block.anchor)
    return arithmetic(view, block.anchor) if lookup(node).kind is Kind.COMPUTE else None
