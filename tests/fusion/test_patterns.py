"""What is fused, what is not, and the bytes that a fused layer still moves, as formulas."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from roofline.binding import Binding
from roofline.errors import ModelError
from roofline.workload import Workload

from ..conformance.graphs import FLOAT, MS, loop_body, model, node, packed, values, weight

F32 = 4
PLANE = 8 * 6 * 6  # elements of what the convolutions here give
X = {"x": [1, 4, 8, 8]}
KERNEL = weight("w", 8, 4, 3, 3)


def fused(graph: onnx.ModelProto, **options: Any) -> Workload:
    workload = Workload.from_onnx(graph, binding=Binding(**options))
    assert sum(layer.cost.macs for layer in workload.fused_layers) == workload.macs
    return workload


def sizes(workload: Workload) -> list[int]:
    """How many ONNX nodes each fused layer holds."""
    return [max(1, len(layer.members)) for layer in workload.fused_layers]


def conv(
    *more: onnx.NodeProto, stored: Sequence[TensorProto] = (), result: str = "y"
) -> onnx.ModelProto:
    return model([node("Conv", "x w", "c"), *more], X, result, [KERNEL, *stored])


def constant(name: str, number: float) -> TensorProto:
    return values(name, number, np.float32)


def test_batch_norm_and_activation_join_their_convolution() -> None:
    stored = [weight(name, 8) for name in ("s", "b", "m", "v")]
    workload = fused(
        conv(node("BatchNormalization", "c s b m v", "n"), node("Relu", "n", "y"), stored=stored)
    )
    (layer,) = workload.fused_layers
    assert dict(workload.fusions) == {"batch_norm": 1, "activation": 1}
    assert layer.input_bytes == 4 * 8 * 8 * F32
    assert layer.output_bytes == PLANE * F32
    assert layer.weight_bytes == (8 * 4 * 9 + 4 * 8) * F32


ACTIVATIONS = {
    "Relu": ([node("Relu", "c", "y")], []),
    "Clip": ([node("Clip", "c low high", "y")], [constant("low", 0), constant("high", 6)]),
    "LeakyRelu": ([node("LeakyRelu", "c", "y")], []),
    "PRelu": ([node("PRelu", "c slope", "y")], [weight("slope", 8, 1, 1)]),
    "Sigmoid": ([node("Sigmoid", "c", "y")], []),
    "Tanh": ([node("Tanh", "c", "y")], []),
    "HardSigmoid": ([node("HardSigmoid", "c", "y")], []),
    "HardSwish": ([node("HardSwish", "c", "y")], []),
    "Gelu": ([node("Gelu", "c", "y")], []),
    "silu": ([node("Sigmoid", "c", "s"), node("Mul", "c s", "y")], []),
    "quick_gelu": (
        [node("Mul", "c k", "k1"), node("Sigmoid", "k1", "s"), node("Mul", "c s", "y")],
        [constant("k", 1.702)],
    ),
    "hard_swish": ([node("HardSigmoid", "c", "s"), node("Mul", "s c", "y")], []),
    "hard_swish_clip": (
        [
            node("Add", "c three", "a"), node("Clip", "a low six", "b"), node("Mul", "c b", "m"),
            node("Div", "m six", "y"),
        ],
        [constant("three", 3), constant("low", 0), constant("six", 6)],
    ),
    "mish": ([node("Softplus", "c", "p"), node("Tanh", "p", "t"), node("Mul", "c t", "y")], []),
    "gelu_erf": (
        [
            node("Div", "c root", "d"), node("Erf", "d", "e"), node("Add", "e one", "a"), node("Mul", "c a", "m"),
            node("Mul", "m half", "y"),
        ],
        [constant("root", 1.414), constant("one", 1), constant("half", 0.5)],
    ),
    "gelu_erf_half_first": (
        [
            node("Mul", "c half", "h"), node("Div", "c root", "d"), node("Erf", "d", "e"), node("Add", "e one", "a"),
            node("Mul", "h a", "y"),
        ],
        [constant("root", 1.414), constant("one", 1), constant("half", 0.5)],
    ),
    "gelu_tanh": (
        [
            node("Pow", "c three", "p"), node("Mul", "p k", "q"), node("Add", "c q", "r"), node("Mul", "r root", "s"),
            node("Tanh", "s", "t"), node("Add", "t one", "u"), node("Mul", "c half", "h"), node("Mul", "h u", "y"),
        ],
        [constant(*pair) for pair in (("three", 3), ("k", 0.0447), ("root", 0.798), ("one", 1), ("half", 0.5))],
    ),
}  # fmt: skip
NAMED = {
    "silu": "silu", "quick_gelu": "silu", "hard_swish": "hard_swish", "hard_swish_clip": "hard_swish", "mish": "mish",
    "gelu_erf": "gelu", "gelu_erf_half_first": "gelu", "gelu_tanh": "gelu",
}  # fmt: skip


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_an_activation_costs_no_traffic_behind_a_product(name: str) -> None:
    nodes, stored = ACTIVATIONS[name]
    workload = fused(conv(*nodes, stored=stored))
    (layer,) = workload.fused_layers
    assert layer.output_bytes == PLANE * F32
    assert layer.input_bytes == 4 * 8 * 8 * F32
    assert set(workload.fusions) == {NAMED.get(name, "activation")}


@pytest.mark.parametrize("name", ["gelu_erf", "gelu_erf_half_first", "gelu_tanh"])
def test_the_tail_of_a_gelu_without_its_sum_with_one_is_none(name: str) -> None:
    nodes, stored = ACTIVATIONS[name]
    (plus_one,) = [call for call in nodes if call.op_type == "Add" and "one" in call.input]
    kept = [
        onnx.NodeProto.FromString(call.SerializeToString())
        for call in nodes
        if call is not plus_one
    ]
    for call in kept:
        renamed = [
            plus_one.input[0] if read == plus_one.output[0] else read for read in call.input
        ]
        del call.input[:]
        call.input.extend(renamed)
    workload = fused(conv(*kept, stored=stored))
    assert "gelu" not in workload.fusions


def test_the_residual_sum_runs_with_the_product_that_ends_last() -> None:
    calls = [
        node("Conv", "x w", "c"), node("Relu", "c", "r"), node("Conv", "r v", "d"), node("Conv", "c u", "e"),
        node("Add", "e d", "s"), node("Relu", "s", "y"),
    ]  # fmt: skip
    stored = [KERNEL, weight("v", 8, 8, 1, 1), weight("u", 8, 8, 1, 1)]
    workload = fused(model(calls, X, "y", stored))
    # Conv c is read twice and keeps to itself; Conv e, the later one, takes the sum and the activation.
    last = workload.fused_layers[-1]
    assert [member.split("_")[0] for member in last.members] == ["e", "s", "y"]
    assert workload.fusions["residual_add"] == 1
    assert last.input_bytes == 2 * PLANE * F32
    assert last.output_bytes == PLANE * F32


def test_a_value_that_leaves_the_network_is_written() -> None:
    workload = fused(conv(node("Relu", "c", "y"), result="y c"))
    assert sizes(workload) == [1, 1]
    assert not workload.fusions


def test_a_value_read_twice_is_written_once() -> None:
    workload = fused(
        conv(node("Relu", "c", "a"), node("MaxPool", "c", "b", kernel_shape=[6, 6]), result="a b")
    )
    assert sizes(workload) == [1, 1, 1]


def test_a_broadcast_sum_is_no_residual() -> None:
    workload = fused(
        model(
            [node("Conv", "x w", "c"), node("Add", "c z", "y")],
            {**X, "z": [1, 8, 1, 1]},
            "y",
            [KERNEL],
        )
    )
    assert "residual_add" not in workload.fusions


def layer_norm(x: str = "x") -> list[onnx.NodeProto]:
    return [
        node("ReduceMean", f"{x} axes", "mu"), node("Sub", f"{x} mu", "d"), node("Pow", "d two", "q"),
        node("ReduceMean", "q axes", "var"), node("Add", "var eps", "ve"), node("Sqrt", "ve", "sd"),
        node("Div", "d sd", "n"), node("Mul", "n g", "ng"), node("Add", "ng b", "y"),
    ]  # fmt: skip


NORM = [
    values("axes", [-1]),
    constant("two", 2),
    constant("eps", 1e-5),
    weight("g", 64),
    weight("b", 64),
]
ROWS = {"x": [2, 8, 64]}


def test_layer_normalization_reads_and_writes_once() -> None:
    workload = fused(model(layer_norm(), ROWS, "y", NORM))
    (layer,) = workload.fused_layers
    assert dict(workload.fusions) == {"layer_norm": 1}
    assert (layer.input_bytes, layer.output_bytes) == (2 * 8 * 64 * F32, 2 * 8 * 64 * F32)


def test_root_mean_square_normalization() -> None:
    calls = [
        node("Pow", "x two", "q"), node("ReduceMean", "q axes", "var"), node("Add", "var eps", "ve"),
        node("Sqrt", "ve", "sd"), node("Reciprocal", "sd", "r"), node("Mul", "x r", "n"), node("Mul", "g n", "y"),
    ]  # fmt: skip
    workload = fused(model(calls, ROWS, "y", NORM))
    assert dict(workload.fusions) == {"rms_norm": 1}
    assert sizes(workload) == [7]


def test_softmax_written_out() -> None:
    calls = [
        node("ReduceMax", "x axes", "m"), node("Sub", "x m", "d"), node("Exp", "d", "e"),
        node("ReduceSum", "e axes", "s"), node("Div", "e s", "y"),
    ]  # fmt: skip
    workload = fused(model(calls, ROWS, "y", NORM))
    assert dict(workload.fusions) == {"softmax": 1}
    assert sizes(workload) == [5]


def attention(*mask: onnx.NodeProto, scores: str = "scaled", result: str = "y") -> onnx.ModelProto:
    calls = [
        node("MatMul", "q k", "s"), node("Div", "s root", "scaled"), *mask, node("Softmax", scores, "p"),
        node("MatMul", "p v", "y"),
    ]  # fmt: skip
    heads = {"q": [2, 4, 16, 8], "k": [2, 4, 8, 24], "v": [2, 4, 24, 8], "mask": [2, 1, 1, 24]}
    return model(calls, heads, result, [constant("root", 2.8), constant("low", -1e9)])


ATTENTION = {
    "plain": attention(),
    "masked": attention(node("Add", "scaled mask", "m"), scores="m"),
    "where": attention(
        node("Cast", "mask", "keep", to=TensorProto.BOOL),
        node("Where", "keep scaled low", "m"),
        scores="m",
    ),
}


@pytest.mark.parametrize("name", ATTENTION)
def test_the_scores_of_attention_stay_on_chip(name: str) -> None:
    workload = fused(ATTENTION[name])
    (layer,) = [layer for layer in workload.fused_layers if layer.cost.macs]
    assert workload.fusions["attention"] == 1
    assert layer.cost.macs == 2 * (2 * 4 * 16 * 24 * 8)
    queries, keys, mask = 2 * 4 * 16 * 8, 2 * 4 * 8 * 24, 0 if name == "plain" else 2 * 24
    # The mask of Where is a byte an element once it is cast.
    assert layer.input_bytes == (queries + 2 * keys) * F32 + mask * (1 if name == "where" else F32)
    assert layer.output_bytes == queries * F32


def test_attention_whose_weights_leave_is_not_fused() -> None:
    assert "attention" not in fused(attention(result="y p")).fusions


def qdq(*middle: onnx.NodeProto, last: str, element: type = np.int8) -> onnx.ModelProto:
    calls = [
        node("QuantizeLinear", "x s z", "xq"), node("DequantizeLinear", "xq s z", "xd"),
        node("DequantizeLinear", "w s z", "wd"), *middle, node("QuantizeLinear", f"{last} s z", "yq"),
        node("DequantizeLinear", "yq s z", "y"),
    ]  # fmt: skip
    stored = [weight("w", 8, 4, 3, 3, dtype=element), constant("s", 0.1), values("z", 0, element)]
    return model(calls, X, "y", stored)


def test_dequantize_compute_quantize_is_one_integer_layer() -> None:
    workload = fused(qdq(node("Conv", "xd wd", "c"), node("Relu", "c", "r"), last="r"))
    (layer,) = [layer for layer in workload.fused_layers if layer.cost.macs]
    assert layer.datatype == "int8"
    # Everything that crosses is a byte wide.
    assert (layer.input_bytes, layer.output_bytes) == (4 * 8 * 8, PLANE)
    assert {"dequantize", "activation", "quantize"} <= set(workload.fusions)


def test_a_value_dequantized_for_two_readers_is_read_quantized_by_both() -> None:
    workload = fused(
        qdq(
            node("Conv", "xd wd", "c"),
            node("Conv", "xd wd", "d"),
            node("Add", "c d", "a"),
            last="a",
        )
    )
    products = [layer for layer in workload.fused_layers if layer.cost.macs]
    assert [layer.input_bytes for layer in products] == [4 * 8 * 8, 4 * 8 * 8 + PLANE * F32]
    assert {layer.datatype for layer in products} == {"int8"}


def test_weight_only_quantization_runs_at_the_activations_type() -> None:
    graph = model(
        [node("DequantizeLinear", "q s", "w", block_size=32, axis=0), node("MatMul", "x w", "y")],
        {"x": [4, 64]}, "y",
        [packed("q", TensorProto.INT4, 4, 64, 64), weight("s", 2, 64, dtype=np.float16)],
        element=TensorProto.FLOAT16,
    )  # fmt: skip
    (layer,) = fused(graph).fused_layers
    assert layer.datatype == "fp16"
    # The weight is read packed, with one half-precision scale for each block of 32.
    assert layer.weight_bytes == 64 * 64 // 2 + 2 * 64 * 2


def test_dynamic_quantization_is_one_layer() -> None:
    calls = [
        node("DynamicQuantizeLinear", "x", "xq xs xz"), node("MatMulInteger", "xq w xz", "i"),
        node("Cast", "i", "f", to=FLOAT), node("Mul", "xs ws", "s"), node("Mul", "f s", "h"), node("Add", "h b", "y"),
    ]  # fmt: skip
    stored = [weight("w", 64, 32, dtype=np.int8), weight("ws", 32), weight("b", 32)]
    workload = fused(model(calls, {"x": [2, 64]}, "y", stored))
    (layer,) = workload.fused_layers
    assert layer.datatype == "int8"
    assert (layer.input_bytes, layer.output_bytes) == (2 * 64 * F32, 2 * 32 * F32)
    assert set(workload.fusions) == {"integer_rescale", "dynamic_quantize", "bias"}


DATATYPES = {
    "qlinear": (
        lambda: model(
            [node("QLinearMatMul", "x s z w s z s z", "y")], {"x": (TensorProto.UINT8, [2, 64])}, "y",
            [weight("w", 64, 32, dtype=np.uint8), constant("s", 0.1), values("z", 0, np.uint8)],
        ),
        "int8",
    ),
    "fp16": (
        lambda: model([node("MatMul", "x w", "y")], {"x": [2, 64]}, "y", [weight("w", 64, 32, dtype=np.float16)],
                      element=TensorProto.FLOAT16),
        "fp16",
    ),
    "bf16": (
        lambda: model([node("MatMul", "x w", "y")], {"x": [2, 64]}, "y",
                      [packed("w", TensorProto.BFLOAT16, 16, 64, 32)], element=TensorProto.BFLOAT16),
        "bf16",
    ),
    "nbits": (
        lambda: model(
            [node("MatMulNBits", "x w s", "y", MS, K=64, N=32, bits=4, block_size=32)], {"x": [1, 64]}, "y",
            [weight("w", 32, 2, 16, dtype=np.uint8), weight("s", 64, dtype=np.float16)], element=TensorProto.FLOAT16,
        ),
        "fp16",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", DATATYPES)
def test_arithmetic_runs_on_the_peak_of_its_operands(name: str) -> None:
    build, datatype = DATATYPES[name]
    (layer,) = fused(build()).fused_layers
    assert layer.datatype == datatype


def test_elementwise_calls_in_a_row_are_one_layer() -> None:
    calls = [
        node("Exp", "x", "a"),
        node("Neg", "a", "b"),
        node("Add", "b z", "c"),
        node("Sqrt", "c", "y"),
    ]
    workload = fused(model(calls, {"x": [2, 64], "z": [2, 64]}, "y"))
    (layer,) = workload.fused_layers
    assert layer.input_bytes == 2 * (2 * 64 * F32)
    assert layer.output_bytes == 2 * 64 * F32


def test_views_cost_nothing_and_hide_nothing() -> None:
    calls = [node("Conv", "x w", "c"), node("Reshape", "c flat", "r"), node("Relu", "r", "y")]
    (layer,) = fused(model(calls, X, "y", [KERNEL, values("flat", [1, -1])])).fused_layers
    assert layer.output_bytes == PLANE * F32


def test_constants_and_known_shapes_vanish_but_constant_products_stay() -> None:
    calls = [
        node("MatMul", "u v", "w"), node("Transpose", "w", "t"), node("Shape", "x", "shape"),
        node("MatMul", "x t", "h"), node("Reshape", "h shape2", "y"), node("Concat", "one shape", "shape2", axis=0),
    ]  # fmt: skip
    order = [calls[i] for i in (0, 1, 2, 3, 5, 4)]
    stored = [weight("u", 64, 32), weight("v", 32, 64), values("one", [1])]
    workload = fused(model(order, {"x": [2, 64]}, "y", stored))
    assert [layer.op_type for layer in workload.fused_layers] == ["MatMul", "MatMul"]
    assert workload.fusions["constant_folding"] == 3
    assert workload.macs == 64 * 32 * 64 + 2 * 64 * 64


def test_a_loop_body_is_fused_apart_from_what_is_around_it() -> None:
    step = loop_body([node("MatMul", "h w", "m"), node("Relu", "m", "h_next")], "h", "h_next")
    graph = model(
        [node("Loop", "trips go x", "a", body=step), node("Relu", "a", "y")], {"x": [4, 64]}, "y",
        [values("trips", 3), values("go", True, np.bool_), weight("w", 64, 64)],
    )  # fmt: skip
    workload = fused(graph)
    (body,) = [layer for layer in workload.fused_layers if layer.cost.macs]
    assert body.repeats == 3
    assert body.output_bytes == 3 * 4 * 64 * F32


def test_a_function_body_is_fused_across_its_border() -> None:
    act = helper.make_function(
        "local", "Act", ["x"], ["y"], [node("Relu", "x", "y")], [helper.make_opsetid("", 21)]
    )
    graph = model(
        [node("Conv", "x w", "c"), node("Act", "c", "y", "local")], X, "y", [KERNEL], functions=[act],
        domains={"local": 1},
    )  # fmt: skip
    assert sizes(fused(graph)) == [2]


def test_a_softmax_over_what_a_loop_counts_is_no_attention() -> None:
    graph = onnx.parser.parse_model(
        """<ir_version: 8, opset_import: ["" : 17]> g (int64 trips) => (float[n] y) {
            go = Constant <value: tensor = bool {1}> ()
            y = Loop (trips, go) <body: graph = b (int64 i, bool c) => (bool c2, float s) {
                c2 = Identity (c)
                f = Cast <to = 1> (i)
                a = Add (f, f)
                s = Softmax (a)
            }>
        }"""
    )
    assert fused(graph).macs == 0


def test_a_mode_of_padding_that_is_no_text_is_one_line() -> None:
    pads = values("pads", [0, 0, 1, 1, 0, 0, 1, 1])
    padding = node("Pad", "x pads", "p", mode=[1, 2])
    graph = model([padding, node("Conv", "p w", "y")], X, "y", [KERNEL, pads])
    with pytest.raises(ModelError, match="mode"):
        Workload.from_onnx(graph)


def test_an_activation_joins_the_normalization_that_it_alone_reads() -> None:
    """Both are one pass over the plane: it is read and written once."""
    stored = [weight("s", 4), weight("b", 4)]
    nodes = [node("InstanceNormalization", "x s b", "n"), node("Relu", "n", "y")]
    workload = fused(model(nodes, X, "y", stored))
    assert sizes(workload) == [2]
    (layer,) = workload.fused_layers
    assert (layer.input_bytes, layer.output_bytes) == (4 * 8 * 8 * F32, 4 * 8 * 8 * F32)
