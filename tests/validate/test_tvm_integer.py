"""Quantized layers compute in 8-bit integers in TVM, with exactly the values of ONNX Runtime's plain execution."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from roofline.validate._tvm_integer import use_integers

pytestmark = pytest.mark.tvm


def quantized(
    node: onnx.NodeProto, weights: np.ndarray, axis: int | None, shape: list[int], out: list[int]
) -> onnx.ModelProto:
    """Return x → quantize → dequantize → node(·, dequantized weights) → quantize → dequantize → y."""
    random = np.random.default_rng(0)
    channels = 1 if axis is None else weights.shape[axis]
    scale = (random.random(channels) * 0.01 + 0.01).astype(np.float32)
    stored = {
        "wq": weights,
        "sw": scale if axis is not None else scale[0],
        "zw": np.zeros(channels, np.int8) if axis is not None else np.int8(0),
        "sx": np.float32(0.05),
        "zx": np.uint8(120),
        "sy": np.float32(0.3),
        "zy": np.uint8(100),
    }
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "sx", "zx"], ["xq"]),
        helper.make_node("DequantizeLinear", ["xq", "sx", "zx"], ["xd"]),
        helper.make_node("DequantizeLinear", ["wq", "sw", "zw"], ["wd"], axis=axis or 0),
        node,
        helper.make_node("QuantizeLinear", ["r", "sy", "zy"], ["yq"]),
        helper.make_node("DequantizeLinear", ["yq", "sy", "zy"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "quantized",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, out)],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in stored.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def check(model: onnx.ModelProto, shape: list[int]) -> None:
    tvm = pytest.importorskip("tvm", reason="apache-tvm is not installed")
    ort = pytest.importorskip("onnxruntime", reason="the reference needs onnxruntime")
    from tvm import relax
    from tvm.relax.frontend.onnx import from_onnx

    inputs = (np.random.default_rng(1).standard_normal(shape) * 3).astype(np.float32)
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    expected = ort.InferenceSession(model.SerializeToString(), options).run(None, {"x": inputs})[0]
    module, used = use_integers(from_onnx(model))
    assert used == {"integer": 1, "float": 0}
    target = tvm.target.Target({"kind": "llvm", "mcpu": "x86-64", "num-cores": 1})
    machine = relax.VirtualMachine(tvm.compile(module, target), tvm.cpu())
    result = machine["main"](tvm.runtime.tensor(inputs)).numpy()
    # One step of the output's scale where a value falls on the edge between two integers.
    step = np.float32(0.3)
    assert np.abs(result - expected).max() <= step * 1.001
    assert (result != expected).mean() < 0.01
    assert len(np.unique(expected)) > 10


@pytest.mark.parametrize("axis", [None, 0])
@pytest.mark.parametrize(("groups", "stride"), [(1, 1), (1, 2), (4, 1)])
def test_convolution(axis: int | None, groups: int, stride: int) -> None:
    weights = np.random.default_rng(2).integers(-127, 127, (8, 4 // groups, 3, 3), dtype=np.int8)
    node = helper.make_node(
        "Conv", ["xd", "wd"], ["r"], pads=[1, 1, 1, 1], group=groups, strides=[stride] * 2
    )
    size = 8 // stride
    check(quantized(node, weights, axis, [1, 4, 8, 8], [1, 8, size, size]), [1, 4, 8, 8])


@pytest.mark.parametrize("shape", [[3, 16], [2, 5, 16]])
def test_matrix_product(shape: list[int]) -> None:
    weights = np.random.default_rng(2).integers(-127, 127, (16, 12), dtype=np.int8)
    node = helper.make_node("MatMul", ["xd", "wd"], ["r"])
    check(quantized(node, weights, 1, shape, [*shape[:-1], 12]), shape)


def test_transposed_weights() -> None:
    weights = np.random.default_rng(2).integers(-127, 127, (12, 16), dtype=np.int8)
    node = helper.make_node("Gemm", ["xd", "wd"], ["r"], transB=1)
    check(quantized(node, weights, 0, [3, 16], [3, 12]), [3, 16])
