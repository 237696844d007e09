"""Bytes of activations: all that are written, and the most that live at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from roofline.graph.walking.resolved import ResolvedGraph, ResolvedNode
from roofline.node import Tensor

CONTAINERS = frozenset({"If", "Loop", "Scan", "SequenceMap"})
"""Calls whose results their bodies have already written."""


@dataclass(frozen=True, slots=True)
class Activations:
    """Activation bytes of one inference; values of unknown size are left out."""

    dynamic_bytes: int
    """Results of every executed call but Constant and containers that depend on an input, each as often as it runs."""
    peak_bytes: int
    """The largest set of input-dependent values alive at once, the graph's inputs among them."""


def activations(graph: ResolvedGraph) -> Activations:
    """Return the activation bytes of a graph."""
    written = sum(
        _size(output) * resolved.repeats
        for resolved in graph.nodes
        if resolved.dynamic and resolved.node.op_type not in (*CONTAINERS, "Constant")
        for output in resolved.node.outputs
    )
    return Activations(written, _peak(graph))


def _peak(graph: ResolvedGraph) -> int:
    """Run the top-level calls in order; a value is freed after its last use, the graph's outputs never.

    A container is one step with all that its body runs: of the body's values only those that leave it count.
    """
    steps = _steps(graph.nodes)
    last: dict[str, int] = {}
    seen: dict[str, Tensor] = {}
    for index, step in enumerate(steps):
        for resolved in step:
            for tensor in resolved.node.operands:
                if tensor is not None and not tensor.constant:
                    last[tensor.name] = index
                    seen.setdefault(tensor.name, tensor)
    kept = {tensor.name: tensor for tensor in graph.outputs if not tensor.constant}
    sizes = {tensor.name: _size(tensor) for tensor in graph.inputs}
    freed: dict[int, list[str]] = {}
    for name in sizes:
        if name in last and name not in kept:
            freed.setdefault(last[name], []).append(name)
    live = peak = sum(sizes.values())
    for index, step in enumerate(steps):
        for tensor in _values_left(step, index, last, seen, kept):
            if tensor.name not in sizes:
                sizes[tensor.name] = _size(tensor)
                live += sizes[tensor.name]
                if tensor.name not in kept:
                    freed.setdefault(last.get(tensor.name, index), []).append(tensor.name)
        peak = max(peak, live)
        live -= sum(sizes[name] for name in freed.pop(index, ()))
    return peak


def _steps(nodes: tuple[ResolvedNode, ...]) -> list[list[ResolvedNode]]:
    """Return the top-level calls, each container with what runs in it."""
    steps: list[list[ResolvedNode]] = []
    current = ""
    for resolved in nodes:
        owner = resolved.container or (
            resolved.node.name
            if resolved.node.op_type in CONTAINERS and not resolved.node.domain
            else ""
        )
        if owner and owner == current:
            steps[-1].append(resolved)
        else:
            steps.append([resolved])
        current = owner
    return steps


def _values_left(
    step: list[ResolvedNode],
    index: int,
    last: Mapping[str, int],
    seen: Mapping[str, Tensor],
    kept: Mapping[str, Tensor],
) -> Iterator[Tensor]:
    """Yield the input-dependent values that a step leaves; later readers say whether a branch's value depends."""
    for resolved in step:
        for output in resolved.node.outputs:
            if output is None:
                continue
            if len(step) == 1:
                if not output.constant:
                    yield output
            elif output.name in kept or last.get(output.name, index) > index:
                yield kept.get(output.name) or seen[output.name]


def _size(tensor: Tensor | None) -> int:
    return 0 if tensor is None else tensor.bytes or 0
