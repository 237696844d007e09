"""Unusual but legal graphs, counted and run: products and result shapes must be those that ONNX Runtime has."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

import roofline

from ..conformance.graphs import INT64, MS, body, model, node, value_info, values, weight
from .runtime import ran

pytest.importorskip("onnxruntime")

BOOL, UINT8 = TensorProto.BOOL, TensorProto.UINT8
F32 = np.float32

CASES: dict[str, tuple[onnx.ModelProto, Mapping[str, Any], Mapping[str, Any]]] = {}


def case(name: str, graph: onnx.ModelProto, fed: Mapping[str, Any] | None = None, **options: Any):
    """Register a model, what it is fed, and the options it is counted with."""
    CASES[name] = (graph, fed or {}, options)


IR = {7: 3, 9: 4, 10: 5}
"""The version of the format that came with an old operator set; of others the tenth."""


def matrix(name, nodes, inputs, shape, stored=(), *, opset=21):
    """The calls give h; its product with a matrix tells its size."""
    calls = [*nodes, node("MatMul", "h w", "y")]
    stored = [weight("w", *shape), *stored]
    case(name, model(calls, inputs, "y", stored, opset=opset, ir=IR.get(opset, 10)))


def conv(name, nodes, inputs, channels, stored=(), *, opset=21, rank=2):
    """The calls give h; a convolution with a kernel of one tells its size."""
    calls = [*nodes, node("Conv", "h w", "y")]
    kernel = weight("w", 3, channels, *[1] * rank)
    stored = [kernel, *stored]
    case(name, model(calls, inputs, "y", stored, opset=opset, ir=IR.get(opset, 10)))


# Old operator sets: attributes where operands are today.
IMAGE = {"x": [1, 2, 5, 5]}
for opset, (name, call, *stored) in (
    (7, ("upsample7", node("Upsample", "x", "h", mode="nearest", scales=[1.0, 1.0, 2.0, 3.0]))),
    (9, ("upsample9", node("Upsample", "x s", "h"), values("s", [1, 1, 2, 3], F32))),
    (10, ("resize10", node("Resize", "x s", "h"), values("s", [1, 1, 1.5, 3.3], F32))),
    (7, ("slice7", node("Slice", "x", "h", starts=[1, -3], ends=[2**63 - 1, -1], axes=[2, 3]))),
    (7, ("pad7", node("Pad", "x", "h", pads=[0, 0, 1, 2, 0, 0, 3, -1]))),
):
    conv(name, [call], IMAGE, 2, stored, opset=opset)
matrix("split2_default", [node("Split", "x", "a h")], {"x": [4, 8]}, (8, 6), opset=9)
matrix(
    "split18_uneven",
    [node("Split", "x", "a b h", axis=1, num_outputs=3)],
    {"x": [4, 8]},
    (2, 6),
    opset=18,
)

# Windows.
for name, graph in {
    "conv1d": model([node("Conv", "x w", "y", group=3, dilations=[2], pads=[3, 1], strides=[2])], {"x": [2, 6, 31]},
                    "y", [weight("w", 9, 2, 4)]),
    "conv3d_same": model([node("Conv", "x w", "y", auto_pad="SAME_UPPER", strides=[2, 1, 3])],
                         {"x": [1, 2, 7, 8, 9]}, "y", [weight("w", 3, 2, 2, 3, 4)]),
    "convt3d_grouped": model(
        [node("ConvTranspose", "x w", "y", group=2, strides=[2, 1, 3], pads=[1, 0, 1, 0, 1, 1],
              output_padding=[1, 0, 2])], {"x": [1, 4, 3, 4, 5]}, "y", [weight("w", 4, 3, 2, 3, 4)]),
    "convt1d_output_shape": model([node("ConvTranspose", "x w", "y", strides=[3], output_shape=[20])],
                                  {"x": [1, 4, 7]}, "y", [weight("w", 4, 3, 5)]),
    "convt_same_lower": model([node("ConvTranspose", "x w", "y", strides=[2, 3], auto_pad="SAME_LOWER")],
                              {"x": [1, 4, 7, 6]}, "y", [weight("w", 4, 3, 3, 5)]),
    "convt_weight_is_input": model([node("ConvTranspose", "x w", "y", strides=[2, 2])],
                                   {"x": [1, 4, 7, 6], "w": [4, 3, 2, 2]}, "y"),
}.items():  # fmt: skip
    case(name, graph)
conv("pool3d_ceil",
     [node("MaxPool", "x", "h", kernel_shape=[2] * 3, strides=[2] * 3, ceil_mode=1, pads=[0, 1, 0, 1, 0, 1])],
     {"x": [1, 2, 7, 8, 9]}, 2, rank=3)  # fmt: skip
conv("lppool_ceil_dilated",
     [node("LpPool", "x", "h", kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1, dilations=[2, 2])],
     {"x": [1, 2, 12, 13]}, 2, opset=18)  # fmt: skip
conv("unpool",
     [node("MaxPool", "x", "m i", kernel_shape=[2, 2], strides=[2, 2]),
      node("MaxUnpool", "m i s", "h", kernel_shape=[2, 2], strides=[2, 2])],
     {"x": [1, 2, 8, 8]}, 2, [values("s", [1, 2, 9, 9])])  # fmt: skip

# Matrix products at the corners of broadcasting, and without elements.
for left, right in (
    ([5], [3, 5, 2]), ([4, 5], [5]), ([7, 2, 3, 4, 5], [1, 3, 5, 1]), ([3, 4, 5], [5]), ([0, 5], [5, 3]),
    ([4, 0], [0, 3]),
):  # fmt: skip
    case(
        f"matmul{left}{right}".replace(" ", ""),
        model([node("MatMul", "a b", "y")], {"a": left, "b": right}, "y"),
        {"a": np.zeros(left, F32), "b": np.zeros(right, F32)},
        inputs={"a": left, "b": right},
    )

# Shape arithmetic.
S = {"x": [4, 8]}
matrix("slice_backwards", [node("Slice", "x a b ax st", "h")], {"x": [9, 8]}, (8, 7),
       [values("a", [-1]), values("b", [-10]), values("ax", [0]), values("st", [-2])])  # fmt: skip
matrix("slice_beyond", [node("Slice", "x a b", "h")], {"x": [9, 8]}, (8, 7),
       [values("a", [3, -100]), values("b", [1 << 40, 100])])  # fmt: skip
matrix("pad_cuts", [node("Pad", "x p _ ax", "h")], {"x": [9, 8]}, (8, 7),
       [values("p", [2, -1]), values("ax", [-2])])  # fmt: skip
matrix(
    "crop",
    [node("CenterCropPad", "x s", "h", axes=[0])],
    {"x": [9, 8]},
    (8, 7),
    [values("s", [20])],
)
matrix("float_arithmetic",
       [node("Shape", "x", "s"), node("Cast", "s", "f", to=1), node("Mul", "f k", "m"), node("Floor", "m", "r"),
        node("Cast", "r", "t", to=7), node("Expand", "o t", "h")],
       {"x": [3, 5]}, (5, 7), [values("k", [1.7, 1.0], F32), weight("o", 1, 5)])  # fmt: skip
matrix("root_of_a_size",
       [node("Shape", "x", "s", start=0, end=1), node("Cast", "s", "f", to=1), node("Sqrt", "f", "r"),
        node("Cast", "r", "c", to=7), node("Concat", "c rest", "t", axis=0), node("Reshape", "x t", "h")],
       {"x": [16, 8]}, (32, 7), [values("rest", [-1])])  # fmt: skip
matrix("scattered_into_a_shape",
       [node("Shape", "x", "s"), node("ScatterElements", "s i u", "t", axis=0), node("Reshape", "x t", "h")],
       S, (2, 7), [values("i", [0, 1]), values("u", [16, 2])])  # fmt: skip
matrix("padded_to_a_multiple",
       [node("Shape", "x", "s", start=0, end=1), node("Mod", "s four", "m"), node("Sub", "four m", "p"),
        node("Concat", "z z p z", "pads", axis=0), node("Pad", "x pads", "h")],
       {"x": [6, 8]}, (8, 7), [values("four", [4]), values("z", [0])])  # fmt: skip
matrix("places_of_a_constant",
       [node("NonZero", "k", "n"), node("Squeeze", "n", "i"), node("Gather", "x i", "h", axis=0)],
       S, (8, 7), [values("k", [1, 0, 1, 1])])  # fmt: skip
matrix(
    "compressed",
    [node("Compress", "x k", "h", axis=0)],
    S,
    (8, 7),
    [values("k", [True, False, True], np.bool_)],
)
matrix("top_k_by_shape", [node("Shape", "x", "s", start=1), node("Min", "s lim", "k"), node("TopK", "x k", "h i")],
       S, (5, 7), [values("lim", [5])])  # fmt: skip
matrix("split_by_shape",
       [node("Shape", "x", "s", start=1), node("Div", "s two", "q"), node("Concat", "q q", "p", axis=0),
        node("Split", "x p", "h g", axis=1)],
       S, (4, 7), [values("two", [2])])  # fmt: skip
conv("resized_like_another",
     [node("Shape", "o", "s", start=2), node("Shape", "x", "t", start=0, end=2), node("Concat", "t s", "u", axis=0),
      node("Resize", "x _ _ u", "h")],
     {"x": [1, 2, 5, 5], "o": [1, 3, 11, 13]}, 2)  # fmt: skip
matrix("shape_as_input_default", [node("Reshape", "x s", "h")], {"x": [4, 8], "s": (INT64, [2])}, (16, 3),
       [values("s", [2, 16])], opset=9)  # fmt: skip
case("shape_default_overridden",
     model([node("Reshape", "x s", "h"), node("MatMul", "h w", "y")], {"x": [4, 8], "s": (INT64, [2])}, "y",
           [values("s", [4, 8]), weight("w", 16, 3)], opset=9, ir=4),
     {"s": np.array([2, 16])}, values={"s": [2, 16]})  # fmt: skip


# Control flow.
def looped(trips: int, calls, results: str, *stored: TensorProto, carried: str = "h", dims=(4, 8)):
    """A Loop over x with ``calls`` as body; the first result is carried, the others are gathered."""
    inputs = [value_info("i", [], INT64), value_info("c", [], BOOL), value_info(carried, dims)]
    outputs = [value_info("c2", [], BOOL), *(value_info(name, None) for name in results.split())]
    inner = body([*calls, node("Identity", "c", "c2")], inputs, outputs)
    names = " ".join(f"y{place}" for place in range(len(results.split())))
    return model([node("Loop", "M _ x", names, body=inner)], {"x": [4, 8]}, names,
                 [values("M", trips), weight("w", 8, 8), *stored])  # fmt: skip


STEP = [node("MatMul", "h w", "h2"), node("ReduceSum", "h2", "s", keepdims=0)]
case("loop_gathers", looped(5, STEP, "h2 s"))
case("loop_never_runs", looped(0, STEP, "h2 s"))
case("loop_grows", looped(3, [node("Concat", "h x", "h2", axis=0), node("MatMul", "h2 w", "m")], "h2",
                          dims=(None, 8)))  # fmt: skip
case("loop_reads_more_each_trip",
     looped(4, [node("Add", "i one", "e"), node("Reshape", "e m1", "e1"), node("Slice", "x st e1", "xs"),
                node("MatMul", "xs w", "m"), node("ReduceSum", "m", "s", keepdims=0), node("Identity", "h", "h2")],
            "h2 s", values("one", 1), values("m1", [-1]), values("st", [0])))  # fmt: skip
THEN = body([node("MatMul", "h w", "a")], [], [value_info("a", None)])
ELSE = body(
    [node("MatMul", "h w", "b"), node("MatMul", "b w", "b2")], [], [value_info("b2", None)]
)
case("branch_decided_by_the_trip",
     looped(5, [node("Equal", "i two", "p"), node("If", "p", "h2", then_branch=THEN, else_branch=ELSE)], "h2",
            values("two", 2)))  # fmt: skip
STEPS = body(
    [node("MatMul", "xi w", "m"), node("Add", "h m", "h2"), node("Identity", "m", "o")],
    [value_info("h", [4, 3]), value_info("xi", [4, 8])],
    [value_info("h2", [4, 3]), value_info("o", [4, 3])],
)
case("scan_axes_and_directions",
     model([node("Scan", "h0 xs", "y o", body=STEPS, num_scan_inputs=1, scan_input_axes=[-1], scan_output_axes=[-1],
                 scan_input_directions=[1])],
           {"h0": [4, 3], "xs": [4, 8, 6]}, "y o", [weight("w", 8, 3)]))  # fmt: skip
SIDE = [value_info("a", None)], [value_info("o", None)]
case("map_over_unlike_elements",
     model([node("SequenceConstruct", "a b", "s"),
            node("SequenceMap", "s", "t", body=body([node("MatMul", "e w", "o")], [value_info("e", None)], SIDE[1])),
            node("ConcatFromSequence", "t", "y", axis=0)],
           {"a": [2, 8], "b": [5, 8]}, "y", [weight("w", 8, 3)], opset=17))  # fmt: skip
case("last_of_a_split_sequence",
     model([node("SplitToSequence", "x three", "s", axis=0), node("SequenceAt", "s last", "h"),
            node("MatMul", "h w", "y")],
           {"x": [7, 8]}, "y", [weight("w", 8, 3), values("three", 3), values("last", -1)]))  # fmt: skip


# Functions.
def function(name: str, reads: list[str], calls, attributes=(), defaults=()) -> onnx.FunctionProto:
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("my", 1)]
    return helper.make_function(
        "my", name, reads, ["o"], calls, opsets, list(attributes), list(defaults)
    )


def referring(call: onnx.NodeProto, attribute: str, name: str, kind: int) -> onnx.NodeProto:
    """Let an attribute of a call stand for one of the function around it."""
    call.attribute.append(onnx.AttributeProto(name=attribute, ref_attr_name=name, type=kind))
    return call


INNER = function(
    "Inner", ["a", "b"], [referring(node("Gemm", "a b", "o"), "transB", "tb", 2)], ["tb"]
)
OUTER = function("Outer", ["a", "b"], [referring(node("Inner", "a b", "o", "my"), "tb", "t", 2)],
                 defaults=[helper.make_attribute("t", 1)])  # fmt: skip
case("attribute_given_through_two_functions",
     model([node("Outer", "x w", "y", "my", t=0)], {"x": [4, 8]}, "y", [weight("w", 8, 5)],
           functions=[INNER, OUTER], domains={"my": 1}, opset=17))  # fmt: skip
SHAPE = referring(helper.make_node("Constant", [], ["k"]), "value_ints", "shape", 7)
case("a_constant_that_is_an_attribute",
     model([node("To", "x", "h", "my", shape=[2, -1]), node("MatMul", "h w", "y")], {"x": [4, 8]}, "y",
           [weight("w", 16, 3)], functions=[function("To", ["a"], [SHAPE, node("Reshape", "a k", "o")], ["shape"])],
           domains={"my": 1}, opset=17))  # fmt: skip

# Quantized and recurrent.
LSTM = model(
    [node("LSTM", "x w r b n h c p", "y yh yc", hidden_size=8, direction="bidirectional")],
    {"x": [7, 3, 5], "n": (TensorProto.INT32, [3]), "h": [2, 3, 8], "c": [2, 3, 8]}, "y yh yc",
    [weight("w", 2, 32, 5), weight("r", 2, 32, 8), weight("b", 2, 64), weight("p", 2, 24)],
)  # fmt: skip
case("lstm_lengths_and_peepholes", LSTM, {"n": np.array([7, 3, 2], np.int32)})
case("rnn_last_state_alone",
     model([node("RNN", "x w r", "_ y", hidden_size=8)], {"x": [7, 3, 5]}, "y",
           [weight("w", 1, 8, 5), weight("r", 1, 8, 8)]))  # fmt: skip
case("conv_integer_grouped",
     model([node("ConvInteger", "x w", "c", group=2, pads=[1] * 4), node("Cast", "c", "y", to=1)],
           {"x": (UINT8, [1, 4, 8, 8])}, "y", [weight("w", 6, 2, 3, 3, dtype=np.uint8)]))  # fmt: skip
case("packed_attention_norms",
     model([node("SkipSimplifiedLayerNormalization", "x s g", "n _ _ t", MS), node("MatMul", "t w", "y")],
           {"x": [2, 4, 8], "s": [2, 4, 8]}, "n y", [weight("g", 8), weight("w", 8, 3)]))  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_counts_are_what_runs(name: str, tmp_path: Path) -> None:
    graph, fed, options = CASES[name]
    path = tmp_path / "model.onnx"
    path.write_bytes(graph.SerializeToString())
    macs, shapes = ran(graph, fed)
    found = roofline.load(path, **options)
    assert not found.unknown_layers
    assert found.macs == macs
    assert [list(tensor.shape or ()) for tensor in found.outputs] == shapes
    assert sum(layer.cost.macs for layer in found.fused_layers) == macs


def test_the_default_of_an_attribute_reaches_inner_functions(tmp_path: Path) -> None:
    """ONNX's own inliner drops it, so this one is by hand: transB of a 5x8 matrix."""
    path = tmp_path / "model.onnx"
    graph = model(
        [node("Outer", "x w", "y", "my")], {"x": [4, 8]}, "y", [weight("w", 5, 8)],
        functions=[INNER, OUTER], domains={"my": 1}, opset=17,
    )  # fmt: skip
    path.write_bytes(graph.SerializeToString())
    assert roofline.load(path).macs == 4 * 8 * 5


