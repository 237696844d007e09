"""Writing a plan into a new model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from roofline.compress.bodies import bodies, calls, distinct, nested_tensors
from roofline.compress.changes import AttributeChange, Change
from roofline.compress.tensors import inline_functions, keep_positions, replace_data
from roofline.graph.reading.graphs import copy_of
from roofline.graph.reading.reads import read_counts

if TYPE_CHECKING:
    import onnx

    from roofline.compress.pruning import PruningPlan


def apply(plan: PruningPlan, model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a new model that holds only the channels a plan keeps; the given model is unchanged.

    Args:
        plan: Made for this model, or for the same model with its weights dropped.
        model: With weights, they are cut; without, their dimensions are.
    """
    pruned = copy_of(distinct(inline_functions(model)))
    stored = nested_tensors(pruned)
    for name, axes in plan.kept.items():
        if name in stored:
            for axis, positions in axes.items():
                keep_positions(stored[name], axis, positions)
    for given in pruned.graph.input:
        # Old models list initializers among the inputs; their declared sizes shrink too.
        if given.name in stored:
            for axis, positions in plan.kept.get(given.name, {}).items():
                given.type.tensor_type.shape.dim[axis].dim_value = len(positions)
    nodes = list(calls(pruned.graph))
    for change in plan.changes:
        _change(pruned, nodes[change.node], change)
    del pruned.graph.value_info[:]
    for body in bodies(pruned.graph):
        del body.value_info[:]
        for entry in (*body.input, *body.output):
            _redeclare(entry, plan.kept.get(entry.name, {}))
    return pruned


def _redeclare(entry: onnx.ValueInfoProto, kept: Mapping[int, tuple[int, ...]]) -> None:
    """Give a body's input or result, where its shape is stated, the sizes that stay."""
    sizes = entry.type.tensor_type.shape.dim
    for axis, positions in kept.items():
        if axis < len(sizes):
            sizes[axis].dim_value = len(positions)


def _change(model: onnx.ModelProto, node: onnx.NodeProto, change: Change) -> None:
    from onnx import TensorProto, helper, numpy_helper

    if isinstance(change, AttributeChange):
        _drop_attribute(node, change.name)
        value = change.value if isinstance(change.value, int) else list(change.value)
        node.attribute.append(helper.make_attribute(change.name, value))
        return
    # Split takes either its sizes or the number of equal parts.
    _drop_attribute(node, "num_outputs")
    while len(node.input) <= change.position:
        node.input.append("")
    old = node.input[change.position]
    stored = nested_tensors(model).get(old)
    integer = (
        np.int32 if stored is not None and stored.data_type == TensorProto.INT32 else np.int64
    )
    values = np.array(change.values, integer)
    if stored is not None and read_counts(model.graph)[old] == 1:
        replace_data(stored, values)
        _declare(model, old, values)
        return
    name = f"{node.output[0]}_kept_{change.position}"
    model.graph.initializer.append(numpy_helper.from_array(values, name))
    node.input[change.position] = name
    if model.ir_version < 4:
        # Until version 4 of the format every initializer is listed among the inputs.
        datatype = helper.np_dtype_to_tensor_dtype(values.dtype)
        model.graph.input.append(helper.make_tensor_value_info(name, datatype, values.shape))


def _declare(model: onnx.ModelProto, name: str, values: NDArray[np.integer[Any]]) -> None:
    for given in model.graph.input:
        if given.name == name:
            given.type.tensor_type.shape.dim[0].dim_value = len(values)


def _drop_attribute(node: onnx.NodeProto, name: str) -> None:
    for attribute in [a for a in node.attribute if a.name == name]:
        node.attribute.remove(attribute)
