"""The graphs inside a graph, the tensors that each stores, and messages copied and given other calls."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, TypeVar

from roofline.graph.reading.reads import subgraphs

if TYPE_CHECKING:
    from google.protobuf.message import Message
    from onnx import GraphProto, NodeProto, TensorProto

M = TypeVar("M", bound="Message")


def copy_of(message: M) -> M:
    """Return a copy of a model or a part of one."""
    copy = type(message)()
    copy.CopyFrom(message)
    return copy


def every_graph(graph: GraphProto) -> Iterator[GraphProto]:
    """Yield a graph and all graphs in it, at every depth; each before those in it."""
    yield graph
    for node in graph.node:
        for inner in subgraphs(node):
            yield from every_graph(inner)


def stored_in(graph: GraphProto) -> Iterator[tuple[str, TensorProto]]:
    """Yield the initializers of one graph and the tensors of its Constant calls, with their names."""
    for tensor in graph.initializer:
        yield tensor.name, tensor
    for node in graph.node:
        if node.op_type == "Constant" and not node.domain:
            for attribute in node.attribute:
                if attribute.name == "value" and attribute.HasField("t"):
                    yield node.output[0], attribute.t


def replace_calls(graph: GraphProto, nodes: Iterable[NodeProto]) -> None:
    """Give a graph calls in the place of its own, some of which may be among them."""
    kept = list(nodes)
    del graph.node[:]
    graph.node.extend(kept)
