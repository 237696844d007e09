"""The torch module of an ONNX graph computes what ONNX Runtime computes, for shipped networks and single operators."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from roofline.workloads import build
from roofline.workloads.decoder import Decoder
from roofline.workloads.decoder_network import DecoderNetwork

pytestmark = pytest.mark.torch
torch = pytest.importorskip("torch", reason="torch is not installed")
ort = pytest.importorskip("onnxruntime", reason="the reference needs onnxruntime")

NETWORKS = (
    "mlp_25",
    "cnv_25",
    "resnet18_cifar10",
    "mobilenet_v2_cifar10",
    "efficientnet_b0",
    "googlenet_v1",
)


def both(path: Path, inputs: dict[str, np.ndarray]) -> tuple[list[np.ndarray], list[np.ndarray]]:
    from roofline.validate.torch_runtime.graph import build_module

    module = build_module(path)
    with torch.no_grad():
        ours = [
            entry.numpy()
            for entry in module(
                *(torch.from_numpy(inputs[name].copy()) for name in module.input_names)
            )
        ]
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = ort.InferenceSession(path.read_bytes(), options, providers=["CPUExecutionProvider"])
    return ours, session.run(None, inputs)


@pytest.mark.parametrize("key", NETWORKS)
def test_network(key: str, tmp_path: Path) -> None:
    model = build(key, weights="random", seed=0, batch=1)
    path = tmp_path / "model.onnx"
    onnx.save(model, path)
    entry = model.graph.input[0]
    shape = [dimension.dim_value for dimension in entry.type.tensor_type.shape.dim]
    inputs = {entry.name: np.random.default_rng(0).standard_normal(shape).astype(np.float32)}
    for ours, theirs in zip(*both(path, inputs), strict=True):
        assert np.abs(ours - theirs).max() <= 1e-4 * np.abs(theirs).max()


CASES = {
    "uneven pads": (["Conv"], {"pads": [0, 1, 2, 1]}, {"w": (5, 3, 3, 3)}),
    "same lower": (["Conv"], {"auto_pad": "SAME_LOWER", "strides": [2, 2]}, {"w": (5, 3, 2, 2)}),
    "grouped": (["Conv"], {"group": 3}, {"w": (6, 1, 3, 3)}),
    "transposed": (
        ["ConvTranspose"],
        {"strides": [2, 2], "output_padding": [1, 1]},
        {"w": (3, 4, 3, 3)},
    ),
    "ceil max pool": (
        ["MaxPool"],
        {"kernel_shape": [3, 3], "strides": [2, 2], "ceil_mode": 1},
        {},
    ),
    "average pool": (["AveragePool"], {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]}, {}),
    "lrn": (["LRN"], {"size": 3}, {}),
    "softmax over channels": (["Softmax"], {"axis": 1}, {}),
    "prelu": (["PRelu"], {}, {"w": (3, 1, 1)}),
    "reduce": (["ReduceMean"], {"keepdims": 0}, {}),
}


@pytest.mark.parametrize("case", CASES)
def test_operator(case: str, tmp_path: Path) -> None:
    (op_type,), attributes, weights = CASES[case]
    random = np.random.default_rng(0)
    stored = [
        numpy_helper.from_array(random.standard_normal(shape).astype(np.float32), name)
        for name, shape in weights.items()
    ]
    shape = [2, 3, 9, 10]
    graph = helper.make_graph(
        [helper.make_node(op_type, ["x", *weights], ["y"], **attributes)],
        "one",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        stored,
    )
    path = tmp_path / "one.onnx"
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path
    )
    (ours,), (theirs,) = both(path, {"x": random.standard_normal(shape).astype(np.float32)})
    assert ours.shape == theirs.shape
    assert np.abs(ours - theirs).max() <= 1e-5 * np.abs(theirs).max()


def test_unknown_operator_is_named(tmp_path: Path) -> None:
    from roofline.validate.measuring.backend import UnsupportedModelError
    from roofline.validate.torch_runtime.graph import build_module

    graph = helper.make_graph(
        [helper.make_node("NonZero", ["x"], ["y"])],
        "one",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [2])],
        [helper.make_tensor_value_info("y", TensorProto.INT64, None)],
    )
    path = tmp_path / "one.onnx"
    onnx.save(helper.make_model(graph), path)
    with pytest.raises(UnsupportedModelError, match="NonZero"):
        build_module(path)


@pytest.mark.parametrize(
    ("batch", "new", "past", "shared"),
    [(1, 7, 0, False), (2, 1, 9, False), (2, 1, 9, True), (1, 3, 5, False)],
    ids=["prompt", "one more token", "one more token into a shared buffer", "more tokens"],
)
def test_decoder(batch: int, new: int, past: int, shared: bool, tmp_path: Path) -> None:
    sizes = Decoder(
        layers=2, hidden=64, heads=8, kv_heads=2, head_size=16, vocabulary=100, positions=64, mlp=96, qk_norm=True
    )  # fmt: skip
    model = DecoderNetwork("small", "small", "", sizes).build(weights="random", batch=batch)
    total = new + past
    held = total if shared else past
    dims = {
        "sequence_length": new, "total_sequence_length": total, "past_sequence_length": held,
    }  # fmt: skip
    rng = np.random.default_rng(0)
    inputs: dict[str, np.ndarray] = {}
    for entry in (*model.graph.input, *model.graph.output):
        for dim in entry.type.tensor_type.shape.dim:
            if dim.dim_param:
                dim.dim_value = dims.get(dim.dim_param, batch)
    for entry in model.graph.input:
        shape = [dim.dim_value for dim in entry.type.tensor_type.shape.dim]
        inputs[entry.name] = (
            rng.integers(0, 100, shape) if entry.name == "input_ids"
            else np.ones(shape, np.int64) if entry.name == "attention_mask"
            else rng.standard_normal(shape).astype(np.float16)
        )  # fmt: skip
    path = tmp_path / "model.onnx"
    onnx.save(model, path)
    ours, theirs = both(path, inputs)
    for mine, reference in zip(ours, theirs, strict=True):
        assert mine.shape == reference.shape
        # Both round to fp16, in another order.
        assert np.abs(mine.astype(np.float32) - reference).max() <= 4e-3 * np.abs(reference).max()
