"""Channels inside If, Loop and Scan: pruned, counted, written, run, and equal to the network with channels zeroed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnx.parser
import pytest

from roofline.compress import Pruning, Request, compress
from roofline.compress.bodies import value_types
from roofline.compress.channels import prune
from roofline.errors import CompressionError
from roofline.graph import resolve
from roofline.workload import Workload

ort = pytest.importorskip("onnxruntime")

HEAD = '<ir_version: 8, opset_import: ["" : 17]>'
IF_WHOLE = (
    HEAD
    + """
g (float[1,3,8,8] x, bool c) => (float[1,4] y) {
  y = If (c) <
    then_branch = t () => (float[1,4] z) <float[8,3,3,3] w1, float[8] b1, float[4,8] w2> {
      h = Conv(x, w1, b1)  r = Relu(h)  p = GlobalAveragePool(r)  f = Flatten(p)  z = Gemm<transB=1>(f, w2) },
    else_branch = e () => (float[1,4] z) <float[6,3,1,1] w1, float[4,6] w2> {
      h = Conv(x, w1)  p = GlobalAveragePool(h)  f = Flatten(p)  z = Gemm<transB=1>(f, w2) }
  >
}"""
)
IF_BETWEEN = (
    HEAD
    + """
g (float[1,3,8,8] x, bool c) => (float[1,4,8,8] y) <float[8,3,1,1] w1, float[4,8,1,1] w2> {
  h = Conv(x, w1)
  m = If (c) <
    then_branch = t () => (float[1,8,8,8] z) <float[8,8,1,1] v> { z = Conv(h, v) },
    else_branch = e () => (float[1,8,8,8] s) { s = Relu(h) }
  >
  y = Conv(m, w2)
}"""
)
LOOP = (
    HEAD
    + """
g (float[1,6] x) => (float[1,3] y, float[4,1,3] rows)
  <int64 trips = {4}, bool go = {1}, float[8,6] w0, float[3,8] w9> {
  h = Gemm<transB=1>(x, w0)
  last, stack = Loop (trips, go, h) <
    body = b (int64 i, bool go_in, float[1,8] s_in) => (bool go_out, float[1,8] s_out, float[1,3] row)
      <float[10,8] v1, float[8,10] v2, float[3,8] v3> {
      go_out = Identity(go_in)  a = Gemm<transB=1>(s_in, v1)  r = Relu(a)  s_out = Gemm<transB=1>(r, v2)
      row = Gemm<transB=1>(s_out, v3) }
  >
  y = Gemm<transB=1>(last, w9)
  rows = Identity(stack)
}"""
)
SCAN = (
    HEAD
    + """
