"""If: the branch that a known condition takes, otherwise the one with more multiply-accumulates, which is noted."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from roofline.errors import ModelError
from roofline.graph.order import label
from roofline.graph.scope import Environment, Frame
from roofline.graph.resolved import ResolvedNode
from roofline.node import Node, Tensor
from roofline.ops import lookup

if TYPE_CHECKING:
    from onnx import GraphProto, NodeProto

    from roofline.graph.walk import Walker


def run_if(walker: Walker, proto: NodeProto, environment: Environment, frame: Frame) -> None:
    """Walk the branch of an If that is taken; its results stand for those of the If.

    Raises:
        ModelError: A branch is missing, or neither can be resolved.
    """
    operands = walker.operands(proto, environment)
    condition = operands[0] if operands else None
    if condition is None:
        raise ModelError(f"{label(proto)} has no condition")
    name = walker.call_name(proto, frame)
    node = Node("If", name, (condition,), (), {}, version=frame.opsets.get("", 0))
    walker.emit(node, frame, dynamic=not condition.constant)
    local = name[len(frame.prefix) :]
    graphs = {
        branch: _graph(walker, proto, f"{branch}_branch", frame) for branch in ("then", "else")
    }
    value = condition.value
    if value is not None and value.size == 1 and value.ravel()[0] is not None:
        taken = "then" if bool(value.ravel()[0]) else "else"
        outputs = _walk(walker, graphs[taken], environment, frame.inside(f"{local}.{taken}"))
    else:
        outputs = _larger(walker, proto, graphs, environment, frame, local)
    if not condition.constant:
        # Which value comes out depends on the input, even where neither branch's own does.
        outputs = [replace(tensor, constant=False, stored=False) for tensor in outputs]
    walker.bind(proto, outputs, environment, frame)


def _graph(walker: Walker, proto: NodeProto, attribute: str, frame: Frame) -> GraphProto:
    found = walker.raw_attribute(proto, attribute, frame)
    if found is None or not found.HasField("g"):
        raise ModelError(f"{label(proto)} has no graph {attribute!r}")
    return found.g


def _walk(
    walker: Walker, graph: GraphProto, environment: Environment, frame: Frame
) -> list[Tensor]:
    inner = walker.graph(graph, {}, environment, frame)
    found = [inner.find(entry.name) for entry in graph.output]
    return [tensor for tensor in found if tensor is not None]


def _larger(
    walker: Walker,
    proto: NodeProto,
    graphs: dict[str, GraphProto],
    environment: Environment,
    frame: Frame,
    local: str,
) -> list[Tensor]:
    """Walk both branches and keep the larger; one that cannot be resolved is not the one to take."""
    before = walker.nodes
    tried: dict[str, tuple[int, list[ResolvedNode], list[Tensor]]] = {}
    failure: ModelError | None = None
    for branch, graph in graphs.items():
        walker.nodes = []
        try:
            outputs = _walk(walker, graph, environment, frame.inside(f"{local}.{branch}"))
            tried[branch] = (_macs(walker.nodes), walker.nodes, outputs)
        except ModelError as error:
            failure = error
        finally:
            walker.nodes = before
    if failure is not None and not tried:
        raise failure
    taken = max(tried, key=lambda branch: (tried[branch][0], len(tried[branch][1])))
    macs, nodes, outputs = tried[taken]
    before.extend(nodes)
    condition = proto.input[0]
    walker.notes.append(
        f"{label(proto)}: its condition {condition!r} is not known, so the larger branch ({taken}, {macs} MACs) "
        "is counted; --value gives the value that decides"
    )
    return outputs


def _macs(nodes: list[ResolvedNode]) -> int:
    total = 0
    for resolved in nodes:
        cost = lookup(resolved.node).cost
        tensors = [*resolved.node.operands, *resolved.node.outputs]
        if cost is not None and all(
            tensor is None or tensor.elements is not None for tensor in tensors
        ):
            total += cost(resolved.node).macs * resolved.repeats
    return total
