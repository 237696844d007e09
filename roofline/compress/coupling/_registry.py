"""How operators couple channels: a registry of one rule per operator, and the pass that applies them to a graph.

Every axis of every tensor carries labels, one per position. A rule ties the labels of its operands as its
arithmetic demands and returns the labels of its results. After the pass, positions with the same
representative stay or go together, in every tensor where they appear.

One principle decides what a rule may leave free: the pruned network computes exactly what the dense one
computes when the removed channels are zeroed where they are consumed. An operator that mixes channels in any
other way (a softmax, or statistics over the channels) makes them stay, and says so.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import onnx

from roofline.compress.bodies import calls
from roofline.compress.call import (
    AttributeEdit,
    Call,
    Edit,
    Obstacle,
    OperandEdit,
    Producer,
    Results,
    State,
    holds_weights,
    layer_name,
)
from roofline.compress.coupling.control import Passing, find_passing
from roofline.compress.labels import Atoms, Axes, Labels, fixed_labels
from roofline.errors import MISFIT
from roofline.graph.reading.graphs import every_graph
from roofline.graph.reading.reads import reads, subgraphs
from roofline.node import Tensor
from roofline.ops import Role
from roofline.ops._registry import operators
from roofline.registry import Registry

Rule = Callable[[Call], Results]

couplings: Registry[Rule] = Registry(
    "channel coupling", "roofline.compress.coupling", "roofline.channel_couplings"
)
"""Every known coupling rule, keyed like the operator table (``::Conv``, ``com.microsoft::QGemm``)."""


def couples(*op_types: str, domain: str = "") -> Callable[[Rule], Rule]:
    """Return a decorator that registers a coupling rule for operators of a domain."""
    return couplings.register(*(f"{domain}::{name}" for name in op_types), wrap=lambda rule: rule)


@dataclass(frozen=True, slots=True)
class Coupling:
    """What the pass over a graph found."""

    atoms: Atoms
    values: Mapping[str, Axes]
    """Labels of every value of known rank, by name."""
    producers: tuple[Producer, ...]
    blocked: tuple[Obstacle, ...]
    edits: tuple[Edit, ...]


def analyse(model: onnx.ModelProto, types: Mapping[str, Tensor]) -> Coupling:
    """Find which positions of which axes go together.

    Args:
        model: The model; weights are not needed.
        types: Shapes, datatypes and small values of its top-level values.

    Returns:
        The labels of every value, the layers that make channels, and what else must change with them.
    """
    uses: dict[str, list[onnx.NodeProto]] = {}
    for node in calls(model.graph):
        for name in reads(node):
            uses.setdefault(name, []).append(node)
    state = State(uses=uses)
    values: dict[str, Axes] = {}
    opsets = {"" if o.domain == "ai.onnx" else o.domain: o.version for o in model.opset_import}
    stored = {tensor.name for tensor in model.graph.initializer}
    inner = {tensor.name for graph in every_graph(model.graph) for tensor in graph.initializer}
    for name in sorted(inner):
        values[name] = _stored_axes(state.atoms, types.get(name))
    for given in model.graph.input:
        if given.name not in stored:
            values[given.name] = _fixed_axes(types.get(given.name))
    _walk(model.graph, 0, opsets, types, values, state)
    for output in model.graph.output:
        for labels in values.get(output.name, ()):
            if labels.any():
                state.atoms.fix(labels, f"it is part of the network's output {output.name!r}")
    return Coupling(
        state.atoms, values, tuple(state.producers), tuple(state.blocked), tuple(state.edits)
    )


def _walk(
    graph: onnx.GraphProto,
    index: int,
    opsets: Mapping[str, int],
    types: Mapping[str, Tensor],
    values: dict[str, Axes],
    state: State,
) -> int:
    """Label what the calls of a graph give, bodies in their place; return how many calls there are so far."""
    for node in graph.node:
        domain = "" if node.domain == "ai.onnx" else node.domain
        inner = list(subgraphs(node))
        # Bodies come before the call in `bodies.calls`, so its place is known once they are walked.
        place = index + sum(1 for body in inner for _ in calls(body))
        call = Call(node, place, types, values, state, opsets.get(domain, 1))
        passes = find_passing(call) if inner else None
        if passes is not None and _hand_over(call, passes, values):
            for body in inner:
                index = _walk(body, index, opsets, types, values, state)
            results = _leave(call, passes, values)
        else:
            index = place
            results = _run(call, f"{domain}::{node.op_type}", state, types)
        index += 1
        for position, name in enumerate(node.output):
            axes = results[position] if position < len(results) else None
            if name and (axes := _agree(call, axes, call.output_axes(position))) is not None:
                values[name] = axes
    return index


def _hand_over(call: Call, passes: Passing, values: dict[str, Axes]) -> bool:
    """Label the inputs of a call's bodies; return whether call and bodies fit together."""
    try:
        passes.enter(call, values)
    except MISFIT:
        return False
    return True


