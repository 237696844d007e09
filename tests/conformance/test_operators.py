"""Operators on which counts are commonly wrong: windows, recurrences, contractions, fused attention."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto

from .graphs import MS, Case, model, node, values, weight

F32 = 4


def conv_after(op: str, size: int, **attributes):
    """A pool or resize, then a 1x1 convolution whose count tells the size between them."""
    return lambda: model(
        [node(op, "x", "h", **attributes), node("Conv", "h w", "y")], {"x": [1, 4, size, size]}, "y",
        [weight("w", 8, 4, 1, 1)],
    )  # fmt: skip


def resized(inputs: str, stored: list[TensorProto], **attributes):
    return lambda: model(
        [node("Resize", inputs, "h", **attributes), node("Conv", "h w", "y")], {"x": [1, 4, 10, 10]}, "y",
        [weight("w", 8, 4, 1, 1), *stored],
    )  # fmt: skip


def transposed(shape: list[int], kernel: list[int], **attributes):
    """A ConvTranspose, then a 1x1 convolution whose count tells the size of its result."""
    group = attributes.get("group", 1)
    return lambda: model(
        [node("ConvTranspose", "x w", "h", **attributes), node("Conv", "h v", "y")], {"x": shape}, "y",
        [weight("w", *kernel), weight("v", 8, kernel[1] * group, 1, 1)],
    )  # fmt: skip


def one_conv(shape: list[int], *kernel: int, **attributes):
    return lambda: model(
        [node("Conv", "x w", "y", **attributes)], {"x": shape}, "y", [weight("w", *kernel)]
    )


def recurrent(op: str, gates: int, directions: int, **attributes):
    stored = [
        weight("w", directions, gates * 32, 16), weight("r", directions, gates * 32, 32),
        weight("b", directions, 2 * gates * 32),
    ]  # fmt: skip
    return lambda: model(
        [node(op, "x w r b", "y", hidden_size=32, **attributes)], {"x": [20, 3, 16]}, "y", stored
    )


def gates(number: int, directions: int) -> tuple[int, int, int]:
    """MACs, parameters, bytes: 20 steps of batch 3, 16 inputs, 32 units."""
    matrices = directions * number * 32 * (16 + 32)
    stored = matrices + directions * 2 * number * 32
    return 20 * 3 * matrices, stored, stored * F32


def dynamic_lstm() -> onnx.ModelProto:
    scales = [values(name, [0.1], np.float32) for name in ("ws", "rs")]
    zeros = [values(name, [0], np.uint8) for name in ("wz", "rz")]
    stored = [
        weight("w", 1, 16, 4 * 32, dtype=np.uint8), weight("r", 1, 32, 4 * 32, dtype=np.uint8),
        weight("b", 1, 8 * 32),
    ]  # fmt: skip
    return model(
        [node("DynamicQuantizeLSTM", "x w r b _ _ _ _ ws wz rs rz", "y", MS, hidden_size=32)],
        {"x": [20, 3, 16]}, "y", [*stored, *scales, *zeros],
    )  # fmt: skip


def einsum(equation: str, **shapes: list[int]):
    return lambda: model([node("Einsum", " ".join(shapes), "y", equation=equation)], shapes, "y")


def qattention() -> onnx.ModelProto:
    return model(
        [node("QAttention", "x w b s ws", "y", MS, num_heads=4)], {"x": (TensorProto.UINT8, [2, 16, 64])}, "y",
        [weight("w", 64, 192, dtype=np.int8), weight("b", 192), values("s", 0.1, np.float32),
         values("ws", 0.1, np.float32)],
    )  # fmt: skip


def ms_attention() -> onnx.ModelProto:
    return model(
        [node("Attention", "x w b", "y", MS, num_heads=4)], {"x": [2, 16, 64]}, "y",
        [weight("w", 64, 192), weight("b", 192)],
    )  # fmt: skip


def multi_head() -> onnx.ModelProto:
    return model(
        [node("MultiHeadAttention", "q k v", "y", MS, num_heads=4)],
        {"q": [2, 16, 64], "k": [2, 24, 64], "v": [2, 24, 96]}, "y",
    )  # fmt: skip


def grouped_query() -> onnx.ModelProto:
    """One new token after 127 in the cache; 8 query heads share 2 key heads of size 64."""
    return model(
        [node("GroupQueryAttention", "q k v pk pv seen total", "y nk nv", MS, num_heads=8, kv_num_heads=2)],
        {"q": [1, 1, 512], "k": [1, 1, 128], "v": [1, 1, 128], "pk": [1, 2, 127, 64], "pv": [1, 2, 127, 64]},
        "y", [values("seen", [127], np.int32), values("total", 128, np.int32)],
    )  # fmt: skip


def cached_attention() -> onnx.ModelProto:
    """The standard operator with 3-D operands, grouped heads and a cache of 100 positions."""
    return model(
        [node("Attention", "q k v _ pk pv", "y nk nv", q_num_heads=8, kv_num_heads=2)],
        {"q": [1, 4, 512], "k": [1, 4, 128], "v": [1, 4, 128], "pk": [1, 2, 100, 64], "pv": [1, 2, 100, 64]},
        "y", opset=23, ir=11,
    )  # fmt: skip


def fused_matmul() -> onnx.ModelProto:
    return model(
        [node("FusedMatMul", "a b", "y", MS, transA=1, transB=1)],
        {"a": [3, 16, 8], "b": [3, 24, 16]},
        "y",
    )


def to_float() -> onnx.ModelProto:
    return model(
        [node("MatMulIntegerToFloat", "x w s ws _ _ b", "y", MS)], {"x": (TensorProto.UINT8, [2, 64])}, "y",
        [weight("w", 64, 32, dtype=np.int8), values("s", 0.1, np.float32), weight("ws", 32), weight("b", 32)],
    )  # fmt: skip


def dynamic_matmul() -> onnx.ModelProto:
    return model(
        [node("DynamicQuantizeMatMul", "x w ws", "y", MS)], {"x": [2, 64]}, "y",
        [weight("w", 64, 32, dtype=np.int8), values("ws", 0.1, np.float32)],
    )  # fmt: skip


def nbits_with_zero_points() -> onnx.ModelProto:
    return model(
        [node("MatMulNBits", "x w s z", "y", MS, K=256, N=128, bits=4, block_size=32)], {"x": [5, 256]}, "y",
        [weight("w", 128, 8, 16, dtype=np.uint8), weight("s", 128 * 8), weight("z", 128 * 4, dtype=np.uint8)],
    )  # fmt: skip


def skip_norm() -> onnx.ModelProto:
    return model(
        [
            node("SkipLayerNormalization", "x s g b", "n", MS), node("MatMul", "n w", "h"),
            node("BiasGelu", "h c", "u", MS), node("FastGelu", "u", "v", MS), node("Gelu", "v", "y"),
        ],
        {"x": [2, 8, 64], "s": [2, 8, 64]}, "y",
        [weight("g", 64), weight("b", 64), weight("w", 64, 32), weight("c", 32)],
    )  # fmt: skip


NARROW = 8 * 4  # products of a 1x1 convolution from 4 to 8 channels at one position
W1 = (8 * 4, 8 * 4 * F32)  # its parameters and bytes

CASES = (
    # floor((11 - 3) / 2) + 1 = 5 positions, and with ceil_mode on 12: ceil((12 - 3) / 2) + 1 = 6.
    Case("pool_floor", conv_after("MaxPool", 11, kernel_shape=[3, 3], strides=[2, 2]), 5 * 5 * NARROW, *W1),
    Case("pool_ceil", conv_after("MaxPool", 12, kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1),
         6 * 6 * NARROW, *W1),
    Case("average_ceil", conv_after("AveragePool", 12, kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1),
         6 * 6 * NARROW, *W1),
    # With a stride above the kernel a third window would start beyond the 6 columns: it is dropped.
    Case("pool_ceil_overhang", conv_after("MaxPool", 6, kernel_shape=[1, 1], strides=[4, 4], ceil_mode=1),
         2 * 2 * NARROW, *W1),
    Case("pool_dilated", conv_after("MaxPool", 11, kernel_shape=[3, 3], dilations=[2, 2]), 7 * 7 * NARROW, *W1),
    Case("pool_same_lower",
         conv_after("AveragePool", 11, kernel_shape=[3, 3], strides=[2, 2], auto_pad="SAME_LOWER"),
         6 * 6 * NARROW, *W1),
    Case("global_pool", conv_after("GlobalAveragePool", 11), NARROW, *W1),
    Case("resize_scales", resized("x _ scales", [values("scales", [1, 1, 1.5, 2.55], np.float32)]),
         15 * 25 * NARROW, *W1),
    Case("resize_sizes", resized("x _ _ sizes", [values("sizes", [1, 4, 7, 13])]), 7 * 13 * NARROW, *W1),
    Case("resize_axes", resized("x _ _ sizes", [values("sizes", [20, 30])], axes=[2, 3]), 20 * 30 * NARROW, *W1),
    Case("resize_keep_ratio",
         resized("x _ _ sizes", [values("sizes", [20, 30])], axes=[2, 3], keep_aspect_ratio_policy="not_larger"),
         20 * 20 * NARROW, *W1),
    Case("conv_dilated_depthwise", one_conv([1, 16, 30, 30], 16, 1, 3, 3, group=16, dilations=[4, 4]),
         22 * 22 * 16 * 9, 16 * 9, 16 * 9 * F32),
    Case("conv_same_lower", one_conv([1, 3, 10, 10], 5, 3, 2, 2, auto_pad="SAME_LOWER", strides=[3, 3]),
         4 * 4 * 5 * 12, 5 * 12, 5 * 12 * F32),
    Case("conv_valid", one_conv([1, 3, 10, 10], 5, 3, 4, 4, auto_pad="VALID", strides=[3, 3]),
         3 * 3 * 5 * 48, 5 * 48, 5 * 48 * F32),
    Case("conv_asymmetric_pads", one_conv([2, 3, 10, 12], 5, 3, 3, 5, pads=[0, 1, 2, 3]),
         2 * 10 * 12 * 5 * 45, 5 * 45, 5 * 45 * F32),
    # Products are counted by input element; the 1x1 convolution after it counts 8 times its channels per position.
    Case("convt_groups", transposed([1, 8, 5, 5], [8, 3, 3, 3], group=2, strides=[2, 2]),
         8 * 25 * 3 * 9 + 11 * 11 * 8 * 6, 8 * 27 + 48, (8 * 27 + 48) * F32),
    Case("convt_output_padding",
         transposed([1, 4, 5, 5], [4, 6, 3, 3], strides=[2, 2], pads=[1] * 4, output_padding=[1, 1]),
         4 * 25 * 6 * 9 + 10 * 10 * 8 * 6, 4 * 54 + 48, (4 * 54 + 48) * F32),
    Case("convt_output_shape", transposed([1, 4, 5, 5], [4, 6, 3, 3], strides=[2, 2], output_shape=[10, 9]),
         4 * 25 * 6 * 9 + 10 * 9 * 8 * 6, 4 * 54 + 48, (4 * 54 + 48) * F32),
    Case("convt_same", transposed([1, 4, 5, 5], [4, 6, 3, 3], strides=[2, 2], auto_pad="SAME_UPPER"),
         4 * 25 * 6 * 9 + 10 * 10 * 8 * 6, 4 * 54 + 48, (4 * 54 + 48) * F32),
    Case("convt_dilated", transposed([1, 4, 5, 5], [4, 6, 3, 3], dilations=[2, 2]),
         4 * 25 * 6 * 9 + 9 * 9 * 8 * 6, 4 * 54 + 48, (4 * 54 + 48) * F32),
    Case("lstm_bidirectional", recurrent("LSTM", 4, 2, direction="bidirectional"), *gates(4, 2)),
    Case("gru_reset_after", recurrent("GRU", 3, 1, linear_before_reset=1), *gates(3, 1)),
    Case("gru_reverse", recurrent("GRU", 3, 1, direction="reverse"), *gates(3, 1)),
    Case("rnn_bidirectional", recurrent("RNN", 1, 2, direction="bidirectional"), *gates(1, 2)),
    Case("dynamic_quantize_lstm", dynamic_lstm, 20 * 3 * 4 * 32 * 48, 4 * 32 * 48 + 256, 4 * 32 * 48 + 256 * F32),
    Case("einsum_ellipsis", einsum("...ij,...jk->...ik", a=[2, 3, 5, 7], b=[2, 3, 7, 11]), 2 * 3 * 5 * 7 * 11),
    Case("einsum_implicit", einsum("ij,jk", a=[5, 7], b=[7, 11]), 5 * 7 * 11),
    # One accumulation at each point of the label space; the further products are other operations.
    Case("einsum_three", einsum("bi,ij,bj->b", a=[3, 5], w=[5, 7], c=[3, 7]), 3 * 5 * 7),
    Case("einsum_transpose", einsum("ij->ji", a=[5, 7]), 0),
    Case("matmul_broadcast",
         lambda: model([node("MatMul", "a b", "y")], {"a": [5, 1, 6, 7], "b": [4, 7, 3]}, "y"), 5 * 4 * 6 * 3 * 7),
    Case("matmul_dot", lambda: model([node("MatMul", "a b", "y")], {"a": [9], "b": [9]}, "y"), 9),
    Case("qattention", qattention, 2 * 16 * 64 * 192 + 2 * (2 * 16 * 16 * 64), 64 * 192 + 192, 64 * 192 + 192 * F32),
    Case("ms_attention", ms_attention,
         2 * 16 * 64 * 192 + 2 * (2 * 16 * 16 * 64), 64 * 192 + 192, (64 * 192 + 192) * F32),
    # q·k over 64 channels and weights·v over 96, for every pair of 16 queries and 24 keys.
    Case("multi_head", multi_head, 2 * 16 * 24 * 64 + 2 * 16 * 24 * 96),
    Case("grouped_query", grouped_query, 2 * 8 * 1 * 128 * 64),
    Case("attention_cached", cached_attention, 2 * 8 * 4 * 104 * 64),
    Case("fused_matmul", fused_matmul, 3 * 8 * 24 * 16),
    Case("matmul_to_float", to_float, 2 * 64 * 32, 64 * 32 + 32, 64 * 32 + (32 + 32) * F32),
    Case("dynamic_quantize_matmul", dynamic_matmul, 2 * 64 * 32, 64 * 32, 64 * 32),
    Case("matmul_nbits_zero_points", nbits_with_zero_points,
         5 * 256 * 128, 256 * 128, 256 * 128 // 2 + 128 * 8 * F32 + 128 * 4),
    Case("skip_norm_gelu", skip_norm, 2 * 8 * 64 * 32, 64 * 2 + 64 * 32 + 32, (64 * 2 + 64 * 32 + 32) * F32),
)  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_operators(case: Case, tmp_path: Path) -> None:
    case.check(tmp_path)
