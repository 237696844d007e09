"""com.microsoft's operators against ONNX Runtime itself: result shapes and datatypes of real runs."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
from onnx import helper

from roofline.errors import ModelError
from roofline.node import Node, Tensor
from roofline.ops import Kind, lookup
from roofline.ops._datatypes import from_numpy

from .test_malformed import breakages, run

MS = "com.microsoft"
RNG = np.random.default_rng(0)


def f(*shape: int) -> np.ndarray:
    return RNG.standard_normal(shape).astype(np.float32)


def u8(*shape: int) -> np.ndarray:
    return RNG.integers(0, 255, shape).astype(np.uint8)


def i8(*shape: int) -> np.ndarray:
    return RNG.integers(-127, 127, shape).astype(np.int8)


def i32(*values: int) -> np.ndarray:
    return np.array(values, np.int32)


S, Z, ZI = np.array(0.1, np.float32), np.array(3, np.uint8), np.array(0, np.int8)
HEADS = {"num_heads": 4}

# name: operator, operands, results, attributes
CASES: dict[str, tuple[str, list[Any], int, dict[str, Any]]] = {
    "attention": ("Attention", [f(2, 5, 8), f(8, 24), f(24)], 1, HEADS),
    "attention_wide_value": (
        "Attention", [f(2, 5, 8), f(8, 28), f(28)], 1, {"num_heads": 4, "qkv_hidden_sizes": [8, 8, 12]},
    ),
    "attention_past": (
        "Attention", [f(2, 5, 8), f(8, 24), f(24), None, f(2, 2, 4, 3, 2)], 2, {**HEADS, "unidirectional": 1},
    ),
    "qattention": (
        "QAttention", [u8(2, 5, 8), i8(8, 24), f(24), S, S, None, Z, ZI], 1, HEADS,
    ),
    "multi_head": ("MultiHeadAttention", [f(2, 5, 8), f(2, 7, 8), f(2, 7, 12)], 1, HEADS),
    "multi_head_self": ("MultiHeadAttention", [f(2, 5, 8), f(2, 5, 8), f(2, 5, 8), f(24)], 1, HEADS),
    "multi_head_past": (
        "MultiHeadAttention",
        [f(2, 5, 8), f(2, 5, 8), f(2, 5, 8), None, None, None, f(2, 4, 3, 2), f(2, 4, 3, 2)], 3, HEADS,
    ),
    "multi_head_cross": ("MultiHeadAttention", [f(2, 5, 8), f(2, 4, 7, 2), f(2, 4, 7, 2)], 1, HEADS),
    "grouped": (
        "GroupQueryAttention",
        [f(2, 1, 32), f(2, 1, 16), f(2, 1, 16), f(2, 2, 6, 8), f(2, 2, 6, 8), i32(6, 6), np.array(7, np.int32)], 3,
        {"num_heads": 4, "kv_num_heads": 2},
    ),
    "grouped_prompt": (
        "GroupQueryAttention",
        [f(2, 5, 32), f(2, 5, 16), f(2, 5, 16), f(2, 2, 0, 8), f(2, 2, 0, 8), i32(4, 4), np.array(5, np.int32)], 3,
        {"num_heads": 4, "kv_num_heads": 2},
    ),
    "grouped_packed_rotary": (
        "GroupQueryAttention",
        [f(1, 3, 128), None, None, f(1, 2, 0, 16), f(1, 2, 0, 16), i32(2), np.array(3, np.int32), f(8, 8), f(8, 8)], 3,
        {"num_heads": 4, "kv_num_heads": 2, "do_rotary": 1},
    ),
    "rotary": ("RotaryEmbedding", [f(2, 3, 32), np.zeros((2, 3), np.int64), f(8, 4), f(8, 4)], 1, {"num_heads": 4}),
    "skip_layer": ("SkipLayerNormalization", [f(2, 3, 8), f(2, 3, 8), f(8), f(8), f(8)], 4, {}),
    "skip_simplified": ("SkipSimplifiedLayerNormalization", [f(2, 3, 8), f(2, 3, 8), f(8)], 4, {}),
    "embed_layer": (
        "EmbedLayerNormalization",
        [np.zeros((2, 3), np.int32), np.zeros((2, 3), np.int32), f(9, 8), f(4, 8), f(2, 8), f(8), f(8),
         np.ones((2, 3), np.int32)], 2, {},
    ),
    "fused_matmul": ("FusedMatMul", [f(2, 3, 4), f(2, 5, 4)], 1, {"transB": 1, "alpha": 0.5}),
    "fused_matmul_a": ("FusedMatMul", [f(2, 4, 3), f(2, 4, 5)], 1, {"transA": 1}),
    "fused_matmul_batch": ("FusedMatMul", [f(4, 2, 3), f(2, 3, 5)], 1, {"transBatchA": 1}),
    "fused_gemm": ("FusedGemm", [f(3, 4), f(4, 5), f(5)], 1, {"activation": "Relu"}),
    "fused_conv": ("FusedConv", [f(1, 3, 8, 8), f(4, 3, 3, 3), f(4)], 1, {"activation": "Relu", "strides": [2, 2]}),
    "matmul_nbits": (
        "MatMulNBits", [f(2, 3, 64), u8(48, 2, 16), f(48 * 2)], 1, {"K": 64, "N": 48, "bits": 4, "block_size": 32},
    ),
    "gather_block": (
        "GatherBlockQuantized",
        [u8(10, 16), np.array([[1, 3, 5]], np.int64), f(10, 2)], 1,
        {"bits": 4, "block_size": 16, "quantize_axis": 1, "gather_axis": 0},
    ),
    "dynamic_matmul": ("DynamicQuantizeMatMul", [f(3, 4), i8(4, 5), S, ZI, f(5)], 1, {}),
    "matmul_to_float": ("MatMulIntegerToFloat", [u8(3, 4), i8(4, 5), S, S, Z, ZI, f(5)], 1, {}),
    "dynamic_lstm": (
        "DynamicQuantizeLSTM",
        [f(5, 2, 4), i8(2, 4, 12), i8(2, 3, 12), f(2, 24), None, None, None, None,
         np.full(2, 0.1, np.float32), np.zeros(2, np.int8), np.full(2, 0.1, np.float32), np.zeros(2, np.int8)], 3,
        {"hidden_size": 3, "direction": "bidirectional"},
    ),
    "qgemm": ("QGemm", [u8(3, 4), S, Z, i8(5, 4), S, ZI, np.zeros(5, np.int32), S, Z], 1, {"transB": 1}),
    "qgemm_float": ("QGemm", [u8(3, 4), S, Z, i8(5, 4), S, ZI], 1, {"transB": 1}),
    "qlinear_add": ("QLinearAdd", [u8(2, 3, 4), S, Z, u8(3, 1), S, Z, S, Z], 1, {}),
    "qlinear_mul": ("QLinearMul", [u8(2, 3, 4), S, Z, u8(4), S, Z, S, Z], 1, {}),
    "qlinear_sigmoid": ("QLinearSigmoid", [u8(2, 3), S, Z, S, Z], 1, {}),
    "qlinear_leaky": ("QLinearLeakyRelu", [u8(2, 3), S, Z, S, Z], 1, {"alpha": 0.1}),
    "qlinear_softmax": ("QLinearSoftmax", [u8(2, 3), S, Z, S, Z], 1, {"opset": 13}),
    "qlinear_concat": ("QLinearConcat", [S, Z, u8(2, 3), S, Z, u8(2, 4), S, Z], 1, {"axis": 1}),
    "qlinear_where": ("QLinearWhere", [np.ones((2, 3), bool), u8(2, 3), S, Z, u8(3), S, Z, S, Z], 1, {}),
    "qlinear_average": (
        "QLinearAveragePool", [u8(1, 3, 7, 7), S, Z, S, Z], 1,
        {"kernel_shape": [3, 3], "strides": [2, 2], "ceil_mode": 1},
    ),
    "qlinear_average_last": (
        "QLinearAveragePool", [u8(1, 7, 7, 3), S, Z, S, Z], 1, {"kernel_shape": [3, 3], "channels_last": 1},
    ),
    "qlinear_global": ("QLinearGlobalAveragePool", [u8(1, 3, 7, 7), S, Z, S, Z], 1, {}),
    "qlinear_global_last": ("QLinearGlobalAveragePool", [u8(1, 7, 7, 3), S, Z, S, Z], 1, {"channels_last": 1}),
    "quantize": ("QuantizeLinear", [f(2, 3), S, Z], 1, {}),
    "dequantize": ("DequantizeLinear", [u8(2, 3), S, Z], 1, {}),
    "gelu": ("Gelu", [f(2, 3)], 1, {}),
    "quick_gelu": ("QuickGelu", [f(2, 3)], 1, {}),
    "fast_gelu": ("FastGelu", [f(2, 3), f(3)], 1, {}),
    "bias_gelu": ("BiasGelu", [f(2, 3), f(3)], 1, {}),
    "nhwc_max_pool": ("NhwcMaxPool", [u8(1, 7, 7, 3)], 1, {"kernel_shape": [3, 3], "strides": [2, 2]}),
    "range": ("Range", [np.array(1, np.int64), np.array(9, np.int64), np.array(3, np.int64)], 1, {}),
    "pad": ("Pad", [f(2, 3), np.array([0, 1, 2, 3], np.int64)], 1, {}),
    "trilu": ("Trilu", [f(3, 4)], 1, {}),
    "rfft": ("Rfft", [f(2, 8)], 1, {"signal_ndim": 1, "normalized": 0, "onesided": 1}),
    "gather_nd": ("GatherND", [f(2, 3, 4), np.zeros((5, 2), np.int64)], 1, {}),
    "moe": (
        "MoE", [f(6, 8), f(6, 4), f(4, 16, 8), f(4, 16), f(4, 8, 16), f(4, 8)], 1, {"k": 2, "activation_type": "relu"},
    ),
}  # fmt: skip


def as_node(name: str) -> Node:
    op_type, operands, results, attributes = CASES[name]
    tensors = tuple(
        None if array is None else Tensor(f"x{place}", array.shape, from_numpy(array), value=array)
        for place, array in enumerate(operands)
    )
    plain = {
        key: tuple(value) if isinstance(value, list) else value
        for key, value in attributes.items()
    }
    return Node(
        op_type, "n", tensors, tuple(Tensor(f"y{place}") for place in range(results)), plain, MS, 1
    )


@pytest.mark.parametrize("name", CASES)
def test_result_types_are_those_of_a_run(name):
    runtime = pytest.importorskip("onnxruntime")
    runtime.set_default_logger_severity(4)
    op_type, operands, results, attributes = CASES[name]
    names = ["" if array is None else f"x{place}" for place, array in enumerate(operands)]
    outputs = [
        f"y{place}" if place in (0, results - 1) or results <= 3 else ""
        for place in range(results)
    ]
    call = helper.make_node(op_type, names, outputs, domain=MS, **attributes)
    feeds = {name: array for name, array in zip(names, operands, strict=True) if name}
    inputs = [
        helper.make_tensor_value_info(
            key, helper.np_dtype_to_tensor_dtype(array.dtype), array.shape
        )
        for key, array in feeds.items()
    ]
    graph = helper.make_graph(
        [call], "g", inputs, [helper.make_empty_tensor_value_info(key) for key in outputs if key]
    )
    model = helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid("", 17), helper.make_opsetid(MS, 1)],
        ir_version=8,
    )
    try:
        session = runtime.InferenceSession(
            model.SerializeToString(), providers=["CPUExecutionProvider"]
        )
        found = dict(zip([key for key in outputs if key], session.run(None, feeds), strict=True))
    except Exception as error:
        if "NOT_IMPLEMENTED" in str(error):
            pytest.skip(f"this ONNX Runtime has no CPU kernel: {error}")
        raise
    node = as_node(name)
    row = lookup(node)
    assert row.shape is not None
    types = row.shape(node)
    for place, key in enumerate(outputs):
        if key:
            assert types[place] == (found[key].shape, from_numpy(found[key])), key


@pytest.mark.parametrize("name", CASES)
def test_broken_calls_raise_model_errors_only(name):
    node = as_node(name)
    assert lookup(node).kind is not Kind.UNSUPPORTED
    run(node)
    chance = random.Random(1)
    for _ in range(20):
        for broken in breakages(node, chance):
            try:
                run(broken)
            except ModelError:
                continue