def _leave(call: Call, passes: Passing, values: dict[str, Axes]) -> Results:
    try:
        return passes.leave(call, values)
    except MISFIT as error:
        return call.block(f"has bodies that do not fit it ({error})")


def _run(call: Call, key: str, state: State, types: Mapping[str, Tensor]) -> Results:
    node = call.node
    if node.op_type == "Constant" and not node.domain:
        return [_stored_axes(state.atoms, types.get(node.output[0]))]
    rule = couplings.find(key) or _by_role(key)
    if rule is None or any(a.HasField("g") or a.graphs for a in node.attribute):
        return call.block("is not in the table of channel couplings")
    if any(name and name not in call._values for name in node.input):  # pyright: ignore[reportPrivateUsage]
        return call.block("has an operand of unknown rank")
    try:
        return rule(call)
    except MISFIT as error:
        # A damaged call is refused only where channels would go through it.
        return call.block(f"has operands and attributes that do not fit together ({error})")


def _by_role(key: str) -> Rule | None:
    """Return the rule of an operator that is elementwise by its row of the operator table, whoever registered it."""
    known = operators.find(key)
    return (
        couplings.find("::Add") if known is not None and known.role is Role.ELEMENTWISE else None
    )


def _agree(call: Call, axes: Axes | None, shaped: Axes | None) -> Axes | None:
    """Return a rule's labels where they fit the result's shape; an axis of unknown size stays."""
    if axes is None or shaped is None:
        return shaped if axes is None else axes
    if len(axes) != len(shaped):
        call.fix_all(axes, "its shape is not known")
        return shaped
    agreed: list[Labels] = []
    for ours, size in zip(axes, shaped, strict=True):
        if len(ours) != len(size):
            call.fix(ours, "the size of its result is not known")
        agreed.append(ours if len(ours) == len(size) else size)
    return tuple(agreed)


def _stored_axes(atoms: Atoms, tensor: Tensor | None) -> Axes:
    """Label a stored tensor: every axis of a weight is free until a rule says otherwise."""
    if tensor is None or tensor.shape is None:
        return ()
    if not holds_weights(tensor):
        return _fixed_axes(tensor)
    return tuple(atoms.fresh(size or 0) for size in tensor.shape)


def _fixed_axes(tensor: Tensor | None) -> Axes:
    if tensor is None or tensor.shape is None:
        return ()
    return tuple(fixed_labels(size) for size in tensor.shape)


def like_block(labels: Labels, rows: int) -> Labels:
    """Return an axis as ``rows`` equal blocks."""
    return labels.reshape(rows, -1)


def product(sizes: Sequence[int]) -> int:
    """Return how many elements a shape has."""
    return math.prod(sizes)


__all__ = [
    "Atoms",
    "AttributeEdit",
    "Axes",
    "Call",
    "Coupling",
    "Edit",
    "Labels",
    "Obstacle",
    "OperandEdit",
    "Producer",
    "Results",
    "analyse",
    "couples",
    "couplings",
    "layer_name",
    "like_block",
    "product",
]  # fmt: skip
