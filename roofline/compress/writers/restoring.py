"""Weights that are stored narrow, and the calls that make them what the network multiplies with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from roofline.compress.tensors import stored_tensors

if TYPE_CHECKING:
    import onnx


def dequantized(
    model: onnx.ModelProto,
    name: str,
    stored: onnx.TensorProto,
    scale: Any,
    result: str,
    **blocks: Any,
) -> onnx.NodeProto:
    """Return the call that restores a weight, for which its narrow values and its scale are stored.

    Args:
        model: The network, in which both are put.
        name: The weight's name.
        stored: Its narrow values.
        scale: What they are multiplied with: one number, or one for each block.
        result: What the call's result is called.
        **blocks: ``axis`` and ``block_size`` of scales of blocks.
    """
    from onnx import helper, numpy_helper

    factor = numpy_helper.from_array(np.asarray(scale), f"{name}_scale")
    model.graph.initializer.extend([stored, factor])
    return helper.make_node(
        "DequantizeLinear", [stored.name, factor.name], [result], f"{name}_dequantize", **blocks
    )


def retyped(
    model: onnx.ModelProto, name: str, nodes: list[onnx.NodeProto]
) -> list[onnx.NodeProto]:
    """Return the calls that give a weight its place: those given, and a Cast where the weight is no fp32.

    Args:
        model: The network, which still stores the weight.
        name: The weight's name, which the last of the calls gives in fp32.
        nodes: What restores the weight.
    """
    from onnx import TensorProto, helper

    kind = stored_tensors(model)[name].data_type
    if kind == TensorProto.FLOAT:
        return nodes
    nodes[-1].output[0] = f"{name}_wide"
    return [*nodes, helper.make_node("Cast", [f"{name}_wide"], [name], f"{name}_cast", to=kind)]


def drop_stored(model: onnx.ModelProto, name: str) -> None:
    """Remove an initializer (with its listing among the inputs) or a Constant node."""
    for items in (model.graph.initializer, model.graph.input):
        for item in [item for item in items if item.name == name]:
            items.remove(item)  # pyright: ignore[reportArgumentType]
    for node in [n for n in model.graph.node if n.op_type == "Constant" and n.output[0] == name]:
        model.graph.node.remove(node)


def prepend(model: onnx.ModelProto, nodes: list[onnx.NodeProto]) -> None:
    """Put nodes before all others."""
    rest = list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend([*nodes, *rest])
