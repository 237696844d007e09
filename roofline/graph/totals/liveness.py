"""Bytes of activations: all that are written, and the most that live at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from roofline.graph.walking.resolved import ResolvedGraph, ResolvedNode
from roofline.node import Tensor
from roofline.precision import DatatypeKind

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
                if output is not None
                and output.dtype is not None
                and output.dtype.kind is DatatypeKind.FLOAT
            )
    peak, node = _peak(graph)
    return Activations(written, dynamic, floating, peak, node)


def _peak(graph: ResolvedGraph) -> tuple[int, str]:
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
    where = ""
    for index, step in enumerate(steps):
        for tensor in _values_left(step, index, last, seen, kept):
            if tensor.name not in sizes:
                sizes[tensor.name] = _size(tensor)
                live += sizes[tensor.name]
                if tensor.name not in kept:
                    freed.setdefault(last.get(tensor.name, index), []).append(tensor.name)
        if live > peak:
            peak, where = live, _label(step, last, index, kept)
        live -= sum(sizes[name] for name in freed.pop(index, ()))
    return peak, where


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


def _label(
    step: list[ResolvedNode], last: Mapping[str, int], index: int, kept: Mapping[str, Tensor]
) -> str:
    """Return a step's operator with the first of its results that outlives it."""
    container = next((resolved for resolved in step if not resolved.container), step[0])
    names = [
        output.name for resolved in step for output in resolved.node.outputs if output is not None
    ]
    produced = frozenset(names)
    leaving = [name for name in kept if name in produced] if len(step) > 1 else []
    leaving += [name for name in names if last.get(name, index) > index]
    return f"{container.node.op_type}({(leaving or names or [''])[0]})"


def _size(tensor: Tensor | None) -> int:
    return 0 if tensor is None else tensor.bytes or 0
