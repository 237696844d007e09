"""Resolving a graph: which calls run, how often, and on which shapes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from roofline.binding import UNBOUND, Binding
from roofline.errors import ModelError, UnplacedError, did_you_mean
from roofline.graph.reading.blocks import own_channels
from roofline.graph.reading.declared import declare
from roofline.graph.reading.expansion import check_expansion, functions_of
from roofline.graph.reading.tensors import finn_types
from roofline.graph.reading.text import names_must_be_text
from roofline.graph.walking.branches import run_if
from roofline.graph.walking.loops import run_loop
from roofline.graph.walking.operator_sets import operator_sets
from roofline.graph.walking.resolved import ResolvedGraph
from roofline.graph.walking.scope import Frame
from roofline.graph.walking.sequence_map import run_sequence_map
from roofline.graph.walking.walk import Runner, Walker
from roofline.ops.qonnx import annotated_type

if TYPE_CHECKING:
    from onnx import ModelProto

RUNNERS: Mapping[str, Runner] = {
    "If": run_if,
    "Loop": run_loop,
    "Scan": run_loop,
    "SequenceMap": run_sequence_map,
}
"""What walks each operator that holds graphs."""


def resolve(model: ModelProto, *, name: str, binding: Binding = UNBOUND) -> ResolvedGraph:
    """Return the executed calls of a model with every tensor typed.

    Args:
        model: The model, with or without its weights.
        name: What to call it in the result and in messages.
        binding: Sizes and values that the model leaves open.

    Raises:
        DimensionError: A dimension has no size; the message names the input, the dimension and the flag.
        ModelError: The graph breaks a rule of the format, or a name in the request is not the graph's.
    """
    with names_must_be_text(model):
        return _resolve(model, name, binding)


def _resolve(model: ModelProto, name: str, binding: Binding) -> ResolvedGraph:
    graph = model.graph
    if not model.opset_import and not model.functions:
        raise ModelError(
            f"{name} imports no operator set", repair="Give a file that an ONNX exporter wrote"
        )
    functions = functions_of(model)
    check_expansion(model, functions)
    stored = {entry.name for entry in graph.initializer} | {
        entry.values.name for entry in graph.sparse_initializer
    }
    fed = _check_unique([entry for entry in graph.input if entry.name not in stored])
    declared = declare(fed, binding)
    annotations = (
        {}
        if declared.overridden
        else {entry.name: entry for entry in (*graph.value_info, *graph.output)}
    )
    walker = Walker(
        RUNNERS, functions, binding.values, annotations, declared.symbols, own_channels(graph)
    )
    walker.sizes.given = {name: binding.dims[name] for name in declared.unbound}
    walker.sizes.bounded = binding.bound_sizes
    walker.used_values.update(tensor.name for tensor in declared.inputs)
    opsets = operator_sets(model.opset_import, name)
    widths = finn_types(graph)
    given = {
        tensor.name: annotated_type(tensor, widths.get(tensor.name)) for tensor in declared.inputs
    }
    environment = walker.graph(graph, given, None, Frame(opsets=opsets))
    types = {known: tensor for known, tensor in environment.names.items() if tensor is not None}
    walker.sizes.check(declared.symbols)
    for unused in binding.values:
        if unused not in walker.used_values:
            hint = did_you_mean(unused, types) or f"Inputs: {', '.join(given)}"
            raise UnplacedError(
                f"the graph has no value {unused!r}", "values", unused, repair=hint
            )
    return ResolvedGraph(
        name=name,
        nodes=tuple(walker.nodes),
        inputs=declared.inputs,
        outputs=tuple(types[entry.name] for entry in graph.output if entry.name in types),
        types=types,
        notes=(*declared.notes, *dict.fromkeys(walker.notes), *walker.sizes.notes()),
        idle=tuple(walker.idle),
        storage=walker.stored,
        batch=declared.batch,
        batch_assumed_for=declared.batch_assumed_for,
    )


def _check_unique(entries: list[Any]) -> list[Any]:
    seen: set[str] = set()
    for entry in entries:
        if entry.name in seen:
            raise ModelError(f"the input {entry.name!r} is declared twice")
        seen.add(entry.name)
    return entries
