"""Thirty one-operator graphs on which counting tools are known to differ; every answer is a closed formula."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from .graphs import FLOAT, MS, Case, loop_body, model, node, packed, values, weight

F32, F16, I8 = 4, 2, 1  # bytes of an element


def conv(
    shape: list[int | str],
    *kernel: int,
    element: int = FLOAT,
    dtype: type = np.float32,
    **attributes,
):
    return lambda: model(
        [node("Conv", "x w", "y", **attributes)], {"x": shape}, "y", [weight("w", *kernel, dtype=dtype)],
        element=element,
    )  # fmt: skip


def matmul(*nodes: onnx.NodeProto, stored: TensorProto | None = None, **options):
    weights = [] if stored is None else [stored]
    return lambda: model(
        [*nodes, node("MatMul", "x w", "y")], {"x": [4, 256]}, "y", weights, **options
    )


def dequantized(element: int, bits: int):
    return lambda: model(
        [node("DequantizeLinear", "q s", "w"), node("MatMul", "x w", "y")], {"x": [4, 256]}, "y",
        [packed("q", element, bits, 256, 256), values("s", 0.1, np.float32)], opset=25, ir=13,
    )  # fmt: skip


def qdq_conv() -> onnx.ModelProto:
    return model(
        [node("DequantizeLinear", "q s z", "w"), node("Conv", "x w", "y", pads=[1, 1, 1, 1])],
        {"x": [1, 32, 28, 28]}, "y",
        [weight("q", 64, 32, 3, 3, dtype=np.int8), values("s", 0.1, np.float32), values("z", 0, np.int8)],
    )  # fmt: skip


def qlinearconv() -> onnx.ModelProto:
    scales = [values(name, 0.1, np.float32) for name in ("xs", "ws", "ys")]
    zeros = [values("xz", 0, np.uint8), values("wz", 0, np.int8), values("yz", 0, np.uint8)]
    return model(
        [node("QLinearConv", "x xs xz w ws wz ys yz", "y", pads=[1, 1, 1, 1])],
        {"x": (TensorProto.UINT8, [1, 16, 14, 14])}, "y",
        [weight("w", 32, 16, 3, 3, dtype=np.int8), *scales, *zeros], result=TensorProto.UINT8,
    )  # fmt: skip


def rnn(op: str, gates: int):
    stored = [
        weight("w", 1, gates * 64, 64),
        weight("r", 1, gates * 64, 64),
        weight("b", 1, 2 * gates * 64),
    ]
    return lambda: model(
        [node(op, "x w r b", "y", hidden_size=64)], {"x": [100, 1, 64]}, "y", stored
    )


def sparse() -> onnx.ModelProto:
    kernel = np.random.default_rng(0).random((64, 32, 3, 3), np.float32)
    kernel[kernel < 0.9] = 0
    stored = onnx.numpy_helper.from_array(kernel, "w")
    return model([node("Conv", "x w", "y", pads=[1] * 4)], {"x": [1, 32, 28, 28]}, "y", [stored])


def shared() -> onnx.ModelProto:
    calls = [node("Conv", "x w", "h", pads=[1] * 4), node("Conv", "h w", "y", pads=[1] * 4)]
    return model(calls, {"x": [1, 16, 14, 14]}, "y", [weight("w", 16, 16, 3, 3)])


def loop() -> onnx.ModelProto:
    step = loop_body([node("MatMul", "h w", "h_next")], "h", "h_next")
    return model(
        [node("Loop", "trips go x", "y", body=step)], {"x": [4, 64]}, "y",
        [values("trips", 10), values("go", True, np.bool_), weight("w", 64, 64)],
    )  # fmt: skip


def nbits() -> onnx.ModelProto:
    return model(
        [node("MatMulNBits", "x w s", "y", MS, K=4096, N=4096, bits=4, block_size=32)], {"x": [1, 4096]}, "y",
        [weight("w", 4096, 128, 16, dtype=np.uint8), weight("s", 4096 * 128)],
    )  # fmt: skip


def function() -> onnx.ModelProto:
    dense = helper.make_function(
        "local",
        "Dense",
        ["x", "w"],
        ["y"],
        [node("MatMul", "x w", "y")],
        [helper.make_opsetid("", 21)],
    )
    return model(
        [node("Dense", "x w", "y", "local")], {"x": [4, 256]}, "y", [weight("w", 256, 100)], functions=[dense],
        domains={"local": 1},
    )  # fmt: skip


def external() -> onnx.ModelProto:
    stored = TensorProto(
        name="w", data_type=FLOAT, dims=[256, 100], data_location=TensorProto.EXTERNAL
    )
    stored.external_data.add(key="location", value="absent.bin")
    return matmul(stored=stored)()


def attention() -> onnx.ModelProto:
    heads = [1, 8, 128, 64]
    return model(
        [node("Attention", "q k v", "y")],
        {"q": heads, "k": heads, "v": heads},
        "y",
        opset=23,
        ir=11,
    )


def products(op: str, b: list[int], **attributes):
    return lambda: model(
        [node(op, "a b", "y", **attributes)], {"a": [2, 12, 197, 64], "b": b}, "y"
    )


CONV = 28 * 28 * 64 * 32 * 9  # 3x3 kernels, 32 to 64 channels, on 28x28 positions
DENSE = 256 * 100  # the weights of a product by a 256x100 matrix
FOUR = 4 * DENSE  # four rows go through it

CASES = (
    Case("conv_group", conv([1, 32, 28, 28], 64, 8, 3, 3, pads=[1] * 4, group=4),
         28 * 28 * 64 * 8 * 9, 64 * 8 * 9, 64 * 8 * 9 * F32),
    Case("conv_dw_nokernelattr", conv([1, 32, 56, 56], 32, 1, 3, 3, pads=[1] * 4, group=32),
         56 * 56 * 32 * 9, 32 * 9, 32 * 9 * F32),
    Case("conv_samepad_s2", conv([1, 3, 225, 225], 8, 3, 3, 3, auto_pad="SAME_UPPER", strides=[2, 2]),
         113 * 113 * 8 * 27, 8 * 27, 8 * 27 * F32),
    Case("conv1d", conv([1, 16, 100], 32, 16, 5, pads=[2, 2]), 100 * 32 * 80, 32 * 80, 32 * 80 * F32),
    Case("conv3d", conv([1, 3, 8, 16, 16], 4, 3, 3, 3, 3, pads=[1] * 6),
         8 * 16 * 16 * 4 * 81, 4 * 81, 4 * 81 * F32),
    Case("convtranspose",
         lambda: model([node("ConvTranspose", "x w", "y", strides=[2, 2], pads=[1] * 4)],
                       {"x": [1, 16, 14, 14]}, "y", [weight("w", 16, 8, 4, 4)]),
         16 * 14 * 14 * 8 * 16, 16 * 8 * 16, 16 * 8 * 16 * F32),
    Case("gemm_transA",
         lambda: model([node("Gemm", "a b", "y", transA=1)], {"a": [64, 2]}, "y", [weight("b", 64, 10)]),
         2 * 10 * 64, 64 * 10, 64 * 10 * F32),
    Case("matmul_batched", products("MatMul", [2, 12, 64, 197]), 2 * 12 * 197 * 197 * 64),
    Case("matmul_vec",
         lambda: model([node("MatMul", "x w", "y")], {"x": [64]}, "y", [weight("w", 64, 10)]),
         64 * 10, 64 * 10, 64 * 10 * F32),
    Case("einsum_qk", products("Einsum", [2, 12, 197, 64], equation="bhqd,bhkd->bhqk"), 2 * 12 * 197 * 197 * 64),
    Case("lstm_T100", rnn("LSTM", 4), 100 * 4 * 64 * 128, 4 * 64 * 130, 4 * 64 * 130 * F32),
    Case("gru_T100", rnn("GRU", 3), 100 * 3 * 64 * 128, 3 * 64 * 130, 3 * 64 * 130 * F32),
    Case("dyn_batch", conv(["N", 3, 32, 32], 8, 3, 3, 3, pads=[1] * 4), 32 * 32 * 8 * 27, 8 * 27, 8 * 27 * F32),
    Case("qdq_int8_conv", qdq_conv, CONV, 64 * 32 * 9, 64 * 32 * 9 * I8),
    Case("qdq_int4_matmul", dequantized(TensorProto.INT4, 4), 4 * 256 * 256, 256 * 256, 256 * 256 // 2),
    Case("qdq_int2_matmul", dequantized(getattr(TensorProto, "INT2", 0), 2), 4 * 256 * 256, 256 * 256, 256 * 64),
    Case("qlinearconv", qlinearconv, 14 * 14 * 32 * 16 * 9, 32 * 16 * 9, 32 * 16 * 9 * I8),
    Case("matmulinteger",
         lambda: model([node("MatMulInteger", "x w", "y")], {"x": (TensorProto.UINT8, [4, 256])}, "y",
                       [weight("w", 256, 128, dtype=np.int8)], result=TensorProto.INT32),
         4 * 256 * 128, 256 * 128, 256 * 128 * I8),
    Case("sparse90_conv", sparse, CONV, 64 * 32 * 9, 64 * 32 * 9 * F32),
    Case("shared_weight", shared, 2 * 14 * 14 * 16 * 16 * 9, 16 * 16 * 9, 16 * 16 * 9 * F32),
    Case("loop10_matmul", loop, 10 * 4 * 64 * 64, 64 * 64, 64 * 64 * F32),
    Case("weight_via_transpose", matmul(node("Transpose", "t", "w"), stored=weight("t", 100, 256)),
         FOUR, DENSE, DENSE * F32),
    Case("weight_via_reshape",
         lambda: model([node("Reshape", "t shape", "w"), node("MatMul", "x w", "y")], {"x": [4, 256]}, "y",
                       [weight("t", DENSE), values("shape", [256, 100])]),
         FOUR, DENSE, DENSE * F32),
    Case("weight_in_Constant", matmul(node("Constant", "", "w", value=weight("w", 256, 100))),
         FOUR, DENSE, DENSE * F32),
    Case("attention_op23", attention, 2 * 8 * 128 * 128 * 64),
    Case("ms_matmulnbits", nbits, 4096 * 4096, 4096 * 4096, 4096 * 4096 // 2 + 4096 * 128 * F32),
    Case("local_function", function, FOUR, DENSE, DENSE * F32),
    Case("fp16_conv",
         conv([1, 16, 14, 14], 16, 16, 3, 3, pads=[1] * 4, element=TensorProto.FLOAT16, dtype=np.float16),
         14 * 14 * 16 * 16 * 9, 16 * 16 * 9, 16 * 16 * 9 * F16),
    Case("newest_ir",
         matmul(stored=weight("w", 256, 100), opset=onnx.defs.onnx_opset_version(), ir=int(onnx.IR_VERSION)),
         FOUR, DENSE, DENSE * F32),
    Case("extdata_missing", external, FOUR, DENSE, DENSE * F32),
)  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_counts_follow_from_the_definition(case: Case, tmp_path: Path) -> None:
    if case.name == "qdq_int2_matmul" and not hasattr(TensorProto, "INT2"):
        pytest.skip("the installed onnx has no 2-bit integers")
    case.check(tmp_path)


def test_there_are_thirty() -> None:
    assert len({case.name for case in CASES}) == 30


def test_a_symbolic_batch_counts_per_item_and_says_so(tmp_path: Path) -> None:
    (case,) = [case for case in CASES if case.name == "dyn_batch"]
    workload = case.check(tmp_path)
    assert any("batch 1" in note for note in workload.notes)
    eight = Case(
        "batch8", case.build, 8 * case.macs, case.parameters, case.weight_bytes, {"batch": 8}
    )
    assert eight.check(tmp_path).batch == 8
