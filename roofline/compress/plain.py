"""Weights as their layers read them: stored tensors, not constants of calls nor behind calls that only rearrange them.

Every exporter stores weights in a place of its own (Constant nodes, an Identity per shared tensor, half floats behind
a Cast). Writers, and the quantizers of other libraries, look at a layer's own operand; here it becomes a stored tensor.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from roofline.compress.call import layer_name
from roofline.compress.reference import compute
from roofline.compress.sparsity import WEIGHT_OPERANDS
from roofline.compress.tensors import stored_tensors, to_array
from roofline.graph.reading.graphs import copy_of
from roofline.graph.reading.reads import read_counts

if TYPE_CHECKING:
    import onnx

_FOLDED = frozenset({"Identity", "Cast", "Transpose", "Reshape", "Squeeze", "Unsqueeze"})
"""Calls that only rearrange or retype what they take."""


def unwrap_weights(model: onnx.ModelProto, kept: Collection[str] = ()) -> onnx.ModelProto:
    """Return a model whose layers read their weights as stored tensors; the given model is unchanged.

    A weight that is also read elsewhere (a tied embedding) stays as it is stored, for folding would store it twice.

    Args:
        model: With its weights' data.
        kept: Names of layers whose weights stay as they are stored.
    """
    copy = copy_of(model)
    # From version 4 of the format on, initializers need not be listed among the inputs.
    copy.ir_version = max(copy.ir_version, 4)
    _store_constants(copy)
    _fold_views(copy, kept)
    return copy


def _store_constants(model: onnx.ModelProto) -> None:
    """Make the tensors of Constant nodes initializers where a layer multiplies with them, directly or behind views."""
    graph = model.graph
    stored = stored_tensors(model)
    wanted = {names[-1] for names in _weights(model).values()} - {
        entry.name for entry in graph.initializer
    }
    for node in [node for node in graph.node if node.output and node.output[0] in wanted]:
        tensor = graph.initializer.add()
        tensor.CopyFrom(stored[node.output[0]])
        tensor.name = node.output[0]
        graph.node.remove(node)


def _fold_views(model: onnx.ModelProto, kept: Collection[str]) -> None:
    from onnx import numpy_helper

    graph = model.graph
    stored, counts = stored_tensors(model), read_counts(graph)
    makers = {output: node for node in graph.node for output in node.output}
    for (layer, name), chain in _weights(model).items():
        behind = chain[1:]
        if (
            layer in kept
            or not behind
            or name in stored
            or any(counts[value] != 1 for value in behind)
        ):
            continue
        array = to_array(stored[chain[-1]])
        for value in reversed(chain[:-1]):
            array = None if array is None else _compute(model, makers[value], array, stored)
        if array is None:
            continue
        graph.initializer.append(numpy_helper.from_array(array, name))
        stored[name] = graph.initializer[-1]
        for value in chain[:-1]:
            graph.node.remove(makers[value])
        _drop(graph, chain[-1])
    _drop_unread(graph, counts)


def _weights(model: onnx.ModelProto) -> dict[tuple[str, str], list[str]]:
    """Return, for each layer and weight operand that is made of one stored tensor, the names from it to that tensor."""
    stored = stored_tensors(model)
    makers = {output: node for node in model.graph.node for output in node.output}
    found: dict[tuple[str, str], list[str]] = {}
    for node in model.graph.node:
        for position in WEIGHT_OPERANDS.get(node.op_type, ()):
            name = node.input[position] if position < len(node.input) else ""
            chain = [name]
            while chain[-1] not in stored:
                maker = makers.get(chain[-1])
                if (
                    maker is None
                    or maker.op_type not in _FOLDED
                    or not maker.input
                    or len(chain) > len(makers)
                ):
                    break
                chain.append(maker.input[0])
            if chain[-1] in stored and len(stored[chain[-1]].dims) > 1:
                found[layer_name(node), name] = chain
    return found


def _compute(
    model: onnx.ModelProto,
    node: onnx.NodeProto,
    array: NDArray[Any],
    stored: Mapping[str, onnx.TensorProto],
) -> NDArray[Any] | None:
    """Return what one of the folded calls makes of a stored array; None where it needs more than is stored."""
    if node.op_type == "Cast" and not _floats(array, node):
        return None
    given: dict[str, NDArray[Any]] = {node.input[0]: array}
    for name in node.input[1:]:
        operand = to_array(stored[name]) if name in stored else None
        if operand is None:
            return None
        given[name] = operand
    result = node.output[0]
    return compute([node], given, [result], list(model.opset_import)).get(result)


def _floats(array: NDArray[Any], node: onnx.NodeProto) -> bool:
    """Return whether a Cast goes from one floating-point type to another; integers behind a Cast are narrow already."""
    from onnx import TensorProto

    wide = {TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.DOUBLE}
    return array.dtype.kind == "f" and any(a.name == "to" and a.i in wide for a in node.attribute)


def _drop(graph: onnx.GraphProto, name: str) -> None:
    for tensor in [tensor for tensor in graph.initializer if tensor.name == name]:
        graph.initializer.remove(tensor)
    for given in [given for given in graph.input if given.name == name]:
        graph.input.remove(given)


def _drop_unread(graph: onnx.GraphProto, before: Counter[str]) -> None:
    """Remove small stored tensors (target shapes, axes) that only folded calls read."""
    after = read_counts(graph)
    for name in [
        tensor.name
        for tensor in graph.initializer
        if before[tensor.name] and not after[tensor.name]
    ]:
        _drop(graph, name)
