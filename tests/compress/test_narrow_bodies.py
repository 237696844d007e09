"""Weights in the bodies of If, Loop and Scan: narrowed as those outside, and what is written computes with them."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, numpy_helper

from roofline.compress import Request, compress
from roofline.compress.bodies import bodies, distinct, nested_tensors
from roofline.compress.loading import check_loads
from roofline.compress.quantization import Quantization
from roofline.compress.writers.weight_only import quantize_symmetrically
from roofline.workload import Workload

N, V, F = helper.make_node, helper.make_tensor_value_info, TensorProto.FLOAT
TRIPS = 3


def weight(name: str, *dims: int) -> TensorProto:
    chance = np.random.default_rng([*name.encode(), *dims])
    array = chance.standard_normal(dims) / np.sqrt(np.prod(dims[1:]))
    return numpy_helper.from_array(array.astype(np.float32), name)


def stored(name: str, value: object) -> TensorProto:
    return numpy_helper.from_array(np.asarray(value), name)


def model(nodes: list[onnx.NodeProto], inputs: dict[str, list[int]], results: dict[str, list[int]],
          tensors: list[TensorProto]) -> onnx.ModelProto:  # fmt: skip
    graph = helper.make_graph(
        nodes, "g", [V(name, F, dims) for name, dims in inputs.items()],
        [V(name, F, dims) for name, dims in results.items()], tensors,
    )  # fmt: skip
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


def branch(name: str) -> onnx.GraphProto:
    """A product with a weight that both branches call ``w``, and one with a weight from around them."""
    calls = [N("MatMul", ["x", "w"], ["a"], f"{name}_first"), N("Relu", ["a"], ["r"], f"{name}_relu"),
             N("MatMul", ["r", "shared"], [f"{name}_y"], f"{name}_last")]  # fmt: skip
    dims = (64, 32) if name == "then" else (64, 32, 1)
    tensors = [stored("w", numpy_helper.to_array(weight(name, *dims)).reshape(64, 32))]
    return helper.make_graph(calls, name, [], [V(f"{name}_y", F, [4, 16])], tensors)


def choice() -> onnx.ModelProto:
    calls = [N("ReduceSum", ["x"], ["s"], "sum", keepdims=0), N("Greater", ["s", "zero"], ["c"], "positive"),
             N("If", ["c"], ["y"], "choice", then_branch=branch("then"), else_branch=branch("else"))]  # fmt: skip
    zero = stored("zero", np.float32(0))
    return model(calls, {"x": [4, 64]}, {"y": [4, 16]}, [zero, weight("shared", 32, 16)])


def loop(body: onnx.GraphProto, dims: list[int]) -> onnx.ModelProto:
    tensors = [stored("n", np.int64(TRIPS)), stored("t", np.bool_(True))]
    return model([N("Loop", ["n", "t", "x"], ["y"], "loop", body=body)], {"x": dims}, {"y": dims}, tensors)  # fmt: skip


def trip(
    calls: list[onnx.NodeProto], dims: list[int], tensors: list[TensorProto]
) -> onnx.GraphProto:
    inputs = [V("i", TensorProto.INT64, []), V("cin", TensorProto.BOOL, []), V("carried", F, dims)]
    results = [V("cout", TensorProto.BOOL, []), V("next", F, dims)]
    goes_on = N("Identity", ["cin"], ["cout"], "goes_on")
    return helper.make_graph([*calls, goes_on], "body", inputs, results, tensors)


def alike() -> onnx.ModelProto:
    """Every trip is alike; one weight is an initializer and one the tensor of a Constant node."""
    dims = [1, 8, 64]
    calls = [N("Constant", [], ["k"], "constant", value=weight("k", 64, 64)),
             N("Conv", ["carried", "cw"], ["c"], "conv", pads=[1, 1]), N("MatMul", ["c", "k"], ["m"], "product"),
             N("Tanh", ["m"], ["next"], "tanh")]  # fmt: skip
    return loop(trip(calls, dims, [weight("cw", 8, 8, 3)]), dims)


def apart() -> onnx.ModelProto:
    """Each trip decides an If of its own, so that they are walked one by one."""

    def inner(name: str) -> onnx.GraphProto:
        call = N("MatMul", ["first", "w"], [f"{name}_o"], f"{name}_product")
        return helper.make_graph(
            [call], name, [], [V(f"{name}_o", F, [4, 64])], [weight("w", 64, 64)]
        )

    calls = [N("MatMul", ["carried", "w0"], ["first"], "each"), N("Equal", ["i", "one"], ["c"], "second"),
             N("If", ["c"], ["next"], "if", then_branch=inner("then"), else_branch=inner("else"))]  # fmt: skip
    tensors = [stored("one", np.int64(1)), weight("w0", 64, 64)]
    return loop(trip(calls, [4, 64], tensors), [4, 64])


def scan() -> onnx.ModelProto:
    """A recurrence, one of whose weights a product outside of it reads too."""
    calls = [N("Gemm", ["h", "u"], ["p"], "recurrent"), N("Gemm", ["xt", "wt"], ["q"], "given", transB=1),
             N("Add", ["p", "q"], ["a"], "add"), N("Tanh", ["a"], ["hout"], "tanh"),
             N("Identity", ["hout"], ["yt"], "row")]  # fmt: skip
    inputs, results = (
        [V("h", F, [2, 32]), V("xt", F, [2, 24])],
        [V("hout", F, [2, 32]), V("yt", F, [2, 32])],
    )
    body = helper.make_graph(calls, "body", inputs, results, [weight("wt", 32, 24)])
    nodes = [N("Scan", ["h0", "x"], ["hn", "ys"], "scan", body=body, num_scan_inputs=1),
             N("MatMul", ["ys", "u"], ["z"], "outside")]  # fmt: skip
    return model(
        nodes,
        {"h0": [2, 32], "x": [5, 2, 24]},
        {"hn": [2, 32], "z": [5, 2, 32]},
        [weight("u", 32, 32)],
    )


MODELS = [choice, alike, apart, scan]


def runs(built: onnx.ModelProto, reference: onnx.ModelProto) -> Iterator[float]:
    """Yield the largest difference of each output over its largest magnitude, for inputs of both signs.

    As the file says it: with its optimizations ONNX Runtime rounds activations too, before products of narrow weights.
    """
    plain = ort.SessionOptions()
    plain.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    sessions = [
        ort.InferenceSession(each.SerializeToString(), plain, providers=["CPUExecutionProvider"])
        for each in (built, reference)
    ]
    chance = np.random.default_rng(1)
    for sign in (1, -1):
        feed = {
            given.name: sign * np.abs(chance.standard_normal(given.shape))
            for given in sessions[1].get_inputs()
        }
        found, expected = (
            session.run(
                None,
                {
                    given.name: feed[given.name].astype(
                        np.float16 if given.type == "tensor(float16)" else np.float32
                    )
                    for given in session.get_inputs()
                },
            )
            for session in sessions
        )
        for one, other in zip(found, expected, strict=True):
            yield float(np.abs(one.astype(np.float32) - other).max() / np.abs(other).max())


def rounded(built: onnx.ModelProto, bits: int) -> onnx.ModelProto:
    """Return the model in fp32 with its weights where integers of a width can be."""
    copy = onnx.ModelProto.FromString(distinct(built).SerializeToString())
    for tensor in nested_tensors(copy).values():
        if len(tensor.dims) > 1:
            values, scale = quantize_symmetrically(numpy_helper.to_array(tensor), bits)
            name = tensor.name
            tensor.CopyFrom(numpy_helper.from_array(values.astype(np.float32) * scale, name))
    return copy


@pytest.mark.parametrize("bits", [8, 4])
@pytest.mark.parametrize("build", MODELS)
def test_narrow_weights_of_bodies_compute_what_the_rounded_ones_do(
    build: Callable[[], onnx.ModelProto], bits: int
) -> None:
    built = build()
    done = compress(built, Request(quantization=Quantization(f"w{bits}a32")))
    assert done.agrees
    assert done.narrowing is not None
    assert done.narrowing.kept == ()
    assert done.counted.weight_bytes == done.narrowing.weight_bytes * bits // 32
    assert check_loads(done.model.SerializeToString(), built) == ""
    assert max(runs(done.model, rounded(built, bits))) < 1e-5


@pytest.mark.parametrize(
    ("datatype", "share", "error"), [("int8", 4, 0.3), ("fp16", 2, 0.01), ("bf16", 2, 0.05)]
)
@pytest.mark.parametrize("build", MODELS)
def test_every_family_of_datatypes_narrows_bodies(
    build: Callable[[], onnx.ModelProto], datatype: str, share: int, error: float
) -> None:
    built = build()
    done = compress(built, Request(quantization=Quantization(datatype)))
    assert done.agrees
    assert done.counted.weight_bytes * share == Workload.from_onnx(built).weight_bytes
    assert max(runs(done.model, built)) < error


def test_a_weight_of_a_loop_whose_trips_differ_counts_once() -> None:
    """Three trips of one product, each with an If of its own: the what-if counted every trip's reading as a tensor."""
    counted = Workload.from_onnx(apart())
    assert counted.weight_bytes == 3 * 64 * 64 * 4
    assert counted.under(precision=Quantization("int8")).weight_bytes == 3 * 64 * 64


def test_ternary_and_zeros_reach_bodies() -> None:
    built = alike()
    ternary = compress(built, Request(quantization=Quantization("ternary")))
    assert ternary.agrees
    assert ternary.counted.effective_macs < ternary.counted.macs
    assert {tensor.data_type for body in bodies(ternary.model.graph) for tensor in body.initializer
            if len(tensor.dims) > 1} == {TensorProto.INT2}  # fmt: skip