def test_constants_alone_are_parameters_too(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    calls = [node("MatMul", "a b", "y")]
    path.write_bytes(
        model(calls, {}, "y", [weight("a", 4, 8), weight("b", 8, 3)]).SerializeToString()
    )
    found = roofline.load(path)
    assert (found.macs, found.parameters, found.activation_bytes) == (4 * 8 * 3, 4 * 8 + 8 * 3, 0)


def test_four_bits_are_two_weights_in_a_byte(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    call = node("MatMulBnb4", "x q a", "y", MS, K=64, N=32, block_size=64, quant_type=1)
    stored = [weight("q", 64 * 32 // 2, dtype=np.uint8), weight("a", 32)]
    path.write_bytes(model([call], {"x": [4, 64]}, "y", stored).SerializeToString())
    found = roofline.load(path)
    assert (found.parameters, found.weight_bytes) == (64 * 32, 64 * 32 // 2 + 32 * 4)


def test_a_batch_that_no_input_takes_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    call = node("MatMul", "x w", "y")
    path.write_bytes(model([call], {"x": [4, 8]}, "y", [weight("w", 8, 3)]).SerializeToString())
    assert roofline.load(path, batch=4).macs == 4 * 8 * 3
    with pytest.raises(roofline.errors.DimensionError, match="at batch 4, not 16"):
        roofline.load(path, batch=16)
