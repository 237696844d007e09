"""Weights that are stored narrow, and the calls that make them what the network multiplies with."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from roofline.compress.bodies import bodies, storing_graphs

if TYPE_CHECKING:
    import onnx


def dequantize(
    graph: onnx.GraphProto,
    name: str,
    stored: onnx.TensorProto,
    scale: Any,
    result: str,
    **blocks: Any,
) -> onnx.NodeProto:
    """Return the call that restores a weight, for which its narrow values and its scale are stored.

    Args:
        graph: The graph that stores the weight, in which both are put.
        name: The weight's name.
        stored: Its narrow values.
        scale: What they are multiplied with: one number, or one for each block.
        result: What the call's result is called.
        **blocks: ``axis`` and ``block_size`` of scales of blocks.
    """
    from onnx import helper, numpy_helper

    factor = numpy_helper.from_array(np.asarray(scale), f"{name}_scale")
    graph.initializer.extend([stored, factor])
    return helper.make_node(
        "DequantizeLinear", [stored.name, factor.name], [result], f"{name}_dequantize", **blocks
    )


def restore_type(kind: int, name: str, nodes: list[onnx.NodeProto]) -> list[onnx.NodeProto]:
    """Return the calls that give a weight its place: those given, and a Cast where the weight is no fp32.

    Args:
        kind: The weight's element type.
        name: The weight's name, which the last of the calls gives in fp32.
        nodes: What restores the weight.
    """
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
    for graph in reversed((model.graph, *bodies(model.graph))):
        front = [call for name, nodes in made.items() if homes[name] is graph for call in nodes]
        if front:
            gone = {name for name in made if homes[name] is graph}
            _drop_stored(graph, gone)
            rest = list(graph.node)
            del graph.node[:]
            graph.node.extend([*front, *rest])


def _drop_stored(graph: onnx.GraphProto, names: Collection[str]) -> None:
    """Remove initializers (with their listing among the inputs) and Constant nodes."""
    for items in (graph.initializer, graph.input):
        for item in [item for item in items if item.name in names]:
            items.remove(item)  # pyright: ignore[reportArgumentType]
    for node in [n for n in graph.node if n.op_type == "Constant" and n.output[0] in names]:
        graph.node.remove(node)
