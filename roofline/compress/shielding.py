"""Keeping what subgraphs read while a tool rewrites the calls around them and looks at operands alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from roofline.graph.reading.graphs import copy_of
from roofline.graph.reading.reads import inner_reads

if TYPE_CHECKING:
    import onnx


def shield(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a model in which every computed value that a subgraph reads comes from an Identity of its own.

    A tool that joins, moves or drops a call whose result it sees nowhere read then changes what the Identity takes in,
    and never the value that the body of an If, a Loop or a Scan reads by name. The given model is unchanged.
    """
    from onnx import helper

    made = {name for node in model.graph.node for name in node.output}
    inner = {name for node in model.graph.node for name in inner_reads(node) if name in made}
    if not inner:
        return model
    shown = {entry.name for entry in model.graph.output}
    taken = made | {name for node in model.graph.node for name in node.input} | shown
    names = {name: _free_name(f"{name}_outside", taken) for name in sorted(inner)}
    copy = copy_of(model)
    del copy.graph.node[:]
    for node in model.graph.node:
        moved = copy.graph.node.add()
        moved.CopyFrom(node)
        for place, name in enumerate(node.input):
            moved.input[place] = names.get(name, name)
        for place, name in enumerate(node.output):
            if name in names:
                moved.output[place] = names[name]
                copy.graph.node.append(
                    helper.make_node("Identity", [names[name]], [name], f"{name}_inside")
                )
    return copy


def _free_name(name: str, taken: set[str]) -> str:
    while name in taken:
        name = f"{name}_"
    taken.add(name)
    return name
