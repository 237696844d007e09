"""Rewritten models import, compile and compute in TVM what ONNX Runtime computes for the file as it is."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from roofline.validate.measuring.backend import backends
from roofline.validate.measuring.measure import measure
from roofline.validate.records.record import Status
from roofline.validate.records.request import Protocol, RunRequest

from . import small_models
from .small_models import info

pytestmark = [
    pytest.mark.tvm,
    pytest.mark.skipif(bool(backends.get("tvm").missing()), reason="TVM is missing"),
]
PROTOCOL = Protocol(runs=5, sampling_s=2.0, time_limit_s=300.0)
RANDOM = np.random.default_rng(0)
model_of = partial(small_models.model_of, contributed=True)


def real(*shape):
    return RANDOM.standard_normal(shape).astype(np.float32)


def lstm():
    """Two layers both ways over six steps: the second takes both directions of the first."""
    stored = {"size": np.array([6, 2, 8], np.int64)}
    for layer, inputs in (("a", 3), ("b", 8)):
        stored |= {
            f"{layer}w": real(2, 16, inputs), f"{layer}r": real(2, 16, 4), f"{layer}b": real(2, 32)
        }  # fmt: skip
    fields = {"hidden_size": 4, "direction": "bidirectional"}
    nodes = [
        helper.make_node("LSTM", ["x", "aw", "ar", "ab"], ["one"], **fields),
        helper.make_node("Transpose", ["one"], ["turned"], perm=[0, 2, 1, 3]),
        helper.make_node("Reshape", ["turned", "size"], ["wide"]),
        helper.make_node("LSTM", ["wide", "bw", "br", "bb"], ["y", "h", "c"], **fields),
    ]
    outputs = [info("y", [6, 2, 2, 4]), info("h", [2, 2, 4]), info("c", [2, 2, 4])]
    return model_of(nodes, [info("x", [6, 2, 3])], outputs, stored)


def quantized_lstm():
    stored = {
        "w": RANDOM.integers(-127, 127, (1, 3, 16), dtype=np.int8),
        "r": RANDOM.integers(-127, 127, (1, 4, 16), dtype=np.int8),
        "s": np.full(1, 0.01, np.float32),
        "z": np.zeros(1, np.int8),
    }
    operands = ["x", "w", "r", "", "", "", "", "", "s", "z", "s", "z"]
    node = helper.make_node(
        "DynamicQuantizeLSTM", operands, ["y"], hidden_size=4, domain="com.microsoft"
    )
    return model_of([node], [info("x", [3, 1, 3])], [info("y", [3, 1, 1, 4])], stored)


def loop():
    body = helper.make_graph(
        [
            helper.make_node("MatMul", ["state", "w"], ["next"]),
            helper.make_node("Tanh", ["next"], ["row"]),
            helper.make_node("Identity", ["go"], ["on"]),
        ],
        "body",
        [
            info("i", [], TensorProto.INT64),
            info("go", [], TensorProto.BOOL),
            info("state", [2, 4]),
        ],
        [info("on", [], TensorProto.BOOL), info("next", [2, 4]), info("row", [2, 4])],
    )
    node = helper.make_node("Loop", ["n", "", "x"], ["y", "rows"], body=body)
    stored = {"n": np.int64(3), "w": real(4, 4)}
    return model_of(
        [node], [info("x", [2, 4])], [info("y", [2, 4]), info("rows", [3, 2, 4])], stored
    )


def quantized_convolution():
    stored = {
        "s": np.float32(0.05), "z": np.uint8(120), "sw": np.float32(0.01), "zw": np.uint8(128),
        "w": RANDOM.integers(1, 256, (8, 4, 3, 3), dtype=np.uint8), "b": np.arange(8, dtype=np.int32),
    }  # fmt: skip
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"]),
        helper.make_node("QLinearConv", ["q", "s", "z", "w", "sw", "zw", "s", "z", "b"], ["p"]),
        helper.make_node("DequantizeLinear", ["p", "s", "z"], ["y"]),
    ]
    return model_of(nodes, [info("x", [1, 4, 8, 8])], [info("y", [1, 8, 6, 6])], stored)


def integer_convolution():
    node = helper.make_node("ConvInteger", ["q", "w", "z"], ["t"], pads=[1] * 4)
    nodes = [
        helper.make_node("DynamicQuantizeLinear", ["x"], ["q", "s", "z"]),
        node,
        helper.make_node("Cast", ["t"], ["real"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["real", "s"], ["y"]),
    ]
    stored = {"w": RANDOM.integers(-127, 127, (4, 3, 3, 3), dtype=np.int8)}
    return model_of(nodes, [info("x", [1, 3, 6, 6])], [info("y", [1, 4, 6, 6])], stored)


def packed():
    stored = {
        "w": RANDOM.integers(0, 256, (8, 2, 16), dtype=np.uint8),
        "s": (RANDOM.random(16) * 0.1).astype(np.float32),
    }
    node = helper.make_node(
        "MatMulNBits", ["x", "w", "s"], ["y"],
        K=64, N=8, bits=4, block_size=32, domain="com.microsoft",
    )  # fmt: skip
    return model_of([node], [info("x", [3, 64])], [info("y", [3, 8])], stored)


def on_tvm(model, tmp_path, **fields):
    path = tmp_path / "model.onnx"
    onnx.save(model, path)
    options = RunRequest("", tuning="untuned", threads=1, protocol=PROTOCOL, **fields)
    return measure(replace(options, network=str(path), backend="tvm"), folder=tmp_path / "cache")


# A quantized result may lie one unit away: 0.05 of about 6, or 0.01 of a state in a product.
@pytest.mark.parametrize(
    ("build", "tolerance", "executed", "note"),
    [
        (lstm, 1e-5, "fp32", "2 LSTM"),
        (loop, 1e-5, "fp32", "1 Loop"),
        (quantized_lstm, 2e-2, "int32", "1 DynamicQuantizeLSTM"),
        (quantized_convolution, 1e-2, "int8, int32 sums", "1 QLinearConv"),
        (integer_convolution, 1e-5, "int32", "1 ConvInteger"),
        (packed, 1e-5, "fp32, of 4-bit weights unpacked before the run", "1 MatMulNBits"),
    ],
)
def test_rewritten_models_run(build, tolerance, executed, note, tmp_path):
    record = on_tvm(build(), tmp_path)
    assert record.status is Status.OK, record.reason
    assert record.check.max_rel_error <= tolerance
    assert record.check.informative
    assert record.executed.label == executed
    assert any(note in said for said in record.notes)


def test_bf16_weights_are_not_called_bf16_arithmetic(tmp_path):
    weights = helper.make_tensor(
        "w", TensorProto.BFLOAT16, [4, 3], np.arange(12, dtype=np.float32)
    )
    nodes = [
        helper.make_node("Cast", ["w"], ["wide"], to=TensorProto.FLOAT),
        helper.make_node("MatMul", ["x", "wide"], ["y"]),
    ]
    model = model_of(nodes, [info("x", [2, 4])], [info("y", [2, 3])], {})
    model.graph.initializer.append(weights)
    record = on_tvm(model, tmp_path, datatype="bf16")
    assert record.status is Status.OK, record.reason
    assert record.check.max_rel_error <= 1e-6
    assert record.executed.label == "fp32, of bf16 weights widened before the run"
