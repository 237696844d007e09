"""Bytes of activations: all that are written, and the most that live at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from roofline.graph.resolved import ResolvedGraph, ResolvedNode
from roofline.node import Tensor

CONTAINERS = frozenset({"If", "Loop", "Scan", "SequenceMap"})
"""Calls whose results their bodies have already written."""


@dataclass(frozen=True, slots=True)
class Activations:
    """Activation bytes of one inference; values of unknown size are left out."""

    all_bytes: int
    """Results of every executed call but Constant and containers, each as often as it runs."""
    dynamic_bytes: int
    """Those that depend on an input of the graph."""
    dynamic_float_bytes: int
    """The floating-point part of those."""
    peak_bytes: int
    """The largest set of input-dependent values alive at once, the graph's inputs among them."""
    peak_node: str
    """The call that runs at that moment."""


def activations(graph: ResolvedGraph) -> Activations:
    """Return the activation bytes of a graph."""
    written = dynamic = floating = 0
    for resolved in graph.nodes:
        if resolved.node.op_type in CONTAINERS or resolved.node.op_type == "Constant":
            continue
        size = sum(_size(output) for output in resolved.node.outputs) * resolved.repeats
        written += size
        if resolved.dynamic:
            dynamic += size
            floating += resolved.repeats * sum(
                _size(output)
                for output in resolved.node.outputs
                if output is not None and output.dtype is not None and output.dtype.kind == "float"
            )
    peak, node = _peak(graph)
    return Activations(written, dynamic, floating, peak, node)


def _peak(graph: ResolvedGraph) -> tuple[int, str]:
    """Run the calls in order; a value is freed after its last use, the graph's outputs never."""
    last = _last_uses(graph.nodes)
    kept = {tensor.name for tensor in graph.outputs}
    sizes: dict[str, int] = {tensor.name: _size(tensor) for tensor in graph.inputs}
    live = sum(sizes.values())
    peak, where = live, ""
    freed: dict[int, list[str]] = {}
    for name in sizes:
        if name in last and name not in kept:
            freed.setdefault(last[name], []).append(name)
    for index, resolved in enumerate(graph.nodes):
        for output in resolved.node.outputs:
            if output is None or output.constant or output.name in sizes:
                continue
            sizes[output.name] = _size(output)
            live += sizes[output.name]
            if output.name not in kept:
                freed.setdefault(last.get(output.name, index), []).append(output.name)
        if live > peak:
            peak, where = live, resolved.node.name
        live -= sum(sizes[name] for name in freed.pop(index, ()))
    return peak, where


def _last_uses(nodes: tuple[ResolvedNode, ...]) -> Mapping[str, int]:
    last: dict[str, int] = {}
    for index, resolved in enumerate(nodes):
        for tensor in resolved.node.operands:
            if tensor is not None and not tensor.constant:
                last[tensor.name] = index
    return last


def _size(tensor: Tensor | None) -> int:
    return 0 if tensor is None else tensor.bytes or 0