g (float[5,1,6] x) => (float[5,1,3] y) <float[1,8] s0, float[8,6] w0, float[8,8] u, float[3,8] w9> {
  last, ys = Scan<num_scan_inputs=1, body = b (float[1,8] s_in, float[1,6] x_in) => (float[1,8] s_out, float[1,3] row)
      { a = Gemm<transB=1>(x_in, w0)  c = Gemm<transB=1>(s_in, u)  s = Add(a, c)  s_out = Tanh(s)
        row = Gemm<transB=1>(s_out, w9) }>(s0, x)
  y = Identity(ys)
}"""
)
GRAPHS = {"if_whole": IF_WHOLE, "if_between": IF_BETWEEN, "loop": LOOP, "scan": SCAN}


def with_weights(built: onnx.ModelProto) -> onnx.ModelProto:
    """Store random numbers for the values that a text only declares."""
    chance = np.random.default_rng(0)
    for graph in (built.graph, *_bodies(built.graph)):
        for entry in graph.value_info:
            shape = [size.dim_value for size in entry.type.tensor_type.shape.dim]
            values = chance.standard_normal(shape).astype(np.float32)
            graph.initializer.append(onnx.numpy_helper.from_array(values, entry.name))
        del graph.value_info[:]
    return built


def model(key: str) -> onnx.ModelProto:
    """A graph with random weights, at every depth."""
    built = with_weights(onnx.parser.parse_model(GRAPHS[key]))
    onnx.checker.check_model(built)
    return built


def _bodies(graph: onnx.GraphProto) -> list[onnx.GraphProto]:
    found = [a.g for node in graph.node for a in node.attribute if a.HasField("g")]
    return [body for one in found for body in (one, *_bodies(one))]


def ran(built: onnx.ModelProto, condition: bool) -> list[np.ndarray]:
    session = ort.InferenceSession(built.SerializeToString(), providers=["CPUExecutionProvider"])
    chance = np.random.default_rng(1)
    fed = {
        entry.name: np.array(condition) if entry.type == "tensor(bool)" else chance.random(entry.shape, np.float32)
        for entry in session.get_inputs()
    }  # fmt: skip
    return session.run(None, fed)


@pytest.mark.parametrize("key", GRAPHS)
def test_what_is_written_runs_and_counts_as_predicted(key: str, tmp_path: Path) -> None:
    dense = model(key)
    done = compress(dense, Request(pruning=Pruning(0.5)), name=key)
    assert done.agrees
    assert done.counted.macs < Workload.from_onnx(dense).macs
    onnx.save(done.model, tmp_path / "pruned.onnx")
    assert Workload.from_onnx(tmp_path / "pruned.onnx").macs == done.predicted.macs
    for condition in (True, False):
        before, after = ran(dense, condition), ran(done.model, condition)
        assert [one.shape for one in before] == [other.shape for other in after]


@pytest.mark.parametrize("key", GRAPHS)
def test_it_computes_what_the_dense_network_does_with_those_channels_zeroed(key: str) -> None:
    dense = model(key)
    pruned = prune(dense, 0.5)
    kept = pruned.plan.kept
    masked = onnx.ModelProto()
    masked.CopyFrom(_distinct(dense))
    for graph in (masked.graph, *_bodies(masked.graph)):
        for tensor in graph.initializer:
            array = onnx.numpy_helper.to_array(tensor).copy()
            for axis, positions in kept.get(tensor.name, {}).items():
                gone = np.setdiff1d(np.arange(array.shape[axis]), positions)
                array[(slice(None),) * axis + (gone,)] = 0
            tensor.CopyFrom(onnx.numpy_helper.from_array(array, tensor.name))
    for condition in (True, False):
        for one, other in zip(ran(masked, condition), ran(pruned.model, condition), strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5)


def _distinct(built: onnx.ModelProto) -> onnx.ModelProto:
    from roofline.compress.bodies import distinct

    return distinct(built)


def test_both_branches_and_all_trips_keep_the_same_channels() -> None:
    assert {group.layers: (group.channels, len(group.kept)) for group in prune(model("if_whole"), 0.5).plan.groups} == {
        ("h",): (8, 4), ("h.2",): (6, 3),
    }  # fmt: skip
    between = prune(model("if_between"), 0.5).plan.kept
    # What goes into the branch that only passes it on comes out of it, and out of the other: one set of channels.
    assert between["h"] == between["z"] == between["m"] == {1: between["h"][1]}
    loop = prune(model("loop"), 0.5).plan.kept
    assert loop["s_in"] == loop["s_out"] == loop["last"] == loop["h"]
    assert len(loop["a"][1]) == 5


def test_branches_that_give_unlike_shapes_keep_theirs() -> None:
    text = IF_BETWEEN.replace(
        "float[1,8,8,8] s) { s = Relu(h) }", "float[1,8,1,1] s) { s = GlobalAveragePool(h) }"
    )
    text = text.replace("float[1,8,8,8] z", "float[1,8,h,w] z").replace(
        "float[1,4,8,8] y", "float[1,4,h,w] y"
    )
    built = with_weights(onnx.parser.parse_model(text))
    assert prune(built, 0.5).plan.kept["h"] == prune(built, 0.5).plan.kept["m"]


def test_layers_that_cannot_be_followed_are_named() -> None:
    text = (
        HEAD
        + """
g (seq(float[1,6]) x) => (seq(float[1,3]) y) <float[3,6] w> {
  y = SequenceMap<body = b (float[1,6] one) => (float[1,3] two) { two = Gemm<transB=1>(one, w) }>(x)
}"""
    )
    with pytest.raises(CompressionError, match="SequenceMap"):
        prune(with_weights(onnx.parser.parse_model(text)), 0.5)


def test_what_branches_give_is_of_the_type_that_the_call_gives() -> None:
    text = (
        HEAD
        + """
g (bool c, float[2,3] x) => (float[2,3] y) {
  y = If(c) <then_branch = t () => (float[2,3] first) { first = Relu(x) },
             else_branch = e () => (float[2,3] second) { second = Abs(x) }>
}"""
    )
    built = onnx.parser.parse_model(text)
    types = value_types(resolve(built, name="branches"), built)
    assert [types[name].shape for name in ("first", "second", "y")] == [(2, 3)] * 3
