"""If: the branch that a known condition takes, otherwise the one with more multiply-accumulates, which is noted."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from roofline.errors import ModelError
from roofline.graph.reading.order import label
from roofline.graph.totals.costs import call_cost
from roofline.graph.walking.resolved import ResolvedNode
from roofline.graph.walking.scope import Environment, Frame
from roofline.graph.walking.walk import Walker
from roofline.node import Node, Tensor
from roofline.number_format import plural

if TYPE_CHECKING:
    from onnx import GraphProto, NodeProto


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
    graphs = {branch: frame.body(proto, f"{branch}_branch") for branch in ("then", "else")}
    value = condition.value
    tried = _try_branches(walker, graphs, environment, frame, local)
    if value is not None and value.size == 1 and value.ravel()[0] is not None:
        taken = "then" if bool(value.ravel()[0]) else "else"
    else:
        taken = _larger(tried)
        walker.undecided += 1
        if len(tried) == 2:
            walker.notes.append(
                f"{label(proto)}: its condition {proto.input[0]!r} is not known, so the larger branch ({taken}, "
                f"{plural(tried[taken].macs, 'MAC')}) is counted; --value gives the value that decides"
            )
    walker.notes.extend(tried[taken].notes)
    outputs = list(tried[taken].outputs)
    failure = tried[taken].failure
    if failure is not None:
        raise failure
    for branch, attempt in tried.items():
        if branch != taken:
            walker.idle.extend(attempt.nodes)
    if not condition.constant:
        # Which value comes out depends on the input, even where neither branch's own does.
        outputs = [replace(tensor, constant=False, stored=False) for tensor in outputs]
    walker.adopt(proto, tried[taken].nodes, outputs, environment, frame)


@dataclass(frozen=True, slots=True)
class _Attempt:
    """One branch walked: what it runs and gives, or why it cannot run."""

    nodes: tuple[ResolvedNode, ...]
    outputs: tuple[Tensor, ...]
    notes: tuple[str, ...] = ()
    failure: ModelError | None = None

    @property
    def macs(self) -> int:
        return sum(call_cost(resolved).cost.macs for resolved in self.nodes)


def _try_branches(
    walker: Walker,
    graphs: dict[str, GraphProto],
    environment: Environment,
    frame: Frame,
    local: str,
) -> dict[str, _Attempt]:
    """Walk both branches: the one not taken still stores weights, and need not fit the shapes at hand."""
    tried: dict[str, _Attempt] = {}
    for branch, graph in graphs.items():
        inside = frame.inside(f"{local}.{branch}", container=frame.prefix + local)
        with walker.collect() as ran:
            try:
                inner = walker.graph(graph, {}, environment, inside)
                found = [inner.find(entry.name) for entry in graph.output]
            except ModelError as error:
                tried[branch] = _Attempt(tuple(ran.nodes), (), failure=error)
                continue
        outputs = tuple(tensor for tensor in found if tensor is not None)
        tried[branch] = _Attempt(tuple(ran.nodes), outputs, tuple(ran.notes))
    return tried


def _larger(tried: dict[str, _Attempt]) -> str:
    return max(
        tried,
        key=lambda branch: (
            tried[branch].failure is None,
            tried[branch].macs,
            len(tried[branch].nodes),
        ),
    )
