"""Weights that are stored narrow, and the calls that make them what the network multiplies with."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from roofline.compress.bodies import nested_tensors, storing_graphs
from roofline.compress.sparsity import wide_weights
from roofline.graph.reading.graphs import every_graph, replace_calls

if TYPE_CHECKING:
    import onnx


@dataclass(frozen=True, slots=True)
class Narrow:
    """A weight's narrow values, and what makes them what the network multiplies with."""

    kind: int
    """The element type that they are stored in."""
    name: str
    """Of that type, for the stored tensor's own name."""
    packed: bytes
    scale: Any
    """What they are multiplied with: one number, or one for each block."""
    blocks: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """``axis`` and ``block_size`` of scales of blocks."""
    slope: float | None = None
    """What values below zero are multiplied with besides; None for nothing."""


def store_narrow(
    model: onnx.ModelProto, wide: Collection[str], narrow: Callable[[str, NDArray[Any]], Narrow]
) -> None:
    """Store a model's floating-point weights that multiply as narrow values, with the calls that restore them.

    Args:
        model: The network.
        wide: Names of the layers that keep their weights.
        narrow: Returns the narrow values of a weight, given its name and its values in fp32.
    """
    homes, tensors = storing_graphs(model), nested_tensors(model)
    restored: dict[str, list[onnx.NodeProto]] = {}
    for name, array in wide_weights(model, wide):
        made = _restoring_calls(homes[name], name, array.shape, narrow(name, array))
        restored[name] = _restore_type(tensors[name].data_type, name, made)
    restore(model, restored)


def _restoring_calls(
    graph: onnx.GraphProto, name: str, shape: tuple[int, ...], narrow: Narrow
) -> list[onnx.NodeProto]:
    """Return the calls that make a weight, whose narrow values and scale are put into the graph that stores it."""
    from onnx import helper, numpy_helper

    stored = helper.make_tensor(
        f"{name}_{narrow.name}", narrow.kind, shape, narrow.packed, raw=True
    )
    factor = numpy_helper.from_array(np.asarray(narrow.scale), f"{name}_scale")
    graph.initializer.extend([stored, factor])
    scaled = name if narrow.slope is None else f"{name}_scaled"
    made = [
        helper.make_node(
            "DequantizeLinear",
            [stored.name, factor.name],
            [scaled],
            f"{name}_dequantize",
            **narrow.blocks,
        )
    ]
    if narrow.slope is not None:
        made.append(
            helper.make_node("LeakyRelu", [scaled], [name], f"{name}_negative", alpha=narrow.slope)
        )
    return made


def _restore_type(kind: int, name: str, nodes: list[onnx.NodeProto]) -> list[onnx.NodeProto]:
    """Return the calls that give a weight its place: those that give it in fp32, and a Cast to its own type."""
    from onnx import TensorProto, helper

    if kind == TensorProto.FLOAT:
        return nodes
    nodes[-1].output[0] = f"{name}_wide"
    return [*nodes, helper.make_node("Cast", [f"{name}_wide"], [name], f"{name}_cast", to=kind)]


def restore(model: onnx.ModelProto, made: Mapping[str, Sequence[onnx.NodeProto]]) -> None:
    """Take stored weights out of a model, and put what makes them before all calls of the graphs that stored them.

    Args:
        model: The network.
        made: The calls that make each weight, by its name.
    """
    homes = storing_graphs(model)
    # From within: a graph whose calls are put anew holds copies of its bodies.
    for graph in reversed(list(every_graph(model.graph))):
        front = [call for name, nodes in made.items() if homes[name] is graph for call in nodes]
        if front:
            gone = {name for name in made if homes[name] is graph}
            _drop_stored(graph, gone)
            replace_calls(graph, [*front, *graph.node])


def _drop_stored(graph: onnx.GraphProto, names: Collection[str]) -> None:
    """Remove initializers (with their listing among the inputs) and Constant nodes."""
    for items in (graph.initializer, graph.input):
        for item in [item for item in items if item.name in names]:
            items.remove(item)  # pyright: ignore[reportArgumentType]
    for node in [n for n in graph.node if n.op_type == "Constant" and n.output[0] in names]:
        graph.node.remove(node)
