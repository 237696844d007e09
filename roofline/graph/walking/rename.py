"""Results of a branch or function under the names the call around gives them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from roofline.graph.walking.resolved import ResolvedNode
from roofline.node import Tensor


def rename_results(
    nodes: Sequence[ResolvedNode], results: Sequence[Tensor | None], names: Sequence[str]
) -> tuple[list[ResolvedNode], list[Tensor | None]]:
    """Return calls and their results with the results named as the caller names them.

    A result that the calls only pass on, or that they store, keeps its name.

    Args:
        nodes: The calls of a branch or function.
        results: What they give, by position.
        names: Names for the results; an empty one renames nothing.
    """
    produced = {
        output.name
        for resolved in nodes
        for output in resolved.node.outputs
        if output is not None and not output.stored
    }
    changed: dict[str, str] = {}
    for tensor, name in zip(results, names, strict=False):
        if tensor is not None and name and tensor.name in produced:
            changed.setdefault(tensor.name, name)
    if not changed:
        return list(nodes), list(results)
    return [_node(resolved, changed) for resolved in nodes], [
        _tensor(tensor, changed) for tensor in results
    ]


def _node(resolved: ResolvedNode, changed: dict[str, str]) -> ResolvedNode:
    node = resolved.node
    if not any(
        tensor is not None and tensor.name in changed for tensor in (*node.operands, *node.outputs)
    ):
        return resolved
    operands = tuple(_tensor(tensor, changed) for tensor in node.operands)
    outputs = tuple(_tensor(tensor, changed) for tensor in node.outputs)
    return replace(resolved, node=replace(node, operands=operands, outputs=outputs))


def _tensor(tensor: Tensor | None, changed: dict[str, str]) -> Tensor | None:
    if tensor is None or tensor.name not in changed:
        return tensor
    return replace(tensor, name=changed[tensor.name])
