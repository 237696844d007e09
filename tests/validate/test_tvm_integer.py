"""Quantized layers compute in 8-bit integers in TVM, with exactly the values of ONNX Runtime's plain execution."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from roofline.validate.tvm.integer import use_integers

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


@pytest.mark.parametrize("zero", [120, 0])
@pytest.mark.parametrize(
    ("channels", "filters", "groups", "pads"),
    [(4, 20, 1, [1, 1, 1, 1]), (32, 16, 1, [0, 0, 1, 1]), (16, 16, 16, [1, 1, 1, 1]), (3, 16, 1, [1] * 4)],
)  # fmt: skip
@pytest.mark.parametrize("unsigned", [True, False])
def test_blocks_of_integers_are_exact(
    zero: int, channels: int, filters: int, groups: int, pads: list[int], unsigned: bool, tmp_path
) -> None:
    """The sums of the four-fold multiply-add are those of NumPy, and a frame holds the zero point."""
    tvm = pytest.importorskip("tvm", reason="apache-tvm is not installed")
    from tvm import relax

    from roofline.validate.tvm import setup as _tvm_setup
    from roofline.validate.tvm.blocked import tile_search as _tvm_search
    from roofline.validate.tvm.importing import import_model
    from roofline.validate.tvm.plan import Computation

    target = _tvm_setup.local_target(_tvm_setup.load_tvm(), 1)
    if not tvm.target.codegen.target_has_features("avx512vnni", target):
        pytest.skip("this processor has no AVX-512 VNNI")
    random = np.random.default_rng(0)
    kind = np.uint8 if unsigned else np.int8
    middle = kind(zero if unsigned else zero - 60)
    weights = random.integers(-127, 127, (filters, channels // groups, 3, 3), dtype=np.int8)
    stored = {"w": weights, "sw": np.float32(1), "zw": np.int8(0), "s": np.float32(1), "z": middle}
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "s", "z"], ["d"]),
        helper.make_node("DequantizeLinear", ["w", "sw", "zw"], ["wd"]),
        helper.make_node("Conv", ["d", "wd"], ["y"], pads=pads, group=groups),
    ]
    shape = [1, channels, 6, 8]
    out = [1, filters, 4 + pads[0] + pads[2], 6 + pads[1] + pads[3]]
    graph = helper.make_graph(
        nodes,
        "sums",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, out)],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in stored.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(model, tmp_path / "sums.onnx")
    limits = np.iinfo(kind)
    low, high = limits.min - int(middle), limits.max - int(middle)
    x = random.integers(low, high + 1, shape).astype(np.float32)
    imported = import_model(tmp_path / "sums.onnx", target, Computation("blocked"))
    assert imported.layers == {"blocked": 1}
    assert imported.executed.label == "int8, int32 sums"
    module = _tvm_search.schedule_blocks(imported.module, 16, _tvm_search.first_guess)
    machine = relax.VirtualMachine(tvm.compile(module, target), tvm.cpu())
    result = machine["main"](tvm.runtime.tensor(x)).numpy()
    framed = np.pad(x, [(0, 0), (0, 0), (pads[0], pads[2]), (pads[1], pads[3])]).astype(np.int64)
    windows = np.lib.stride_tricks.sliding_window_view(framed, (3, 3), axis=(2, 3))
    grouped = windows.reshape(1, groups, channels // groups, *windows.shape[2:])
    filtered = weights.reshape(groups, filters // groups, channels // groups, 3, 3)
    expected = np.einsum("ngchwab,gfcab->ngfhw", grouped, filtered.astype(np.int64))
    assert (result == expected.reshape(out)).all()
