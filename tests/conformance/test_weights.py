"""Where weights hide: what is a parameter, what is not, and how many bytes it takes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from .graphs import FLOAT, Case, body, count, model, node, packed, value_info, values, weight

F32 = 4
DENSE = 64 * 64
X = {"x": [2, 64]}
FOUR_PRODUCTS = 2 * DENSE  # two rows through a 64x64 matrix


def shared_through_transposes() -> onnx.ModelProto:
    calls = []
    for layer in range(3):
        calls.append(node("Transpose", "w", f"t{layer}"))
        calls.append(node("MatMul", f"h{layer} t{layer}", f"h{layer + 1}"))
    return model(calls, {"h0": [2, 64]}, "h3", [weight("w", 64, 64)])


def zeros_by_constant_of_shape() -> onnx.ModelProto:
    fill = values("fill", [0], np.float32)
    return model(
        [node("ConstantOfShape", "shape", "w", value=fill), node("MatMul", "x w", "y")], X, "y",
        [values("shape", [64, 64])],
    )  # fmt: skip


def dequantized(element: int, bits: int, scale: list[int], **attributes):
    return lambda: model(
        [node("DequantizeLinear", "q s", "w", **attributes), node("MatMul", "x w", "y")], X, "y",
        [packed("q", element, bits, 64, 64), weight("s", *scale)], opset=23,
    )  # fmt: skip


def per_channel_with_zero_points() -> onnx.ModelProto:
    return model(
        [node("DequantizeLinear", "q s z", "w", axis=0), node("Conv", "x w", "y")], {"x": [1, 4, 8, 8]}, "y",
        [weight("q", 6, 4, 3, 3, dtype=np.int8), weight("s", 6), weight("z", 6, dtype=np.int8)],
    )  # fmt: skip


def quantized_both_ways() -> onnx.ModelProto:
    """QDQ as exporters write it: the input goes through Q and DQ, weight and bias through DQ."""
    return model(
        [
            node("QuantizeLinear", "x s z", "xq"), node("DequantizeLinear", "xq s z", "xd"),
            node("DequantizeLinear", "w s z", "wd"), node("DequantizeLinear", "b s", "bd"),
            node("Conv", "xd wd bd", "h"), node("QuantizeLinear", "h s z", "hq"),
            node("DequantizeLinear", "hq s z", "y"),
        ],
        {"x": [1, 4, 8, 8]}, "y",
        [weight("w", 6, 4, 3, 3, dtype=np.int8), weight("b", 6, dtype=np.int32),
         values("s", 0.1, np.float32), values("z", 0, np.int8)],
    )  # fmt: skip


def qlinearconv_with_bias() -> onnx.ModelProto:
    return model(
        [node("QLinearConv", "x s z w s wz s z b", "y")], {"x": (TensorProto.UINT8, [1, 4, 8, 8])}, "y",
        [weight("w", 6, 4, 3, 3, dtype=np.int8), weight("b", 6, dtype=np.int32),
         values("s", 0.1, np.float32), values("z", 0, np.uint8), values("wz", 0, np.int8)],
        result=TensorProto.UINT8,
    )  # fmt: skip


def convinteger() -> onnx.ModelProto:
    return model(
        [node("ConvInteger", "x w z", "y", strides=[2, 2])], {"x": (TensorProto.UINT8, [1, 4, 9, 9])}, "y",
        [weight("w", 6, 4, 3, 3, dtype=np.int8), values("z", 0, np.uint8)], result=TensorProto.INT32,
    )  # fmt: skip


def dynamic_quantization() -> onnx.ModelProto:
    return model(
        [
            node("DynamicQuantizeLinear", "x", "xq xs xz"), node("MatMulInteger", "xq w xz", "i"),
            node("Cast", "i", "f", to=FLOAT), node("Mul", "xs ws", "s"), node("Mul", "f s", "h"),
            node("Add", "h b", "y"),
        ],
        X, "y",
        [weight("w", 64, 32, dtype=np.int8), weight("ws", 32), weight("b", 32)],
    )  # fmt: skip


def qlinearmatmul() -> onnx.ModelProto:
    return model(
        [node("QLinearMatMul", "x s z w s z s z", "y")], {"x": (TensorProto.UINT8, [2, 64])}, "y",
        [weight("w", 64, 32, dtype=np.uint8), values("s", 0.1, np.float32), values("z", 0, np.uint8)],
        result=TensorProto.UINT8,
    )  # fmt: skip


def old_style() -> onnx.ModelProto:
    """IR version 3: every initializer is also a graph input."""
    return model(
        [node("MatMul", "x w", "h"), node("Add", "h b", "y")],
        {"x": [2, 64], "w": [64, 64], "b": [64]}, "y", [weight("w", 64, 64), weight("b", 64)], opset=9, ir=3,
    )  # fmt: skip


def settings() -> onnx.ModelProto:
    """Operands that steer: none of them is a parameter."""
    return model(
        [
            node("Reshape", "x shape", "r"), node("Pad", "r pads fill", "p"),
            node("Resize", "p _ scales", "z"), node("Clip", "z low high", "c"), node("Slice", "c start end", "s"),
            node("ReduceSum", "s axes", "y", keepdims=0),
        ],
        {"x": [1, 64]}, "y",
        [values("shape", [1, 1, 8, 8]), values("pads", [0, 0, 1, 1, 0, 0, 1, 1]), values("fill", 0, np.float32),
         values("scales", [1, 1, 2, 2], np.float32), values("low", 0, np.float32),
         values("high", 6, np.float32), values("start", [0, 0]), values("end", [1, 1]), values("axes", [1])],
    )  # fmt: skip


def embedding() -> onnx.ModelProto:
    return model(
        [node("Gather", "table ids", "y")],
        {"ids": (TensorProto.INT64, [1, 16])},
        "y",
        [weight("table", 1000, 32)],
    )


def half(element: int, dtype: str):
    return lambda: model(
        [node("MatMul", "x w", "y")], X, "y", [packed("w", element, 16, 64, 64)], element=element
    )  # fmt: skip


def in_branches() -> onnx.ModelProto:
    def branch(name: str, width: int) -> onnx.GraphProto:
        calls = [
            node("Constant", "", f"w_{name}", value=weight("", 64, width)),
            node("MatMul", f"x w_{name}", f"y_{name}"),
        ]
        return body(calls, [], [value_info(f"y_{name}", None)], name=name)

    return model(
        [
            node("Equal", "rate sixteen", "wide"),
            node("If", "wide", "y", then_branch=branch("then", 32), else_branch=branch("else", 16)),
        ],
        {**X, "rate": (TensorProto.INT64, [])}, "y", [values("sixteen", 16000)],
    )  # fmt: skip


BOTH = 64 * 32 + 64 * 16  # what the two branches store; one of them runs

CASES = (
    Case("shared_transposed", shared_through_transposes, 3 * 2 * DENSE, DENSE, DENSE * F32),
    Case("constant_of_shape", zeros_by_constant_of_shape, FOUR_PRODUCTS, DENSE, DENSE * F32),
    Case("uint4_per_column", dequantized(TensorProto.UINT4, 4, [64], axis=1),
         FOUR_PRODUCTS, DENSE, DENSE // 2 + 64 * F32),
    Case("int4_blocked", dequantized(TensorProto.INT4, 4, [2, 64], axis=0, block_size=32),
         FOUR_PRODUCTS, DENSE, DENSE // 2 + 2 * 64 * F32),
    Case("fp8", dequantized(TensorProto.FLOAT8E4M3FN, 8, []), FOUR_PRODUCTS, DENSE, DENSE),
    Case("fp4", dequantized(TensorProto.FLOAT4E2M1, 4, []), FOUR_PRODUCTS, DENSE, DENSE // 2),
    Case("int8_per_channel", per_channel_with_zero_points,
         6 * 6 * 6 * 36, 6 * 36, 6 * 36 + 6 * F32 + 6),
    Case("qdq", quantized_both_ways, 6 * 6 * 6 * 36, 6 * 36 + 6, 6 * 36 + 6 * 4),
    Case("qlinearconv_bias", qlinearconv_with_bias, 6 * 6 * 6 * 36, 6 * 36 + 6, 6 * 36 + 6 * 4),
    Case("convinteger", convinteger, 4 * 4 * 6 * 36, 6 * 36, 6 * 36),
    Case("qlinearmatmul", qlinearmatmul, 2 * 64 * 32, 64 * 32, 64 * 32),
    Case("bf16", half(TensorProto.BFLOAT16, "bf16"), FOUR_PRODUCTS, DENSE, DENSE * 2),
    Case("initializers_as_inputs", old_style, FOUR_PRODUCTS, DENSE + 64, (DENSE + 64) * F32),
    Case("settings", settings, 0, 0, 0),
    Case("embedding", embedding, 0, 1000 * 32, 1000 * 32 * F32),
    Case("prelu",
         lambda: model([node("PRelu", "x a", "y")], {"x": [1, 8, 4, 4]}, "y", [weight("a", 8, 1, 1)]),
         0, 8, 8 * F32),
    Case("constant_first",
         lambda: model([node("MatMul", "w x", "y")], {"x": [256, 4]}, "y", [weight("w", 100, 256)]),
         100 * 4 * 256, 100 * 256, 100 * 256 * F32),
    Case("gemm_bias",
         lambda: model([node("Gemm", "x w b", "y", transB=1)], X, "y", [weight("w", 10, 64), weight("b", 10)]),
         2 * 10 * 64, 10 * 64 + 10, (10 * 64 + 10) * F32),
    Case("scalar_is_a_setting",
         lambda: model([node("Mul", "x c", "y")], X, "y", [values("c", 0.125, np.float32)]), 0, 0, 0),
    Case("branch_then", in_branches, 2 * 64 * 32, BOTH, BOTH * F32, {"values": {"rate": 16000}}),
    Case("branch_else", in_branches, 2 * 64 * 16, BOTH, BOTH * F32, {"values": {"rate": 8000}}),
    Case("branch_undecided", in_branches, 2 * 64 * 32, BOTH, BOTH * F32),
)  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_weights(case: Case, tmp_path: Path) -> None:
    case.check(tmp_path)


def test_a_quantized_product_keeps_scales_and_bias_apart(tmp_path: Path) -> None:
    workload = count(dynamic_quantization(), tmp_path)
    assert workload.macs == 2 * 64 * 32
    # The weight is int8; the bias and the column scales are floats whichever of the two is called a parameter.
    assert workload.weight_bytes == 64 * 32 + 2 * 32 * F32


def test_an_undecided_branch_is_noted(tmp_path: Path) -> None:
    notes = " ".join(count(in_branches(), tmp_path).notes)
    assert "branch" in notes
    assert "rate" in notes or "--value" in notes


def test_running_statistics_are_not_trainable(tmp_path: Path) -> None:
    stored = [weight(name, 8) for name in ("scale", "bias", "mean", "var")]
    graph = model(
        [node("BatchNormalization", "x scale bias mean var", "y")],
        {"x": [1, 8, 4, 4]},
        "y",
        stored,
    )
    workload = count(graph, tmp_path)
    assert (workload.parameters, workload.trainable_parameters) == (4 * 8, 2 * 8)


def test_external_data_beside_the_model_and_beyond_two_gigabytes(tmp_path: Path) -> None:
    side = 30_000  # 900 million elements, 3.6 GB, stored as a file that is all hole
    stored = TensorProto(
        name="w", data_type=FLOAT, dims=[side, side], data_location=TensorProto.EXTERNAL
    )
    for key, text in (
        ("location", "weights.bin"),
        ("offset", "0"),
        ("length", str(side * side * F32)),
    ):
        stored.external_data.add(key=key, value=text)
    with (tmp_path / "weights.bin").open("wb") as file:
        file.truncate(side * side * F32)
    graph = model([node("MatMul", "x w", "y")], {"x": [1, side]}, "y", [stored])
    workload = count(graph, tmp_path)
    assert workload.macs == workload.parameters == side * side
    assert workload.weight_bytes == side * side * F32


def test_a_sparse_initializer_counts_as_the_dense_operand_it_stands_for(tmp_path: Path) -> None:
    graph = model([node("MatMul", "x w", "y")], X, "y")
    graph.graph.sparse_initializer.append(
        helper.make_sparse_tensor(
            values("w", [1.0, 2.0], np.float32), values("", [0, 65]), [64, 64]
        )
    )
    assert count(graph, tmp_path).macs == 2 * DENSE


@pytest.mark.parametrize(
    ("cuts", "read"),
    [
        (((0, 2), (6, 8), (2, 6)), 8),  # every row, in another order
        (((0, 2), (6, 8)), 4),
        (((0, 4), (2, 6)), 6),  # what two slices have in common is read once
        (((0, 2), (0, 2)), 2),
    ],
)
def test_joined_slices_of_a_weight_are_read_with_all_of_them(
    cuts: tuple[tuple[int, int], ...], read: int, tmp_path: Path
) -> None:
    stored, calls = [weight("w", 8, 4)], []
    for place, cut in enumerate(cuts):
        names = [f"{name}{place}" for name in ("from", "to", "axis")]
        stored += [values(name, [value]) for name, value in zip(names, (*cut, 0), strict=True)]
        calls.append(node("Slice", f"w {' '.join(names)}", f"part{place}"))
    calls.append(
        node("Concat", " ".join(f"part{place}" for place in range(len(cuts))), "all", axis=0)
    )
    calls.append(node("Transpose", "all", "turned", perm=[1, 0]))
    calls.append(node("MatMul", "x turned", "y"))
    workload = count(model(calls, {"x": [1, 4]}, "y", stored), tmp_path)
    (layer,) = [entry for entry in workload.layers if entry.cost.macs]
    assert (layer.cost.weights, layer.weight_bytes) == (4 * read, 16 * read)
    # The file stores all of it.
    assert layer.parameters == 32
