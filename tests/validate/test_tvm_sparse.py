"""Sparse kernels compute what the dense convolution of the same pruned weights computes."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from roofline.validate.tvm.sparse import FORMS, apply_sparse, compress

pytestmark = pytest.mark.tvm

# channels, filters, kernel, stride, pads, dilation, size
CONVOLUTIONS = {
    "same padding": (8, 16, 3, 1, [1, 1, 1, 1], 1, 14),
    "stride and uneven padding": (4, 8, 3, 2, [0, 0, 1, 1], 1, 15),
    "dilated 5x5": (4, 24, 5, 1, [2, 2, 2, 2], 2, 16),
    "pointwise": (12, 16, 1, 1, [0, 0, 0, 0], 1, 9),
}


def pruned(shape: tuple[int, ...], density: float, seed: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed)
    weights = random.standard_normal(shape).astype(np.float32)
    return weights * (random.random(shape) < density)


def run(
    model: onnx.ModelProto, inputs: np.ndarray, form: str
) -> tuple[np.ndarray, np.ndarray, dict[str, int]]:
    """Return the sparse result, ONNX Runtime's, and what was replaced."""
    tvm = pytest.importorskip("tvm", reason="apache-tvm is not installed")
    onnxruntime = pytest.importorskip("onnxruntime", reason="the reference needs onnxruntime")
    from tvm import relax
    from tvm.relax.frontend.onnx import from_onnx

    session = onnxruntime.InferenceSession(model.SerializeToString())
    expected = session.run(None, {"x": inputs})[0]
    target = tvm.target.Target({"kind": "llvm", "mcpu": "x86-64", "num-cores": 1})
    module, used = apply_sparse(from_onnx(model), FORMS[form])
    machine = relax.VirtualMachine(tvm.compile(module, target), tvm.cpu())
    return machine["main"](tvm.runtime.tensor(inputs)).numpy(), expected, used


def one_node(
    node: onnx.NodeProto, weights: np.ndarray, inputs: list[int], outputs: list[int]
) -> onnx.ModelProto:
    graph = helper.make_graph(
        [node],
        "one",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, inputs)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, outputs)],
        [numpy_helper.from_array(weights, "w")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


@pytest.mark.parametrize("case", CONVOLUTIONS)
@pytest.mark.parametrize("form", FORMS)
def test_sparse_convolution_equals_the_dense_one(form: str, case: str) -> None:
    channels, filters, kernel, stride, pads, dilation, size = CONVOLUTIONS[case]
    weights = pruned((filters, channels, kernel, kernel), 0.05 if "bsr" in form else 0.3)
    node = helper.make_node(
        "Conv", ["x", "w"], ["y"], strides=[stride] * 2, pads=pads, dilations=[dilation] * 2
    )
    reach = (kernel - 1) * dilation + 1
    out = [(size + pads[i] + pads[i + 2] - reach) // stride + 1 for i in (0, 1)]
    model = one_node(node, weights, [2, channels, size, size], [2, filters, *out])
    inputs = np.random.default_rng(1).standard_normal((2, channels, size, size)).astype(np.float32)
    result, expected, used = run(model, inputs, form)
    assert used == {"sparse": 1, "dense": 0}
    assert np.abs(result - expected).max() <= 1e-5 * np.abs(expected).max()


@pytest.mark.parametrize("transposed", [0, 1])
def test_sparse_linear_layer_equals_the_dense_one(transposed: int) -> None:
    weights = pruned((20, 30) if transposed else (30, 20), 0.2)
    node = helper.make_node("Gemm", ["x", "w"], ["y"], transB=transposed)
    inputs = np.random.default_rng(1).standard_normal((3, 30)).astype(np.float32)
    result, expected, used = run(one_node(node, weights, [3, 30], [3, 20]), inputs, "csr_gemm")
    assert used == {"sparse": 1, "dense": 0}
    assert np.abs(result - expected).max() <= 1e-5 * np.abs(expected).max()


def test_dense_weights_stay_dense() -> None:
    weights = pruned((8, 4, 3, 3), 1.0)
    model = one_node(
        helper.make_node("Conv", ["x", "w"], ["y"]), weights, [1, 4, 6, 6], [1, 8, 4, 4]
    )
    _, _, used = run(model, np.ones((1, 4, 6, 6), np.float32), "csr_direct")
    assert used == {"sparse": 0, "dense": 1}


def test_compressed_bytes_are_those_of_the_format() -> None:
    stored = compress(np.array([[0, 1, 0, 2], [3, 0, 0, 0]], np.float32), 1)
    # 3 values and 3 indices of 4 bytes, and 2 + 1 row starts of 4 bytes.
    assert stored.bytes == 3 * 4 + 3 * 4 + (2 + 1) * 4
    assert stored.index.tolist() == [1, 3, 0]
    assert stored.start.tolist() == [0, 2, 3]
