"""The graphs inside If, Loop and Scan as channel pruning sees them: every call in one order, every value named once.

A value that a body reads from around it is that value. What an If gives is what both its branches give; what a loop
carries is the same before, in and after it. So channels can be followed into a body, through it and out again.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING

from roofline.graph.reading.graphs import copy_of, every_graph, stored_in
from roofline.graph.reading.reads import rename_reads, subgraphs
from roofline.node import Shape, Tensor

if TYPE_CHECKING:
    import onnx

    from roofline.graph.walking.resolved import ResolvedGraph


def calls(graph: onnx.GraphProto) -> Iterator[onnx.NodeProto]:
    """Yield every call of a graph, those of bodies before the call that holds them."""
    for node in graph.node:
        for body in subgraphs(node):
            yield from calls(body)
        yield node


def bodies(graph: onnx.GraphProto) -> Iterator[onnx.GraphProto]:
    """Yield the graphs inside a graph, at every depth."""
    return islice(every_graph(graph), 1, None)


def nested_tensors(model: onnx.ModelProto) -> dict[str, onnx.TensorProto]:
    """Return the initializers and the tensors of Constant nodes of all graphs, by name; names are distinct."""
    return {
        name: tensor for graph in every_graph(model.graph) for name, tensor in stored_in(graph)
    }


def storing_graphs(model: onnx.ModelProto) -> dict[str, onnx.GraphProto]:
    """Return the graph that stores each of the `nested_tensors`, by their names."""
    return {name: graph for graph in every_graph(model.graph) for name, _ in stored_in(graph)}


def distinct(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return the model with no name used in two graphs: the two branches of an If may each have a value ``y``.

    The model itself when that holds already.
    """
    if not any(True for _ in bodies(model.graph)):
        return model
    copy = copy_of(model)
    return copy if _rename_apart(copy.graph, set(_own_results(copy.graph))) else model


def _own_results(graph: onnx.GraphProto) -> Iterator[str]:
    yield from (entry.name for entry in (*graph.input, *graph.initializer))
    yield from (name for node in graph.node for name in node.output if name)


def _rename_apart(graph: onnx.GraphProto, taken: set[str]) -> bool:
    """Give values of a graph's bodies names that are not taken; return whether any needed one."""
    changed = False
    for node in graph.node:
        for body in subgraphs(node):
            own = list(dict.fromkeys(_own_results(body)))
            names = {name: _free(name, taken | set(own)) for name in own if name in taken}
            taken.update(names.get(name, name) for name in own)
            if names:
                _rename(body, names)
            changed = _rename_apart(body, taken) or bool(names) or changed
    return changed


def _free(name: str, taken: set[str]) -> str:
    number = 2
    while f"{name}.{number}" in taken:
        number += 1
    return f"{name}.{number}"


def _rename(graph: onnx.GraphProto, names: Mapping[str, str]) -> None:
    for position, node in enumerate(graph.node):
        call = rename_reads(node, names)
        for place, name in enumerate(call.output):
            call.output[place] = names.get(name, name)
        graph.node[position].CopyFrom(call)
    for entry in (*graph.input, *graph.initializer, *graph.output, *graph.value_info):
        entry.name = names.get(entry.name, entry.name)


def value_types(resolved: ResolvedGraph, model: onnx.ModelProto) -> Mapping[str, Tensor]:
    """Return the types of all values by their names in the file, those of bodies too.

    A dimension that differs from trip to trip is unknown, and so is a value that does.

    Args:
        resolved: The model, resolved.
        model: The same, with distinct names.
    """
    inside = {name for body in bodies(model.graph) for name in _own_results(body)}
    if not inside:
        return resolved.types
    found: dict[str, Tensor] = {}
    for call in (*resolved.nodes, *resolved.idle):
        for tensor in (*call.node.operands, *call.node.outputs):
            if tensor is not None and (name := _inner_name(tensor.name, inside)):
                mine = replace(tensor, name=name)
                found[name] = _type_of_both(found[name], mine) if name in found else mine
    types = {**found, **resolved.types}
    for node in calls(model.graph):
        _results(node, types)
    return types


def stored_name(name: str, stored: Container[str]) -> str:
    """Return the name in the file of a tensor by the name that it is counted under.

    Args:
        name: That of a tensor of a body has the calls around it in front.
        stored: Names in the file, which are distinct.
    """
    return name if name in stored else _inner_name(name, stored) or name


def _inner_name(name: str, inside: Container[str]) -> str:
    """Return the name in the file of a value of a body, whose flat name has the calls around it in front."""
    place = name.find("/")
    while place >= 0:
        if name[place + 1 :] in inside:
            return name[place + 1 :]
        place = name.find("/", place + 1)
    return ""


def _results(node: onnx.NodeProto, types: dict[str, Tensor]) -> None:
    """Type what the branches of an If give as the If's own results, under whose names they were resolved."""
    if node.op_type != "If" or node.domain:
        return
    for body in subgraphs(node):
        for entry, name in zip(body.output, node.output, strict=False):
            if name in types and entry.name not in types:
                types[entry.name] = replace(types[name], name=entry.name, value=None)


def _type_of_both(first: Tensor, second: Tensor) -> Tensor:
    shape: Shape | None = None
    if (
        first.shape is not None
        and second.shape is not None
        and len(first.shape) == len(second.shape)
    ):
        shape = tuple(
            a if a == b else None for a, b in zip(first.shape, second.shape, strict=True)
        )
    same = (
        first.value is not None
        and second.value is not None
        and first.value.shape == second.value.shape
        and bool((first.value == second.value).all())
    )
    return replace(
        first,
        shape=shape,
        value=first.value if same else None,
        constant=first.constant and second.constant,
        stored=first.stored and second.stored,
    )
