"""Laws of the fused view that hold for every graph: the shipped light models and random ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from roofline.graph import resolve
from roofline.graph.fusion import Group, fuse
from roofline.graph.walking.resolved import ResolvedGraph
from roofline.workload import Workload

from ..conformance.graphs import model, node, values, weight

LIGHT = sorted((Path(onnx.__file__).parent / "backend/test/data/light").glob("*.onnx"))


def check(graph: ResolvedGraph, groups: tuple[Group, ...]) -> None:
    """Every call once; no group waits for itself; what crosses is declared."""
    places = sorted(place for group in groups for place in group.members)
    assert places == list(range(len(graph.nodes)))
    owner = {place: number for number, group in enumerate(groups) for place in group.members}
    makers = {
        output.name: place
        for place, call in enumerate(graph.nodes)
        for output in call.node.outputs
        if output is not None
    }
    # Groups are listed in an order in which they can run: each reads only groups before it.
    for number, group in enumerate(groups):
        if group.folded:
            continue
        for place in group.members:
            for operand in graph.nodes[place].node.operands:
                maker = None if operand is None else makers.get(operand.name)
                if maker is not None and not groups[owner[maker]].folded:
                    assert owner[maker] <= number
                    if owner[maker] < number and graph.nodes[maker].dynamic:
                        assert group.inputs
    for group in groups:
        assert group.anchor in group.members
        assert len({graph.nodes[place].repeats for place in group.members}) == 1


@pytest.mark.parametrize("path", LIGHT, ids=[path.stem for path in LIGHT])
def test_light_models(path: Path) -> None:
    graph = resolve(onnx.load(path), name=path.stem)
    check(graph, fuse(graph))
    workload = Workload.from_onnx(path)
    assert sum(layer.cost.macs for layer in workload.fused_layers) == workload.macs
    # Fusing never moves more than running node by node, and never less than weights and the network's own ends.
    assert (
        workload.traffic_bytes("weights_io")
        <= workload.traffic_bytes("fused")
        <= workload.traffic_bytes("unfused")
    )


UNARY = (
    "Relu",
    "Sigmoid",
    "Tanh",
    "Exp",
    "Erf",
    "Identity",
    "Cast",
    "Softmax",
    "HardSigmoid",
    "Softplus",
    "Sqrt",
)
BINARY = ("Add", "Mul", "Sub", "Div", "MatMul", "Pow")
CONSTANT = ("Add", "Mul", "MatMul", "Div")


@st.composite
def graphs(draw: st.DrawFn) -> onnx.ModelProto:
    """A random graph of square matrices whose wiring nobody would write."""
    names = ["x", "z"]
    calls = []
    for number in range(draw(st.integers(1, 24))):
        name = f"v{number}"
        kind = draw(
            st.sampled_from(("unary", "binary", "constant", "reduce", "quantize", "reshape"))
        )
        pick = st.sampled_from(names[-6:])
        if kind == "unary":
            op = draw(st.sampled_from(UNARY))
            extra = {"to": 1} if op == "Cast" else {}
            calls.append(node(op, draw(pick), name, **extra))
        elif kind == "binary":
            calls.append(node(draw(st.sampled_from(BINARY)), f"{draw(pick)} {draw(pick)}", name))
        elif kind == "constant":
            pair = draw(st.sampled_from((f"{draw(pick)} w", f"w {draw(pick)}")))
            calls.append(node(draw(st.sampled_from(CONSTANT)), pair, name))
        elif kind == "reduce":
            calls.append(node("ReduceMean", f"{draw(pick)} axes", f"{name}m"))
            calls.append(node("Sub", f"{draw(pick)} {name}m", name))
        elif kind == "quantize":
            calls.append(node("QuantizeLinear", f"{draw(pick)} s zero", f"{name}q"))
            calls.append(node("DequantizeLinear", f"{name}q s zero", name))
        else:
            calls.append(node("Reshape", f"{draw(pick)} shape", name))
        names.append(name)
    outputs = draw(st.lists(st.sampled_from(names[2:]), min_size=1, max_size=3, unique=True))
    if names[-1] not in outputs:
        outputs.append(names[-1])
    stored = [
        weight("w", 8, 8), values("axes", [-1]), values("s", 0.1, np.float32), values("zero", 0, np.int8),
        values("shape", [8, 8]),
    ]  # fmt: skip
    return model(calls, {"x": [8, 8], "z": [8, 8]}, " ".join(outputs), stored)


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(graphs())
def test_random_graphs(built: onnx.ModelProto) -> None:
    graph = resolve(built, name="random")
    groups = fuse(graph)
    check(graph, groups)
    workload = Workload.from_onnx(built)
    assert sum(layer.cost.macs for layer in workload.fused_layers) == workload.macs
    assert sum(layer.cost.other_ops for layer in workload.fused_layers) == workload.cost.other_ops
    kept = {tensor.name for tensor in graph.outputs}
    written = {tensor.name for group in groups for tensor in group.outputs}
    read = {tensor.name for group in groups for tensor in group.inputs}
    made = {
        output.name for call in graph.nodes for output in call.node.outputs if output is not None
    }
    # A value a group reads is one another group writes; what the network gives is written under some name.
    assert {name for name in read if name in made} <= written
    assert kept & made <= written | {
        output.name
        for call in graph.nodes
        if call.node.op_type in ("Reshape", "Identity")
        for output in call.node.outputs
        if output is not None
    }
    assert workload.traffic_bytes("fused") <= workload.traffic_bytes("unfused")


def test_fusing_is_deterministic() -> None:
    graph = resolve(onnx.load(LIGHT[0]), name="light")
    assert fuse(graph) == fuse(graph)


def test_a_long_chain_takes_time_in_proportion() -> None:
    """Five thousand calls, each with a side branch, fuse into one group without any call being looked at often."""
    calls = [node("Relu", "x", "v0")]
    for number in range(2500):
        calls.append(node("Neg", "x", f"n{number}"))
        calls.append(node("Add", f"v{number} n{number}", f"v{number + 1}"))
    graph = resolve(model(calls, {"x": [4, 4]}, "v2500"), name="chain")
    live = [group for group in fuse(graph) if not group.folded]
    assert [len(group.members) for group in live] == [5001]
